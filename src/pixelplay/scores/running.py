"""Smoothing while scores come: the causal smoothers of `pixelplay.scores.smooth`, frame by frame."""

import numpy as np

from pixelplay.errors import DataError
from pixelplay.scores.settings import SmoothConfig
from pixelplay.scores.smooth import CAUSAL, TRUNCATE, weighted_median

ROOM = 16  # frames that a tail has room for at first


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
            self._tail = _Tail(len(self._kernel) - 1)

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
        frames, values, weights = self._tail.add(frame, scores, weight)
        reached = self._kernel[frame - frames]  # (W,)
        counts = reached * weights
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


class _Tail:
    """The last frames that are in reach: their numbers, scores and weights, in one piece of memory."""

    def __init__(self, reach: int):
        self._reach = reach
        self._first = self._stop = 0
        self._frames, self._values, self._weights = np.empty(0, np.int64), np.empty((0, 0)), np.empty(0)

    def add(self, frame: int, scores: np.ndarray, weight: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frame numbers (W,), scores (W, K) and weights (W,) of those in reach, this frame's last."""
        if self._stop == len(self._frames):
            self._make_room(len(scores))
        at = self._stop
        self._frames[at], self._values[at], self._weights[at] = frame, scores, weight
        self._stop += 1
        while self._frames[self._first] < frame - self._reach:
            self._first += 1
        kept = slice(self._first, self._stop)
        return self._frames[kept], self._values[kept], self._weights[kept]

    def _make_room(self, series: int) -> None:
        """Twice the room of what is kept, so that moving it is rare."""
        kept = slice(self._first, self._stop)
        count = self._stop - self._first
        old = self._frames[kept], self._values[kept], self._weights[kept]
        room = max(ROOM, 2 * count)
        self._frames, self._values, self._weights = np.empty(room, np.int64), np.empty((room, series)), np.empty(room)
        if count:
            self._frames[:count], self._values[:count], self._weights[:count] = old
        self._first, self._stop = 0, count


def _kernel(config: SmoothConfig) -> np.ndarray:
    """How much a frame counts by how many frames ago it was, from 0 on."""
    if config.method == "causal_gaussian":
        lags = np.arange(int(TRUNCATE * config.sigma + 0.5) + 1)
        return np.exp(-0.5 * (lags / config.sigma) ** 2)
    return np.ones(config.window)
