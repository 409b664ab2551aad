"""Which clips to take: calibrated scores, a threshold learned from usual footage, clips that are unlike each other.

Arrays and tables in, arrays out. Robust z-scores as in pixelplay.scores; greedy k-center as in pixelplay.memory.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pixelplay.memory.coreset import greedy_k_center
from pixelplay.scores.normalise import robust_z
from pixelplay.scores.settings import NormaliseConfig

ROBUST_Z = NormaliseConfig(method="robust_z", low=0.0, high=100.0, scope="all", clip=None, quantile=1.0, min_p=0.001)


def calibrated(table: pd.DataFrame, reference: pd.DataFrame, by: str, min_group: int) -> np.ndarray:
    """Scores (N,) of a table of `read_scores`, each as a robust z-score within its group, the column `by`; NaN stays.

    What is usual in a group is learned from its scores in `reference`, from those in `table` where it has fewer than
    `min_group` there, and from all of `reference` where it has as few in both. With by=none scores stay as they are.
    """
    scores = table["score"].to_numpy(np.float64)
    if by == "none":
        return scores
    everything = _finite(reference)
    learned = {str(name): _finite(part) for name, part in reference.groupby(by)}
    result = np.full(len(table), np.nan)
    for name, rows in table.reset_index(drop=True).groupby(by).groups.items():
        own = scores[rows]
        candidates = (learned.get(str(name), np.empty(0)), own[np.isfinite(own)], everything)
        usual = next((known for known in candidates if len(known) >= min_group), everything)
        result[rows] = robust_z(usual, ROBUST_Z)(own)
    return result


def above(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Positions of the finite scores (N,) above the threshold (None: all), the highest first; of equals the first."""
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    taken = np.isfinite(scores) if threshold is None else scores > threshold  # a NaN is above nothing
    return order[taken[order]]


def unlike_each_other(embeddings: np.ndarray, count: int, method: str, seed: int) -> np.ndarray:
    """`count` of the clips whose embeddings, float32 (N, d), stand in the order of their scores, highest first.

    Positions, ascending, so that the highest score comes first. none: the first ones. k_center: the first, then always
    the clip that is farthest from all taken. k_means: of each of `count` clusters the first.
    """
    count = min(count, len(embeddings))
    if method == "none" or count == len(embeddings):
        return np.arange(count)
    if method == "k_center":
        return np.sort(greedy_k_center(np.ascontiguousarray(embeddings), count, first=0, threads=1).indices)
    from sklearn.cluster import KMeans

    clusters = KMeans(count, n_init=10, random_state=seed).fit_predict(embeddings)
    first = np.unique(clusters, return_index=True)[1]  # fewer than `count` where embeddings are equal
    rest = np.setdiff1d(np.arange(len(embeddings)), first)
    return np.sort(np.concatenate([first, rest[: count - len(first)]]))


def unit_length(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """Vectors (d,) stacked to float32 (N, d), each of length 1: distances then tell directions apart, not contrast."""
    stacked = np.stack(vectors).astype(np.float32)
    return stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _finite(table: pd.DataFrame) -> np.ndarray:
    return table["score"].dropna().to_numpy(np.float64)
