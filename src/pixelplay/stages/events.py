"""Stage `events`: stretches of the test videos, and objects in them, that are unusual; no labels are needed.

The task `events` needs nothing but the run's outputs; what is taken from the cache for them is a task of its own.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from pixelplay.config import Config
from pixelplay.console import RESULTS
from pixelplay.errors import FootageError, MissingArtifactError
from pixelplay.evaluation.score_tables import object_streams
from pixelplay.events import pictures
from pixelplay.events.event import Event, Events
from pixelplay.explain.event_vectors import kept_needs
from pixelplay.run.artifacts import csv_text, read_model, write_json, write_table, write_text
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests
from pixelplay.run.stage import Stage, Task, forget
from pixelplay.stages import detect, extract, fuse, prepare
from pixelplay.videos.index import Index, load_index

log = logging.getLogger(__name__)

VECTORS_VERSION = 1  # raised when the same events have others
VERSION = 1  # raised when the same scores and settings give other events
SHOWN = 5  # events, of the most severe


def tasks(config: Config) -> list[Task]:
    """The events; vectors of their objects, where detectors compare such; clips and thumbnails, if any are wanted."""
    found = events_task(config)
    needs = kept_needs(config) if object_streams(config) else []
    clips = pictures.possible(config.events.clips)
    vectors = [vectors_task(config, found, needs)] if needs else []
    pictured = [clips_task(config, found)] if clips.count + clips.thumbnails else []
    return [found, *vectors, *pictured]


def events_task(config: Config) -> Task:
    """The task that writes events.json and events.csv."""
    index, files, clips = load_index(config), RunFiles.of(config), pictures.possible(config.events.clips)
    return Task(
        stage="events",
        name="events",
        files=files,
        version=VERSION,
        settings={"events": config.events.deciding, "pictured": clips.model_dump(include={"count", "thumbnails"})},
        work=lambda: find(config, files, index),
        contents=lambda: file_digests([config.events.zones] if config.events.zones else []),
        reads=fuse.tasks(config),
        after=[prepare.task(config)],
    )


def vectors_task(config: Config, found: Task, needs: Sequence[str]) -> Task:
    """The task that keeps vectors of objects; it needs the cache."""
    return Task(
        stage="events",
        name="event-vectors",
        files=RunFiles.of(config),
        version=VECTORS_VERSION,
        settings={"vectors": list(needs)},
        work=lambda: _keep_vectors(config, load_index(config)),
        reads=[found],
        after=[prepare.task(config), *detect.tasks(config), *extract.tasks(config)],
    )


def clips_task(config: Config, found: Task) -> Task:
    """The task that writes clips and thumbnails; it needs the footage."""
    fused = [found, *found.reads]
    read = {task.name: task for task in (*fused, *(scored for one in fused for scored in one.reads))}
    index, files = load_index(config), RunFiles.of(config)
    return Task(
        stage="events",
        name="event-clips",
        files=files,
        version=pictures.VERSION,
        settings={"clips": config.events.clips.model_dump(), "fps": config.events.fps},
        work=lambda: _write_pictures(config, files, index),
        reads=[*read.values()],
        after=[prepare.task(config)],
    )


STAGE = Stage("events", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    """Find the events; where footage and cache are gone, without the clips and vectors that come from them."""
    index, files = load_index(config), RunFiles.of(config)
    events, *others = tasks(config)
    for name in {"event-vectors", "event-clips"} - {task.name for task in others}:
        forget(files.record(name))
    events.run()
    found = read_model(files.events, Events, made_by="events")
    RESULTS.info("\n".join(told(found, files)))
    if pictures.possible(config.events.clips) != config.events.clips:
        log.info("events: no clips: they need PyAV: pip install av")
    for task in others:
        try:
            task.run()
        except (MissingArtifactError, FootageError) as error:
            log.warning(f"events: {task.name} left out: {error}")
    if config.events.sinks:
        send(config, files, index, found)


def told(found: Events, files: RunFiles) -> list[str]:
    """What a person wants to know first: how far thresholds can be trusted, then the most severe events."""
    remarks = [f"{one.stream}: {one.remark}" for one in found.alarms if one.remark]
    remarks += [f"{stream}: {why}" for stream, why in found.no_alarm.items()]
    count = len(found.events)
    head = f"{count} event{'s' * (count != 1)}{', the most severe' if count > SHOWN else ''}: {files.events_table}"
    most_severe = [f"  {line(event)}" for event in found.events[:SHOWN]]
    return [f"events: {text}" for text in (*remarks, head, *most_severe)]


def line(event: Event) -> str:
    """Where and when an event was, its score, and the members that gave it."""
    known = event.start.seconds is not None
    start, end = (at.seconds if known else at.frame for at in (event.start, event.end))
    when = f"{start:.1f} to {end:.1f} s" if known else f"frames {start} to {end}"
    why = ", ".join(f"{name} {share:.0%}" for name, share in event.contributions.items() if share >= 0.01)
    score = f"{event.stream} {event.score:.3g} (threshold {event.threshold:.3g})"
    return f"{event.video}, {when}: {'; '.join(filter(None, (score, why)))}"


def _keep_vectors(config: Config, index: Index) -> list[Path]:
    from pixelplay.explain.event_vectors import write_event_vectors

    return write_event_vectors(config, index)


def find(config: Config, files: RunFiles, index: Index) -> list[Path]:
    """Write events.json, events.csv and, with zones, how long objects stay in them; returns the files."""
    from pixelplay.evaluation.events import dwell_table, find_events  # SciPy is slow to import
    from pixelplay.events.event_table import event_rows

    found, clips = find_events(config, index), pictures.possible(config.events.clips)
    found = found.model_copy(update={"events": pictures.with_pictures(found.events, clips)})
    write_json(files.events, found.model_dump(mode="json"))
    write_text(files.events_table, csv_text(event_rows(found.events)))
    dwell = dwell_table(config, index)
    if dwell is None:
        return [files.events, files.events_table]
    write_table(files.dwell, dwell)
    return [files.events, files.events_table, files.dwell]


def _write_pictures(config: Config, files: RunFiles, index: Index) -> list[Path]:
    from pixelplay.explain.event_clips import write_event_pictures  # slow to import

    return write_event_pictures(config, index, read_model(files.events, Events, made_by="events"))


def send(config: Config, files: RunFiles, index: Index, found: Events) -> None:
    """Send all events of the run, in order of time in each video."""
    from pixelplay.events.sinks.sending import open_sinks

    order = {video.id: i for i, video in enumerate(index.test)}
    events = sorted(found.events, key=lambda event: (order[event.video], event.start.frame, event.id))
    with open_sinks(config.events, files.events.parent, room=len(events)) as sinks:
        for event in events:
            sinks.send({"run": config.run_name, **event.model_dump(mode="json")})
