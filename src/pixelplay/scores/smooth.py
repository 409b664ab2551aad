"""Smooth the scores of one video over time, by frame number: a gap of missing frames counts as time.

A smoother is a function `(scores, frames, weights, config) -> scores` in `SMOOTHERS`, looked up by `config.method`.
Those in `CAUSAL` look at no later frame; Savitzky-Golay has no causal version, since a polynomial at the end of its
window follows the noise.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from pixelplay.errors import DataError
from pixelplay.scores.settings import SmoothConfig

TRUNCATE = 4.0  # sigmas at which the Gaussian ends, as in scipy.ndimage.gaussian_filter1d
CHUNK = 1 << 18  # scores in memory at a time for the windows of many frames


def smooth(
    scores: np.ndarray, frames: np.ndarray, config: SmoothConfig, weights: np.ndarray | None = None
) -> np.ndarray:
    """Smoothed scores (T,) float64 of one video; `scores` (T,) finite, `frames` (T,) strictly increasing integers.

    Distances are differences of frame numbers; weights are renormalised over the frames that exist. `weights` (T,) in
    [0, 1] say how much each frame's score counts: one of weight 0 is filled from its neighbours, or smoothed without
    weights if no frame in reach has any. All results except Savitzky-Golay's lie within the range of the scores.
    Raises DataError for other inputs.
    """
    scores = np.asarray(scores, dtype=np.float64)
    frames = np.asarray(frames)
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    _check(scores, frames, weights)
    frames = frames.astype(np.int64)
    result = SMOOTHERS[config.method](scores, frames, weights, config)
    lost = np.isnan(result)
    if lost.any():
        result[lost] = SMOOTHERS[config.method](scores, frames, np.ones_like(scores), config)[lost]
    return result


def in_steps(frames: np.ndarray) -> np.ndarray:
    """Frame numbers (T,), strictly increasing, counted in their usual step: int64 (T,).

    For numbers that step by more than one, such as every tenth frame, or timestamps in nanoseconds. The step is the
    (lower) median difference of two numbers; each difference is rounded to whole steps, at least one. With a step of 1,
    the numbers themselves.
    """
    frames = np.asarray(frames, dtype=np.int64)
    differences = np.diff(frames)
    if not differences.size:
        return frames
    step = np.sort(differences)[(len(differences) - 1) // 2]
    if step <= 1:
        return frames
    whole, rest = np.divmod(differences, step)
    steps = whole + (rest >= step - rest)  # and not 2 * rest, which may overflow
    return np.concatenate([[0], np.maximum(steps, 1).cumsum()])


def unsmoothed(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """`none`: the scores as they are, whatever their weights."""
    return scores.copy()


def moving_average(
    scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig, causal: bool = False
) -> np.ndarray:
    """Mean over a window of `config.window` frame numbers, see `_reach`."""
    before, after = _reach(config, causal)
    return _average(scores, frames, weights, lambda lag: (lag >= -before) & (lag <= after), before)


def gaussian(
    scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig, causal: bool = False
) -> np.ndarray:
    """Gaussian weights with `config.sigma` in frames, up to round(4 sigma) frames away; causal: of the past half."""

    def weight_at(lag: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * (lag / config.sigma) ** 2) * ((lag <= 0) | (not causal))

    return _average(scores, frames, weights, weight_at, TRUNCATE * config.sigma + 0.5)


def ema(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Exponential moving average: weight `config.decay` ** (frames ago), over all frames up to this one.

    Far from the start s_t = decay s_(t-1) + (1 - decay) x_t, as pandas' `ewm(alpha=1 - decay, adjust=True)`.
    """
    result = np.empty_like(scores)
    total = weight = 0.0
    fades = config.decay ** np.diff(frames, prepend=frames[:1]).astype(np.float64)
    for t, (score, own, fade) in enumerate(zip(scores.tolist(), weights.tolist(), fades.tolist(), strict=True)):
        total = fade * total + own * score
        weight = fade * weight + own
        result[t] = total / weight if weight > 0 else np.nan
    return _within_past(result, scores)


