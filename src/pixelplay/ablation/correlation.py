"""Whether planted anomalies rank fusions as true ones do: Spearman's and Kendall's rank correlation."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

FEWEST = 3  # rows of a table: two are in one order or in the other


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


def _correlations(planted: pd.Series, true: pd.Series) -> dict[str, float]:
    from scipy.stats import kendalltau, spearmanr

    pairs = np.stack([planted.to_numpy(np.float64), true.to_numpy(np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < FEWEST or (np.ptp(pairs, axis=1) == 0).any():
        return {"spearman": float("nan"), "kendall": float("nan")}
    return {"spearman": float(spearmanr(*pairs).statistic), "kendall": float(kendalltau(*pairs).statistic)}
