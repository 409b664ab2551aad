"""A plot of held-out normal scores, the tail fitted to them, and the thresholds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pixelplay.drawing.figures import write_figure


def write_threshold_fit(path: Path, normal: np.ndarray, thresholds: Mapping[str, Mapping[str, Any]], name: str) -> None:
    """Write a PNG, atomically: the share of normal scores (N,) above each score, on a logarithmic scale.

    thresholds: by method, from `events.alarms.alarm_rates`; those with a `value` are lines, the fitted tail a curve.
    The threshold of `evt` is right of the curve: it is the upper end of a confidence interval.
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
    axis.set_title(name, parse_math=False)  # names may have a $ in them
    axis.legend(fontsize=8)
    write_figure(path, figure)


def fitted_tail(evt: Mapping[str, Any], highest: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores (200,) from the start of the tail on, and the fitted share of scores above each."""
    from scipy.stats import genpareto

    fit = evt["parameters"]
    scores = np.linspace(fit["start"], max(highest, evt["value"]), 200)
    return scores, fit["tail"] * genpareto.sf(scores - fit["start"], fit["shape"], scale=fit["scale"])
