"""The tables for a paper, `evaluate export=latex|csv`: figures of each detector and of the fusion, AUC of each video.

LaTeX is pandas' own, escaped, with the rules of the package booktabs and the best of each column, or row, in bold.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pixelplay.run.artifacts import csv_text, read_json, write_text
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import FUSED

if TYPE_CHECKING:
    from pathlib import Path

    from pixelplay.config import Config

FIGURES = {"micro AUC": "auc_micro", "macro AUC": "auc_macro", "AP": "ap", "RBDC": "rbdc", "TBDC": "tbdc"}
BOLD = "textbf:--rwrap;"
ABOUT = """% {run}: {what}, in %. Needs \\usepackage{{booktabs}}.
"""


def write_tables(config: "Config") -> "list[Path]":
    """Write both tables of a run that `evaluate` has measured, as `config.export` says."""
    files = RunFiles.of(config)
    metrics = read_json(files.metrics, made_by="evaluate")
    written = []
    for name, table, axis, what in (
        ("metrics", figures_table(metrics), 0, "frame metrics, and RBDC and TBDC of detectors with boxes"),
        ("videos", videos_table(metrics), 1, "AUC of each test video with both classes"),
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


def videos_table(metrics: dict[str, Any]) -> pd.DataFrame:
    """ROC-AUC of the scores that enter the submission: a row for each labelled video with both classes."""
    streams = list(_rows(metrics))
    rows = {video: [of[stream]["auc"] for stream in streams] for video, of in metrics["videos"].items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=streams, dtype=np.float64)
    return table.dropna(how="all").rename_axis("video")


def _rows(metrics: dict[str, Any]) -> dict[str, Any]:
    """Figures on frames by what the tables have a row, or a column, for."""
    return {**metrics["detectors"], **metrics.get("external", {}), FUSED: metrics["fused"]}


def _latex(table: pd.DataFrame, axis: int) -> str:
    """axis: along which the greatest value is in bold."""
    style = (100 * table.rename_axis(None)).style.format(precision=1, na_rep="--", escape="latex")
    style = style.format_index(escape="latex").format_index(escape="latex", axis="columns")
    return style.highlight_max(axis=axis, props=BOLD).to_latex(hrules=True)
