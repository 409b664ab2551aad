"""How many independent peaks a set of scores has: scores of neighbouring frames rise together, and so do those of one
video, so that the number of frames says little about how well a rare event's rate is known.

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
    """Scores above a level, and how many independent ones they are worth."""

    level: float
    frames: int
    videos: int
    share: float  # of the frames that lie above the level
    run_length: int  # frames at or below the level in a row, at most, that do not end a cluster
    clusters: int
    extremal_index: float  # clusters per frame above the level, as the intervals between these have it; 1 independent
    independent: float  # independent peaks: the clusters, or fewer where videos differ

    @property
    def effective_frames(self) -> float:
        """Independent frames that would say as much of a rate; without a frame above the level, one per video."""
        return self.independent / self.share if self.share else float(self.videos)


def peaks_above(level: float, videos: Sequence[np.ndarray]) -> Peaks:
    """Peaks of scores (T,), finite, of each video, by ascending frame, above a level.

    Frames above the level belong to one cluster where no more than `run_length` frames part them, so that neighbours
    always do, and never across videos. With several videos the independent peaks are also limited by how much the share
    of frames above the level differs between videos: n frames of which a share p lies above are worth
    p (1 - p) / Var(p) independent ones, where Var(p) is that of the ratio estimator over videos, at its upper limit of
    1 - CAUTION (few videos show too little of it).
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
    """The intervals estimator of Ferro and Segers: frames, int (K,), from one above the level to the next; in (0, 1].

    1 without any.
    """
    if not len(times):
        return 1.0
    t = times.astype(np.float64)
    shift = t.max() > 2
    squares = (t - 1) @ (t - 2) if shift else t @ t
    return float(min(1.0, 2 * (t - shift).sum() ** 2 / (len(t) * squares)))


def _longest_within(times: np.ndarray, index: float) -> int:
    """The longest time inside a cluster: as many longer ones as clusters are expected to be parted; 0 without any."""
    if not len(times):
        return 0
    falling = np.sort(times)[::-1]
    parted = min(int(index * len(times)), len(times))
    return int(falling[parted]) if parted < len(times) else 0


def _worth(counts: np.ndarray, share: float) -> float:
    """Independent frames by the differences between videos; counts: (V, 2), frames and those above the level."""
    videos = len(counts)
    if videos < 2:
        return np.inf
    spread = ((counts[:, 1] - share * counts[:, 0]) ** 2).sum() / counts[:, 0].sum() ** 2
    variance = videos * spread / chi2.ppf(CAUTION, videos - 1)  # the estimate V / (V - 1) spread, at its limit
    return share * (1 - share) / variance if variance else np.inf
