"""The tables that `evaluate` prints, from the content of metrics.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from pixelplay.console import aligned

FRAMES = {"AP": "ap", "AUC micro": "auc_micro", "AUC macro": "auc_macro", "EER": "eer", "PR-AUC": "pr_auc"}
FRAMES |= {"best F1": "best_f1", "AUC macro, anchored": "auc_macro_anchored"}
PIXELS = {"AUROC": "auroc", "AP": "ap"}
RATES = {"P": "precision", "R": "recall", "F1": "f1"}
UNSEEN = {"false alarms": "false_alarms", "unseen": "false_alarms_unseen"}
ALARMS = {"threshold": "value", **UNSEEN, **RATES}
SPREAD = ("ap", "auc_micro", "auc_macro", "eer")  # figures whose spread over seeds is measured
NOTHING = "-"

Figures = Mapping[str, Any]


def metrics_text(metrics: Figures, speeds: Mapping[str, float]) -> str:
    """Every table, with a line above each that says what it is over; unreliable thresholds come first.

    speeds: frames per second, by detector.
    """
    fused = metrics["fused"]
    measured = fused.get("reason") or f"AUC macro over {fused['macro_videos']} videos"
    if drawn := fused["intervals"]:
        measured += f"; in brackets, {drawn['level']:.0%} intervals from {drawn['draws']:,} resamplings of whole videos"
    methods = [(f"{n}, {m}", entry) for n, of in metrics["thresholds"].items() for m, entry in of.items()]
    remarks = [f"{names}: {remark}" for remark, names in by_reason(methods, "remark")]
    parts = [
        *(["\n".join(["unreliable thresholds:", *remarks])] if remarks else []),
        f"{metrics['frames']:,} labelled test frames, {metrics['prevalence']:.4f} of them anomalous "
        f"(the AP of random scores); {measured}",
        _table({name: _frame_row(name, figures, speeds) for name, figures in _streams(metrics)}),
        *_over_seeds(metrics["detectors"]),
        *(["\n".join(lines)] if (lines := events_lines(metrics.get("events"))) else []),
        *_objects(metrics["objects"]),
        *_alarms(methods),
    ]
    return "\n\n".join(parts) + published_text(metrics["published"])


def published_text(published: Sequence[Figures]) -> str:
    """Rows of `metrics.published.published_table`, each figure with its rank and source; '' without any."""
    if not published:
        return ""
    width, metric = (max(len(figure[key]) for figure in published) for key in ("method", "metric"))
    lines = [
        f"{f.get('rank') or NOTHING:>4}  {f['method']:{width}}  {f['metric']:{metric}} {f['value']:.4f}  {f['source']}"
        for f in published
    ]
    return "\n".join(["", "", "published figures, and ours where the protocol agrees", "", *lines])


def _streams(metrics: Figures) -> list[tuple[str, Figures]]:
    """Detectors first, then their other streams, external members, and the fusion."""
    others = [item for detector in metrics["detectors"].values() for item in detector["streams"].items()]
    return [*metrics["detectors"].items(), *others, *metrics.get("external", {}).items(), ("fused", metrics["fused"])]


def _frame_row(name: str, figures: Figures, speeds: Mapping[str, float]) -> dict[str, str]:
    row = _cells(figures, FRAMES) | _intervals(figures, {head: FRAMES[head] for head in ("AP", "AUC micro")})
    count = figures.get("parameters")
    row["frames/s"] = f"{speeds[name]:.1f}" if name in speeds else NOTHING
    return {**row, "parameters": f"{count:,}" if count is not None else NOTHING}


def _over_seeds(detectors: Figures) -> list[str]:
    """Mean and standard deviation over seeds; [] where each detector was trained once."""
    rows = {
        name: {
            head: f"{spread[key]['mean']:.4f} ± {spread[key]['deviation']:.4f}" if key in spread else NOTHING
            for head, key in FRAMES.items()
            if key in SPREAD
        }
        for name, figures in detectors.items()
        if (spread := figures.get("seeds"))
    }
    if not rows:
        return []
    count = len(next(iter(detectors[next(iter(rows))]["seeds"].values()))["seeds"])
    return [
        f"single trainings with {count} seeds: mean ± standard deviation; above, of their mean scores",
        _table(rows),
    ]


def events_lines(found: Figures | None) -> list[str]:
    """What events are worth, in a few lines, since there is one set of them; [] where none were measured."""
    if not found:
        return []
    rates = [f"{head} {found[key]:.4f}" for head, key in RATES.items() if found[key] is not None]
    counts = (
        f"events: {found['right']} of {found['events']} right, {found['found']} of {found['labelled']} labelled found"
    )
    delay, unit = found["delay_seconds"] or found["delay_frames"], "s" if found["delay_seconds"] else "frames"
    late = [f"first alarm {delay['mean']:.2f} {unit} late on average, median {delay['median']:.2f}"] if delay else []
    per_hour = found["false_alarms_per_hour"]
    rate = "" if per_hour is None else f", {per_hour:.1f} per hour of normal footage"
    kept = [f"{found['normal_share']:.1%} of normal frames in events"] if found["normal_share"] is not None else []
    if (above := found["false_alarms_unseen"]) is not None:
        promised = "" if found["expected"] is None else f" (expected up to {found['expected']:.1%})"
        kept.append(f"{above:.1%} above the threshold{promised}")
    if found["latency_ap"] is not None:
        kept.append(f"latency-aware AP {found['latency_ap']:.4f}")
    lines = [[counts, *rates], [*late, f"{found['false_alarms']} false alarms{rate}"], kept]
    return ["; ".join(line) for line in lines if line]


def _objects(objects: Figures) -> list[str]:
    if not objects:
        return []
    streams = {name: of for detector in objects["detectors"].values() for name, of in detector["streams"].items()}
    keys = [key for figures in streams.values() for key in figures.get("pixel", {})]
    aupro = next((key for key in keys if key.startswith("aupro")), "aupro")  # its limit is in its name
    videos = objects["videos"]
    own = ", so not comparable with published RBDC and TBDC" if videos["masks"] else ""
    return [
        f"boxes against {objects['regions']:,} regions and {objects['tracks']:,} tracks in {objects['frames']:,} "
        f"frames, from the track files of {videos['tracks']} videos and the masks of {videos['masks']}{own}; "
        "pixel metrics pool the pixels of all frames, except 'by frame': means over single frames, as in papers; "
        "tao_* at the evt threshold",
        _table({name: _object_row(figures, aupro) for name, figures in streams.items()}),
    ]


def _object_row(figures: Figures, aupro: str) -> dict[str, str]:
    pixel = {**PIXELS, aupro.replace("aupro", "AUPRO"): aupro, "F1": "best_f1"}
    pixel |= {f"{head} by frame": f"{key}_per_frame" for head, key in PIXELS.items()}
    row = _cells(figures.get("region", {}), {"RBDC": "rbdc", "TBDC": "tbdc"})
    row |= _cells(figures.get("pixel", {}), {f"pixel {head}": key for head, key in pixel.items()})
    for level in ("tao_region", "tao_track"):
        found = figures.get("tao", {}).get("evt", {}).get(level, {})
        row |= _cells(found, {f"{level} {head}": key for head, key in RATES.items()})
    return row


def _alarms(methods: Sequence[tuple[str, Figures]]) -> list[str]:
    if not methods:
        return []
    rows = {name: _cells(of, ALARMS) | _intervals(of, UNSEEN) for name, of in methods if "reason" not in of}
    missing = [f"no threshold: {names}: {reason}" for reason, names in by_reason(methods, "reason")]
    head = (
        "thresholds from held-out normal footage, on the scores that enter the fusion; false alarms: share of held-out "
        "frames, by the thresholds of other held-out videos; unseen: share of test frames labelled normal; brackets: "
        "from resamplings of whole videos"
    )
    return [head, *([_table(rows)] if rows else []), *(["\n".join(missing)] if missing else [])]


def by_reason(methods: Iterable[tuple[str, Figures]], key: str) -> list[tuple[str, str]]:
    """Each reason once, with the names of all that have it."""
    names: dict[str, list[str]] = {}
    for name, entry in methods:
        if entry.get(key):
            names.setdefault(entry[key], []).append(name)
    return [(reason, "; ".join(of)) for reason, of in names.items()]


def _cells(figures: Figures, keys: Mapping[str, str]) -> dict[str, str]:
    """Figures as text, by their headings."""
    values = {head: figures.get(key) for head, key in keys.items()}
    return {head: NOTHING if value is None else f"{value:.4f}" for head, value in values.items()}


def _intervals(figures: Figures, keys: Mapping[str, str]) -> dict[str, str]:
    drawn = {head: (figures.get("intervals") or {}).get(key) for head, key in keys.items()}
    return {f"[{head}]": "{:.3f}-{:.3f}".format(*ends) if ends else NOTHING for head, ends in drawn.items()}


def _table(rows: Mapping[str, Mapping[str, str]]) -> str:
    return aligned(pd.DataFrame.from_dict(rows, orient="index", dtype=object))
