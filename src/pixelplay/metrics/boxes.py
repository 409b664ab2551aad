"""Boxes in the frames of a data set: which of them overlap, those around the regions of a mask, and tracks of them.

Frames are counted 0..F-1 through all frames whose truth is known. A box is x1, y1, x2, y2 in pixels, x2 and y2
exclusive, so that its area is (x2 - x1) (y2 - y1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy.ndimage import find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pixelplay.errors import DataError
from pixelplay.metrics.settings import LinkConfig

EIGHT = np.ones((3, 3), np.int8)  # pixels that touch at a corner belong together
BLOCK = 2**19  # pairs of boxes that are compared at a time


@dataclass(frozen=True, eq=False)
class Detections:
    """N boxes that a detector reports, perhaps none. Raises DataError for an invalid box or score."""

    frame: np.ndarray  # int64 [N], 0..F-1
    xyxy: np.ndarray  # float64 [N, 4]
    score: np.ndarray  # float64 [N], finite, higher = more anomalous
    track: np.ndarray  # int64 [N]: boxes with one number are one object over time

    def __post_init__(self) -> None:
        _check("detection", self.frame, self.xyxy, self.track)
        bad = np.flatnonzero(~np.isfinite(self.score))
        if len(self.score) != len(self.frame):
            raise DataError(f"{len(self.score)} scores for {len(self.frame)} detections")
        if bad.size:
            raise DataError(f"{bad.size} detections have no finite score, the first is detection {bad[0]}")

    def __getitem__(self, chosen: np.ndarray) -> "Detections":
        """Some of them, by a mask or indices."""
        return Detections(self.frame[chosen], self.xyxy[chosen], self.score[chosen], self.track[chosen])

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, eq=False)
class Regions:
    """R anomalous regions of the ground truth. Raises DataError for an invalid box."""

    frame: np.ndarray  # int64 [R], 0..F-1
    xyxy: np.ndarray  # float64 [R, 4]
    track: np.ndarray  # int64 [R]: regions with one number are one anomaly over time

    def __post_init__(self) -> None:
        _check("ground-truth region", self.frame, self.xyxy, self.track)

    def __len__(self) -> int:
        return len(self.frame)


Boxes = TypeVar("Boxes", Detections, Regions)


def joined(parts: Sequence[Boxes], frames: Sequence[int]) -> Boxes:
    """The boxes of videos with that many `frames`, with frames and tracks counted through all videos."""
    columns = {field.name: [getattr(one, field.name) for one in parts] for field in fields(parts[0])}
    starts, tracks = np.cumsum([0, *frames]), 0
    for i, one in enumerate(parts):
        names, track = np.unique(one.track, return_inverse=True)
        columns["frame"][i], columns["track"][i] = one.frame + starts[i], track + tracks
        tracks += len(names)
    return type(parts[0])(**{name: np.concatenate(values) for name, values in columns.items()})


def overlapping(
    frame: np.ndarray, xyxy: np.ndarray, other_frame: np.ndarray, other_xyxy: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of boxes [N] and [M] in the same frame whose IoU is at least `least`, which is above 0.

    Returns rows of the first (P,) ascending, rows of the second (P,) and the IoU of each pair, float64 (P,).
    """
    order = np.argsort(other_frame, kind="stable")
    ordered = other_frame[order]
    first = np.searchsorted(ordered, frame)
    count = np.searchsorted(ordered, frame, side="right") - first
    compared = np.flatnonzero(count)
    total = np.cumsum(count[compared])
    cuts = np.searchsorted(total, np.arange(BLOCK, int(total[-1]) if len(total) else 0, BLOCK))
    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for rows in np.split(compared, cuts):  # in groups of about BLOCK comparisons
        ones = np.repeat(rows, count[rows])
        starts = np.cumsum(count[rows]) - count[rows]
        others = order[np.arange(len(ones)) + np.repeat(first[rows] - starts, count[rows])]
        overlap = _iou(xyxy[ones], other_xyxy[others])
        enough = overlap >= least
        parts.append((ones[enough], others[enough], overlap[enough]))
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))  # type: ignore[return-value]


