"""Cubes: what stands in an object's box at several moments, and the optical flow in it at its own.

Yu et al., *Cloze Test Helps: Effective Video Anomaly Detection via Learning to Complete Video Events*, ACM MM 2020. The
box stays where it is at the object's own frame t, whatever the track does. The step e of a cube is erased; it is that
frame, so the cube lies at t - e .. t - e + steps - 1. Cubes of all e are parts of one stretch of patches around t.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pixelplay.detectors.object_streams.completion.settings import CubeConfig
from pixelplay.objects.flow import DenseFlow
from pixelplay.objects.tracks import Tracks
from pixelplay.objects.tubes import squares
from pixelplay.videos.video import Video
from pixelplay.videos.windows import CausalWindow, gather

VERSION = 1  # raised when the same tracks and settings give other values


@dataclass(frozen=True, eq=False)
class Cubes:
    """Of n objects, each in a frame t.

    rows: int64 (n,), of the table of tracks. patches: uint8 (n, before + 1 + after, side, side, 3) RGB, at frames from
    t - before to t + after, at a video's ends those of its first or last frame. flow: float16 (n, side, side, 2), from
    frame t - 1 to t, x and y in widths and heights of the square.
    """

    rows: np.ndarray
    patches: np.ndarray
    flow: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice) -> "Cubes":
        return Cubes(self.rows[chosen], self.patches[chosen], self.flow[chosen])


def cut(
    video: Video,
    tracks: Tracks,
    rows: np.ndarray,
    config: CubeConfig,
    after: int,
    advance: Callable[[int], Any] = lambda frames: None,
) -> Iterator[Cubes]:
    """The cubes of these rows of the video's tracks, int64 ascending, those of a frame at a time.

    Rows in the first frame have none: there is no flow to it, and no frame before it to complete anything from. after:
    frames after an object's own. The video is decoded once; nothing is decoded without rows. `advance(1)` is called
    after each frame.
    """
    rows = rows[tracks.position[rows] > 0]
    if not len(rows):
        advance(len(video))
        return
    bounds = np.searchsorted(tracks.position[rows], np.arange(len(video) + 1))
    around = np.arange(len(video))[:, None] + np.arange(-config.before, after + 1)
    cutter = Cutter(config, video.size)
    for t, frames in enumerate(gather(video.full_size(), around.clip(0, len(video) - 1))):
        here = rows[bounds[t] : bounds[t + 1]]
        if len(here):
            yield cutter.cubes(here, tracks.xyxy[here], frames)
        advance(1)


class Cutter:
    """Cuts cubes from frames of `size` (width, height)."""

    def __init__(self, config: CubeConfig, size: tuple[int, int]):
        self._config, self._size, self._flow = config, size, DenseFlow(config.flow, size)

    def cubes(self, rows: np.ndarray, xyxy: np.ndarray, frames: Sequence[np.ndarray]) -> Cubes:
        """Of objects in one frame, one or more, at these rows of the table of tracks, int64 (n,), in boxes (n, 4).

        frames: the one with `before` before it, and so many after it.
        """
        config, flow = self._config, self._flow
        boxes = squares(xyxy, self._size, config.tubes.enlarge)
        patches = np.stack([[resized(frame, box, config.side) for frame in frames] for box in boxes])
        field = flow.between(*(flow.reduced(frames[step]) for step in (config.before - 1, config.before)))
        moved = np.stack([flow_patch(field, box, flow.scale, config.side) for box in boxes])
        return Cubes(rows, patches, moved.astype(np.float16))


class CubesSoFar:
    """What `cut` gives with no frame after an object's own, frame by frame; it keeps as many as a cube reaches back."""

    def __init__(self, config: CubeConfig, size: tuple[int, int]):
        self._window, self._cutter = CausalWindow[np.ndarray](config.steps, 1), Cutter(config, size)
        self._first = True

    def step(self, frame: np.ndarray, xyxy: np.ndarray) -> list[Cubes]:
        """The cubes of the n objects in boxes (n, 4) of the next frame, as a list of none or one."""
        first, self._first = self._first, False
        frames = self._window.add(frame)
        if first or frames is None or not len(xyxy):
            return []
        return [self._cutter.cubes(np.arange(len(xyxy)), xyxy, frames)]


def resized(image: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """The part of an image (H, W, C) in a box x1, y1, x2, y2 of whole pixels, as (side, side, C).

    Larger boxes are averaged, smaller ones interpolated.
    """
    x1, y1, x2, y2 = box
    larger = min(x2 - x1, y2 - y1) >= side
    how = cv2.INTER_AREA if larger else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image[y1:y2, x1:x2]), (side, side), interpolation=how)


def flow_patch(field: np.ndarray, box: np.ndarray, scale: float, side: int) -> np.ndarray:
    """Flow in a box x1, y1, x2, y2 of a full-size frame, float32 (side, side, 2), in widths and heights of the box.

    field: float32 (h, w, 2), in pixels of a frame that is reduced by the factor `scale`.
    """
    height, width = field.shape[:2]
    start = np.floor(box[:2] * scale).astype(int).clip(max=[width - 1, height - 1])
    stop = np.maximum(np.ceil(box[2:] * scale).astype(int).clip(max=[width, height]), start + 1)
    inside = resized(field, np.concatenate([start, stop]), side)
    return inside / (scale * (box[2:] - box[:2])).astype(np.float32)
