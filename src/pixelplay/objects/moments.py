"""Footage frame by frame: a frame, and what is known of its objects when no later frame has been seen.

`pixelplay.online.perception` makes moments of the frames of a camera.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pixelplay.objects.tracks import Tracks
from pixelplay.videos.settings import FrameFormat


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame, restored, and the n objects that were detected in it and are followed. No array is changed later.

    What a detector did not ask for in its `Spec` is None, or of n = 0 objects.
    """

    position: int  # 0, 1, 2, … of the frames that are scored
    number: int  # of the frame, as its source counts: numbers of frames that were lost or dropped are missing
    seconds: float  # since the source's first frame
    image: np.ndarray  # uint8 (H, W, 3) RGB, original size
    noise: float  # before restoration, grey levels of 255
    frames: Mapping[FrameFormat, np.ndarray]  # in working sizes, uint8 (h, w) or (h, w, 3)
    tracks: Tracks  # n rows with this position, none interpolated; labels are those of the boxes so far
    labels: np.ndarray  # str (n,), class of the box detected here, which `tracks.confidence` is of
    flow: np.ndarray | None = None  # float32 (n, 1 + bins), as `flow_of`; NaN in the first frame
    crops: np.ndarray | None = None  # float32 (n, C), as `crop_vectors`; NaN where no crop was taken
    maps: np.ndarray | None = None  # float16 (n, C, S, S), as `features_of`; NaN where there is none
    ended: tuple[int, ...] = ()  # ids of tracks that will have no further row: what is kept of them can go
    flipped: bool = False  # whether restoration turned it upright
