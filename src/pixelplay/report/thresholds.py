"""Held-out normal scores, the tail that was fitted to them, and the thresholds that came of it, as one picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pixelplay.run.atomic import atomic


def write_threshold_fit(path: Path, normal: np.ndarray, thresholds: Mapping[str, Mapping[str, Any]], name: str) -> None:
    """Write a PNG, atomically: which share of normal scores (N,) lies above each score, on a logarithmic scale.

    thresholds: by method, as `metrics.alarms.alarm_rates` gives them; those with a `value` are drawn as lines, the tail
    of `evt`, where one was fitted, as a curve that goes on where the scores end. The threshold of `evt` lies to the
    right of the curve's: it is the upper end of an interval.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    ordered = np.sort(normal)
    axis.step(ordered, 1 - np.arange(len(ordered)) / len(ordered), where="pre", color="0.3", label="normal scores")
    lines = {method: entry["value"] for method, entry in thresholds.items() if "value" in entry}
    for i, (method, value) in enumerate(lines.items()):
        axis.axvline(value, color=f"C{i}", linestyle="--", label=f"{method} {value:.4g}")
    if "shape" in thresholds["evt"].get("parameters", {}):
        axis.plot(*fitted_tail(thresholds["evt"], float(ordered[-1])), color="C0", label="fitted tail")
    axis.set(yscale="log", xlabel="score", ylabel="share of normal frames above")
    axis.set_ylim(bottom=0.3 / len(ordered), top=1.5)
    axis.set_title(name, parse_math=False)  # a stream's name is no formula
    axis.legend(fontsize=8)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def fitted_tail(evt: Mapping[str, Any], highest: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores (200,) from the start of the tail on, and the share of scores above each that the fit expects."""
    from scipy.stats import genpareto

    fit = evt["parameters"]
    scores = np.linspace(fit["start"], max(highest, evt["value"]), 200)
    return scores, fit["tail"] * genpareto.sf(scores - fit["start"], fit["shape"], scale=fit["scale"])
