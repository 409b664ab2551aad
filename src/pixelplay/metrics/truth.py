"""Ground-truth regions and tracks from pixel masks: connected components, linked over time by their overlap."""

import numpy as np
import pandas as pd
from scipy.ndimage import find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pixelplay.metrics.boxes import overlapping
from pixelplay.metrics.settings import LinkConfig

EIGHT = np.ones((3, 3), np.int8)  # pixels that touch at a corner belong together


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
