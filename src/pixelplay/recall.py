"""Options are typed once: `run=NAME` recalls those of the run, `name=NAME` those of a variant of its fusion, too.

The first command that writes files of a run keeps its options in the run's folder. Later ones take them from there;
options that are typed again must give the same configuration, since another one belongs to another run. A variant has
the options of its run, and those of its own that concern the fusion and what follows from it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixelplay.composition import composed, resolved, values_of
from pixelplay.config import Config
from pixelplay.errors import ConfigError, DamagedArtifactError, PixelPlayError
from pixelplay.overrides import read_override
from pixelplay.run.artifacts import write_text
from pixelplay.run.files import RunFiles
from pixelplay.run.options import read_options, write_options
from pixelplay.run.stage import difference

NAMES = ("experiment", "run", "name")  # which run or variant is meant
FREE = (  # sections and keys that decide no result, or concern one command alone: not kept, and any value will do
    *("device", "workers", "paths", "hydra"),  # the machine
    *("wandb", "submit", "show", "report", "export"),  # what is shown or sent of a result
    *("ablate.search", "ablate.choose", "ablate.labels"),  # what `ablate` is asked for
    *("source", "view", "backend", "checkpoint", "viz", "online", "event"),  # online inference
    *("sweep", "step", "mine", "distribution", "format"),  # commands that are no stage of a run
)
LOOSE = (  # kept, and may be given anew: where data lie, and where events and curves go, decides no result
    *("dataset.root", "trainer.loggers"),
    *(f"events.{sink}" for sink in ("sinks", "delivery", "jsonl", "csv", "webhook", "mqtt")),
)
VARIED = ("fusion", "fusion_file", "events", "evaluate", "ablate")  # sections that a variant of the fusion may change


def with_recalled(overrides: list[str]) -> list[str]:
    """The overrides after those of the run and the variant that they name, without what is then given twice.

    Raises ConfigError for options that belong to another run or variant, DamagedArtifactError for a damaged file.
    """
    if not any(_is_of(option, ("run", "name")) for option in overrides):
        return overrides
    named = resolved([option for option in overrides if _is_of(option, (*NAMES, "paths"))])
    if named.run is None and named.name is None:
        return overrides
    files = RunFiles.of(named)
    rest = [option for option in overrides if _is_of(option, (*NAMES, *FREE))]
    own = [option for option in overrides if option not in rest]
    is_variant = named.name is not None
    of_variant = [option for option in own if is_variant and _is_of(option, VARIED)]
    of_run = [option for option in own if option not in of_variant]
    recalled = _recalled(files.options)
    if recalled is not None:
        _require_same(files.options, recalled, of_run, rest, is_variant)
        of_run = _joined(recalled, [option for option in of_run if _is_of(option, LOOSE)])
    if is_variant and (known := _recalled(files.variant_options)) is not None:
        _require_same(files.variant_options, _joined(of_run, known), of_variant, rest)
        of_variant = _joined(known, [option for option in of_variant if _is_of(option, LOOSE)])
    return [*_joined(of_run, of_variant), *rest]


@contextmanager
def kept(config: Config, overrides: Sequence[str], is_of_variant: bool) -> Iterator[None]:
    """Keep the options of a command that writes files of a run or variant, for those after it.

    is_of_variant: whether the overrides name a variant; `config` then has its name where the command writes its files.
    What was kept before stays if the command fails before it has finished anything.
    """
    files = RunFiles.of(config)
    own, known = [o for o in overrides if not _is_of(o, (*NAMES, *FREE))], read_options(files.options)
    if config.name:
        path, options = files.variant_options, [o for o in own if _is_of(o, VARIED) and o not in (known or [])]
    elif is_of_variant:  # a stage before the fusion, which is the run's
        path, options = files.options, known or [option for option in own if not _is_of(option, VARIED)]
    else:
        path, options = files.options, own
    former, finished = read_options(path), _finished(files)
    before = None if former is None else path.read_text(encoding="utf-8")
    if former != options:
        of_run = [*options, *(o for o in overrides if _is_of(o, (*NAMES, *FREE)) and _key(o) != "name")]
        whole = config if config.name or not is_of_variant else resolved(of_run)
        write_options(path, options, whole.model_dump(mode="json"))
    try:
        yield
    except PixelPlayError:
        if _finished(files) == finished:
            path.unlink(missing_ok=True) if before is None else write_text(path, before)
        raise


def _finished(files: RunFiles) -> dict[Path, int]:
    """The records of the run and the variant, with their times."""
    folders = {files.outputs, files.fusion}
    return {path: path.stat().st_mtime_ns for folder in folders for path in (folder / "stages").glob("*.json")}


def _recalled(path: Path) -> list[str] | None:
    """The options in the file of a run or variant; None where there is none."""
    options = read_options(path)
    for option in options or []:
        if _is_of(option, (*NAMES, *FREE)):
            raise DamagedArtifactError(f"{path}: {option}: a run does not keep this option: remove it from the file")
    try:
        return None if options is None else [read_override(option) for option in options]
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _require_same(
    path: Path, recalled: list[str], typed: list[str], rest: list[str], is_of_variant: bool = False
) -> None:
    """Raise ConfigError that names the options which give another configuration than the recalled ones."""
    new = [option for option in typed if option not in recalled]
    names = [option for option in rest if _is_of(option, ("experiment", "paths"))]
    if not new:
        return
    before = values_of(composed([*names, *recalled]))
    changed = _changes(before, new, recalled, names)
    if changed is None:
        return
    single = {option: _changes(before, [option], recalled, names) for option in new}
    named = {option: value for option, value in single.items() if value} or {new[0]: changed}
    same = {_key(option): option for option in recalled}
    told = [f"{option}: {path} has {same.get(_key(option), value)}" for option, value in named.items()]
    raise ConfigError("\n".join([*told, _remedy(list(named), path, is_of_variant)]))


def _remedy(named: list[str], path: Path, is_of_variant: bool) -> str:
    if is_of_variant:
        return (
            "A variant of the fusion takes the scores of its run as they are: for other scores, start another run with "
            "run=NAME"
        )
    only = all(_is_of(option, VARIED) for option in named)
    variant = "name this fusion otherwise with name=NAME, or " if only else ""
    return f"To keep both, {variant}start another run with run=NAME; to change this one, delete {path} first"


def _changes(before: dict[str, Any], options: list[str], recalled: list[str], names: list[str]) -> str | None:
    """The first key that these options change, with its value before; None if there is none."""
    key = difference(_decisive(before), _decisive(values_of(composed([*names, *_joined(recalled, options)]))))
    value: Any = before
    for part in (key or "").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return None if key is None else f"another {key}" if isinstance(value, dict) else f"{key}={value}"


def _decisive(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """What is left of a configuration without the keys of FREE."""
    left = {}
    for key, value in values.items():
        name = f"{above}{key}"
        if name not in (*NAMES, *FREE, *LOOSE):
            left[key] = _decisive(value, f"{name}.") if isinstance(value, dict) else value
    return left


def _joined(first: Iterable[str], second: Iterable[str]) -> list[str]:
    """The options of `second` after those of `first` that they do not replace."""
    first, added = list(first), {_key(option): option for option in second}
    is_file = not added.get("fusion_file", "=null").endswith("=null")  # which replaces all of `fusion`
    stay = [o for o in first if _key(o) not in added and not (is_file and _is_of(o, ("fusion",)))]
    there = {_key(option) for option in first if option.startswith("+")}
    return [*stay, *(f"++{o.lstrip('+')}" if k in there and not o.startswith("~") else o for k, o in added.items())]


def _is_of(option: str, sections: Sequence[str]) -> bool:
    """Whether an option sets one of these keys, or a key below one of them."""
    return any(_key(option) == one or _key(option).startswith(f"{one}.") for one in sections)


def _key(option: str) -> str:
    return re.split("[=@]", option.lstrip("+~"), maxsplit=1)[0]
