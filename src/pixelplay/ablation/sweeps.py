"""What a sweep found: a table of its runs' figures, from what their stages wrote, in words and as a picture.

Figures on labels are only reported: nothing is chosen on them.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pixelplay.ablation.measure import PSEUDO
from pixelplay.ablation.plots import PLANTED, ROW, TRUE, dots
from pixelplay.console import aligned
from pixelplay.drawing.figures import write_figure
from pixelplay.run.artifacts import csv_text, missing, read_json, write_text
from pixelplay.run.files import RunFiles, of_seed
from pixelplay.run.stage import Record, read_record

ON_LABELS = {  # column -> heading
    "auc_micro": "frame AUC",
    "ap": "frame AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "rbdc": "RBDC",
    "tbdc": "TBDC",
}
FIGURES = {**ON_LABELS, "pseudo_ap": "AP on pseudo-anomalies"}
COSTS = {"parameters": "parameters", "training_minutes": "minutes of training", "scoring_minutes": "of scoring"}
SPREAD = {"auc_micro": "auc_micro_deviation", "ap": "ap_deviation", "pseudo_ap": "pseudo_ap_error"}  # shown after ±
BUDGET = ("window", "stride", "max_epochs", "patience", "batch_size")  # of training, as far as a detector has them


@dataclass(frozen=True)
class Results:
    table: pd.DataFrame  # a row per variant and detector: `variant`, `detector`, figures; NaN for what is not known
    budgets: dict[str, dict[str, list[Any]]]  # by detector and setting: its values, in the order of the variants
    seeds: list[int]  # [] where a detector has one


def results(runs: Mapping[str, RunFiles], detectors: Sequence[str], seeds: Sequence[int | None]) -> Results:
    """Figures of the runs of a sweep, by variant, from metrics.json, from what `ablate` wrote, and from records.

    seeds: those that each detector is trained with; [None] for its only one. Frame figures are the mean of the seeds'.
    Raises MissingArtifactError where a run has not been scored.
    """
    rows, budgets = [], {detector: dict[str, list[Any]]() for detector in detectors}
    for variant, files in runs.items():
        metrics = read_json(files.metrics, made_by="evaluate") if files.metrics.exists() else {}
        for detector in detectors:
            own = [of_seed(detector, seed) for seed in seeds]
            trained, scored = ([_record(files, f"{stage}-{one}") for one in own] for stage in ("train", "score"))
            figures = dict(_on_labels(metrics, detector)) | _planted(files, detector)
            costs = {
                "parameters": trained[0].about.get("parameters"),
                "training_minutes": _minutes(trained),
                "scoring_minutes": _minutes(scored),
            }
            rows.append({"variant": variant, "detector": detector, **figures, **costs})
            settings = trained[0].settings["trainer"] | trained[0].settings["training"]
            settings |= {f"scoring_{key}": value for key, value in scored[0].settings["scoring"].items()}
            for key in (*BUDGET, "scoring_stride"):
                if settings.get(key) is not None:
                    budgets[detector].setdefault(key, []).append(settings[key])
    known = [column for name in FIGURES for column in (name, *filter(None, [SPREAD.get(name)]))]
    table = pd.DataFrame(rows, columns=["variant", "detector", *known, *COSTS])
    return Results(table, budgets, [seed for seed in seeds if seed is not None])


def write(folder: Path, name: str, found: Results, options: Sequence[str]) -> str:
    """Write table.csv, table.md and figure.png into `folder`; returns the table as text. `options`: of all the runs."""
    table, told = found.table, caption(found, options)
    shown = cells(table)
    text = f"# Sweep `{name}`\n\n{markdown(shown)}\n\n" + "\n\n".join(told) + "\n"
    write_text(folder / "table.csv", csv_text([table.columns, *table.astype(object).itertuples(index=False)]))
    write_text(folder / "table.md", text)
    write_figure(folder / "figure.png", draw(table, name, told))
    return aligned(shown, index=False)


def caption(found: Results, options: Sequence[str]) -> list[str]:
    """Paragraphs: at what budget the runs were made, what stands after ±, and which figures are on labels."""
    table = found.table
    parts = [f"{name}: {', '.join(_told(key, of[key]) for key in of)}" for name, of in found.budgets.items()]
    seeds = f"{len(found.seeds)} seeds ({', '.join(map(str, found.seeds))})" if found.seeds else "one seed"
    given = f", options {' '.join(f'`{option}`' for option in options)}" if options else ""
    told = [
        f"Budget of every variant: {'; '.join(parts)}; {seeds}{given}. Windows and strides are in frames; minutes are "
        "per seed, and those of one machine."
    ]
    if table[list(ON_LABELS)].isna().all(axis=None):
        told.append("No test labels are known, so nothing is measured on them.")
    else:
        over = "the mean over seeds ± their standard deviation" if found.seeds else "of one seed, without a spread"
        mean = "; all others are of the seeds' mean scores" if found.seeds else ""
        shown = _listed(heading for name, heading in ON_LABELS.items() if table[name].notna().any())
        told.append(
            f"On test labels: {shown}: reported only, never to be chosen on. Frame AUC and AP are {over}{mean}."
        )
    if table["pseudo_ap"].notna().any():
        told.append("AP on pseudo-anomalies needs no labels; after ± stands its standard error over resampled clips.")
    return told


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """As text, by headings: figures and their spread in one column, without columns of which nothing is known."""
    names = [name for name in (*FIGURES, *COSTS) if table[name].notna().any()]
    about = ["variant", *(["detector"] if table["detector"].nunique() > 1 else [])]
    figures = {(FIGURES | COSTS)[name]: [_cell(row, name) for _, row in table.iterrows()] for name in names}
    return pd.DataFrame({**{key: table[key].astype(str) for key in about}, **figures}, index=table.index)


def markdown(table: pd.DataFrame) -> str:
    rows = [[str(cell).replace("|", "\\|") for cell in row] for row in table.itertuples(index=False)]
    lines = [[*table.columns], ["---"] * len(table.columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(table: pd.DataFrame, name: str, told: Sequence[str]) -> Figure:
    """A panel per figure, a row per variant; the caption below."""
    names = [figure for figure in FIGURES if table[figure].notna().any()] or ["pseudo_ap"]
    several = table["detector"].nunique() > 1
    label = table["variant"] + ("  " + table["detector"] if several else "")
    rows = table.set_index(label)
    width = max(6.6, 1.6 + 1.6 * len(names))  # inches
    lines = [textwrap.fill(part.replace("`", ""), int(width * 16)) for part in told]
    height = 1.1 + 1.4 * ROW * len(rows) + 0.13 * sum(line.count("\n") + 1 for line in lines)
    figure = Figure(figsize=(width, height), layout="constrained")
    for axis, one in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        dots(axis, rows, one, SPREAD.get(one), PLANTED if one == "pseudo_ap" else TRUE, "")
        axis.set_title("\n".join(textwrap.wrap(FIGURES[one], 14)), fontsize=9)
        axis.tick_params(axis="x", labelsize=7)
        axis.locator_params(axis="x", nbins=4)
    figure.suptitle(f"{name}: {_listed(table['detector'].unique())}", fontsize=10, parse_math=False)
    figure.supxlabel("\n".join(lines), fontsize=7, ha="left", x=0.02, parse_math=False)
    return figure


def _on_labels(metrics: Mapping[str, Any], detector: str) -> Iterator[tuple[str, float]]:
    if not metrics:
        return
    frames = metrics["detectors"][detector]
    for name in ("auc_micro", "ap"):
        over = frames.get("seeds", {}).get(name)
        yield name, over["mean"] if over else frames[name]
        if over:
            yield f"{name}_deviation", over["deviation"]
    objects = metrics["objects"].get("detectors", {}).get(detector, {"streams": {}})
    levels = objects["streams"].get(detector, {})
    found = {f"pixel_{name}": value for name, value in levels.get("pixel", {}).items()} | levels.get("region", {})
    yield from ((name, found[name]) for name in ON_LABELS if found.get(name) is not None)


def _planted(files: RunFiles, detector: str) -> dict[str, float]:
    """Of the detector's default stream alone, by the ablation's table; {} where nothing was planted."""
    path = files.ablation / "alone.csv"
    if not path.exists():
        return {}
    alone = pd.read_csv(path, index_col=0)
    names = {"ap": f"{PSEUDO}_ap", "ap_error": f"{PSEUDO}_ap_error"}
    return {ours: float(alone.loc[detector, key]) for key, ours in names.items()} if detector in alone.index else {}


def _record(files: RunFiles, name: str) -> Record:
    if (record := read_record(files.record(name))) is None:
        raise missing(files.record(name), "sweep")
    return record


def _minutes(records: Sequence[Record]) -> float:
    return round(float(np.mean([record.seconds for record in records])) / 60, 2)


def _cell(row: pd.Series, name: str) -> str:
    value = row[name]
    if pd.isna(value):
        return "-"
    if name in COSTS:
        return f"{value:,.0f}" if name == "parameters" else f"{value:.1f}"
    spread = row[SPREAD[name]] if name in SPREAD else np.nan
    return f"{value:.3f}" if pd.isna(spread) else f"{value:.3f} ± {spread:.3f}"


def _told(key: str, values: Sequence[Any]) -> str:
    return f"{key.replace('_', ' ')} {' | '.join(map(str, dict.fromkeys(values)))}"


def _listed(names: Any) -> str:
    return ", ".join(map(str, names))
