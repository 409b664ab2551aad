"""Tables of tracks and feature maps for tests."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from tests.footage import followed

from pixelplay.objects import boxes as box_tables
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.features import writing
from pixelplay.objects.tracks import Tracks
from pixelplay.videos.video import Maps, Video

MAP = (6, 3, 3)  # channels, height and width of a map


def tracks_at(frames: Mapping[int, Collection[int]], without: Mapping[int, Collection[int]] | None = None) -> Tracks:
    """A table of tracks, ordered by frame, then track, from the frames of each; `without` a detected box in these."""
    rows = sorted((frame, track) for track, every in frames.items() for frame in every)
    lost = [row for row, (frame, track) in enumerate(rows) if frame in (without or {}).get(track, ())]
    lefts = [2 * frame + 3 * track for frame, track in rows]
    boxes = [(*row, left, 0, left + 4, 8) for row, left in zip(rows, lefts, strict=True)]
    return followed(*boxes, interpolated=lost)


def tracked_video(
    folder: Path,
    name: str,
    frames: Mapping[int, Collection[int]],
    length: int,
    seed: int = 0,
    without: Mapping[int, Collection[int]] | None = None,
    odd: Collection[int] = (),
) -> Video:
    """A video of `length` frames, numbered from 10, with tables as `extract` makes them.

    A track's maps swing slowly about a vector of its own; `odd` ones have six times the contrast.
    """
    place = folder / name
    place.mkdir(parents=True)
    tracks = tracks_at(frames, without)
    box_tables.save(tracks, place / "tracks.parquet")
    rng = np.random.default_rng(seed)
    own = {track: rng.normal(size=MAP) * (6 if track in odd else 1) for track in sorted(frames)}
    detected = tracks.box >= 0
    maps = [
        own[int(track)] * np.cos(0.3 * position) + rng.normal(size=MAP) * 0.1
        for track, position in zip(tracks.track[detected], tracks.position[detected], strict=True)
    ]
    boxes = place / "boxes.parquet"
    known = tracks[detected]
    box_tables.save(Boxes(known.position, known.xyxy, known.label, known.confidence), boxes)
    features = Maps(place / "maps.npy", by_box=True)
    with writing(features.path, boxes, MAP) as writer:
        writer.extend(np.array(maps, np.float16).reshape(-1, *MAP))
    numbers = np.arange(10, 10 + length)
    return Video(
        *(name, "test", numbers, (640, 64), place),
        objects=(boxes,),
        tracks=place / "tracks.parquet",
        features=features,
        key=name,
    )
