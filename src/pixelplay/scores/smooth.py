"""Smooth the scores of one video over time, by frame number: a gap of missing frames counts as time.

A smoother is a function `(scores, frames, weights, config) -> scores` in `SMOOTHERS`, found by `config.method`; a new
one is a function here, its entry there, and its name in `SmoothConfig.method`. Those in `CAUSAL` look at no later
frame; Savitzky-Golay has no causal twin, since a polynomial at the end of its window follows the noise.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.ndimage import correlate1d

from pixelplay.errors import DataError
from pixelplay.scores.settings import SmoothConfig

TRUNCATE = 4.0  # sigmas at which the Gaussian ends, as in scipy.ndimage.gaussian_filter1d
CHUNK = 1 << 18  # scores that lie side by side in memory for the windows of many frames


def smooth(
    scores: np.ndarray, frames: np.ndarray, config: SmoothConfig, weights: np.ndarray | None = None
) -> np.ndarray:
    """Smoothed scores (T,) float64 of one video; `scores` (T,) finite, `frames` (T,) strictly increasing integers.

    What counts is the difference of frame numbers. Missing frames, and those before the first and after the last, are
    left out and the weights of the others renormalised. `weights` (T,) in [0, 1] say how much each frame's score
    counts; one of weight 0 is filled from its neighbours, and keeps what smoothing without weights gives it where no
    frame in reach has any weight. Every result but Savitzky-Golay's lies between the smallest and the greatest score.
    Raises DataError when the inputs are not as said above.
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


