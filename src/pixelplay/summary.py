"""What a run found and where it lies, in at most eight lines. Reads artefacts only."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pixelplay.config import Config
from pixelplay.console import WIDTH
from pixelplay.events.event import Event, Events, Moment
from pixelplay.progress import duration
from pixelplay.run.artifacts import read_json
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record

FIGURES = {"AP": "ap", "AUC micro": "auc_micro", "AUC macro": "auc_macro"}
COLUMN = 14  # characters of the first column
LONGEST = 40  # characters of a video's id
SLOWEST = 3  # stages that are named with their time


def summary(config: Config, took: Mapping[str, float], seconds: float) -> list[str]:
    """One line each for what there is: figures where labels are known, events, files, and the time of the run.

    took: seconds of each stage that had work to do; seconds: of all. A line over 120 characters is cut, unless it is a
    path.
    """
    files = RunFiles.of(config)
    rows = {**_figures(files), **_events(files)}
    lines = [f"{head:{COLUMN}}{text}" for head, text in rows.items()]
    paths = {"submission": files.submission, "page": files.report}
    return [
        *(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines),
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
    try:
        found = Events.model_validate(read_json(files.events, made_by="events"))
    except ValidationError:  # of another version of this project, whose next run writes them again
        return {}
    text = f"{len(found.events)} in {len({event.video for event in found.events})} videos"
    if found.events:
        text += f"; the most severe: {_told(found.events[0])}"
    remark = next((alarm.remark for alarm in found.alarms if alarm.remark), None)
    return {"events": text, **({"threshold": remark} if remark else {})}


def _told(event: Event) -> str:
    video = event.video if len(event.video) <= LONGEST else f"{event.video[: LONGEST - 1]}…"
    return f"{video}, {_span(event.start, event.end)}, score {event.score:.2f} (threshold {event.threshold:.2f})"


def _span(start: Moment, end: Moment) -> str:
    if start.seconds is None or end.seconds is None:
        return f"frames {start.frame} to {end.frame}"
    return f"{start.seconds:.1f} to {end.seconds:.1f} s"


def _time(took: Mapping[str, float], seconds: float) -> str:
    if not took:
        return f"{duration(seconds)}: everything was up to date"
    slowest = sorted(took, key=lambda name: -took[name])[:SLOWEST]
    return f"{duration(seconds)}, of which " + ", ".join(f"{name} {duration(took[name])}" for name in slowest)
