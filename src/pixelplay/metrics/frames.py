"""Frame-level metrics: AP, ROC-AUC micro and macro, and the equal error rate, of scores against 0/1 labels.

A metric is a function of arrays; `frame_metrics` collects those that every evaluation shows, `summary_table` prints.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from pixelplay.errors import DataError


@dataclass(frozen=True)
class FrameMetrics:
    """All in [0, 1] but the two counts."""

    ap: float  # average precision over all frames pooled, the competition's metric
    auc_micro: float  # ROC-AUC over all frames pooled
    auc_macro: float | None  # mean ROC-AUC over the videos that have both classes; None when there is no such video
    macro_videos: int  # how many videos that mean is over
    eer: float  # error rate where false positive and false negative rate are equal
    prevalence: float  # share of anomalous frames, the AP of random scores
    frames: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Field names and values, ready for JSON."""
        return asdict(self)


def frame_metrics(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> FrameMetrics:
    """Metrics of scores (N,), finite and higher = more anomalous, against labels (N,), 0 normal and 1 anomalous.

    `videos` (N,): the id of each frame's video, for the macro mean. Raises DataError when lengths differ, there are no
    frames, a score is not finite, a label is neither 0 nor 1, or all labels are of one class.
    """
    scores, labels, videos = _checked(np.asarray(scores), np.asarray(labels), np.asarray(videos))
    auc_macro, macro_videos = macro_auc(scores, labels, videos)
    return FrameMetrics(
        ap=float(average_precision_score(labels, scores)),
        auc_micro=float(roc_auc_score(labels, scores)),
        auc_macro=auc_macro,
        macro_videos=macro_videos,
        eer=equal_error_rate(scores, labels),
        prevalence=float(labels.mean()),
        frames=len(labels),
    )


def macro_auc(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> tuple[float | None, int]:
    """Mean ROC-AUC over the videos that have both classes, and their number; (None, 0) when no video has.

    Inputs (N,) as `frame_metrics` takes them, already checked.
    """
    codes, _ = pd.factorize(videos, use_na_sentinel=False)
    rows = pd.Series(np.arange(len(codes))).groupby(codes).indices.values()
    aucs = [roc_auc_score(labels[at], scores[at]) for at in rows if 0 < labels[at].sum() < len(at)]
    return (float(np.mean(aucs)) if aucs else None), len(aucs)


def equal_error_rate(scores: np.ndarray, labels: np.ndarray) -> float:
    """The rate at which false positive and false negative rate are equal, on straight lines between the ROC's points.

    Inputs (N,) as `frame_metrics` takes them, already checked and of both classes.
    """
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    excess = (1.0 - tpr) - fpr  # FNR - FPR: falls from 1 at the strictest threshold to -1 at the loosest
    after = int(np.argmax(excess <= 0))
    before = after - 1
    share = excess[before] / (excess[before] - excess[after])
    return float(fpr[before] + share * (fpr[after] - fpr[before]))


def summary_table(rows: dict[str, FrameMetrics]) -> str:
    """Aligned plain text, a line per name with AP, AUC micro, AUC macro and EER; `-` where there is no macro mean."""
    columns = {"AP": "ap", "AUC micro": "auc_micro", "AUC macro": "auc_macro", "EER": "eer"}
    table = pd.DataFrame(
        {head: [_shown(getattr(metrics, name)) for metrics in rows.values()] for head, name in columns.items()},
        index=list(rows),
        dtype=object,
    )
    return table.to_string() if rows else "  ".join(columns)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _checked(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    labels = labels.astype(np.int64)
    if labels.min() == labels.max():
        raise DataError(f"all {len(labels)} labels are {labels[0]}; AP, ROC-AUC and EER need both classes")
    return scores, labels, videos
