"""Optical flow inside the boxes of tracks, in pixels per second: how fast their pixels move, and in which directions.

Flow by OpenCV's DIS (Kroeger et al., *Fast Optical Flow using Dense Inverse Search*, ECCV 2016), between each frame and
the one before; the histogram is that of Reiss and Hoshen, *Attribute-based Representations* (arXiv 2212.00789).
"""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from pixelplay.objects.settings import DenseFlowConfig, FlowConfig
from pixelplay.objects.tracks import Tracks
from pixelplay.videos.video import Video

VERSION = 1  # raised when the same tracks and settings give other values

LEAST = 32  # pixels each way: OpenCV refuses frames below 12, and crashes on wide ones below 30 where not `medium`

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class DenseFlow:
    """Flow between frames of `size` (width, height), which are reduced by the factor `scale`."""

    def __init__(self, config: DenseFlowConfig, size: tuple[int, int]):
        self._dis = cv2.DISOpticalFlow.create(PRESETS[config.preset])
        self.scale = min(1.0, config.longest_side / max(size))
        self._size = [max(1, round(self.scale * side)) for side in size]

    def reduced(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) RGB to grey, in the size at which flow is computed; padded to the least one."""
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if self.scale < 1:
            gray = cv2.resize(gray, self._size, interpolation=cv2.INTER_AREA)
        right, below = (max(0, LEAST - side) for side in self._size)
        if right or below:
            gray = cv2.copyMakeBorder(gray, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return gray

    def between(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """How far each pixel of one reduced frame moves until another, x and y in its pixels, float32 (h, w, 2)."""
        no_guess: Any = None  # of the flow, from which the search begins
        return np.asarray(self._dis.calc(before, after, no_guess))


class BoxFlow:
    """The flow in boxes of frames of `size` (width, height) as they come, each against the one before."""

    def __init__(self, config: FlowConfig, size: tuple[int, int]):
        self._flow, self._bins = DenseFlow(config, size), config.bins
        self._before: tuple[np.ndarray, float] | None = None

    def step(self, frame: np.ndarray, xyxy: np.ndarray, time: float) -> np.ndarray:
        """As `flow_in_boxes`, of the boxes float32 [n, 4] of the next frame, uint8 (H, W, 3), at `time`, seconds."""
        flow, gray, before = self._flow, self._flow.reduced(frame), self._before
        self._before = gray, time
        if before is None:
            return np.full((len(xyxy), 1 + self._bins), np.nan, np.float32)
        if not len(xyxy):
            return np.empty((0, 1 + self._bins), np.float32)
        field = flow.between(before[0], gray)
        return histograms(field, xyxy * flow.scale, self._bins) / (flow.scale * (time - before[1]))


def flow_in_boxes(
    video: Video,
    tracks: Tracks,
    times: np.ndarray,
    config: FlowConfig,
    advance: Callable[[int], Any] = lambda frames: None,
) -> Iterator[np.ndarray]:
    """Of the rows of a video's tracks, in order, those of a frame at a time: float32 [n, 1 + bins].

    The first column is the mean speed of the pixels in the box, the others are the parts of it in each direction, the
    first to the right, then clockwise as pictures are seen; they sum to the first. Pixels of the full-size frame per
    second. `times`: seconds of each frame, float64 [T]. Of the first frame nothing is known: NaN. `advance(1)` is
    called after each frame.
    """
    flow = BoxFlow(config, video.size)
    for frame, rows, time in zip(video.full_size(), tracks.by_frame(len(video)), times.tolist(), strict=True):
        yield flow.step(frame, tracks.xyxy[rows], time)
        advance(1)


def histograms(field: np.ndarray, boxes: np.ndarray, bins: int) -> np.ndarray:
    """The mean magnitude of a field of vectors float32 (H, W, 2) in each box, and its parts by direction.

    boxes: float (n, 4), x1, y1, x2, y2; every pixel that they touch counts, and at least one. float32 (n, 1 + bins).
    Directions are centred on multiples of 360 / bins degrees, from the x axis towards the y axis.
    """
    height, width = field.shape[:2]
    speed = np.hypot(field[..., 0], field[..., 1])
    angle = np.arctan2(field[..., 1], field[..., 0])
    direction = np.rint(angle * (bins / (2 * np.pi))).astype(np.int64) % bins
    start = np.floor(boxes[:, :2]).clip(0, [width - 1, height - 1]).astype(int)
    stop = np.maximum(np.ceil(boxes[:, 2:]).clip(max=[width, height]).astype(int), start + 1)
    found = np.zeros((len(boxes), 1 + bins), np.float32)
    for row, (x1, y1), (x2, y2) in zip(found, start, stop, strict=True):
        inside = slice(y1, y2), slice(x1, x2)
        parts = np.bincount(direction[inside].ravel(), speed[inside].ravel(), bins) / ((x2 - x1) * (y2 - y1))
        row[0], row[1:] = parts.sum(), parts
    return found
