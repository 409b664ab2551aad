"""Frame-level metrics of scores against 0/1 labels: AP, PR-AUC, ROC-AUC micro and macro, equal error rate, best F1.

Percentile intervals are over resampled videos (Efron, 1979): frames of a video are alike, and drawing them one by one
would understate the variance. scikit-learn is slow to import, so it is imported where it is used.
"""

from typing import Any

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.metrics.settings import BootstrapConfig

FIGURES = ("ap", "pr_auc", "auc_micro", "auc_macro", "macro_videos", "auc_macro_anchored", "eer", "best_f1")
BLOCK = 2**19  # frames times draws in memory at a time


def frame_metrics(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> dict[str, float | int | str | None]:
    """Metrics of scores (N,), finite and higher = more anomalous, against labels (N,), 0 normal and 1 anomalous.

    `videos` (N,): the id of each frame's video. All are in [0, 1] except the counts, and ready for JSON; None, with the
    `reason`, if all labels are of one class. Raises DataError if lengths differ, there are no frames, a score is not
    finite, or a label is neither 0 nor 1.

    - `ap`: average precision over all frames pooled, the competition's metric;
    - `pr_auc`: area under the precision-recall curve by trapezoids; not AP, and a little more optimistic;
    - `auc_micro`: ROC-AUC over all frames pooled;
    - `auc_macro`: mean ROC-AUC over the `macro_videos` with both classes, None if there are none; `auc_macro_anchored`:
      over all videos, see `anchored_macro_auc`;
    - `eer`: error rate where false positive and false negative rate are equal;
    - `best_f1`: at the threshold that is best on these labels;
    - `prevalence`: share of anomalous `frames`, the AP of random scores.
    """
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

    scores, labels, videos = checked(scores, labels, videos)
    measured = dict.fromkeys(FIGURES) | {"macro_videos": 0, "prevalence": float(labels.mean()), "frames": len(labels)}
    if reason := one_class(labels):
        return {**measured, "reason": reason}
    auc_macro, macro_videos = macro_auc(scores, labels, videos)
    precision, recall, _ = precision_recall_curve(labels, scores)
    return measured | {
        "ap": float(average_precision_score(labels, scores)),
        "pr_auc": float(auc(recall, precision)),
        "auc_micro": float(roc_auc_score(labels, scores)),
        "auc_macro": auc_macro,
        "macro_videos": macro_videos,
        "auc_macro_anchored": anchored_macro_auc(scores, labels, videos),
        "eer": equal_error_rate(scores, labels),
        "best_f1": best_f1(precision, recall),
    }


def one_class(labels: np.ndarray) -> str | None:
    """A message if labels (N,), int, N > 0, are all of one class; None with both classes."""
    if labels.min() < labels.max():
        return None
    what = "anomalous" if labels[0] else "normal"
    return f"all {len(labels):,} labels are {labels[0]} ({what}): AP, ROC-AUC, EER and F1 need both classes"


def macro_auc(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> tuple[float | None, int]:
    """Mean ROC-AUC over the videos with both classes, and their number; (None, 0) if there are none. Inputs checked."""
    from sklearn.metrics import roc_auc_score

    aucs = [roc_auc_score(labels[at], scores[at]) for at in _of_videos(videos) if 0 < labels[at].sum() < len(at)]
    return (float(np.mean(aucs)) if aucs else None), len(aucs)


def anchored_macro_auc(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> float:
    """The macro ROC-AUC of many papers, after the code of Georgescu et al. (TPAMI 2021): a mean over *all* videos.

    Each video's scores are min-max scaled (constant ones to 0), and a normal frame with score 0 and an anomalous one
    with score 1 are added. So videos of one class have an AUC, and every AUC is higher: not comparable with others.
    """
    from sklearn.metrics import roc_auc_score

    aucs = []
    for at in _of_videos(videos):
        low, high = scores[at].min(), scores[at].max()
        unit = (scores[at] - low) / (high - low) if high > low else np.zeros(len(at))
        aucs.append(roc_auc_score(np.append(labels[at], [0, 1]), np.append(unit, [0.0, 1.0])))
    return float(np.mean(aucs))


def equal_error_rate(scores: np.ndarray, labels: np.ndarray) -> float:
    """The rate at which false positive and false negative rate are equal, interpolated linearly between ROC points."""
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    excess = (1.0 - tpr) - fpr  # FNR - FPR: falls from 1 at the strictest threshold to -1 at the loosest
    after = int(np.argmax(excess <= 0))
    before = after - 1
    share = excess[before] / (excess[before] - excess[after])
    return float(fpr[before] + share * (fpr[after] - fpr[before]))


def best_f1(precision: np.ndarray, recall: np.ndarray) -> float:
    """The greatest F1 on a precision-recall curve, each (K,); 0 where P + R is 0."""
    total = precision + recall
    return float(np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0).max())


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
    found = {name: list(interval(of[counted], config.level)) for name, of in (("auc_micro", auc), ("ap", ap))}
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
    return interval(counted / frames, config.level)


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


def checked(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores as float64, labels as int64, and videos, each (N,); raises DataError as `frame_metrics` does."""
    scores, labels, videos = np.asarray(scores), np.asarray(labels), np.asarray(videos)
    if not (scores.ndim == labels.ndim == videos.ndim == 1 and len(scores) == len(labels) == len(videos)):
        raise DataError(
            f"scores, labels and videos must be (N,) alike; they are {scores.shape}, {labels.shape}, {videos.shape}"
        )
    if not scores.size:
        raise DataError("there are no frames to evaluate")
    scores = scores.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        at = bad[0]
        raise DataError(f"{bad.size} scores are not finite, the first at {at} (video {videos[at]}): {scores[at]}")
    strange = np.flatnonzero(~np.isin(labels, [0, 1]))
    if strange.size:
        raise DataError(f"{strange.size} labels are neither 0 nor 1, the first at {strange[0]}: {labels[strange[0]]}")
    return scores, labels.astype(np.int64), videos


def _of_videos(videos: np.ndarray) -> list[np.ndarray]:
    """Rows of each video, in order of first appearance."""
    codes, _ = pd.factorize(videos, use_na_sentinel=False)
    return list(pd.Series(np.arange(len(codes))).groupby(codes).indices.values())


def interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """In which the share `level` of values (B,) lies."""
    low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
