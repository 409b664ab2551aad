"""Frame-level metrics of scores against 0/1 labels: AP, PR-AUC, ROC-AUC micro and macro, equal error rate, best F1.

A metric is a function of arrays; `frame_metrics` collects those that every evaluation shows, `bootstrap.py` says how
sure they are.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from pixelplay.errors import DataError


@dataclass(frozen=True)
class FrameMetrics:
    """All in [0, 1] but the two counts; None where labels of one class leave nothing to measure, with the `reason`."""

    ap: float | None  # average precision over all frames pooled, the competition's metric
    pr_auc: float | None  # area under the precision-recall curve by trapezoids; not AP, and a little more optimistic
    auc_micro: float | None  # ROC-AUC over all frames pooled
    auc_macro: float | None  # mean ROC-AUC over the videos that have both classes; None when there is no such video
    macro_videos: int  # how many videos that mean is over
    auc_macro_anchored: float | None  # the papers' macro mean, over all videos: see `anchored_macro_auc`
    eer: float | None  # error rate where false positive and false negative rate are equal
    best_f1: float | None  # at the best of all thresholds, which is chosen on the labels
    prevalence: float  # share of anomalous frames, the AP of random scores
    frames: int
    reason: str | None = None  # why figures are missing

    def as_dict(self) -> dict[str, float | int | str | None]:
        """Field names and values, ready for JSON; `reason` where there is one."""
        values = asdict(self)
        return values if self.reason else {name: value for name, value in values.items() if name != "reason"}


def frame_metrics(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> FrameMetrics:
    """Metrics of scores (N,), finite and higher = more anomalous, against labels (N,), 0 normal and 1 anomalous.

    `videos` (N,): the id of each frame's video, for the macro means. Labels that are all of one class give prevalence,
    frames and a reason. Raises DataError when lengths differ, there are no frames, a score is not finite, or a label is
    neither 0 nor 1.
    """
    # scikit-learn is slow to import: whoever only needs the names of tables need not wait for it.
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

    scores, labels, videos = checked(scores, labels, videos)
    prevalence, frames = float(labels.mean()), len(labels)
    if reason := one_class(labels):
        return FrameMetrics(None, None, None, None, 0, None, None, None, prevalence, frames, reason)
    auc_macro, macro_videos = macro_auc(scores, labels, videos)
    precision, recall, _ = precision_recall_curve(labels, scores)
    return FrameMetrics(
        ap=float(average_precision_score(labels, scores)),
        pr_auc=float(auc(recall, precision)),
        auc_micro=float(roc_auc_score(labels, scores)),
        auc_macro=auc_macro,
        macro_videos=macro_videos,
        auc_macro_anchored=anchored_macro_auc(scores, labels, videos),
        eer=equal_error_rate(scores, labels),
        best_f1=best_f1(precision, recall),
        prevalence=prevalence,
        frames=frames,
    )


def one_class(labels: np.ndarray) -> str | None:
    """Why labels (N,), int, N > 0, allow no AP, ROC-AUC, EER and F1: all are of one class; None with both classes."""
    if labels.min() < labels.max():
        return None
    what = "anomalous" if labels[0] else "normal"
    return f"all {len(labels):,} labels are {labels[0]} ({what}): AP, ROC-AUC, EER and F1 need both classes"


def macro_auc(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> tuple[float | None, int]:
    """Mean ROC-AUC over the videos that have both classes, and their number; (None, 0) when no video has.

    Inputs (N,) as `frame_metrics` takes them, already checked.
    """
    from sklearn.metrics import roc_auc_score

    aucs = [roc_auc_score(labels[at], scores[at]) for at in _of_videos(videos) if 0 < labels[at].sum() < len(at)]
    return (float(np.mean(aucs)) if aucs else None), len(aucs)


def anchored_macro_auc(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> float:
    """The macro ROC-AUC of many papers, after the code of Georgescu et al. (TPAMI 2021): a mean over *all* videos.

    Each video's scores are scaled to [0, 1] by their extremes (constant ones to 0), a normal point with score 0 and an
    anomalous one with score 1 are added, and the AUC of all that is the video's. A video of one class has an AUC this
    way, and every video's is drawn up: compare it only with figures made likewise.
    Inputs (N,) as `frame_metrics` takes them, already checked.
    """
    from sklearn.metrics import roc_auc_score

    aucs = []
    for at in _of_videos(videos):
        low, high = scores[at].min(), scores[at].max()
        unit = (scores[at] - low) / (high - low) if high > low else np.zeros(len(at))
        aucs.append(roc_auc_score(np.append(labels[at], [0, 1]), np.append(unit, [0.0, 1.0])))
    return float(np.mean(aucs))


def equal_error_rate(scores: np.ndarray, labels: np.ndarray) -> float:
    """The rate at which false positive and false negative rate are equal, on straight lines between the ROC's points.

    Inputs (N,) as `frame_metrics` takes them, already checked and of both classes.
    """
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    excess = (1.0 - tpr) - fpr  # FNR - FPR: falls from 1 at the strictest threshold to -1 at the loosest
    after = int(np.argmax(excess <= 0))
    before = after - 1
    share = excess[before] / (excess[before] - excess[after])
    return float(fpr[before] + share * (fpr[after] - fpr[before]))


def best_f1(precision: np.ndarray, recall: np.ndarray) -> float:
    """The greatest F1 = 2 P R / (P + R) among the points of a precision-recall curve, each (K,); 0 where P + R is 0."""
    total = precision + recall
    return float(np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0).max())


def checked(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three as float64, int64 and what they were, each (N,); raises DataError as `frame_metrics` says."""
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
