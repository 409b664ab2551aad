"""The command `runs`: runs and the variants of their fusions, what differs in their options, and their figures."""

import logging
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from pixelplay.config import Config
from pixelplay.console import WIDTH
from pixelplay.errors import PixelPlayError
from pixelplay.evaluation.figures import Figures, read_figures
from pixelplay.evaluation.ledger import options_of
from pixelplay.evaluation.runs import NamedRun, find_runs
from pixelplay.run.artifacts import csv_text

log = logging.getLogger(__name__)

HEADS = {"ap_pseudo": "AP pseudo", "ap": "AP", "auc_micro": "micro", "auc_macro": "macro", "events": "events"}
NONE = "-"
INDENT = "    "


@dataclass(frozen=True)
class Listed:
    run: NamedRun
    figures: Figures
    options: Sequence[str]  # those that not all runs of its experiment have
    problem: str  # why figures are missing; '' if they are not


def run(config: Config, csv: bool = False) -> None:
    """Print a table, the newest run last; raises PixelPlayError where there is no run."""
    from hydra.core.hydra_config import HydraConfig

    named = any(override.startswith("experiment=") for override in HydraConfig.get().overrides.task)
    listed = list_runs(config, config.experiment if named else None)
    if not listed:
        where = config.paths.outputs / config.experiment if named else config.paths.outputs
        raise PixelPlayError(f"no runs in {where}/: ./run_all.sh starts one; paths.outputs=FOLDER lists another folder")
    log.info(as_csv(listed).rstrip() if csv else as_table(listed))


def list_runs(config: Config, experiment: str | None = None) -> list[Listed]:
    found = find_runs(config.paths, experiment)
    options = {one: options_of(one.files) for one in found}
    listed = []
    for one in found:
        figures, problem = Figures(None, None, None, None, None), ""
        if one.files.fused.exists():
            try:
                figures = read_figures(one.files)
            except PixelPlayError as error:
                problem = str(error)
        listed.append(Listed(one, figures, _differing(one, options), problem))
    return listed


def as_table(listed: Sequence[Listed]) -> str:
    """Two lines or more for each run, none longer than `WIDTH`: its figures, and below them its options."""
    longest = max(len(one.run.name) for one in listed)
    width = min(longest, WIDTH - 73)
    lines = [f"{'run':{width}}  {'finished':16}" + "".join(f"  {head:>9}" for head in HEADS.values())]
    for one in listed:
        name, finished = one.run.name, one.run.finished[:16].replace("T", " ")
        if len(name) > width:  # a line of its own
            lines += textwrap.wrap(name, WIDTH)
            name = ""
        cells = "".join(f"  {_cell(value):>9}" for value in astuple(one.figures))
        lines.append(f"{name:{width}}  {finished:16}{cells}")
        for text in filter(None, (" ".join(one.options), one.problem)):
            lines += textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    about = (
        "AP pseudo: on pseudo-anomalies, without labels; AP, micro and macro AUC: on test labels, of the fused scores. "
        "Below each run the options that not all runs of its experiment have."
    )
    return "\n".join([*lines, "", *textwrap.wrap(about, WIDTH)])


def as_csv(listed: Sequence[Listed]) -> str:
    head = ["run", "finished", *(one.name for one in fields(Figures)), "options"]
    rows = [[one.run.name, one.run.finished, *astuple(one.figures), " ".join(one.options)] for one in listed]
    return csv_text([head, *rows])


def _differing(one: NamedRun, options: Mapping[NamedRun, Sequence[str]]) -> list[str]:
    """The options of a run that not all of its experiment have; all of a single one."""
    others = [of for other, of in options.items() if other.experiment == one.experiment and other != one]
    return [option for option in options[one] if not others or not all(option in of for of in others)]


def _cell(value: float | int | None) -> str:
    return NONE if value is None else f"{value}" if isinstance(value, int) else f"{value:.4f}"
