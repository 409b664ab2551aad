"""Feature maps of tracked objects, stored once per video and read in slices."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Features:
    """The feature maps of a video's table of tracks."""

    maps: np.ndarray  # float16 [R, C, S, S], memory-mapped
    row: np.ndarray  # int64 [N], for each row of the table of tracks its row in `maps`; -1: it has none