def savitzky_golay(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Value at the frame of the polynomial that fits its window, as `moving_average`'s, in least squares.

    Its degree is `config.polyorder`, or less if the window holds too few frames. It follows peaks better than means do,
    and can overshoot them. Savitzky and Golay, Analytical Chemistry 36 (1964).
    """
    result = np.full_like(scores, np.nan)
    before, after = _reach(config, causal=False)
    for rows, at, inside in _windows(frames, before, after):
        counts = np.where(inside, weights[at], 0.0)  # (n, W)
        lags = (frames[at] - frames[rows, None]) / before  # (n, W), within [-1, 1] for the numbers' sake
        rise = scores[at] - scores[rows, None]  # from the frame's own score, so that a constant stays exact
        degrees = np.minimum(config.polyorder, (counts > 0).sum(axis=1) - 1)  # (n,)
        for degree in np.unique(degrees[degrees >= 0]):
            fit = degrees == degree
            roots = np.sqrt(counts[fit])
            terms = roots[..., None] * lags[fit][..., None] ** np.arange(degree + 1)  # (n, W, degree + 1)
            constant = np.linalg.pinv(terms)[:, 0]  # (n, W): the polynomial at lag 0 is its constant term
            result[rows[fit]] = scores[rows[fit]] + (constant * (roots * rise[fit])).sum(axis=1)
    return result


def _average(
    scores: np.ndarray,
    frames: np.ndarray,
    weights: np.ndarray,
    weight_at: Callable[[np.ndarray], np.ndarray],
    reach: float,
) -> np.ndarray:
    """Weighted means of scores (T,), where `weight_at` gives the weights at lags of -reach..reach frames.

    NaN where everything in reach has weight 0. Pieces further apart than the reach get a dense grid each: memory is
    bounded by T x reach, however large the frame numbers are.
    """
    if not scores.size:
        return scores.copy()
    reach = int(min(reach, int(frames[-1]) - int(frames[0])))
    kernel = weight_at(np.arange(-reach, reach + 1)).astype(np.float64)  # (2 reach + 1,)
    cuts = np.flatnonzero(np.diff(frames) > reach) + 1
    pieces = zip(*(np.split(values, cuts) for values in (scores, frames, weights)), strict=True)
    return np.concatenate([_average_dense(values, at, weight, kernel) for values, at, weight in pieces])


def _average_dense(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    from scipy.ndimage import correlate1d  # slow to import

    at = frames - frames[0]
    values, present = np.zeros((2, int(at[-1]) + 1))
    values[at] = weights * scores
    present[at] = weights
    # uniform_filter1d's running sum would carry the rounding of one huge score along the video.
    total = correlate1d(values, kernel, mode="constant", cval=0.0)[at]
    weight = correlate1d(present, kernel, mode="constant", cval=0.0)[at]
    mean = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    # Clipping removes rounding, so that a constant stays that very constant.
    looks_ahead = kernel[len(kernel) // 2 + 1 :].any()
    return np.clip(mean, scores.min(), scores.max()) if looks_ahead else _within_past(mean, scores)


def _within_past(means: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Clipped to the extremes so far: later frames must not even decide how rounding is removed."""
    return np.clip(means, np.minimum.accumulate(scores), np.maximum.accumulate(scores))


def median(
    scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig, causal: bool = False
) -> np.ndarray:
    """Weighted median of a window like `moving_average`'s; between two scores, their mean."""
    result = np.full_like(scores, np.nan)
    for rows, at, inside in _windows(frames, *_reach(config, causal)):
        result[rows] = weighted_median(scores[at], np.where(inside, weights[at], 0.0))
    return result


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of each row of values (N, W) with weights (N, W): float64 (N,); NaN where all weights are 0."""
    order = np.argsort(np.where(weights > 0, values, np.inf), axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    sums = np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
    half = sums[:, -1:] / 2
    # Not >= half: sums of weights such as 0.3 miss the exact half by rounding.
    lower, upper = (sums >= half * (1 - 1e-9)).argmax(axis=1), (sums > half * (1 + 1e-9)).argmax(axis=1)
    row = np.arange(len(values))
    middle = ordered[row, lower] + (ordered[row, upper] - ordered[row, lower]) / 2
    return np.where(half[:, 0] > 0, middle, np.nan)


def _windows(frames: np.ndarray, before: int, after: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each frame, the positions of those at most `before` frames earlier and `after` later.

    Yields (rows (n,), positions (n, W), inside (n, W) bool) for n frames at a time, W the size of the fullest window;
    positions that are not inside are to be ignored.
    """
    span = int(frames[-1]) - int(frames[0]) if len(frames) else 0  # a wider window could overflow
    first = np.searchsorted(frames, frames - min(before, span), side="left")
    stop = np.searchsorted(frames, frames + min(after, span), side="right")
    width = int((stop - first).max(initial=1))
    for rows in np.split(np.arange(len(frames)), np.arange(0, len(frames), max(1, CHUNK // width))[1:]):
        at = first[rows, None] + np.arange(width)
        yield rows, np.minimum(at, len(frames) - 1), at < stop[rows, None]


def _reach(config: SmoothConfig, causal: bool) -> tuple[int, int]:
    """Frame numbers that a window reaches back and ahead; a causal one ends at the frame.

    A centred even window reaches one further back than ahead, f - w/2 ... f + w/2 - 1, as scipy's uniform_filter1d.
    """
    before = config.window - 1 if causal else config.window // 2
    return before, config.window - 1 - before


def _check(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray) -> None:
    if scores.ndim != 1 or not scores.shape == frames.shape == weights.shape:
        raise DataError(
            f"scores, frames and weights must be (T,) alike; they are {scores.shape}, {frames.shape}, {weights.shape}"
        )
    if not np.issubdtype(frames.dtype, np.integer):
        raise DataError(f"frames must be integer frame numbers, not {frames.dtype}")
    backwards = np.flatnonzero(frames[1:] <= frames[:-1])
    if backwards.size:
        at = backwards[0]
        raise DataError(f"frame numbers must strictly increase, but {frames[at + 1]} comes after {frames[at]}")
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise DataError(f"{bad.size} scores are not finite, the first at frame {frames[bad[0]]}: {scores[bad[0]]}")
    bad = np.flatnonzero(~((weights >= 0) & (weights <= 1)))
    if bad.size:
        raise DataError(f"{bad.size} weights are not in [0, 1], the first at frame {frames[bad[0]]}: {weights[bad[0]]}")


SMOOTHERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, SmoothConfig], np.ndarray]] = {
    "none": unsmoothed,
    "moving_average": moving_average,
    "gaussian": gaussian,
    "median": median,
    "savitzky_golay": savitzky_golay,
    "ema": ema,
    "causal_moving_average": partial(moving_average, causal=True),
    "causal_gaussian": partial(gaussian, causal=True),
    "causal_median": partial(median, causal=True),
}
CAUSAL = {"none", "ema", "causal_moving_average", "causal_gaussian", "causal_median"}  # they look at no later frame
