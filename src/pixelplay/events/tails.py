"""The tail of normal scores: its independent peaks, its generalised Pareto distribution, intervals of its quantiles.

Scores of neighbouring frames, and of one video, rise together: their peaks are declustered by runs, run length from the
intervals between peaks (Ferro and Segers, *Inference for clusters of extreme values*, JRSS B 2003; Coles, *An
Introduction to Statistical Modeling of Extreme Values*, 2001, section 5.3).

Peaks over threshold: Pickands, *Annals of Statistics*, 1975; as an alarm's threshold: Siffer et al., KDD 2017. All
scores above the start are fitted, and count as much as there are independent peaks among them, since fitting the
peaks of clusters alone overstates the tail: Fawcett and Walshaw, *Extremes*, 2012.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, genpareto

CAUTION = 0.2  # chance that the variance between few videos is greater than the one that is assumed
BLOCKS = 4  # of a single video; ours
SHAPES = np.linspace(-0.5, 0.5, 41)  # likelihood is regular above -0.5 (Smith, 1985), the variance finite below 0.5
SCALES = np.geomspace(0.25, 4.0, 61)  # times the likeliest
SHARES = np.geomspace(1.0, 10.0, 1001)  # times the observed


@dataclass(frozen=True)
class Peaks:
    """Scores above a level, and the independent ones that they are worth."""

    frames: int
    videos: int
    share: float  # of the frames that lie above the level
    run_length: int  # most frames in a row at or below the level that do not end a cluster
    clusters: int
    extremal_index: float  # clusters per frame above the level, from the intervals between these; 1 independent
    independent: float  # independent peaks: the clusters, or fewer where videos, or parts of a single one, differ

    @property
    def effective_frames(self) -> float:
        """Independent frames that would say as much about a rate; one per video if none is above the level."""
        return self.independent / self.share if self.share else float(self.videos)


def peaks_above(level: float, videos: Sequence[np.ndarray]) -> Peaks:
    """Peaks of scores (T,), finite, of each video, by ascending frame, above a level.

    Frames above the level with at most `run_length` frames between them are one cluster, within a video. With several
    videos the peaks are also limited by how much the share p of frames above the level differs between videos: n frames
    are worth p (1 - p) / Var(p) independent ones, with the variance of the ratio estimator over videos at its upper
    limit of 1 - CAUTION. One video is taken for BLOCKS of them, which tells how its scores drift.
    """
    above = [np.flatnonzero(scores > level) for scores in videos]
    frames, exceedances = sum(map(len, videos)), sum(map(len, above))
    if not exceedances:
        return Peaks(frames, len(videos), 0.0, 0, 0, 1.0, 0.0)
    times = np.concatenate([np.diff(at) for at in above])
    index, share = extremal_index(times), exceedances / frames
    # The longest time inside a cluster: as many are longer as there are gaps between clusters.
    within = np.sort(times)[: max(len(times) - int(index * len(times)), 0)]
    longest = max(1, int(within[-1])) if len(within) else 1
    clusters = sum(bool(len(at)) for at in above) + int((times > longest).sum())
    parts = [scores > level for scores in videos] if len(videos) > 1 else np.array_split(videos[0] > level, BLOCKS)
    counts = np.array([[len(part), part.sum()] for part in parts], np.float64)
    independent = min(clusters, share * _worth(counts[counts[:, 0] > 0], share))
    return Peaks(frames, len(videos), share, longest - 1, clusters, index, float(independent))


def extremal_index(times: np.ndarray) -> float:
    """The intervals estimator of Ferro and Segers, in (0, 1]; times: frames between those above the level, int (K,)."""
    if not len(times):
        return 1.0
    t = times.astype(np.float64)
    shift = t.max() > 2
    squares = (t - 1) @ (t - 2) if shift else t @ t
    return float(min(1.0, 2 * (t - shift).sum() ** 2 / (len(t) * squares)))


def _worth(counts: np.ndarray, share: float) -> float:
    """Independent frames by the variance between videos; counts: (V, 2), frames and those above the level."""
    videos = len(counts)
    if videos < 2:
        return np.inf
    spread = ((counts[:, 1] - share * counts[:, 0]) ** 2).sum() / counts[:, 0].sum() ** 2
    variance = videos * spread / chi2.ppf(CAUTION, videos - 1)  # the estimate V / (V - 1) spread, at its limit
    return share * (1 - share) / variance if variance else np.inf


@dataclass(frozen=True, eq=False)
class Tail:
    """P(score > x) = share (1 + shape (x - start) / scale)^(-1 / shape) above the start."""

    start: float
    share: float  # of the scores that lie above the start
    shape: float
    scale: float
    excess: np.ndarray  # float64 (E,), above 0: the scores above the start, less the start

    def share_above(self, score: float) -> float:
        """The share of scores expected above a score that is no less than the start."""
        return self.share * float(genpareto.sf(score - self.start, self.shape, scale=self.scale))

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
