"""Stage `events`: stretches of the test videos, and objects in them, that are unusual; no labels are needed.

The task `events` needs nothing but the run's outputs; what is taken from the cache for them is a task of its own.
"""

import logging
from pathlib import Path

from pixelplay.config import Config
from pixelplay.events.event import Event, Events
from pixelplay.run.artifacts import csv_text, read_model, write_json, write_text
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Stage, Task, digests_of
from pixelplay.stages import fuse, prepare
from pixelplay.videos.index import Index, load_index

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same scores and settings give other events
SHOWN = 5  # events, of the most severe


def tasks(config: Config) -> list[Task]:
    return [events_task(config)]


def events_task(config: Config) -> Task:
    """The task that writes events.json and events.csv."""
    index, files = load_index(config), RunFiles.of(config)
    return Task(
        stage="events",
        name="events",
        record_path=files.record("events"),
        version=VERSION,
        settings={"events": config.events.model_dump()},
        work=lambda: _find(config, files, index),
        digests=digests_of(config),
        reads=fuse.tasks(config),
        after=[prepare.task(config)],
    )


STAGE = Stage("events", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    STAGE.run(config)
    files = RunFiles.of(config)
    log.info("\n".join(told(read_model(files.events, Events, made_by="events"), files)))


def told(found: Events, files: RunFiles) -> list[str]:
    """What a person wants to know first: how far thresholds can be trusted, then the most severe events."""
    remarks = [f"threshold of {one.stream}: {one.remark}" for one in found.alarms if one.remark]
    remarks += [f"{stream}: {why}" for stream, why in found.no_alarm.items()]
    count = len(found.events)
    head = f"{count} event{'s' * (count != 1)}{', the most severe' if count > SHOWN else ''}: {files.events_table}"
    return [f"events: {line}" for line in (*remarks, head, *map(_line, found.events[:SHOWN]))]


def _line(event: Event) -> str:
    known = event.start.seconds is not None
    start, end = (at.seconds if known else at.frame for at in (event.start, event.end))
    when = f"{start:.1f} to {end:.1f} s" if known else f"frames {start} to {end}"
    why = ", ".join(f"{name} {share:.0%}" for name, share in event.contributions.items() if share >= 0.01)
    return f"  {event.video}, {when}: {event.stream} {event.score:.3g} (threshold {event.threshold:.3g}); {why}"


def _find(config: Config, files: RunFiles, index: Index) -> list[Path]:
    from pixelplay.evaluation.events import find_events  # SciPy is slow to import
    from pixelplay.events.event_table import event_rows

    found = find_events(config, index)
    write_json(files.events, found.model_dump(mode="json"))
    write_text(files.events_table, csv_text(event_rows(found.events)))
    return [files.events, files.events_table]
