"""How well scores find what was planted, and how sure that is: AP and micro ROC-AUC, standard errors over whole clips.

Clips are resampled, not frames, for the reason that `pixelplay.metrics.bootstrap` gives; two scores of the same frames
are compared draw by draw, so that what makes a clip hard for both cancels out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.ablation.bench import Truth
from pixelplay.metrics.bootstrap import drawn_figures, weighted_figures

METRICS = ("auc", "ap")  # in the order in which `bootstrap` gives them
FEWEST = 3  # rows of a table: two are in one order or in the other


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
        """By how much these figures are greater than another's, (2,), and the standard errors of that, (2,).

        Both must be of the same frames and draws.
        """
        return self.figures - other.figures, _deviations(self.drawn - other.drawn)


def figures(scores: np.ndarray, truth: Truth, rows: np.ndarray | None = None) -> np.ndarray:
    """ROC-AUC and AP of scores (N,), pooled over all frames, or over those of `rows` (N,) bool: (2,).

    AUC is NaN where these are of one class.
    """
    labels = truth.labels
    if rows is not None:
        scores, labels = scores[rows], labels[rows]
    return weighted_figures(scores, labels, np.ones((1, len(labels)), np.int64))[:, 0]


def measured(scores: np.ndarray, truth: Truth, draws: int, seed: int, rows: np.ndarray | None = None) -> Measured:
    """Figures of scores (N,) and of `draws` draws of whole clips, among all or those of `rows`, by `seed` alone."""
    labels, videos = truth.labels, truth.videos
    if rows is not None:
        scores, labels, videos = scores[rows], labels[rows], videos[rows]
    whole = weighted_figures(scores, labels, np.ones((1, len(labels)), np.int64))[:, 0]
    return Measured(whole, drawn_figures(scores, labels, videos, draws, seed))


def rank_correlations(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each table with figures on labels: n, and for AP and ROC-AUC both correlations and the range on labels.

    Fusions with the same figures throughout are one and the same, and count once. NaN where fewer than three are left,
    or all have the same figure.
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
    """Standard deviation over the draws that have both classes; NaN with fewer than two of them."""
    counted = [values[~np.isnan(values)] for values in drawn]
    return np.array([values.std(ddof=1) if len(values) > 1 else np.nan for values in counted])


def _correlations(planted: pd.Series, true: pd.Series) -> dict[str, float]:
    from scipy.stats import kendalltau, spearmanr

    pairs = np.stack([planted.to_numpy(np.float64), true.to_numpy(np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < FEWEST or (np.ptp(pairs, axis=1) == 0).any():
        return {"spearman": float("nan"), "kendall": float("nan")}
    return {"spearman": float(spearmanr(*pairs).statistic), "kendall": float(kendalltau(*pairs).statistic)}
