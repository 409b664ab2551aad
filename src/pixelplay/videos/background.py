"""The still scene of a video: the median of evenly spaced frames."""

from typing import Literal

import numpy as np


def evenly_spaced(count: int, limit: int) -> np.ndarray:
    """At most `limit` of the positions 0..count-1, first and last included: int64, increasing."""
    return np.linspace(0, count - 1, min(count, limit)).round().astype(int)


def median_frame(
    frames: np.ndarray, samples: int, flipped: np.ndarray | None = None, method: Literal["linear", "lower"] = "linear"
) -> np.ndarray:
    """Median of at most `samples` evenly spaced frames, uint8 [T, H, W] or [T, H, W, 3]; may be memory-mapped.

    `flipped`: bool [T], frames that are turned upright first. `method`: of an even number of frames, the mean of the
    two middle values (result float64) or the lower of them (uint8), as in `numpy.quantile`.
    """
    chosen = evenly_spaced(len(frames), samples)
    some = np.asarray(frames[chosen])
    if flipped is not None:
        turned = flipped[chosen].reshape(-1, *[1] * (some.ndim - 1))
        some = np.where(turned, some[:, ::-1], some)
    return np.quantile(some, 0.5, axis=0, method=method, overwrite_input=True)
