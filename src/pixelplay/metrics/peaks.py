"""The number of independent peaks in scores: those of neighbouring frames, and of one video, rise together.

Declustering by runs, run length from the intervals between peaks: Ferro and Segers, *Inference for clusters of extreme
values*, JRSS B 2003; Coles, *An Introduction to Statistical Modeling of Extreme Values*, 2001, section 5.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

CAUTION = 0.2  # chance that the variance between few videos is greater than the one that is assumed


@dataclass(frozen=True)
class Peaks:
    """Scores above a level, and the independent ones that they are worth."""

    level: float
    frames: int
    videos: int
    share: float  # of the frames that lie above the level
    run_length: int  # most frames in a row at or below the level that do not end a cluster
    clusters: int
    extremal_index: float  # clusters per frame above the level, from the intervals between these; 1 independent
    independent: float  # independent peaks: the clusters, or fewer where videos differ

    @property
    def effective_frames(self) -> float:
        """Independent frames that would say as much about a rate; one per video if none is above the level."""
        return self.independent / self.share if self.share else float(self.videos)


def peaks_above(level: float, videos: Sequence[np.ndarray]) -> Peaks:
    """Peaks of scores (T,), finite, of each video, by ascending frame, above a level.

    Frames above the level with at most `run_length` frames between them are one cluster, within a video. With several
    videos the peaks are also limited by how much the share p of frames above the level differs between videos: n frames
    are worth p (1 - p) / Var(p) independent ones, with the variance of the ratio estimator over videos at its upper
    limit of 1 - CAUTION.
    """
    above = [np.flatnonzero(scores > level) for scores in videos]
    frames, exceedances = sum(map(len, videos)), sum(map(len, above))
    if not exceedances:
        return Peaks(level, frames, len(videos), 0.0, 0, 0, 1.0, 0.0)
    times = np.concatenate([np.diff(at) for at in above])
    index = extremal_index(times)
    longest = max(1, _longest_within(times, index))
    clusters = sum(bool(len(at)) for at in above) + int((times > longest).sum())
    share = exceedances / frames
    counts = np.array([[len(scores), len(at)] for scores, at in zip(videos, above, strict=True)], np.float64)
    independent = min(clusters, share * _worth(counts[counts[:, 0] > 0], share))
    return Peaks(level, frames, len(videos), share, longest - 1, clusters, index, float(independent))


def extremal_index(times: np.ndarray) -> float:
    """The intervals estimator of Ferro and Segers, in (0, 1]; times: frames between those above the level, int (K,)."""
    if not len(times):
        return 1.0
    t = times.astype(np.float64)
    shift = t.max() > 2
    squares = (t - 1) @ (t - 2) if shift else t @ t
    return float(min(1.0, 2 * (t - shift).sum() ** 2 / (len(t) * squares)))


def _longest_within(times: np.ndarray, index: float) -> int:
    """The longest time inside a cluster: as many are longer as there are gaps between clusters; 0 without any."""
    if not len(times):
        return 0
    falling = np.sort(times)[::-1]
    parted = min(int(index * len(times)), len(times))
    return int(falling[parted]) if parted < len(times) else 0


def _worth(counts: np.ndarray, share: float) -> float:
    """Independent frames by the variance between videos; counts: (V, 2), frames and those above the level."""
    videos = len(counts)
    if videos < 2:
        return np.inf
    spread = ((counts[:, 1] - share * counts[:, 0]) ** 2).sum() / counts[:, 0].sum() ** 2
    variance = videos * spread / chi2.ppf(CAUTION, videos - 1)  # the estimate V / (V - 1) spread, at its limit
    return share * (1 - share) / variance if variance else np.inf
