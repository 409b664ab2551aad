"""The threshold that follows a video's scores; and what all thresholds ask of normal scores."""

from collections.abc import Sequence

import numpy as np

from pixelplay.errors import DataError
from pixelplay.events.machine import Levels
from pixelplay.events.settings import AdaptiveConfig


class AdaptiveLimit:
    """A threshold that follows a video's scores: mean + `n_sigma` standard deviations of the scores before it.

    Over the last `config.window` scores that were no alarms, since a long anomaly would soon count as normal.
    """

    def __init__(self, normal: np.ndarray, config: AdaptiveConfig, hysteresis: float = 1.0):
        """The window starts with quantiles of the normal scores (N,), finite.

        hysteresis: how far the level at which events end is on the way from the window's mean to the threshold.
        """
        self._window = np.quantile(checked([normal])[1], (np.arange(config.window) + 0.5) / config.window)
        self._n_sigma, self._hysteresis = config.n_sigma, hysteresis
        self._oldest = 0  # the quantiles leave from the lowest up: the first thresholds are rather high than low

    def at(self, score: float) -> Levels:
        """Those that the next score meets."""
        mean = float(self._window.mean())
        limit = mean + self._n_sigma * float(self._window.std())
        if score <= limit:
            self._window[self._oldest] = score
            self._oldest = (self._oldest + 1) % len(self._window)
        return Levels(limit, mean + self._hysteresis * (limit - mean))


def adaptive(scores: np.ndarray, normal: np.ndarray, config: AdaptiveConfig) -> np.ndarray:
    """`AdaptiveLimit` for each frame of one video, scores (T,) and normal ones (N,) finite: float64 (T,)."""
    limit = AdaptiveLimit(normal, config)
    return np.array([limit.at(score).start for score in np.asarray(scores, np.float64).tolist()])


def checked(normal: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Scores of each video that has any, float64 (T,), and all of them, (N,)."""
    videos = [np.asarray(scores, np.float64) for scores in normal if len(scores)]
    if not videos:
        raise DataError("there are no scores of held-out normal footage to derive a threshold from")
    scores = np.concatenate(videos)
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise DataError(f"{bad.size} of {scores.size} normal scores are not finite, the first at {bad[0]}")
    return videos, scores
