"""The tail of normal scores as a generalised Pareto distribution, and intervals of its quantiles.

Peaks over threshold: Pickands, *Annals of Statistics*, 1975; as an alarm's threshold: Siffer et al., KDD 2017. All
scores above the start are fitted, and count as much as there are independent peaks among them, since fitting the
peaks of clusters alone overstates the tail: Fawcett and Walshaw, *Extremes*, 2012.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, genpareto

SHAPES = np.linspace(-0.5, 0.5, 41)  # likelihood is regular above -0.5 (Smith, 1985), the variance finite below 0.5
SCALES = np.geomspace(0.25, 4.0, 61)  # times the likeliest
SHARES = np.geomspace(1.0, 10.0, 1001)  # times the observed


@dataclass(frozen=True, eq=False)
class Tail:
    """P(score > x) = share (1 + shape (x - start) / scale)^(-1 / shape) above the start."""

    start: float
    share: float  # of the scores that lie above the start
    shape: float
    scale: float
    excess: np.ndarray  # float64 (E,), above 0: the scores above the start, less the start

    def exceeded_by(self, rate: float) -> float:
        """The score that a share `rate` of the scores exceeds; no less than the start."""
        return self.start + float(genpareto.isf(min(rate / self.share, 1.0), self.shape, scale=self.scale))

    def upper_limit(self, rate: float, peaks: float, confidence: float) -> float:
        """The upper end of the one-sided profile-likelihood interval of `exceeded_by` (Coles, 2001, 4.3.3).

        peaks: how many independent ones the excesses are worth. On a grid of shapes, scales and shares of exceedances.
        """
        slack = chi2.ppf(2 * confidence - 1, 1) / 2
        shares = np.minimum(self.share * SHARES, 1 - 1e-9)
        odds = peaks / self.share - peaks  # independent frames that are not above the start
        loss = -peaks * np.log(shares / self.share) - odds * np.log((1 - shares) / (1 - self.share))
        weight, scales, shapes = peaks / len(self.excess), self.scale * SCALES, np.append(SHAPES, self.shape)
        likely = np.array([_log_likelihoods(self.excess, shape, scales) for shape in shapes])  # (shapes, scales)
        left = slack - weight * (likely.max() - likely)
        shape, scale = np.meshgrid(shapes, scales, indexing="ij")
        allowed = left >= 0
        rates = np.minimum(rate / np.interp(left[allowed], loss, shares), 1.0)
        highest = float(genpareto.isf(rates, shape[allowed], scale=scale[allowed]).max())
        return max(self.exceeded_by(rate), self.start + highest)


def fit_tail(start: float, share: float, excess: np.ndarray) -> Tail | None:
    """The maximum-likelihood tail, started from the moments; None if excesses (E,) are all equal or no fit is found."""
    if not len(excess) or excess.min() == excess.max():
        return None
    ratio = excess.mean() ** 2 / excess.var()
    guess = {"floc": 0, "scale": 0.5 * excess.mean() * (1 + ratio)}
    shape, _, scale = genpareto.fit(excess, 0.5 * (1 - ratio), **guess)
    found = np.isfinite([shape, scale]).all() and scale > 0
    return Tail(start, share, float(shape), float(scale), excess) if found else None


def _log_likelihoods(excess: np.ndarray, shape: float, scales: np.ndarray) -> np.ndarray:
    """Log-likelihoods of generalised Pareto distributions of one shape, float64 (S,): -inf beyond their end."""
    scaled = excess[:, None] / scales  # (E, S)
    if abs(shape) < 1e-9:
        return -len(excess) * np.log(scales) - scaled.sum(axis=0)
    inside = 1 + shape * scaled
    logs = np.log(inside, out=np.zeros_like(inside), where=inside > 0).sum(axis=0)
    return np.where((inside > 0).all(axis=0), -len(excess) * np.log(scales) - (1 / shape + 1) * logs, -np.inf)
