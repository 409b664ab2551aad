"""Videos with tables of boxes and tracks whose places, classes, confidences and speeds a test chooses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tests.pipeline import CPU, shipped, trainer_config

from pixelplay.detectors import registry
from pixelplay.objects import boxes as box_tables
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.features import writing
from pixelplay.objects.tracks import Tracks
from pixelplay.training.run import TrainingRun
from pixelplay.videos.video import Maps, Video

WIDTH = 10.0  # of every box, pixels


class Row(NamedTuple):
    """A row of a table of tracks; where nothing was detected, of the class that its track has."""

    frame: int
    track: int = 1
    x: float = 100.0  # of the foot, and y
    y: float = 100.0
    height: float = 20.0
    label: str = "person"
    confidence: float = 1.0
    speed: float = 20.0  # pixels per second
    detected: bool = True
    of_track: str | None = None  # class of its track, where it is another


def tracks_of_rows(rows: Sequence[Row]) -> Tracks:
    position, track = np.array([(row.frame, row.track) for row in rows], np.int64).reshape(-1, 2).T
    xyxy = [(row.x - WIDTH / 2, row.y - row.height, row.x + WIDTH / 2, row.y) for row in rows]
    detected = np.array([row.detected for row in rows], bool)
    return Tracks(
        position,
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.array([row.of_track or row.label for row in rows], np.str_),
        np.array([row.confidence for row in rows], np.float32),
        track,
        ~detected,
        np.where(detected, np.cumsum(detected) - 1, -1),
    )


def video_of_rows(folder: Path, name: str, rows: Sequence[Row], length: int) -> Video:
    """A video of `length` frames, numbered from 10; rows are given by ascending frame, then track."""
    place = folder / name
    place.mkdir(parents=True)
    boxes, path, flow = place / "boxes.parquet", place / "tracks.parquet", Maps(place / "flow.npy", by_box=False)
    tracks, seen = tracks_of_rows(rows), [row for row in rows if row.detected]
    of = tracks[~tracks.interpolated]
    box_tables.save(Boxes(of.position, of.xyxy, np.array([row.label for row in seen], np.str_), of.confidence), boxes)
    box_tables.save(tracks, path)
    with writing(flow.path, path, (2,), np.float32) as writer:
        writer.extend(np.array([[row.speed] * 2 for row in rows], np.float32).reshape(-1, 2))
    numbers = np.arange(10, 10 + length)
    return Video(*(name, "test", numbers, (640, 480), place), objects=(boxes,), tracks=path, flow=flow, key=name)


def new_detector(name: str, *overrides: str) -> Any:
    return registry.create(name, shipped(name, *overrides), CPU)


def training_run(name: str, folder: Path) -> TrainingRun:
    return TrainingRun(name, trainer_config(loggers=[]), folder, CPU, 0)
