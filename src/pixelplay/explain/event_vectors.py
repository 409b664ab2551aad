"""Copies what the object detectors compared of each event's tracks from the cache to the run's outputs."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.detectors import registry
from pixelplay.events.event import Event, Events
from pixelplay.events.vectors import EventVectors
from pixelplay.objects import tables
from pixelplay.objects.features import crop_vectors, flow_of
from pixelplay.objects.tables import Need
from pixelplay.objects.tracks import tracks_of
from pixelplay.run.artifacts import read_model
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

READERS = {"crops": crop_vectors, "flow": flow_of}  # of what lies in the cache for each box of a track


def kept_needs(config: "Config") -> list[Need]:
    """Which of `READERS` the run's detectors need; [] where it has nothing to keep."""
    needed = {need for name, of in config.detectors.items() for need in registry.spec(name, of).needs}
    return [need for need in READERS if need in needed]  # type: ignore[misc]


def write_event_vectors(config: "Config", index: Index) -> list[Path]:
    """An .npz for each event with tracks, named after it; see `EventVectors`."""
    files = RunFiles.of(config)
    events = [one for one in read_model(files.events, Events, made_by="events").events if one.tracks]
    if not events:
        return []
    needs = kept_needs(config)
    videos = {video.id: video for video in tables.with_objects(config, index, [*needs, "tracks", "boxes"]).test}
    written = []
    for event in events:
        path = files.events_folder / f"{event.id}.npz"
        _vectors(event, videos[event.video], needs).save(path)
        written.append(path)
    return written


def _vectors(event: Event, video: Video, needs: list[Need]) -> EventVectors:
    tracks = tracks_of(video)
    frame = video.numbers[tracks.position]
    own = np.isin(tracks.track, [one.track for one in event.tracks])
    rows = np.flatnonzero(own & (frame >= event.start.frame) & (frame <= event.end.frame))
    return EventVectors(
        frame=frame[rows],
        track=tracks.track[rows],
        xyxy=tracks.xyxy[rows].astype(np.float32),
        label=np.array([str(name) for name in tracks.label[rows]], np.str_),
        vectors={need: READERS[need](video)[rows].astype(np.float32) for need in needs},
    )
