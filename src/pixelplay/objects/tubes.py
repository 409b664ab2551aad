"""Tubes: what is around an object in every frame of a clip. Pure functions of boxes.

A tube is the box of the clip's middle frame (causally: the last), squared and enlarged, cut from all frames
(Ahn et al., VideoPatchCore, ACCV 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pixelplay.objects.boxes import Boxes, iou
from pixelplay.objects.motion import MOTION
from pixelplay.objects.settings import TubeConfig


@dataclass(frozen=True, eq=False)
class Tubes:
    """M tubes of one video, ordered by clip."""

    clip: np.ndarray  # int64 [M], row of the clip in `positions`
    box: np.ndarray  # int64 [M], row in the boxes of the object that it was cut around
    square: np.ndarray  # int64 [M, 4]: x1, y1, x2, y2, pixels of the full-size frame, x2 and y2 exclusive

    def __len__(self) -> int:
        return len(self.clip)


def select(boxes: Boxes, config: TubeConfig) -> Boxes:
    """The boxes that `is_selected` says."""
    return boxes[is_selected(boxes, config)]


def is_selected(boxes: Boxes, config: TubeConfig) -> np.ndarray:
    """Which boxes have a class, a confidence and a size that is asked for, bool [N].

    A moving blob that overlaps an object of another class so much that it is that object does not count. Only objects
    that count themselves can take a blob's place: what a detector mistakes for a kite is still seen to move.
    """
    sides = (boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]).max(axis=1, initial=0)
    chosen = np.isin(boxes.label, config.classes) & (boxes.confidence >= config.confidence) & (sides >= config.min_size)
    moving = chosen & (boxes.label == MOTION)
    still = chosen & ~moving
    for frame in np.intersect1d(boxes.position[moving], boxes.position[still]):
        first, last = np.searchsorted(boxes.position, [frame, frame + 1])
        blobs, others = (first + np.flatnonzero(mask[first:last]) for mask in (moving, still))
        chosen[blobs] = iou(boxes.xyxy[blobs], boxes.xyxy[others]).max(axis=1) < config.iou
    return chosen


def squares(xyxy: np.ndarray, size: tuple[int, int], enlarge: float) -> np.ndarray:
    """Squares around the centres of boxes, float [N, 4], of `enlarge` times their longer side, in whole pixels.

    Clipped to an image of `size` (width, height), so that at its border they are no squares any more: int64 [N, 4],
    x2 and y2 exclusive, one pixel or more each way.
    """
    width, height = size
    centre = (xyxy[:, :2].astype(np.float64) + xyxy[:, 2:]) / 2
    side = np.ceil((xyxy[:, 2:] - xyxy[:, :2]).max(axis=1, initial=0).astype(np.float64) * enlarge).clip(min=1)
    low = np.floor(centre - side[:, None] / 2 + 0.5)
    limit = np.array([width, height])
    start = low.clip(0, limit - 1)
    stop = np.maximum((low + side[:, None]).clip(max=limit), start + 1)
    return np.concatenate([start, stop], axis=1).astype(np.int64)


def tubes(boxes: Boxes, key: np.ndarray, size: tuple[int, int], config: TubeConfig) -> Tubes:
    """The tubes of every clip; `key`, int [C], is the frame of each that its objects are taken from.

    `boxes`: already selected. A clip without an object in that frame has no tube.
    """
    first, last = np.searchsorted(boxes.position, key), np.searchsorted(boxes.position, key, side="right")
    count = last - first
    clip = np.repeat(np.arange(len(key)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)  # 0..count-1 of each clip
    box = np.repeat(first, count) + within
    return Tubes(clip, box, squares(boxes.xyxy, size, config.enlarge)[box])


def cut(frames: Sequence[np.ndarray], square: np.ndarray, side: int) -> np.ndarray:
    """One tube: `square` [4] of each full-size frame of a clip, uint8 (H, W, 3), as uint8 [T, side, side, 3]."""
    x1, y1, x2, y2 = (int(edge) for edge in square)
    method = cv2.INTER_AREA if max(x2 - x1, y2 - y1) > side else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame[y1:y2, x1:x2], (side, side), interpolation=method) for frame in frames])
