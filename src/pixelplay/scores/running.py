"""Smoothing while scores come: the causal smoothers of `pixelplay.scores.smooth`, frame by frame."""

import numpy as np

from pixelplay.errors import DataError
from pixelplay.scores.settings import SmoothConfig
from pixelplay.scores.smooth import CAUSAL, TRUNCATE, weighted_median


class RunningSmoother:
    """`smooth` of K series of one video, whose frames come one after the other.

    It keeps the frames that its window reaches back to, and no others; an `ema` keeps its sums.
    """

    def __init__(self, config: SmoothConfig):
        """Raises ValueError for a smoother that looks at later frames: see `pixelplay.scores.resmoothed.causal`."""
        if config.method not in CAUSAL:
            raise ValueError(f"smooth.method={config.method} looks at later frames")
        self._method, self._decay, self._last = config.method, config.decay, -1
        if config.method == "ema":
            self._counted, self._all = _Fading(), _Fading()
        elif config.method != "none":
            self._kernel = _kernel(config)
            # frames in reach: their numbers (W,), scores (W, K) and weights (W,)
            self._frames, self._values, self._weights = np.empty(0, np.int64), np.empty((0, 0)), np.empty(0)

    def step(self, frame: int, scores: np.ndarray, weight: float = 1.0) -> np.ndarray:
        """The smoothed scores, float64 (K,), of the next frame, by its scores (K,), finite: the last of what `smooth`
        gives for all frames so far, but for rounding.

        frame: its number, higher than all before, or DataError is raised; weight: see `smooth`.
        """
        if frame <= self._last:
            raise DataError(f"frame numbers must strictly increase, but {frame} comes after {self._last}")
        passed = frame - self._last
        self._last = frame
        if self._method == "none":
            return np.array(scores, np.float64)
        if self._method == "ema":
            fade = self._decay ** float(passed)
            plain, counted = self._all.step(scores, 1.0, fade), self._counted.step(scores, weight, fade)
            return plain if np.isnan(counted).any() else counted
        first = self._frames.searchsorted(frame - len(self._kernel), side="right")
        values = np.concatenate([self._values[first:].reshape(-1, len(scores)), scores[None]])
        self._frames = np.concatenate([self._frames[first:], [frame]])
        self._weights = np.concatenate([self._weights[first:], [weight]])
        self._values = values
        reached = self._kernel[frame - self._frames]
        counts = reached * self._weights
        if not counts.any():
            counts = reached
        if self._method == "causal_median":
            return weighted_median(values.T, np.broadcast_to(counts, values.T.shape))
        mean = counts @ values / counts.sum()
        # As in `smooth`, clipping removes rounding, so that a constant stays that very constant.
        return np.minimum(np.maximum(mean, values.min(axis=0)), values.max(axis=0))


class _Fading:
    """The sums of an exponential moving average."""

    def __init__(self) -> None:
        self._total, self._weight = np.float64(0), 0.0
        self._lowest, self._highest = np.inf, -np.inf

    def step(self, scores: np.ndarray, weight: float, fade: float) -> np.ndarray:
        """The mean (K,); NaN where no frame counts."""
        self._total = fade * self._total + weight * scores
        self._weight = fade * self._weight + weight
        self._lowest, self._highest = np.minimum(self._lowest, scores), np.maximum(self._highest, scores)
        if self._weight <= 0:
            return np.full_like(scores, np.nan, np.float64)
        return np.minimum(np.maximum(self._total / self._weight, self._lowest), self._highest)


def _kernel(config: SmoothConfig) -> np.ndarray:
    """How much a frame counts by how many frames ago it was, from 0 on."""
    if config.method == "causal_gaussian":
        lags = np.arange(int(TRUNCATE * config.sigma + 0.5) + 1)
        return np.exp(-0.5 * (lags / config.sigma) ** 2)
    return np.ones(config.window)
