"""The tables that `evaluate` prints, from what metrics.json holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

FRAMES = {"AP": "ap", "AUC micro": "auc_micro", "AUC macro": "auc_macro", "EER": "eer", "PR-AUC": "pr_auc"}
FRAMES |= {"best F1": "best_f1", "AUC macro, anchored": "auc_macro_anchored"}
PIXELS = {"AUROC": "auroc", "AP": "ap"}
RATES = {"P": "precision", "R": "recall", "F1": "f1"}
UNSEEN = {"false alarms": "false_alarms", "unseen": "false_alarms_unseen"}
ALARMS = {"threshold": "value", **UNSEEN, **RATES}
NOTHING = "-"


def metrics_text(metrics: Mapping[str, Any], speeds: Mapping[str, float]) -> str:
    """Every table, and a line above each that says what it is over; `speeds`: frames a second, by detector.

    What held-out footage is too short for comes first.
    """
    parts = [
        *_remarks(metrics["thresholds"]),
        f"{metrics['frames']:,} labelled test frames, {metrics['prevalence']:.4f} of them anomalous "
        f"(the AP of random scores); {_measured(metrics['fused'])}{_drawn(metrics)}",
        _frames(metrics, speeds),
        *_objects(metrics["objects"]),
        *_alarms(metrics["thresholds"]),
    ]
    return "\n\n".join(parts) + published_text(metrics["published"])


def published_text(published: Sequence[Mapping[str, Any]]) -> str:
    """Rows of `metrics.published.published_table`, each figure with its rank and source; '' where there is none."""
    if not published:
        return ""
    width, metric = (max(len(figure[key]) for figure in published) for key in ("method", "metric"))
    lines = [
        f"{f.get('rank') or NOTHING:>4}  {f['method']:{width}}  {f['metric']:{metric}} {f['value']:.4f}  {f['source']}"
        for f in published
    ]
    return "\n".join(["", "", "published by others, and ours where the protocol agrees", "", *lines])


def _frames(metrics: Mapping[str, Any], speeds: Mapping[str, float]) -> str:
    rows = []
    for name, figures in _streams(metrics):
        row = {"": name, **{head: _shown(figures[key]) for head, key in FRAMES.items()}}
        for key, head in {"ap": "[AP]", "auc_micro": "[AUC micro]"}.items():
            drawn = figures["intervals"]
            row[head] = "{:.3f}-{:.3f}".format(*drawn[key]) if drawn else NOTHING
        count = figures.get("parameters")
        row["frames/s"] = f"{speeds[name]:.1f}" if name in speeds else NOTHING
        row["parameters"] = f"{count:,}" if count is not None else NOTHING
        rows.append(row)
    return _table(rows)


def _measured(fused: Mapping[str, Any]) -> str:
    return fused.get("reason") or f"AUC macro over {fused['macro_videos']} videos"


def _drawn(metrics: Mapping[str, Any]) -> str:
    drawn = metrics["fused"]["intervals"]
    return f"; in brackets, {drawn['level']:.0%} of {drawn['draws']:,} draws of whole videos" if drawn else ""


def _streams(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Detectors first, then their other streams, external members, and the fusion."""
    others = [item for detector in metrics["detectors"].values() for item in detector["streams"].items()]
    return [*metrics["detectors"].items(), *others, *metrics.get("external", {}).items(), ("fused", metrics["fused"])]


def _objects(objects: Mapping[str, Any]) -> list[str]:
    if not objects:
        return []
    streams = [item for detector in objects["detectors"].values() for item in detector["streams"].items()]
    keys = [key for _, figures in streams for key in figures.get("pixel", {})]
    aupro = next((key for key in keys if key.startswith("aupro")), "aupro")  # its limit is in its name
    rows = [_object_row(name, figures, aupro) for name, figures in streams]
    videos = objects["videos"]
    own = ", so not to be compared with published RBDC and TBDC" if videos["masks"] else ""
    return [
        f"boxes against {objects['regions']:,} regions and {objects['tracks']:,} tracks in {objects['frames']:,} "
        f"frames, by the track files of {videos['tracks']} videos and the masks of {videos['masks']}{own}; "
        "pixel figures over the pixels of all frames pooled, but 'by frame': means over single frames, as in papers; "
        "tao_* at the evt threshold",
        _table(rows),
    ]


def _object_row(name: str, figures: Mapping[str, Any], aupro: str) -> dict[str, str]:
    """One stream's figures; what was not asked for, or could not be measured, is marked."""
    row: dict[str, float | None] = {head: figures.get("region", {}).get(head.lower()) for head in ("RBDC", "TBDC")}
    pixel = {**PIXELS, aupro.replace("aupro", "AUPRO"): aupro, "F1": "best_f1"}
    pixel |= {f"{head} by frame": f"{key}_per_frame" for head, key in PIXELS.items()}
    row |= {f"pixel {head}": figures.get("pixel", {}).get(key) for head, key in pixel.items()}
    for level in ("tao_region", "tao_track"):
        found = figures.get("tao", {}).get("evt", {}).get(level, {})
        row |= {f"{level} {head}": found.get(key) for head, key in RATES.items()}
    return {"": name, **{head: _shown(value) for head, value in row.items()}}


def _alarms(thresholds: Mapping[str, Any]) -> list[str]:
    rows, lacking = [], {}
    for name, methods in thresholds.items():
        for method, entry in methods.items():
            if "reason" in entry:
                lacking.setdefault(entry["reason"], []).append(f"{name}, {method}")
            else:
                row = {"": f"{name}, {method}", **{head: _shown(entry.get(key)) for head, key in ALARMS.items()}}
                rows.append(row | {f"[{head}]": _interval(entry, key) for head, key in UNSEEN.items()})
    if not rows and not lacking:
        return []
    head = (
        "thresholds from held-out normal footage, on the scores that enter the fusion; false alarms: share of held-out "
        "frames, by the thresholds of other held-out videos; unseen: share of test frames labelled normal; brackets: "
        "draws of whole videos"
    )
    missing = "\n".join(f"no threshold: {'; '.join(names)}: {reason}" for reason, names in lacking.items())
    return [head, *([_table(rows)] if rows else []), *([missing] if missing else [])]


def _remarks(thresholds: Mapping[str, Any]) -> list[str]:
    """A line for each threshold whose false-alarm rate can't be promised; one where several have the same remark."""
    remarks: dict[str, list[str]] = {}
    for name, methods in thresholds.items():
        for method, entry in methods.items():
            if entry.get("remark"):
                remarks.setdefault(entry["remark"], []).append(f"{name}, {method}")
    lines = [f"{'; '.join(names)}: {remark}" for remark, names in remarks.items()]
    return ["\n".join(["thresholds that can't be relied on:", *lines])] if lines else []


def _interval(entry: Mapping[str, Any], key: str) -> str:
    drawn = entry.get("intervals", {}).get(key)
    return "{:.3f}-{:.3f}".format(*drawn) if drawn else NOTHING


def _shown(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    return pd.DataFrame([{**row} for row in rows], dtype=object).set_index("").rename_axis(None).to_string()
