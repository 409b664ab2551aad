"""Percentile intervals of micro ROC-AUC and AP over resampled videos (Efron, 1979).

Videos are drawn, not frames: frames of a video are alike, and drawing them one by one would understate the variance.
"""

from typing import Any

import numpy as np
import pandas as pd

from pixelplay.metrics.frames import checked
from pixelplay.metrics.settings import BootstrapConfig

BLOCK = 2**19  # frames times draws in memory at a time


def intervals(
    scores: np.ndarray, labels: np.ndarray, videos: np.ndarray, config: BootstrapConfig
) -> dict[str, Any] | None:
    """Intervals of micro ROC-AUC and AP, [low, high], for inputs (N,) as `frame_metrics` takes them; ready for JSON.

    Each of `config.n_bootstrap` draws takes as many videos as there are, with replacement, by `config.seed` alone. None
    with fewer than two videos, and where no draw has both classes: `draws` counts those that have. `level` is the share
    of them that lie within. Raises DataError as `frame_metrics` does.
    """
    scores, labels, videos = checked(scores, labels, videos)
    if len(pd.unique(videos)) < 2:
        return None
    ap, auc = drawn_figures(scores, labels, videos, config.n_bootstrap, config.seed)
    counted = ~np.isnan(auc)
    if not counted.any():
        return None
    found = {name: list(_interval(of[counted], config.level)) for name, of in (("auc_micro", auc), ("ap", ap))}
    return {**found, "level": config.level, "draws": int(counted.sum())}


def share_interval(counts: np.ndarray, config: BootstrapConfig) -> tuple[float, float] | None:
    """The percentile interval of a share of frames over resampled videos; None with fewer than two videos with frames.

    counts: int (V, 2), of each video the counted frames and all its frames. If none or all are counted, no draw varies:
    the open end is then (1 - level)^(1 / V) from the other (the rule of three of Hanley and Lippman-Hand, JAMA 1983,
    exact).
    """
    counts = counts[counts[:, 1] > 0]
    videos = len(counts)
    if videos < 2:
        return None
    beyond = 1 - (1 - config.level) ** (1 / videos)
    if not counts[:, 0].any():
        return 0.0, beyond
    if (counts[:, 0] == counts[:, 1]).all():
        return 1 - beyond, 1.0
    drawn = np.random.default_rng(config.seed).multinomial(videos, np.full(videos, 1 / videos), size=config.n_bootstrap)
    counted, frames = (drawn @ counts).T
    return _interval(counted / frames, config.level)


def drawn_figures(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """AP and ROC-AUC of every draw, float64 (2, draws); AUC is NaN where a draw has one class.

    Inputs (N,) as from `checked`. Each draw takes as many videos as there are, with replacement, by `seed` alone, so
    that the figures of two scores of the same frames can be subtracted draw by draw.
    """
    codes, names = pd.factorize(videos, use_na_sentinel=False)
    drawn = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=draws
    )  # (B, V): how often each video was drawn
    rows = max(1, BLOCK // len(scores))
    parts = [weighted_figures(scores, labels, drawn[start : start + rows][:, codes]) for start in range(0, draws, rows)]
    return np.concatenate(parts, axis=1)


def weighted_figures(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AP and ROC-AUC under each of B weightings of the same frames: float64 (2, B).

    Scores and labels (N,) as above; weights: int (B, N). AUC is NaN if one class has no weight, AP without anomalies.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # (K,), of each group of equal scores
    weights, labels = weights[:, order], labels[order]
    hits = np.cumsum(weights * labels, axis=1)[:, last].astype(np.float64)  # (B, K), true positives
    taken = np.cumsum(weights, axis=1)[:, last].astype(np.float64)
    false = taken - hits
    before = np.concatenate([np.zeros((len(hits), 1)), hits[:, :-1]], axis=1)
    new_hits, new_false = hits - before, np.diff(false, axis=1, prepend=0.0)
    precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
    positive, negative = hits[:, -1], false[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (new_false * (before + new_hits / 2)).sum(axis=1) / (positive * negative)
        ap = (new_hits * precision).sum(axis=1) / positive
    return np.stack([ap, auc])


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
