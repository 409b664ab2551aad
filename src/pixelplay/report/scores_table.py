"""The tables of a run with labels, from metrics.json: scores, thresholds, published figures; each with its remarks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pixelplay.report.metrics_text import by_reason
from pixelplay.report.tables import NONE, Table, figures_table, heading, intervals_text, number_text

FRAMES = {"AP": "ap", "AUC micro": "auc_micro", "AUC macro": "auc_macro", "EER": "eer", "best F1": "best_f1"}
BOXES = {"RBDC": "rbdc", "TBDC": "tbdc"}
COST = {"frames/s": "frames/s", "parameters": "parameters"}
LOW_IS_BEST = {"eer"}
ABOUT = {
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
ALARMS = {
    "threshold": "value",
    "false alarms, held out": "false_alarms",
    "false alarms, unseen": "false_alarms_unseen",
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
}
OURS = "ours: "

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
    regions = _regions(metrics.get("objects") or {})
    every = {name: {**of, **regions.get(name, {})} for name, of in _named(metrics)}
    for name, speed in speeds.items():
        every[name]["frames/s"] = speed
    keys = {head: key for head, key in {**FRAMES, **BOXES, **COST}.items() if any(key in of for of in every.values())}
    top = [*metrics["detectors"], *metrics.get("external", {}), "fused"]
    best = {key: _best([every[name].get(key) for name in top], key) for key in keys.values()}
    rows = {
        name: Row(name, [_cell(of, key, best[key] if name in top else None) for key in keys.values()])
        for name, of in every.items()
    }
    groups = [Group(rows[n], [rows[s] for s in of.get("streams", {})]) for n, of in metrics["detectors"].items()]
    groups += [Group(rows[name], []) for name in metrics.get("external", {})]
    heads = [(head, ABOUT[key]) for head, key in keys.items()]
    return ScoresTable(heads, groups, rows["fused"], [*_about(metrics)])


def thresholds_table(thresholds: Figures) -> tuple[Table | None, list[str]]:
    """A row for each stream and method, the fusion's first; and why some are unreliable, or missing."""
    names = sorted(thresholds, key=lambda name: name != "fused")
    methods = [(f"{name}, {method}", of) for name in names for method, of in thresholds[name].items()]
    rows = [
        (name, {head: of.get(key) for head, key in ALARMS.items()} | _interval_keys(of), "")
        for name, of in methods
        if "reason" not in of
    ]
    told = [f"{names}: {text}" for key in ("remark", "reason") for text, names in by_reason(methods, key)]
    return (figures_table("", rows) if rows else None), told


def published_table(rows: Sequence[Figures], objects: Figures) -> tuple[Table | None, list[str]]:
    """Published figures with ours among them, by metric and rank; and why ours have no rank, and which tracks count."""
    if not rows:
        return None, []
    shown = [
        (str(one["method"]), {key: one.get(key) for key in ("metric", "rank", "value", "source")}, _style(one))
        for one in rows
    ]
    reasons = {str(one["source"]): None for one in rows if _is_ours(one) and one.get("rank") is None}
    told = [f"Ours have no rank: {reason}." for reason in reasons]
    videos = objects.get("videos") or {}
    if any(one["metric"] in ("rbdc", "tbdc") for one in rows) and videos:
        told.append(
            f"RBDC and TBDC are against the track files of {videos.get('tracks', 0)} videos and the masks of "
            f"{videos.get('masks', 0)}; published ones are against the published track files."
        )
    table = figures_table("", [(name, _headed(of), style) for name, of, style in shown])
    return replace(table, alike=()), told


def _named(metrics: Figures) -> Iterator[tuple[str, Figures]]:
    for name, of in metrics["detectors"].items():
        yield name, of
        yield from of.get("streams", {}).items()
    yield from metrics.get("external", {}).items()
    yield "fused", metrics["fused"]


def _regions(objects: Figures) -> dict[str, Figures]:
    """RBDC and TBDC by stream."""
    detectors = objects.get("detectors", {}).values()
    return {s: of["region"] for one in detectors for s, of in one.get("streams", {}).items() if of.get("region")}


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
    if len(known) < 2 or key in COST.values():
        return None
    return min(known) if key in LOW_IS_BEST else max(known)


def _about(metrics: Figures) -> Iterator[str]:
    fused = metrics["fused"]
    yield f"{metrics['frames']:,} labelled test frames, {100 * metrics['prevalence']:.1f} % of them anomalous"
    if fused.get("macro_videos") is not None:
        yield f"AUC macro over {fused['macro_videos']} videos that have both classes"
    if note := intervals_text(fused.get("intervals") or {}):
        yield f"below the figures, {note}"
    videos = (metrics.get("objects") or {}).get("videos")
    if videos:
        yield f"RBDC and TBDC against the track files of {videos['tracks']} videos and the masks of {videos['masks']}"


def _interval_keys(figures: Figures) -> dict[str, Any]:
    """The intervals of `ALARMS`, by their headings, for the small print, and how they were drawn."""
    drawn = figures.get("intervals") or {}
    heads = {key: head for head, key in ALARMS.items()}
    return {"intervals": {heads.get(key, key): value for key, value in drawn.items()}}


def _headed(figures: Figures) -> dict[str, Any]:
    return {**figures, "metric": heading(str(figures["metric"]))}


def _is_ours(figures: Figures) -> bool:
    return str(figures["method"]).startswith(OURS)


def _style(figures: Figures) -> str:
    return "ours" if _is_ours(figures) else ""
