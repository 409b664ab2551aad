"""`accept`: events that a person calls normal: `python src/accept.py --help`.

An accepted event is a layer beside what the run has learnt. Detectors with a memory compare with its objects, too.
Nothing that was trained or scored is changed, and without the layer scores are as they were.
"""

import logging
import os
from collections.abc import Sequence

import pandas as pd

from pixelplay.accepted.layers import Layer, delete_layer, layers_of, write_layer
from pixelplay.accepted.sources import Found, find_event, unknown
from pixelplay.accepted.use import identities
from pixelplay.config import Config
from pixelplay.errors import ConfigError, DataError, MissingArtifactError
from pixelplay.events.vectors import EventVectors
from pixelplay.explain.event_vectors import kept_needs
from pixelplay.run.artifacts import read_table
from pixelplay.run.files import RunFiles
from pixelplay.stages import events

log = logging.getLogger(__name__)


def run(config: Config, scores: bool = False, remove: bool = False) -> None:
    """The command: accept `config.event` or take it back; without one, list what is accepted."""
    files = RunFiles.of(config)
    known = layers_of(files)
    if config.event is None:
        if scores or remove:
            raise ConfigError("event=ID names the event; without it and without flags, accepted ones are listed")
        log.info("\n".join(_listed(known, files)))
    elif remove:
        take_back(config, config.event)
        log.info(f"accept: {config.event} is no longer taken for normal")
    else:
        layer, new = accept(config, config.event, scores)
        log.info(_told(layer) if new else f"accept: {layer.name} was accepted before, on {_date(layer)}")


def accept(config: Config, event: str, scores: bool = False) -> tuple[Layer, bool]:
    """Keep an event of the run as normal; returns its layer, and whether it was not accepted before.

    event: its id, or SOURCE/ID where several have it. scores: whether detectors of frames, too, are to take the scores
    of its frames for normal, see `with_accepted_scores`. Raises ConfigError for an unknown event, DataError for one
    that nothing can be learnt from, MissingArtifactError or DamagedArtifactError for its files.
    """
    found, needs = find_event(config, event), kept_needs(config)
    frames = _frame_scores(config, found) if scores else None
    vectors = _vectors(found) if found.event.tracks and needs else None
    if vectors is None and frames is None:
        without = "no object was followed in it" if needs else "no detector of the run compares objects with a memory"
        raise DataError(
            f"event={event}: {without}, so that accepting it would change nothing; --scores takes the scores of its "
            "frames for normal, and so all that are no higher: see docs/events.md"
        )
    files, made_with = RunFiles.of(config), identities(config, vectors.vectors if vectors else ())
    return write_layer(files, found.event, os.path.relpath(found.file, files.fusion), vectors, made_with, frames)


def take_back(config: Config, name: str) -> None:
    """Remove the layer of this name; raises ConfigError where there is none."""
    files = RunFiles.of(config)
    known = {layer.name: layer for layer in layers_of(files)}
    if name not in known:
        raise unknown(name, list(known), f"accepted event in {files.accepted}/")
    delete_layer(files, known[name])


def _vectors(found: Found) -> EventVectors:
    if found.source and not found.vectors.exists():
        raise MissingArtifactError(
            f"{found.vectors} is not there, or not yet: what its objects look like is written when an event is over"
        )
    return EventVectors.load(found.vectors)


def _frame_scores(config: Config, found: Found) -> pd.DataFrame:
    """Raw scores of an event's frames, columns stream, frame and score."""
    event, files = found.event, RunFiles.of(config)
    if found.source:
        raise DataError(
            f"--scores: {event.id} was found online, where raw scores of frames are not kept: accept it without, or an "
            "event of the run's test videos"
        )
    rows = []
    for name in config.detectors:
        table = read_table(files.scores(name), made_by="score")
        inside = (table["frame"] >= event.start.frame) & (table["frame"] <= event.end.frame)
        rows.append(table.loc[(table["split"] == "test") & (table["video"] == event.video) & inside])
    return pd.concat(rows, ignore_index=True)[["stream", "frame", "score"]]


def _listed(layers: Sequence[Layer], files: RunFiles) -> list[str]:
    if not layers:
        return [f"accept: no event is accepted in {files.fusion}/; events: {files.events_table}"]
    count = "1 event is" if len(layers) == 1 else f"{len(layers)} events are"
    return [f"accept: {count} taken for normal, in {files.accepted}/:", *(f"  {_line(layer)}" for layer in layers)]


def _line(layer: Layer) -> str:
    also = "; with the scores of its frames" if layer.calibrates else ""
    return f"{layer.name} ({events.line(layer.about.event)}), accepted on {_date(layer)}{also}"


def _told(layer: Layer) -> str:
    tracks = layer.about.event.tracks
    labels = ", ".join(dict.fromkeys(one.label for one in tracks))
    what = f"{len(tracks)} object{'s' * (len(tracks) != 1)} ({labels})" if layer.about.vectors else ""
    parts = [part for part in (what, "the scores of its frames" if layer.calibrates else "") if part]
    return f"accept: {layer.name} is taken for normal by `infer`, from its next start on: {' and '.join(parts)}"


def _date(layer: Layer) -> str:
    return f"{layer.about.accepted:%Y-%m-%d %H:%M}"
