"""Which members a fusion is better off without, by two judges that need no labels; neither decides alone.

- Pseudo-anomalies: the fusion detects them better without the member, by more than two standard errors of that gain.
- Normal footage: the member's false alarms come, in effect, from less than half of the normal footage (see
  `pixelplay.ablation.stability`), so it mainly says which video a frame is from, for instance how crowded that is.

A member that both reject is left out, the most harmful first; then the rest is judged again, since members that see
the same thing can replace each other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pixelplay.ablation.measure import METRICS, PSEUDO, Bench, Truth
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.stability import FEWEST, Stability, stability
from pixelplay.ablation.variants import named, weighing, without
from pixelplay.scores.fuse import FrameWeights, process
from pixelplay.scores.settings import FusionConfig
from pixelplay.scores.table import by_split

SURE = 2.0  # standard errors that a gain must exceed: about 95 %
LEAST = 0.5  # of the normal footage, from which false alarms must come: at it, half of the videos have them all


@dataclass(frozen=True)
class Verdict:
    """The judges' verdict on one member, when it was left out or at the end."""

    member: str
    gain: float  # of the fusion without it, on pseudo-anomalies; NaN for the last member
    error: float  # standard error of that
    stability: Stability  # on normal footage
    left_out: bool = False

    @property
    def rejected(self) -> bool:
        """By both judges; one without data rejects nothing."""
        return bool(self.gain > SURE * self.error and self.stability.share < LEAST)

    def told(self, metric: str) -> str:
        """Why it was left out, or kept."""
        gain = f"without it the {metric.upper()} on pseudo-anomalies is {self.gain:+.3f} ± {self.error:.3f}"
        share, videos = self.stability
        if np.isnan(share):
            normal = f"{videos} normal video(s) are too few to judge its false alarms ({FEWEST} are needed)"
        else:
            normal = f"its false alarms come from {share:.0%} of the normal footage, in effect ({videos} videos)"
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
    stable = {s: stability([one.scores for one in videos.values()]) for s, videos in normal.items()}
    return judged(list(fusion.members), lambda left: _gains(bench, named(fusion, left), config), stable)


def judged(
    members: Sequence[str],
    gains: Callable[[Sequence[str]], Mapping[str, tuple[float, float]]],
    stable: Mapping[str, Stability],
) -> list[Verdict]:
    """A verdict on each member that ever has a gain, in their order; the most harmful of those rejected goes first.

    gains: of a fusion of some members, the gain without each of them and its standard error.
    """
    left = list(members)
    verdicts: dict[str, Verdict] = {}
    while True:
        now = {s: Verdict(s, *gain, stable[s]) for s, gain in gains(left).items()}
        worst = max((v for v in now.values() if v.rejected), key=lambda v: v.gain, default=None)
        verdicts |= now
        if worst is None or len(now) < 2:
            return [verdicts[s] for s in members if s in verdicts]
        verdicts[worst.member] = replace(worst, left_out=True)
        left.remove(worst.member)


def _gains(bench: Bench, fusion: FusionConfig, config: AblateConfig) -> dict[str, tuple[float, float]]:
    """The gain of the fusion without each member and its standard error; NaN for the last member."""
    members, at = weighing(fusion), METRICS.index(config.metric)
    if len(members) < 2:
        return dict.fromkeys(members, (float("nan"), float("nan")))
    whole = bench.measured(fusion, config)
    found = {s: bench.measured(without(fusion, s), config).gain_over(whole) for s in members}
    return {s: (float(gain[at]), float(error[at])) for s, (gain, error) in found.items()}
