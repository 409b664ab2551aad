"""step=distribution: a histogram of all scores, and summary statistics."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import median_abs_deviation as mad

from pixelplay.drawing.figures import write_figure
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.score_file import read_scores
from pixelplay.run.artifacts import write_json

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)

STATISTICS = {"min": np.min, "max": np.max, "mean": np.mean, "std": np.std, "median": np.median, "mad": mad}
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
MARKED = {50: "-", 95: "--", 99: ":"}  # percentiles drawn as lines, and their styles
OUTLINED = 8  # outlines of more cameras can't be told apart


def run(config: "Config", files: MiningFiles) -> None:
    table = read_scores(files.scores)
    cameras = {str(camera): statistics(part) for camera, part in table.groupby("camera")}
    write_json(files.statistics, statistics(table) | {"cameras": cameras})
    write_histogram(files.histogram, table, config.distribution.bins)
    log.info(f"distribution: {files.histogram}, {files.statistics}")


def statistics(table: pd.DataFrame) -> dict[str, Any]:
    """Of the scores in a table of `read_scores`; only counts if there are none."""
    scores = table["score"].dropna().to_numpy()
    counts = {"clips": len(table), "scored": len(scores), "unread": len(table) - len(scores)}
    if not len(scores):
        return counts
    values = {name: float(of(scores)) for name, of in STATISTICS.items()}
    percentiles = {str(percentile): float(np.percentile(scores, percentile)) for percentile in PERCENTILES}
    return {**counts, **values, "percentiles": percentiles}


def write_histogram(path: Path, table: pd.DataFrame, bins: int) -> None:
    """PNG, atomically: clips per score, outlines for 2 to 8 cameras, and lines at the median and two percentiles."""
    scored = table.dropna(subset="score")
    scores = scored["score"].to_numpy()
    edges = np.histogram_bin_edges(scores, bins)
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axis = figure.subplots()
    axis.hist(scores, edges.tolist(), color="#c3d3e2", edgecolor="white", linewidth=0.6, zorder=2)
    cameras = list(scored.groupby("camera")["score"])
    if 1 < len(cameras) <= OUTLINED:
        for camera, part in cameras:
            axis.stairs(np.histogram(part, edges)[0], edges, linewidth=1.5, label=f"camera {camera}", zorder=3)
    for percentile, style in MARKED.items():
        value = float(np.percentile(scores, percentile))
        name = "median" if percentile == 50 else f"{percentile}th percentile"
        axis.axvline(value, color="0.25", linestyle=style, linewidth=1.2, label=f"{name}  {value:.5g}", zorder=4)
    axis.set(xlabel="score: mean squared error of the patches hidden from VideoMAE", ylabel="clips")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y", color="0.9", zorder=0)
    axis.spines[["top", "right"]].set_visible(False)
    unread = len(table) - len(scored)
    axis.set_title(f"{len(scored):,} clips" + (f", {unread:,} more could not be read" if unread else ""), loc="left")
    for text in axis.legend(frameon=False, fontsize=9).get_texts():
        text.set_parse_math(False)  # a camera's name may contain $
    write_figure(path, figure, dpi=130)
