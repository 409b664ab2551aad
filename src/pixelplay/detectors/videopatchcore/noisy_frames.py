"""Clips of footage with noisy frames: what is seen in the clean ones stands for the whole clip.

Noise that comes and goes with the frame looks like motion, and like no texture that normal footage has. A feature of a
noisy frame is put between those of the clean frames around it. Pure functions of arrays.
"""

import numpy as np


def key_frames(positions: np.ndarray, causal: bool, clean: np.ndarray) -> np.ndarray:
    """The frame of each clip, int [C, T], whose objects are looked at: int64 [C].

    The middle one (causally: the last), or the nearest `clean` one, bool [frames], the earlier of two; the middle one
    where none is clean.
    """
    middle = positions.shape[1] - 1 if causal else positions.shape[1] // 2
    away = np.abs(np.arange(positions.shape[1]) - middle)
    cost = np.where(clean[positions], away, positions.shape[1] + away)
    return np.take_along_axis(positions, cost.argmin(axis=1)[:, None], axis=1)[:, 0]


def between(positions: np.ndarray, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames of one clip, int [T], that need to be seen, int64 [U], and each frame's share of each, float32 [T, U].

    Those are the `clean` ones, bool [frames], or all where none is clean. A frame between two of them is as near to
    each as it is in time, one before the first or after the last is as that one. Each row sums to 1.
    """
    inside = np.unique(positions)  # padding repeats a frame
    seen = inside[clean[inside]] if clean[inside].any() else inside
    return seen, np.stack([np.interp(positions, seen, row) for row in np.eye(len(seen))], axis=1).astype(np.float32)
