"""Small frames of every test video for the report's timelines: one JPEG per video, a grid in the order of time."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from pixelplay.drawing.annotate import encoded, grid
from pixelplay.explain.frames import full_size_frames
from pixelplay.report.manifest import Sprite
from pixelplay.run.atomic import atomic
from pixelplay.videos.video import Video

SIDE = 208  # pixels, the longer side of a small frame
QUALITY = 60  # of the JPEGs
SMALLEST = 2000  # bytes that a small frame takes, at least: how many are decoded before their size is known
MEGABYTE = 1_000_000

Tiles = Mapping[int, np.ndarray]  # by position, in order: uint8 (h, w, 3) RGB, all of one size


def write_sprites(folder: Path, videos: Sequence[Video], megabytes: float) -> list[Sprite]:
    """Write the JPEGs, of `megabytes` in all at most; returns what the manifest says of them, in the order of `videos`.

    Frames are taken at equal distances, the same for all videos as far as that goes, but at least one of each video;
    if even those need more, or with 0 megabytes, there are none.
    """
    frames = sum(map(len, videos))
    share = min(1.0, megabytes * MEGABYTE / SMALLEST / max(frames, 1))
    if not share:
        return []
    tiles = [_tiles(video, evenly(len(video), share)) for video in videos]
    while True:
        sheets = [encoded(grid([*of.values()], columns_of(len(of)), fill=0), quality=QUALITY) for of in tiles]
        total = sum(map(len, sheets))
        if total <= megabytes * MEGABYTE:
            break
        if all(len(of) == 1 for of in tiles):
            return []
        kept = 0.95 * megabytes * MEGABYTE / total
        tiles = [{t: of[t] for t in np.array([*of])[evenly(len(of), kept)].tolist()} for of in tiles]
    return [_written(folder, k, *one) for k, one in enumerate(zip(videos, tiles, sheets, strict=True), 1)]


def evenly(count: int, share: float) -> list[int]:
    """Positions of this share of `count` frames, evenly spread, the first among them; at least one."""
    chosen = max(1, math.floor(share * count))
    return (np.arange(chosen) * count // chosen).tolist()


def columns_of(count: int) -> int:
    """Of a grid that is about square."""
    return math.ceil(math.sqrt(count))


def _tiles(video: Video, positions: Sequence[int]) -> dict[int, np.ndarray]:
    factor = SIDE / max(video.size)
    size = [max(1, round(edge * factor)) for edge in video.size]
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return {t: cv2.resize(frame, size, interpolation=way) for t, frame in full_size_frames(video, positions)}


def _written(folder: Path, number: int, video: Video, tiles: Tiles, data: bytes) -> Sprite:
    path = folder / f"sprite-{number:03d}.jpg"
    with atomic(path) as temporary:
        temporary.write_bytes(data)
    height, width = next(iter(tiles.values())).shape[:2]
    place = {"size": (width, height), "columns": columns_of(len(tiles))}
    return Sprite(video=video.id, picture=path.name, **place, frames=video.numbers[[*tiles]].tolist())
