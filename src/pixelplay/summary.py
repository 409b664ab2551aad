"""What a run found and where it lies, in at most eight lines. Reads artefacts only."""

from collections.abc import Mapping
from typing import Any

from pixelplay.config import Config
from pixelplay.console import WIDTH
from pixelplay.events.event import Events
from pixelplay.progress import duration
from pixelplay.run.artifacts import read_json, read_model
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.stages.events import line

FIGURES = {"AP": "ap", "AUC micro": "auc_micro", "AUC macro": "auc_macro"}
COLUMN = 14  # characters of the first column
SLOWEST = 3  # stages that are named with their time


def summary(config: Config, took: Mapping[str, float], seconds: float) -> list[str]:
    """One line each for what there is: figures where labels are known, events, files, and the time of the run.

    took: seconds of each stage that had work to do; seconds: of all. A line over 120 characters is cut, unless it is a
    path.
    """
    files = RunFiles.of(config)
    rows = {**_figures(files), **_events(files)}
    texts = [f"{head:{COLUMN}}{text}" for head, text in rows.items()]
    paths = {"submission": files.submission, "page": files.report}
    return [
        *(text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…" for text in texts),
        *(f"{head:{COLUMN}}{path}" for head, path in paths.items() if path.exists()),
        f"{'time':{COLUMN}}{_time(took, seconds)}",
    ]


def _figures(files: RunFiles) -> dict[str, str]:
    """Rows of the frame metrics of the fusion and of the best detector, where test labels are known."""
    if not read_record(files.record("evaluate")) or not files.metrics.exists():
        return {}
    metrics = read_json(files.metrics, made_by="evaluate")
    fused, detectors = metrics["fused"], metrics["detectors"]
    if fused.get("ap") is None:
        return {"figures": str(fused.get("reason", "none: see metrics.json"))}
    rows = {"fusion": f"{_with_intervals(fused)}; AP of random scores {metrics['prevalence']:.3f}"}
    measured = {name: figures for name, figures in detectors.items() if figures.get("ap") is not None}
    if len(measured) > 1:
        best = max(measured, key=lambda name: measured[name]["ap"])
        rows["best detector"] = f"{best}: {_with_intervals(measured[best])}"
    return rows


def _with_intervals(figures: Mapping[str, Any]) -> str:
    drawn = figures.get("intervals") or {}
    told = []
    for head, key in FIGURES.items():
        if figures.get(key) is not None:
            told.append(f"{head} {figures[key]:.3f}" + (" ({:.3f}-{:.3f})".format(*drawn[key]) if key in drawn else ""))
    return ", ".join(told)


def _events(files: RunFiles) -> dict[str, str]:
    """Rows of the events, the most severe first, and of what their threshold is worth where that is in doubt."""
    if not read_record(files.record("events")) or not files.events.exists():
        return {}
    found = read_model(files.events, Events, made_by="events")
    text = f"{len(found.events)} in {len({event.video for event in found.events})} videos"
    if found.events:
        text += f"; the most severe: {line(found.events[0])}"
    remark = next((alarm.remark for alarm in found.alarms if alarm.remark), next(iter(found.no_alarm.values()), None))
    return {"events": text, **({"threshold": remark} if remark else {})}


def _time(took: Mapping[str, float], seconds: float) -> str:
    if not took:
        return f"{duration(seconds)}: everything was up to date"
    slowest = sorted(took, key=lambda name: -took[name])[:SLOWEST]
    return f"{duration(seconds)}, of which " + ", ".join(f"{name} {duration(took[name])}" for name in slowest)
