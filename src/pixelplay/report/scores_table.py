"""The tables of a run with labels, from metrics.json: scores, thresholds, published figures; each with its remarks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pixelplay.report.metrics_text import by_reason
from pixelplay.report.tables import NONE, Table, figures_table, heading, intervals_text, number_text, score_rows

COLUMNS = {  # in their order, with what they are
    "ap": "average precision",
    "auc_micro": "area under the ROC curve, the frames of all videos pooled",
    "auc_macro": "mean over the videos that have both classes",
    "eer": "equal error rate",
    "best_f1": "with the best threshold",
    "rbdc": "region-based detection criterion",
    "tbdc": "track-based detection criterion",
    "frames/s": "scored per second, loading included",
    "parameters": "of the trained networks",
}
LOW_IS_BEST = {"eer"}
NO_QUALITY = {"frames/s", "parameters"}
ALARMS = {
    "threshold": "value",
    "false alarms, held out": "false_alarms",
    "false alarms, unseen": "false_alarms_unseen",
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
}
OURS = "ours: "  # what names of the run's own rows start with

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    text: str
    below: str = ""  # its interval
    value: float | None = None  # what the table is sorted by
    best: bool = False


@dataclass(frozen=True)
class Row:
    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Group:
    """A detector, with its other streams folded under it."""

    row: Row
    streams: Sequence[Row]


@dataclass(frozen=True)
class ScoresTable:
    heads: Sequence[tuple[str, str]]  # of the columns: (name, what it is)
    groups: Sequence[Group]
    total: Row  # the fusion
    about: Sequence[str]  # sentences


def scores_table(metrics: Figures, speeds: Mapping[str, float]) -> ScoresTable:
    """A row per detector, external member and the fusion. speeds: frames per second, by detector."""
    measured = [of["streams"] for of in metrics["objects"].get("detectors", {}).values()]
    regions = {stream: of.get("region", {}) for streams in measured for stream, of in streams.items()}
    every = {name: {**of, **regions.get(name, {})} for name, of, _ in score_rows(metrics)}
    for name, speed in speeds.items():
        every[name]["frames/s"] = speed
    keys = [key for key in COLUMNS if any(key in of for of in every.values())]
    top = [name for name, _, style in score_rows(metrics) if style != "stream"]
    best = {key: _best([every[name].get(key) for name in top], key) for key in keys}
    rows = {
        name: Row(name, [_cell(of, key, best[key] if name in top else None) for key in keys])
        for name, of in every.items()
    }
    groups = [Group(rows[n], [rows[s] for s in every[n].get("streams", {})]) for n in top if n != "fused"]
    return ScoresTable([(heading(key), COLUMNS[key]) for key in keys], groups, rows["fused"], [*_about(metrics)])


def thresholds_table(thresholds: Figures) -> tuple[Table | None, list[str]]:
    """A row for each stream and method, the fusion's first; and why some are unreliable, or missing."""
    names = sorted(thresholds, key=lambda name: name != "fused")
    methods = [(f"{name}, {method}", of) for name in names for method, of in thresholds[name].items()]
    rows = [(name, _alarm(of), "") for name, of in methods if "reason" not in of]
    told = [f"{names}: {text}" for key in ("remark", "reason") for text, names in by_reason(methods, key)]
    return (figures_table("", rows) if rows else None), told


def published_table(rows: Sequence[Figures], objects: Figures) -> tuple[Table | None, list[str]]:
    """Published figures with ours among them, by metric and rank; and why ours have no rank, and which tracks count."""
    if not rows:
        return None, []
    shown, told = [], dict[str, None]()
    for one in rows:
        ours = one["method"].startswith(OURS)
        if ours and one["rank"] is None:
            told[f"Ours have no rank: {one['source']}."] = None
        figures = {"metric": heading(one["metric"]), **{key: one[key] for key in ("rank", "value", "source")}}
        shown.append((one["method"], figures, "ours" if ours else ""))
    videos = objects.get("videos")
    if videos and any(one["metric"] in ("rbdc", "tbdc") for one in rows):
        own = f"the track files of {videos['tracks']} videos and the masks of {videos['masks']}"
        told[f"RBDC and TBDC are against {own}; published ones are against the published track files."] = None
    return replace(figures_table("", shown), alike=()), list(told)


def _cell(figures: Figures, key: str, best: float | None) -> Cell:
    value = figures.get(key)
    if value is None:
        return Cell(NONE)
    ends = (figures.get("intervals") or {}).get(key)
    below = " to ".join(map(number_text, ends)) if ends else ""
    return Cell(number_text(value), below, float(value), best is not None and value == best)


def _best(values: Iterable[float | None], key: str) -> float | None:
    """The best of several figures; None for one alone, and for what is no measure of quality."""
    known = [value for value in values if value is not None]
    if len(known) < 2 or key in NO_QUALITY:
        return None
    return min(known) if key in LOW_IS_BEST else max(known)


def _about(metrics: Figures) -> Iterator[str]:
    fused = metrics["fused"]
    yield f"{metrics['frames']:,} labelled test frames, {100 * metrics['prevalence']:.1f} % of them anomalous"
    if fused.get("macro_videos") is not None:
        yield f"AUC macro over {fused['macro_videos']} videos that have both classes"
    if note := intervals_text(fused.get("intervals") or {}):
        yield f"below the figures, {note}"
    if videos := metrics["objects"].get("videos"):
        yield f"RBDC and TBDC against the track files of {videos['tracks']} videos and the masks of {videos['masks']}"


def _alarm(figures: Figures) -> dict[str, Any]:
    """What is shown of a threshold, by its headings; intervals stand below figures of the same heading."""
    drawn, heads = figures.get("intervals") or {}, {key: head for head, key in ALARMS.items()}
    shown = {head: figures.get(key) for head, key in ALARMS.items()}
    return {**shown, "intervals": {heads.get(key, key): value for key, value in drawn.items()}}
