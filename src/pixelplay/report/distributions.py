"""Charts over all test frames: ROC and precision-recall curves, and histograms of scores."""

from collections.abc import Mapping

import numpy as np

from pixelplay.report.charts import Axis, Chart, Line, line_style, path, thin, widened

SIDE, LEFT, TOP = 400.0, 52.0, 10.0  # pixels: plot of a curve, and margins
HISTOGRAM = (300.0, 150.0)  # plot of a histogram
BINS = 48
TAILS = 0.1  # per cent of the frames at either end, clipped into a histogram's outermost bins
STYLES = {"held-out normal": "calibration", "test": "s0", "test, normal": "s0", "test, anomalous": "s1"}

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]  # by stream: x and y (K,) in [0, 1], in drawing order


def roc_chart(curves: Curves) -> Chart:
    """ROC curves; the diagonal is chance."""
    return _unit_chart("roc", "ROC curves", curves, (0.0, 1.0), ("false positive rate", "true positive rate"))


def precision_recall_chart(curves: Curves, prevalence: float) -> Chart:
    """Precision-recall curves as the steps that average precision sums; chance is the `prevalence`."""
    stepped = {stream: (np.repeat(x, 2)[:-1], np.repeat(y, 2)[1:]) for stream, (x, y) in curves.items()}
    return _unit_chart("pr", "Precision-recall curves", stepped, (prevalence, prevalence), ("recall", "precision"))


def curve_style(stream: str, number: int) -> str:
    """CSS classes of a stream's line, the same in curves, timelines and keys."""
    return "fused" if stream == "fused" else line_style(number)


def _unit_chart(key: str, about: str, curves: Curves, chance: tuple[float, float], titles: tuple[str, str]) -> Chart:
    x, y = Axis(0, 1, LEFT, LEFT + SIDE), Axis(0, 1, TOP + SIDE, TOP)
    points = {"chance": (np.array([0.0, 1.0]), np.array(chance)), **curves}
    styles = ["chance", *(curve_style(stream, i) for i, stream in enumerate(curves))]
    lines = []
    for (stream, line), style in zip(points.items(), styles, strict=True):
        at, values = thin(*line)
        lines.append(Line(path(x(at), y(values)), style, stream))
    return Chart(f"{about} of {', '.join(curves)}", "curves", key, x, y, titles, 5, lines)


def histogram(stream: str, scores: Mapping[str, np.ndarray], key: str) -> Chart:
    """Outlines of the shares of frames per score; extreme frames are in the outermost bins.

    scores: finite, by kind of frame, one of `STYLES`: float (N,).
    """
    low, high = widened(*np.percentile(np.concatenate(list(scores.values())), [TAILS, 100 - TAILS]).tolist())
    edges = np.linspace(low, high, BINS + 1)
    counts = {kind: np.histogram(of.clip(low, high), edges)[0] / len(of) for kind, of in scores.items() if len(of)}
    width, height = HISTOGRAM
    x = Axis(low, high, LEFT, LEFT + width)
    y = Axis(0, 100 * max(float(share.max()) for share in counts.values()) * 1.05, TOP + height, TOP)
    tops = {kind: np.concatenate([[0.0], np.repeat(100 * share, 2), [0.0]]) for kind, share in counts.items()}
    lines = [Line(path(x(np.repeat(edges, 2)), y(values)), STYLES[kind], kind) for kind, values in tops.items()]
    about = f"Histogram of the scores of {stream}: {', '.join(counts)}"
    return Chart(about, "histogram", key, x, y, ("score", "% of frames"), 4, lines)
