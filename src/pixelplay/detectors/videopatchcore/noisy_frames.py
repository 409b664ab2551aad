"""Clips with noisy frames: features of noisy frames are interpolated from those of the clean frames around them.

Noise in single frames looks like motion and like unknown texture. Pure functions of arrays.
"""

import numpy as np


def key_frames(positions: np.ndarray, causal: bool, clean: np.ndarray) -> np.ndarray:
    """The frame of each clip, int [C, T], that its objects are taken from: int64 [C].

    The `clean` one, bool [frames], nearest to the middle (causally: the last); of two, the earlier. Without a clean
    frame, the middle one itself.
    """
    middle = positions.shape[1] - 1 if causal else positions.shape[1] // 2
    away = np.abs(np.arange(positions.shape[1]) - middle)
    cost = np.where(clean[positions], away, positions.shape[1] + away)
    return np.take_along_axis(positions, cost.argmin(axis=1)[:, None], axis=1)[:, 0]


def between(positions: np.ndarray, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames of one clip, int [T], to extract features of, int64 [U], and weights float32 [T, U] that interpolate
    all frames from them linearly in time; each row sums to 1.

    These are the `clean` frames, bool [frames], or all where none is clean.
    """
    inside = np.unique(positions)  # padding repeats a frame
    seen = inside[clean[inside]] if clean[inside].any() else inside
    return seen, np.stack([np.interp(positions, seen, row) for row in np.eye(len(seen))], axis=1).astype(np.float32)