def unsmoothed(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """`none`: the scores as they are, whatever their weights: it looks at no neighbour."""
    return scores.copy()


def moving_average(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Mean over a centred window of `config.window` frame numbers.

    An even window reaches one frame further back than ahead, f - w/2 ... f + w/2 - 1, as scipy's uniform_filter1d.
    """
    before, after = _centred(config)
    return _average(scores, frames, weights, lambda lag: (lag >= -before) & (lag <= after), before)


def causal_moving_average(
    scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig
) -> np.ndarray:
    """Mean over the last `config.window` frame numbers, the frame's own among them."""
    before = config.window - 1
    return _average(scores, frames, weights, lambda lag: (lag >= -before) & (lag <= 0), before)


def gaussian(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Gaussian weights with `config.sigma` in frames, up to round(4 sigma) frames away."""
    sigma = config.sigma
    return _average(scores, frames, weights, lambda lag: np.exp(-0.5 * (lag / sigma) ** 2), TRUNCATE * sigma + 0.5)


def causal_gaussian(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """The half of `gaussian` that looks back, the frame itself included."""
    sigma = config.sigma
    return _average(
        scores,
        frames,
        weights,
        lambda lag: np.where(lag <= 0, np.exp(-0.5 * (lag / sigma) ** 2), 0.0),
        TRUNCATE * sigma + 0.5,
    )


def ema(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Exponential moving average: weight `config.decay` ** (frames ago), over all frames up to this one.

    Weights are renormalised from the first frame on, so no start value is favoured; far from the start it is
    s_t = decay s_(t-1) + (1 - decay) x_t. pandas calls it `ewm(alpha=1 - decay, adjust=True)`.
    """
    result = np.empty_like(scores)
    total = weight = 0.0
    fades = config.decay ** np.diff(frames, prepend=frames[:1]).astype(np.float64)
    for t, (score, own, fade) in enumerate(zip(scores.tolist(), weights.tolist(), fades.tolist(), strict=True)):
        total = fade * total + own * score
        weight = fade * weight + own
        result[t] = total / weight if weight > 0 else np.nan
    return _within_past(result, scores)


def median(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Median of the frames in a window like `moving_average`'s; the weighted median where weights differ."""
    return _median(scores, frames, weights, *_centred(config))


def causal_median(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Median of the last `config.window` frame numbers, the frame's own among them."""
    return _median(scores, frames, weights, config.window - 1, 0)


def savitzky_golay(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """Value at the frame of the polynomial that fits its window, as `moving_average`'s, in least squares.

    Its degree is `config.polyorder`, and less where the window holds fewer frames than that needs. It follows peaks
    better than means do, and can overshoot them. Savitzky and Golay, Analytical Chemistry 36 (1964).
    """
    result = np.full_like(scores, np.nan)
    before, after = _centred(config)
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

    NaN where all that is in reach has weight 0. Pieces further apart than the reach can't meet, so each is laid on a
    dense grid of its own: memory is bounded by T x reach however large the frame numbers are.
    """
    if not scores.size:
        return scores.copy()
    reach = int(min(reach, int(frames[-1]) - int(frames[0])))  # a kernel longer than the video would be for nothing
    kernel = weight_at(np.arange(-reach, reach + 1)).astype(np.float64)  # (2 reach + 1,)
    cuts = np.flatnonzero(np.diff(frames) > reach) + 1
    pieces = zip(*(np.split(values, cuts) for values in (scores, frames, weights)), strict=True)
    return np.concatenate([_average_dense(*piece, kernel) for piece in pieces])


def _average_dense(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    at = frames - frames[0]
    values, present = np.zeros((2, int(at[-1]) + 1))
    values[at] = weights * scores
    present[at] = weights
    # correlate1d, and not uniform_filter1d: its running sum would carry the rounding of one huge score along the video.
    total = correlate1d(values, kernel, mode="constant", cval=0.0)[at]
    weight = correlate1d(present, kernel, mode="constant", cval=0.0)[at]
    mean = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    # A mean lies between the extremes; clipping takes rounding away, so that a constant stays that very constant.
    looks_ahead = kernel[len(kernel) // 2 + 1 :].any()
    return np.clip(mean, scores.min(), scores.max()) if looks_ahead else _within_past(mean, scores)


def _within_past(means: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Clipped to the extremes so far: what comes later must not even decide how rounding is taken away."""
    return np.clip(means, np.minimum.accumulate(scores), np.maximum.accumulate(scores))


def _median(scores: np.ndarray, frames: np.ndarray, weights: np.ndarray, before: int, after: int) -> np.ndarray:
    """Where half of the weight lies below and half above: the mean of the two middle scores where that is a span."""
    result = np.full_like(scores, np.nan)
    for rows, at, inside in _windows(frames, before, after):
        counts = np.where(inside, weights[at], 0.0)
        order = np.argsort(np.where(counts > 0, scores[at], np.inf), axis=1)
        ordered = scores[np.take_along_axis(at, order, axis=1)]
        sums = np.take_along_axis(counts, order, axis=1).cumsum(axis=1)
        half = sums[:, -1:] / 2
        # Not >= half: sums of weights such as 0.3 miss the exact half by rounding.
        lower, upper = (sums >= half * (1 - 1e-9)).argmax(axis=1), (sums > half * (1 + 1e-9)).argmax(axis=1)
        row = np.arange(len(rows))
        middle = ordered[row, lower] + (ordered[row, upper] - ordered[row, lower]) / 2
        result[rows] = np.where(half[:, 0] > 0, middle, np.nan)
    return result


def _windows(frames: np.ndarray, before: int, after: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each frame, the positions of those at most `before` frames earlier and `after` later.

    Yields (rows (n,), positions (n, W), inside (n, W) bool) for n frames at a time, W being what the fullest window
    holds; a position that is not inside is of some other frame.
    """
    span = int(frames[-1]) - int(frames[0]) if len(frames) else 0  # a wider window would be for nothing, and overflow
    first = np.searchsorted(frames, frames - min(before, span), side="left")
    stop = np.searchsorted(frames, frames + min(after, span), side="right")
    width = int((stop - first).max(initial=1))
    for rows in np.split(np.arange(len(frames)), np.arange(0, len(frames), max(1, CHUNK // width))[1:]):
        at = first[rows, None] + np.arange(width)
        yield rows, np.minimum(at, len(frames) - 1), at < stop[rows, None]


def _centred(config: SmoothConfig) -> tuple[int, int]:
    """How far a centred window reaches back and ahead."""
    before = config.window // 2
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
    "causal_moving_average": causal_moving_average,
    "causal_gaussian": causal_gaussian,
    "causal_median": causal_median,
}
CAUSAL = {"none", "ema", "causal_moving_average", "causal_gaussian", "causal_median"}  # see no later frame
