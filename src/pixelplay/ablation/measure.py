"""AP and micro ROC-AUC on frames of known class, standard errors over whole clips, and rank correlations.

Clips are resampled, not frames: see `pixelplay.metrics.bootstrap`. Two scores of the same frames are compared draw by
draw, so that what makes a clip hard for both cancels out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.metrics.bootstrap import drawn_figures, weighted_figures
from pixelplay.metrics.frames import checked, one_class

METRICS = ("auc", "ap")  # in the order of `bootstrap`
FEWEST = 3  # rows that can be ranked


@dataclass(frozen=True, eq=False)
class Truth:
    """Frames of known class of one split, a video's frames together and in order."""

    videos: np.ndarray  # (N,) str, each frame's video
    frames: np.ndarray  # (N,) int64, original numbers
    labels: np.ndarray  # (N,) int64, 1 anomalous
    kinds: np.ndarray  # (N,) str, the kind of the video's anomaly; '' if unknown

    @classmethod
    def of(
        cls, labels: Sequence[tuple[str, np.ndarray, np.ndarray]], kinds: Mapping[str, str] | None = None
    ) -> "Truth":
        """From the id, the frame numbers (T,) and the 0/1 labels (T,) of each video; `kinds` by video.

        Raises DataError if there is no frame, or all are of one class.
        """
        if not labels:
            raise DataError("there are no frames to measure on")
        videos = np.concatenate([np.full(len(frames), video, object) for video, frames, _ in labels])
        values = np.concatenate([of_video for _, _, of_video in labels])
        _, values, _ = checked(np.zeros(len(values)), values, videos)
        if reason := one_class(values):
            raise DataError(reason)
        kind = np.array([(kinds or {}).get(video, "") for video in videos], object)
        return cls(videos, np.concatenate([frames for _, frames, _ in labels]).astype(np.int64), values, kind)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Measured:
    """Figures of one score per frame; arrays are in the order of METRICS."""

    figures: np.ndarray  # (2,), of all frames
    drawn: np.ndarray  # (2, B), of resampled clips

    @property
    def errors(self) -> np.ndarray:
        """Standard errors, (2,)."""
        return _deviations(self.drawn)

    def gain_over(self, other: "Measured") -> tuple[np.ndarray, np.ndarray]:
        """Difference to the figures of the same frames and draws, (2,), and its standard errors, (2,)."""
        return self.figures - other.figures, _deviations(self.drawn - other.drawn)


def figures(scores: np.ndarray, truth: Truth, rows: np.ndarray | None = None) -> np.ndarray:
    """ROC-AUC and AP of scores (N,), pooled over all frames or those of `rows` (N,) bool: (2,). NaN for one class."""
    labels = truth.labels if rows is None else truth.labels[rows]
    scores = scores if rows is None else scores[rows]
    return weighted_figures(scores, labels, np.ones((1, len(labels)), np.int64))[:, 0]


def measured(scores: np.ndarray, truth: Truth, draws: int, seed: int, rows: np.ndarray | None = None) -> Measured:
    """`figures` of all frames and of `draws` draws of whole clips, by `seed` alone."""
    rows = np.ones(len(truth), bool) if rows is None else rows
    drawn = drawn_figures(scores[rows], truth.labels[rows], truth.videos[rows], draws, seed)
    return Measured(figures(scores, truth, rows), drawn)


def rank_correlations(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each table with figures on labels: n, and for AP and ROC-AUC both correlations and the range on labels.

    Fusions with the same figures count once. NaN with fewer than three of them, or if all figures are equal.
    """
    rows = {}
    for name, table in tables.items():
        if "on_labels_ap" in table:
            table = table.drop_duplicates(["ap", "auc", "on_labels_ap", "on_labels_auc"])
            rows[name] = {"n": len(table)}
            for metric in ("ap", "auc"):
                true = table[f"on_labels_{metric}"]
                found = _correlations(table[metric], true) | {
                    "lowest_on_labels": true.min(),
                    "highest_on_labels": true.max(),
                }
                rows[name] |= {f"{key}_{metric}": float(value) for key, value in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("table")


def _deviations(drawn: np.ndarray) -> np.ndarray:
    """Standard deviation over the draws with both classes; NaN with fewer than two."""
    counted = [values[~np.isnan(values)] for values in drawn]
    return np.array([values.std(ddof=1) if len(values) > 1 else np.nan for values in counted])


def _correlations(planted: pd.Series, true: pd.Series) -> dict[str, float]:
    from scipy.stats import kendalltau, spearmanr

    pairs = np.stack([planted.to_numpy(np.float64), true.to_numpy(np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < FEWEST or (np.ptp(pairs, axis=1) == 0).any():
        return {"spearman": float("nan"), "kendall": float("nan")}
    return {"spearman": float(spearmanr(*pairs).statistic), "kendall": float(kendalltau(*pairs).statistic)}
