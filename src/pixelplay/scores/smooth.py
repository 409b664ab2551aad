"""Smooth the scores of one video over time, by frame number: a gap of missing frames counts as time.

A smoother is a function `(scores, frames, config) -> scores` in `SMOOTHERS`, found by `config.method`; a new one is a
function here, its entry there, and its name in `SmoothConfig.method`.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import correlate1d

from pixelplay.config import SmoothConfig
from pixelplay.errors import DataError

TRUNCATE = 4.0  # sigmas at which the Gaussian ends, as in scipy.ndimage.gaussian_filter1d


def smooth(scores: np.ndarray, frames: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Smoothed scores (T,) float64 of one video; `scores` (T,) finite, `frames` (T,) strictly increasing integers.

    The weight of a frame depends on the difference of frame numbers. Missing frames, and those before the first and
    after the last, are left out and the weights of the others renormalised. Every result lies between the smallest
    and the greatest score. Raises DataError when the inputs are not as said above.
    """
    scores = np.asarray(scores, dtype=np.float64)
    frames = np.asarray(frames)
    _check(scores, frames)
    return SMOOTHERS[config.method](scores, frames.astype(np.int64), config)


def unsmoothed(scores: np.ndarray, frames: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """`none`: the scores as they are."""
    return scores.copy()


def moving_average(scores: np.ndarray, frames: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Mean over a centred window of `config.window` frame numbers.

    An even window reaches one frame further back than ahead, f - w/2 ... f + w/2 - 1, as scipy's uniform_filter1d.
    """
    before = config.window // 2
    after = config.window - 1 - before
    return _average(scores, frames, lambda lag: ((lag >= -before) & (lag <= after)).astype(np.float64), before)


def gaussian(scores: np.ndarray, frames: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Gaussian weights with `config.sigma` in frames, up to round(4 sigma) frames away."""
    return _average(scores, frames, lambda lag: np.exp(-0.5 * (lag / config.sigma) ** 2), TRUNCATE * config.sigma + 0.5)


def _average(
    scores: np.ndarray, frames: np.ndarray, weight: Callable[[np.ndarray], np.ndarray], reach: float
) -> np.ndarray:
    """Weighted means of scores (T,), where `weight` gives the weights at lags of -reach..reach frames.

    Pieces further apart than the reach can't meet, so each is laid on a dense grid of its own: memory is bounded by
    T x reach however large the frame numbers are.
    """
    if not scores.size:
        return scores.copy()
    reach = int(min(reach, int(frames[-1]) - int(frames[0])))  # a kernel longer than the video would be for nothing
    kernel = weight(np.arange(-reach, reach + 1))  # (2 reach + 1,)
    cuts = np.flatnonzero(np.diff(frames) > reach) + 1
    pieces = zip(np.split(scores, cuts), np.split(frames, cuts), strict=True)
    return np.concatenate([_average_dense(piece, numbers, kernel) for piece, numbers in pieces])


def _average_dense(scores: np.ndarray, frames: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    at = frames - frames[0]
    values, present = np.zeros((2, int(at[-1]) + 1))
    values[at] = scores
    present[at] = 1.0
    # correlate1d, and not uniform_filter1d: its running sum would carry the rounding of one huge score along the video.
    total = correlate1d(values, kernel, mode="constant", cval=0.0)[at]
    weight = correlate1d(present, kernel, mode="constant", cval=0.0)[at]
    # A mean lies between the extremes; clipping takes rounding away, so that a constant stays that very constant.
    return np.clip(total / weight, scores.min(), scores.max())


def _check(scores: np.ndarray, frames: np.ndarray) -> None:
    if scores.ndim != 1 or scores.shape != frames.shape:
        raise DataError(f"scores and frames must be (T,) alike; they are {scores.shape} and {frames.shape}")
    if not np.issubdtype(frames.dtype, np.integer):
        raise DataError(f"frames must be integer frame numbers, not {frames.dtype}")
    backwards = np.flatnonzero(frames[1:] <= frames[:-1])
    if backwards.size:
        at = backwards[0]
        raise DataError(f"frame numbers must strictly increase, but {frames[at + 1]} comes after {frames[at]}")
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise DataError(f"{bad.size} scores are not finite, the first at frame {frames[bad[0]]}: {scores[bad[0]]}")


SMOOTHERS: dict[str, Callable[[np.ndarray, np.ndarray, SmoothConfig], np.ndarray]] = {
    "none": unsmoothed,
    "moving_average": moving_average,
    "gaussian": gaussian,
}
