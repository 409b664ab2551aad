"""How alike a stream's false alarms are on different videos of normal footage: needs no label.

At one threshold for all videos, some upper quantile of all their scores, a video has a false-alarm rate. `stability` is
the share of the footage that the false alarms come from, in effect: 1 where all videos have the same rate, 0.5 where
half of the videos have them all, towards 0 where one of many has. A stream that mainly says how crowded a video is has
its alarms in the most crowded ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

UPPER = (0.8, 0.9, 0.95)  # the thresholds: quantiles of all normal scores
# Normal videos. In simulations of 5 short videos (150 frames, scores alike over 5 frames and smoothed by 5) a stream
# that is the same on all has less than 0.5 in 4 % of the draws, one whose level differs by three of its standard
# deviations in 78 %; with 3 videos in 5 % and 53 %, so these say too little.
FEWEST = 5


class Stability(NamedTuple):
    share: float  # of the footage that false alarms come from, in (0, 1]; NaN with fewer than FEWEST videos
    videos: int  # of at least two frames


def stability(videos: Sequence[np.ndarray]) -> Stability:
    """Of a stream's scores (T,) on each video of normal footage, frames in order.

    1 / (1 + d), where d is the squared coefficient of variation of the videos' false-alarm rates: with it, the
    effective size of a sample is n / (1 + d) (Kish, *Survey Sampling*, 1965). Alarms come in bursts, and where single
    bursts fall is chance, so only what is found in both halves of the videos counts: the mean over videos, by their
    frames, of (a / r - 1) (b / r - 1), where a and b are the rates of the halves and r that of all footage. The mean
    over UPPER, at least 0. Scores that are all the same give 1.
    """
    usable = [one for one in videos if len(one) > 1]
    if len(usable) < FEWEST:
        return Stability(float("nan"), len(usable))
    excess = float(np.mean([_repeated(usable, q) for q in UPPER]))
    return Stability(1 / (1 + max(excess, 0.0)), len(usable))


def _repeated(videos: Sequence[np.ndarray], q: float) -> float:
    """The squared coefficient of variation of false-alarm rates at a quantile that both halves of the videos share."""
    every = np.concatenate(list(videos))
    threshold = np.quantile(every, q)
    rate = float((every >= threshold).mean())
    shares = np.array([len(one) for one in videos]) / len(every)
    halves = [(one[: len(one) // 2], one[len(one) // 2 :]) for one in videos]
    of_halves = np.array([[(half >= threshold).mean() for half in pair] for pair in halves])  # (V, 2)
    return float(shares @ (of_halves / rate - 1).prod(axis=1))
