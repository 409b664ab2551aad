"""From several processed members to one score per frame.

A fusion is a function `(weights, reference, config) -> (members -> scores)` in `FUSIONS`, looked up by
`FusionConfig.method`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pixelplay.errors import ConfigError
from pixelplay.scores.normalise import rank
from pixelplay.scores.settings import FusionConfig, MemberConfig

Z_SCORES = {"calibrated", "calibrated_z", "robust_z"}  # the methods that `FusionConfig.bounds` applies to

Combination = Callable[[np.ndarray], np.ndarray]  # processed members (M, N) -> one score per frame (N,)


def bounded(scores: np.ndarray, members: Sequence[MemberConfig], config: FusionConfig) -> np.ndarray:
    """Processed scores (M, N) with those on a z scale clipped to `config.bounds`, if several members are combined.

    A single member keeps its order beyond the bounds.
    """
    if config.bounds is None or sum(member.weight > 0 for member in members) < 2:
        return scores
    z = np.array([member.normalise.method in Z_SCORES for member in members])
    low, high = config.bounds
    return np.where(z[:, None], np.clip(scores, low, high), scores)


def combine(
    scores: np.ndarray, weights: np.ndarray, config: FusionConfig, reference: np.ndarray | None = None
) -> np.ndarray:
    """One score per frame, float64 (N,), from processed members (M, N) by `config.method`.

    `reference` (M, R), by default the members themselves, are the scores among which `rank_mean` ranks. Raises as
    `combination`.
    """
    return combination(weights, config, scores if reference is None else reference)(scores)


def combination(weights: np.ndarray, config: FusionConfig, reference: np.ndarray) -> Combination:
    """`combine` for members that are still to come, with what it needs of the `reference` (M, R) computed once.

    `weights` (M,) are divided by their sum; members of weight 0 take no part. Of `config`, only `method` and `power`
    are read. Raises ConfigError if a weight is missing, negative or not finite, or all are zero.
    """
    if weights.shape != (len(reference),):
        raise ConfigError(f"{len(reference)} fused streams need as many weights; they are {weights.tolist()}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ConfigError(f"fusion weights must be finite and at least 0; they are {weights.tolist()}")
    if not weights.any():
        raise ConfigError("all fusion weights are 0; give at least one of the fused streams a weight above 0")
    shares = weights / weights.max()  # first, so that a sum of huge weights can't overflow
    shares /= shares.sum()
    part = shares > 0
    if part.all():
        return FUSIONS[config.method](shares, reference, config)
    of_parts = FUSIONS[config.method](shares[part], reference[part], config)
    return lambda scores: of_parts(scores[part])


def weighted_mean(shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> Combination:
    """Sum of shares times scores, the shares summing to 1."""
    return lambda scores: shares @ scores


def power_mean(shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> Combination:
    """(sum of shares x score^p)^(1/p) with p = `config.power`: the mean at 1, towards the maximum for large p.

    Scores below 0 count as 0: meant for scores in [0, 1].
    """

    def mean(scores: np.ndarray) -> np.ndarray:
        scores = np.maximum(scores, 0.0)
        top = scores.max(axis=0)
        ratios = scores / np.where(top > 0, top, 1.0)  # in [0, 1], so that no power overflows
        return top * (shares @ ratios**config.power) ** (1 / config.power)

    return mean


def maximum(shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> Combination:
    """Greatest score of any member with a weight above 0."""
    return lambda scores: scores.max(axis=0)


def product(shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> Combination:
    """Product of score^share, the weighted geometric mean; equal weights order frames like the plain product.

    Scores below 0 count as 0: meant for scores in [0, 1].
    """

    def mean(scores: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):  # the logarithm of 0 is minus infinity, and its product 0
            return np.exp(shares @ np.log(np.maximum(scores, 0.0)))

    return mean


def rank_mean(shares: np.ndarray, reference: np.ndarray, config: FusionConfig) -> Combination:
    """Weighted mean of each member's rank among its reference scores, see `pixelplay.scores.normalise.rank`."""
    ranks = [rank(among) for among in reference]
    return lambda scores: shares @ np.stack([of(member) for of, member in zip(ranks, scores, strict=True)])


FUSIONS: dict[str, Callable[[np.ndarray, np.ndarray, FusionConfig], Combination]] = {
    "weighted_mean": weighted_mean,
    "power_mean": power_mean,
    "maximum": maximum,
    "product": product,
    "rank_mean": rank_mean,
}
