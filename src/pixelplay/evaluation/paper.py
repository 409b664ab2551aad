"""The tables for a paper, `evaluate export=latex|csv`: figures of each detector and of the fusion, AUC of each video.

LaTeX is pandas' own, escaped, with the rules of the package booktabs and the best of each column, or row, in bold.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pixelplay.evaluation.score_tables import read_fused
from pixelplay.run.artifacts import csv_text, read_json, write_text
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import FUSED
from pixelplay.videos.index import Index
from pixelplay.videos.truth import load_labels

if TYPE_CHECKING:
    from pathlib import Path

    from pixelplay.config import Config

FIGURES = {"micro AUC": "auc_micro", "macro AUC": "auc_macro", "AP": "ap", "RBDC": "rbdc", "TBDC": "tbdc"}
BOLD = "textbf:--rwrap;"
ABOUT = """% {run}: {what}, in %. Needs \\usepackage{{booktabs}}.
"""


def write_tables(config: "Config", index: Index) -> "list[Path]":
    """Write both tables of a run that `evaluate` has measured, as `config.export` says."""
    files = RunFiles.of(config)
    metrics = read_json(files.metrics, made_by="evaluate")
    written = []
    for name, table, axis, what in (
        ("metrics", figures_table(metrics), 0, "frame metrics, and RBDC and TBDC of detectors with boxes"),
        ("videos", video_aucs(config, index, list(_rows(metrics))), 1, "AUC of each test video with both classes"),
    ):
        if config.export == "latex":
            path = files.tables / f"{name}.tex"
            run = " ".join(config.full_name.split())
            write_text(path, ABOUT.format(run=run, what=what) + _latex(table, axis))
        else:
            path = files.tables / f"{name}.csv"
            rows = table.astype(object).itertuples()
            write_text(path, csv_text([[table.index.name, *table.columns], *rows]))
        written.append(path)
    return written


def figures_table(metrics: dict[str, Any]) -> pd.DataFrame:
    """A row for each detector, external member and the fusion; NaN for what was not measured.

    metrics: the content of metrics.json.
    """
    regions: dict[str, dict[str, float]] = {}
    for detector in metrics["objects"].get("detectors", {}).values():
        regions |= {stream: of.get("region", {}) for stream, of in detector["streams"].items()}
    rows = {
        name: [{**own, **regions.get(name, {})}.get(key) for key in FIGURES.values()]
        for name, own in _rows(metrics).items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(FIGURES), dtype=np.float64)
    return table.rename_axis("detector")


def video_aucs(config: "Config", index: Index, streams: list[str]) -> pd.DataFrame:
    """ROC-AUC of the scores that enter the submission: a row for each labelled video with both classes."""
    from sklearn.metrics import roc_auc_score

    table = read_fused(config, index)
    table = table[(table["split"] == "test") & table["stream"].isin(streams)]
    scores = {(str(s), str(v)): rows.set_index("frame")["score"] for (s, v), rows in table.groupby(["stream", "video"])}
    rows = {}
    for one in load_labels(config, index).labelled:
        if one.labels is not None and 0 < one.labels.sum() < len(one.labels):
            values = [scores[stream, one.video].loc[one.numbers] for stream in streams]
            rows[one.video] = [float(roc_auc_score(one.labels, of)) for of in values]
    return pd.DataFrame.from_dict(rows, orient="index", columns=streams, dtype=np.float64).rename_axis("video")


def _rows(metrics: dict[str, Any]) -> dict[str, Any]:
    """Figures on frames by what the tables have a row, or a column, for."""
    return {**metrics["detectors"], **metrics.get("external", {}), FUSED: metrics["fused"]}


def _latex(table: pd.DataFrame, axis: int) -> str:
    """axis: along which the greatest value is in bold."""
    style = (100 * table.rename_axis(None)).style.format(precision=1, na_rep="--", escape="latex")
    style = style.format_index(escape="latex").format_index(escape="latex", axis="columns")
    return style.highlight_max(axis=axis, props=BOLD).to_latex(hrules=True)
