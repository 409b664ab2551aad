"""Which members a fusion is better off without, by two judges that need no labels; neither decides alone.

- Pseudo-anomalies: the fusion detects them better without the member, by more than two standard errors of that gain.
- Normal footage: most of the variance of the member's scores lies between videos rather than within them (Fisher's
  correlation ratio), so it mainly says which video a frame is from, for instance how crowded that is.

A member that both reject is left out, the most harmful first; then the rest is judged again, since members that see
the same thing can replace each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pixelplay.ablation.measure import METRICS, PSEUDO, Bench, Truth
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.variants import weighing, without
from pixelplay.scores.fuse import FrameWeights, process
from pixelplay.scores.settings import FusionConfig
from pixelplay.scores.table import by_split

SURE = 2.0  # standard errors that a gain must exceed: about 95 %
MOST = 0.5  # of the variance of normal scores that may lie between videos


@dataclass(frozen=True)
class Verdict:
    """The judges' verdict on one member, when it was left out or at the end."""

    member: str
    gain: float  # of the fusion without it, on pseudo-anomalies; NaN for the last member
    error: float  # standard error of that
    between: float  # share of the variance of its normal scores that lies between videos; NaN with fewer than two
    videos: int  # normal videos with scores
    left_out: bool = False

    @property
    def rejected(self) -> bool:
        """By both judges; one without data rejects nothing."""
        return bool(self.gain > SURE * self.error and self.between > MOST)

    def told(self, metric: str) -> str:
        """Why it was left out, or kept."""
        gain = f"without it the {metric.upper()} on pseudo-anomalies is {self.gain:+.3f} ± {self.error:.3f}"
        if np.isnan(self.between):
            normal = f"{self.videos} normal video(s) are too few to judge how it differs between videos"
        else:
            normal = f"{self.between:.0%} of the variance of its normal scores lies between {self.videos} videos"
        return f"{self.member}: {gain if np.isfinite(self.gain) else 'the only member'}; {normal}"


def judge(
    streams: Mapping[str, pd.DataFrame], truth: Truth, fusion: FusionConfig, config: AblateConfig, weights: FrameWeights
) -> list[Verdict]:
    """A verdict on each member of the fusion that has a weight, in its order.

    streams: scores tables with pseudo-anomalies and normal footage, for all of `fusion.members`. weights: as `process`
    takes them.
    """
    bench = Bench(streams, {PSEUDO: truth}, weights)
    normal = {s: process(by_split(streams[s]), m, weights).get("calibration", {}) for s, m in fusion.members.items()}
    between = {s: between_videos([one.scores for one in videos.values()]) for s, videos in normal.items()}
    verdicts: dict[str, Verdict] = {}
    left = fusion
    while True:
        now = {s: Verdict(s, *gain, *between[s]) for s, gain in _gains(bench, left, config).items()}
        worst = max((v for v in now.values() if v.rejected), key=lambda v: v.gain, default=None)
        verdicts |= now
        if worst is None or len(now) < 2:
            return [verdicts[s] for s in fusion.members if s in verdicts]
        verdicts[worst.member] = replace(worst, left_out=True)
        left = without(left, worst.member)


def between_videos(videos: Sequence[np.ndarray]) -> tuple[float, int]:
    """Share of the variance of scores (T,) that lies between videos, in [0, 1], and the number of videos.

    NaN with fewer than two, 0 if all scores are equal. R. A. Fisher, *Statistical Methods for Research Workers*, 1925.
    """
    if len(videos) < 2:
        return float("nan"), len(videos)
    every = np.concatenate(list(videos))
    total = float(np.square(every - every.mean()).sum())
    between = sum(len(one) * (one.mean() - every.mean()) ** 2 for one in videos)
    return (float(between / total) if total > 0 else 0.0), len(videos)


def _gains(bench: Bench, fusion: FusionConfig, config: AblateConfig) -> dict[str, tuple[float, float]]:
    """The gain of the fusion without each member and its standard error; NaN for the last member."""
    members, at = weighing(fusion), METRICS.index(config.metric)
    if len(members) < 2:
        return dict.fromkeys(members, (float("nan"), float("nan")))
    whole = bench.measured(fusion, config)
    found = {s: bench.measured(without(fusion, s), config).gain_over(whole) for s in members}
    return {s: (float(gain[at]), float(error[at])) for s, (gain, error) in found.items()}
