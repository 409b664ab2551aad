"""Boxes followed through time: one table per video, which every detector of objects scores."""

from dataclasses import dataclass

import numpy as np

from pixelplay.objects.boxes import Boxes


@dataclass(frozen=True, eq=False)
class Tracks(Boxes):
    """N >= 0 boxes of followed objects, ordered by frame, then by track; a track has at most one in a frame."""

    track: np.ndarray  # int64 [N], ids from 1 in each video
    interpolated: np.ndarray  # bool [N]: nothing was detected here; the box lies between two that were
    box: np.ndarray  # int64 [N], row of the detected box among all boxes of the whole video; -1 where interpolated
