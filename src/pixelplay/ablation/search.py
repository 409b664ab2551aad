"""Choose a fusion on pseudo-anomalies, and rather none than one that overfits them.

Everything starts from equal weights, and two guards prevent overfitting to the few clips. A change must win by more
than the standard error of its gain over resampled clips, and weights are those nearest to equal ones that do not lose
by more (the one-standard-error rule of Breiman et al., *Classification and Regression Trees*, 1984). And the whole
search, repeated without each kind of anomaly in turn, must gain on the kinds that it has not seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from pixelplay.ablation.measure import METRICS, PSEUDO, Bench, Measured
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.variants import Variant, equal_weights, shares_of, variants_of
from pixelplay.scores.settings import FusionConfig


@dataclass(frozen=True)
class Trial:
    """Outcome of one step of the search. Gains are over the step before."""

    step: str
    best: str  # the variant with the highest figure
    gain: float
    error: float  # standard error of that
    taken: str | None  # the variant that was taken; None for no change
    taken_gain: float = 0.0


@dataclass(frozen=True)
class Choice:
    fusion: FusionConfig  # what is recommended
    start: FusionConfig  # equal weights
    trials: Sequence[Trial]  # with all clips, in order
    unseen: Mapping[str, float] = field(default_factory=dict)  # gain on each kind of the search without that kind
    changed: bool = False  # whether the recommendation differs from the start

    @property
    def unseen_gain(self) -> float:
        """Mean over the kinds; NaN if the search was not repeated."""
        return float(np.mean(list(self.unseen.values()))) if self.unseen else float("nan")


def search(bench: Bench, fusion: FusionConfig, streams: Sequence[str], config: AblateConfig) -> Choice:
    """The recommended fusion. `fusion`: every member named; `streams`: those to pool by."""
    truth, metric = bench.truths[PSEUDO], METRICS.index(config.metric)
    start = equal_weights(fusion) if "weights" in config.choose else fusion
    found, trials = _climb(bench, start, streams, config, np.ones(len(truth), bool))
    if not any(trial.taken for trial in trials):
        return Choice(start, start, trials)
    unseen = {}
    for kind, rows in _folds(truth.kinds, truth.videos).items():
        blind, _ = _climb(bench, start, streams, config, ~rows)
        after, before = (bench.figures(one, PSEUDO, rows)[metric] for one in (blind, start))
        unseen[kind] = float(after - before)
    choice = Choice(found, start, trials, unseen, changed=True)
    return choice if choice.unseen_gain > 0 else Choice(start, start, trials, unseen)


def nearest_to_equal(
    values: np.ndarray, distances: np.ndarray, error: Callable[[int, int], float], margin: float
) -> int:
    """Position of the candidate to take, from their figures (K,) and distances from equal weights (K,).

    The nearest, of those the one with the highest figure, that the best one beats by no more than `margin` standard
    errors of the difference, `error(i, j)`.
    """
    order = np.lexsort((-values, distances))  # stable: the first of those that are alike in both
    best = max(order, key=lambda i: values[i])
    near_enough = (i for i in order if not values[best] - values[i] > margin * error(int(best), int(i)))
    return int(next(near_enough))


def _climb(
    bench: Bench, start: FusionConfig, streams: Sequence[str], config: AblateConfig, rows: np.ndarray
) -> tuple[FusionConfig, list[Trial]]:
    """Step by step from `start`, judged by the frames of `rows` (N,) bool alone."""
    current, trials = start, []
    for step in config.choose:
        if variants := variants_of(step, current, streams, config):
            current, trial = _step(bench, step, current, variants, config, rows)
            trials.append(trial)
    return current, trials


def _step(
    bench: Bench, step: str, current: FusionConfig, variants: Sequence[Variant], config: AblateConfig, rows: np.ndarray
) -> tuple[FusionConfig, Trial]:
    metric = METRICS.index(config.metric)
    fusions = [*(variant.fusion for variant in variants), current]

    @cache  # resampling takes time: only for the few that are compared
    def drawn(i: int) -> Measured:
        return bench.measured(fusions[i], config, PSEUDO, rows)

    def error(i: int, j: int) -> float:
        return float(drawn(i).gain_over(drawn(j))[1][metric])

    # rounded, so that rounding errors decide nothing
    *values, now = (round(float(bench.figures(one, PSEUDO, rows)[metric]), 9) for one in fusions)
    best = int(np.argmax(values))
    gain, noise = values[best] - now, error(best, len(variants))
    if step == "weights":
        shares = np.array([shares_of(variant.fusion) for variant in variants])  # (K, M)
        lengths = np.abs(shares - 1 / shares.shape[1]).sum(axis=1)  # L1 distances from equal ones, in [0, 2]
        distances = np.array([round(length, 6) for length in lengths.tolist()])  # so that mirror images are equal
        at = nearest_to_equal(np.array(values), distances, error, config.margin)
        taken = bool(distances[at] > 0)
    else:
        at, taken = best, bool(gain > config.margin * noise)
    name, taken_gain = (variants[at].name, values[at] - now) if taken else (None, 0.0)
    return fusions[at if taken else -1], Trial(step, variants[best].name, gain, noise, name, taken_gain)


def _folds(kinds: np.ndarray, videos: np.ndarray) -> dict[str, np.ndarray]:
    """Frames (N,) bool of each kind of anomaly, or of each clip if all are of one kind; {} for a single clip."""
    folds = ({str(name): names == name for name in dict.fromkeys(names.tolist())} for names in (kinds, videos))
    return next((fold for fold in folds if len(fold) > 1), {})
