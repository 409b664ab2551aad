"""Tubes: the box of a clip's middle frame (causally: the last), squared and enlarged, cut from all frames of the clip
(Ahn et al., VideoPatchCore, ACCV 2024).
"""

from dataclasses import dataclass

import numpy as np

from pixelplay.objects.boxes import Boxes, iou
from pixelplay.objects.motion import MOTION
from pixelplay.objects.settings import TubeConfig


@dataclass(frozen=True, eq=False)
class Tubes:
    """M tubes of one video, ordered by clip."""

    clip: np.ndarray  # int64 [M], row of the clip in `positions`
    box: np.ndarray  # int64 [M], row of its object in the boxes
    square: np.ndarray  # int64 [M, 4]: x1, y1, x2, y2, pixels of the full-size frame, x2 and y2 exclusive

    def __len__(self) -> int:
        return len(self.clip)


def select(boxes: Boxes, config: TubeConfig) -> Boxes:
    """The boxes for which `is_selected` holds."""
    return boxes[is_selected(boxes, config)]


def is_selected(boxes: Boxes, config: TubeConfig) -> np.ndarray:
    """Which boxes have one of the classes, the confidence and the size that `config` asks for, bool [N].

    Except moving blobs that overlap a selected object of another class so much that they are that object; boxes that
    are not selected hide no blob.
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

    int64 [N, 4], x2 and y2 exclusive, at least one pixel each way, clipped to an image of `size` (width, height).
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
    """The tubes of every clip, around the (selected) boxes of its key frame; `key`: their positions, int [C]."""
    first, last = np.searchsorted(boxes.position, key), np.searchsorted(boxes.position, key, side="right")
    clip = np.repeat(np.arange(len(key)), last - first)
    box = np.concatenate([np.arange(0), *map(np.arange, first, last)])
    return Tubes(clip, box, squares(boxes.xyxy, size, config.enlarge)[box])
