"""Pixel-level metrics of boxes: AUROC, AP, best F1 and AUPRO, counted frame by frame: no video is held in memory.

They pool the pixels of all frames, and follow from three counts per distinct score: normal pixels, anomalous pixels,
and shares of anomalous regions. AUPRO: Bergmann et al., *The MVTec Anomaly Detection Dataset*, IJCV 2021.

Beside them stand the averages of single frames that papers report (after the code of Huang et al., *Track Any
Anomalous Object*, CVPR 2025, arXiv 2506.05175, github.com/yu2hi13/TAO, Benchmark_Metrics/pixel_level): frames without
an anomalous pixel are left out, so that false alarms there cost nothing, and a frame without a report counts as 0.
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from pixelplay.errors import DataError
from pixelplay.metrics.frames import best_f1
from pixelplay.metrics.regions import area_to

Figures = dict[str, float | int | None]
FIGURES = ("auroc", "ap", "pr_auc")  # of single frames; TAO's code calls the last one AUPRO
COMPACT = 2**18  # rows of counts above which equal scores are merged


class PixelCounts:
    """Scores of boxes against masks, added up frame by frame; `result`, which is exact, at any time.

    In memory are at most twice as many rows as boxes have distinct scores, or COMPACT.
    """

    def __init__(self) -> None:
        self._rows: list[np.ndarray] = []  # (K, 4): score, normal pixels, anomalous pixels, shares of regions
        self._waiting = 0
        self._limit = COMPACT
        self._pixels = self._anomalous = self._regions = self._frames = 0
        self._frame_figures: dict[str, list[np.ndarray]] = defaultdict(list)  # by video: (3,) of each frame

    def add_boxes(self, xyxy: np.ndarray, scores: np.ndarray, regions: np.ndarray, video: str = "") -> None:
        """Add a frame whose pixels have the score of the highest box over their centre, or else the lowest of all.

        xyxy: float (N, 4); scores: float (N,); regions: int (H, W), the mask's regions as of `truth.components`, all 0
        in a normal frame; video: its id, for the averages over videos.
        """
        _refuse(scores, "scores of boxes")
        _refuse(xyxy, "edges of boxes")
        height, width = regions.shape
        edges = np.ceil(xyxy - 0.5).astype(np.int64).clip(0, np.array([width, height, width, height]))
        order = np.argsort(scores, kind="stable")
        sizes = self._count_frame(regions)
        if not len(order):
            self._count_figures(np.empty((0, 2)), sizes, video)
            return
        (left, top), (right, bottom) = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
        painted = np.zeros((max(bottom - top, 0), max(right - left, 0)), np.int64)
        for rank, (x1, y1, x2, y2) in enumerate(edges[order] - np.array([left, top, left, top]), start=1):
            painted[y1:y2, x1:x2] = rank  # rising scores: the highest is painted last
        counted = _by_group(painted, regions[top:bottom, left:right], sizes, len(order) + 1)
        rows = _compact([np.column_stack([scores[order], counted[1:]])])
        self._count_figures(rows[:, 1:3], sizes, video)
        self._keep(rows)

    def result(self, aupro_limit: float) -> Figures:
        """Metrics of all added frames; raises DataError if all pixels are of one class.

        Over the pixels of all frames pooled, in [0, 1] except the counts: `auroc`, `ap`, `best_f1` (at the threshold
        that is best on these masks), `aupro_0.3` (mean share of a region's pixels that are found, over false positive
        rates to that limit, divided by it), `prevalence` (share of anomalous pixels), `regions` (connected ones, per
        frame) and `frames`. Then the averages of single frames, see `_averages`. Ready for JSON.
        """
        normal = self._pixels - self._anomalous
        if not self._anomalous or not normal:
            lacking = "anomalous" if not self._anomalous else "normal"
            raise DataError(f"no pixel of {self._frames} frames is {lacking}: pixel metrics need both classes")
        rows = _compact(self._rows)
        uncovered = np.array([normal, self._anomalous, self._regions]) - rows[:, 1:].sum(axis=0)
        counts = np.concatenate([uncovered[None], rows[:, 1:]])  # (K + 1, 3), the lowest score first
        labels, levels = np.repeat([0, 1], len(counts)), np.tile(np.arange(len(counts)), 2)
        weights = np.concatenate([counts[:, 0], counts[:, 1]])
        precision, recall, _ = precision_recall_curve(labels, levels, sample_weight=weights)
        fpr, overlap = (np.cumsum(np.append(counts[:, column], 0)[::-1]) for column in (0, 2))
        return {
            "auroc": float(roc_auc_score(labels, levels, sample_weight=weights)),
            "ap": float(average_precision_score(labels, levels, sample_weight=weights)),
            "best_f1": best_f1(precision, recall),
            f"aupro_{aupro_limit:g}": area_to(aupro_limit, fpr / normal, overlap / self._regions) / aupro_limit,
            "prevalence": self._anomalous / self._pixels,
            "regions": self._regions,
            "frames": self._frames,
            **_averages(self._frame_figures),
        }

    def _count_figures(self, counted: np.ndarray, sizes: np.ndarray, video: str) -> None:
        """Figures of a frame by itself, if it has pixels of both classes.

        counted: (K, 2), its normal and anomalous pixels at each reported score, the lowest score first; others are
        below all of them. sizes: pixels of each region, (R + 1,).
        """
        pixels = np.array([int(sizes[0]), int(sizes[1:].sum())])
        if pixels.all():
            counts = np.concatenate([pixels[None] - counted.sum(axis=0), counted])
            self._frame_figures[video].append(_figures(counts) if len(counted) else np.zeros(len(FIGURES)))

    def _count_frame(self, regions: np.ndarray) -> np.ndarray:
        """Count a frame; the pixels of each region, (R + 1,), first those in none."""
        sizes = np.bincount(regions.ravel()) if regions.any() else np.array([regions.size])
        self._frames += 1
        self._pixels += regions.size
        self._anomalous += regions.size - int(sizes[0])
        self._regions += len(sizes) - 1
        return sizes

    def _keep(self, rows: np.ndarray) -> None:
        self._rows.append(rows)
        self._waiting += len(rows)
        if self._waiting > self._limit:
            self._rows = [_compact(self._rows)]
            self._waiting = len(self._rows[0])
            self._limit = max(COMPACT, 2 * self._waiting)


def _by_group(group: np.ndarray, regions: np.ndarray, sizes: np.ndarray, count: int) -> np.ndarray:
    """Normal pixels, anomalous pixels and shares of regions of each group 0..count-1: float64 (count, 3).

    group: int (h, w); regions: int (h, w), of which each has sizes[region] pixels in the whole frame.
    """
    pixels = np.bincount(group.ravel(), minlength=count)
    inside = regions > 0
    if not inside.any():
        return np.column_stack([pixels, np.zeros((count, 2))])
    of_regions, groups = regions[inside], group[inside]
    anomalous = np.bincount(groups, minlength=count)
    shares = np.bincount(groups, weights=1.0 / sizes[of_regions], minlength=count)
    return np.column_stack([pixels - anomalous, anomalous, shares])


def _compact(parts: list[np.ndarray]) -> np.ndarray:
    """Rows with their scores ascending, those of equal scores added up."""
    rows = np.concatenate([np.empty((0, 4)), *parts])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    first = np.flatnonzero(np.diff(rows[:, 0], prepend=-np.inf) > 0)
    return np.column_stack([rows[first, 0], np.add.reduceat(rows[:, 1:], first)]) if len(first) else rows


def _refuse(values: np.ndarray, what: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(f"{int(bad.sum())} of {values.size} {what} of a frame are not finite")


def _averages(figures: Mapping[str, list[np.ndarray]]) -> Figures:
    """Mean over frames, `auroc_per_frame`, and over videos' means, `auroc_per_video`; likewise `ap_` and `pr_auc_`.

    figures: by video, those of each frame, (3,). None without a frame; `averaged_frames` and `averaged_videos` count
    them.
    """
    frames = sum(map(len, figures.values()))
    found = {f"{figure}_per_{of}": None for of in ("frame", "video") for figure in FIGURES}
    if frames:
        sums = [sum(of, np.zeros(len(FIGURES))) for of in figures.values()]
        of_videos = np.array([total / len(of) for total, of in zip(sums, figures.values(), strict=True)])
        means = np.append(sum(sums, np.zeros(len(FIGURES))) / frames, of_videos.mean(axis=0))
        found = dict(zip(found, means.tolist(), strict=True))
    return {**found, "averaged_frames": frames, "averaged_videos": len(figures)}


def _figures(counts: np.ndarray) -> np.ndarray:
    """AUROC, AP and PR-AUC of normal and anomalous pixels by rising score, (K, 2), both classes present: (3,)."""
    normal, anomalous = counts[::-1].T.astype(np.float64)  # the highest score first
    found, false = np.cumsum(anomalous), np.cumsum(normal)
    some = found + false > 0
    recall, precision = found[some] / found[-1], found[some] / (found + false)[some]
    auroc = (normal * (found - anomalous / 2)).sum() / (found[-1] * false[-1])
    steps = np.diff(recall, prepend=0.0)
    before = np.append(1.0, precision[:-1])  # the curve starts at recall 0, precision 1
    return np.array([auroc, (steps * precision).sum(), (steps * (before + precision) / 2).sum()])