def components(mask: np.ndarray) -> np.ndarray:
    """Regions of a mask, bool (H, W): int32 (H, W), 0 outside and 1..R within, 8-connected."""
    return label(mask, EIGHT)[0]


def boxes_of(regions: np.ndarray) -> np.ndarray:
    """The box around each region of `components`, float64 (R, 4): x1, y1, x2, y2, x2 and y2 exclusive."""
    found = [(x.start, y.start, x.stop, y.stop) for y, x in find_objects(regions)]
    return np.array(found, np.float64).reshape(-1, 4)


def link(frame: np.ndarray, xyxy: np.ndarray, config: LinkConfig) -> np.ndarray:
    """Tracks of the boxes of one video, frame int64 [N] and xyxy [N, 4]: int64 [N], 0..K-1 by their first rows.

    Greedy one-to-one linking to the next frame by falling IoU, none below `config.iou`; boxes that are left over may
    go on up to `config.max_gap` frames later. Ties go to the lower rows.
    """
    after = np.full(len(frame), -1)  # the row in which each box goes on
    headless = np.ones(len(frame), bool)
    for step in range(1, config.max_gap + 2):
        ends, starts = np.flatnonzero(after < 0), np.flatnonzero(headless)
        end, start, iou = overlapping(frame[ends] + step, xyxy[ends], frame[starts], xyxy[starts], config.iou)
        end, start = _best_first(ends[end], starts[start], iou)
        after[end], headless[start] = start, False
    rows = np.flatnonzero(after >= 0)
    graph = coo_array((np.ones(len(rows)), (rows, after[rows])), shape=(len(frame), len(frame)))
    return pd.factorize(connected_components(graph, directed=False)[1])[0]


def _iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (P, 4), row by row: float64 (P,)."""
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    common = sides.clip(min=0).prod(axis=1)
    areas = (one[:, 2:] - one[:, :2]).prod(axis=1) + (other[:, 2:] - other[:, :2]).prod(axis=1)
    return common / (areas - common)


def _check(what: str, frame: np.ndarray, xyxy: np.ndarray, track: np.ndarray) -> None:
    if xyxy.shape != (len(frame), 4) or track.shape != frame.shape or frame.ndim != 1:
        raise DataError(
            f"frames, boxes and tracks of {what}s must be (N,), (N, 4) and (N,); "
            f"they are {frame.shape}, {xyxy.shape} and {track.shape}"
        )
    with np.errstate(invalid="ignore"):
        empty = np.flatnonzero(~(np.isfinite(xyxy).all(axis=1) & (xyxy[:, :2] < xyxy[:, 2:]).all(axis=1)))
    if empty.size:
        row = empty[0]
        raise DataError(
            f"{empty.size} {what}s are no boxes, the first is {what} {row} of frame {frame[row]}: "
            f"x1, y1, x2, y2 = {xyxy[row].tolist()}; they must be finite, x1 < x2 and y1 < y2"
        )


def _best_first(end: np.ndarray, start: np.ndarray, iou: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-to-one pairs, taken by falling IoU: in rounds, the pairs that are the best of both their boxes."""
    order = np.lexsort((start, end, -iou))
    end, start = end[order], start[order]
    pairs = [(end[:0], start[:0])]
    while len(end):
        best = np.zeros(len(end), bool)
        first, second = (np.unique(rows, return_index=True)[1] for rows in (end, start))
        best[np.intersect1d(first, second)] = True
        pairs.append((end[best], start[best]))
        left = ~np.isin(end, end[best]) & ~np.isin(start, start[best])
        end, start = end[left], start[left]
    ends, starts = zip(*pairs, strict=True)
    return np.concatenate(ends), np.concatenate(starts)
