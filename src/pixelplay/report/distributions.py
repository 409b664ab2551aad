"""Charts over all test frames: ROC and precision-recall curves, and histograms of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.report.charts import Axis, Chart, Line, line_style, path, thin, widened

SIDE, LEFT, TOP, BELOW, RIGHT = 400.0, 52.0, 10.0, 44.0, 14.0  # pixels: plot of a curve, and margins
HISTOGRAM = (300.0, 150.0)  # plot of a histogram
BINS = 48
TAILS = 0.1  # per cent of the frames at either end, clipped into a histogram's outermost bins


@dataclass(frozen=True, eq=False)
class Curve:
    """One stream's ROC or precision-recall curve: points (K,) in [0, 1], in drawing order."""

    stream: str
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class Distribution:
    """One stream's scores, finite, by kind of frame."""

    stream: str
    scores: Mapping[str, np.ndarray]  # 'held-out normal', 'test', 'test, normal', 'test, anomalous' -> float [N]


STYLES = {"held-out normal": "calibration", "test": "s0", "test, normal": "s0", "test, anomalous": "s1"}


def roc_chart(curves: Sequence[Curve]) -> Chart:
    """ROC curves; the diagonal is chance."""
    chance = Curve("chance", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    return _unit_chart("roc", "ROC curves", curves, chance, ("false positive rate", "true positive rate"))


def precision_recall_chart(curves: Sequence[Curve], prevalence: float) -> Chart:
    """Precision-recall curves as the steps that average precision sums; chance is the `prevalence`."""
    stepped = [Curve(one.stream, np.repeat(one.x, 2)[:-1], np.repeat(one.y, 2)[1:]) for one in curves]
    chance = Curve("chance", np.array([0.0, 1.0]), np.array([prevalence, prevalence]))
    return _unit_chart("pr", "Precision-recall curves", stepped, chance, ("recall", "precision"))


def curve_style(stream: str, number: int) -> str:
    """CSS classes of a stream's line, the same in curves, timelines and keys."""
    return "fused" if stream == "fused" else line_style(number)


def _unit_chart(key: str, about: str, curves: Sequence[Curve], chance: Curve, titles: tuple[str, str]) -> Chart:
    x = Axis(0, 1, LEFT, LEFT + SIDE)
    y = Axis(0, 1, TOP + SIDE, TOP)
    lines = [
        Line(path(x(at), y(values)), style, one.stream)
        for one, style in [(chance, "chance"), *((c, curve_style(c.stream, i)) for i, c in enumerate(curves))]
        for at, values in [thin(one.x, one.y)]
    ]
    return Chart(
        about=f"{about} of {', '.join(one.stream for one in curves)}",
        size=(LEFT + SIDE + RIGHT, TOP + SIDE + BELOW),
        x=x,
        y=y,
        x_ticks=x.ticks(5),
        y_ticks=y.ticks(5),
        lines=lines,
        x_title=titles[0],
        y_title=titles[1],
        style="curves",
        key=key,
    )


def histogram(one: Distribution, key: str) -> Chart:
    """Outlines of the shares of frames per score; extreme frames are in the outermost bins."""
    every = np.concatenate(list(one.scores.values()))
    low, high = widened(*(float(edge) for edge in np.percentile(every, [TAILS, 100 - TAILS])))
    edges = np.linspace(low, high, BINS + 1)
    shares = {kind: _shares(scores, edges) for kind, scores in one.scores.items() if len(scores)}
    width, height = HISTOGRAM
    x = Axis(low, high, LEFT, LEFT + width)
    y = Axis(0, 100 * max(float(share.max()) for share in shares.values()) * 1.05, TOP + height, TOP)
    lines = [Line(_outline(x, y, edges, 100 * share), STYLES[kind], kind) for kind, share in shares.items()]
    return Chart(
        about=f"Histogram of the scores of {one.stream}: {', '.join(shares)}",
        size=(LEFT + width + RIGHT, TOP + height + BELOW),
        x=x,
        y=y,
        x_ticks=x.ticks(4),
        y_ticks=y.ticks(4),
        lines=lines,
        x_title="score",
        y_title="% of frames",
        style="histogram",
        key=key,
    )


def _shares(scores: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram(scores.clip(edges[0], edges[-1]), edges)[0] / len(scores)


def _outline(x: Axis, y: Axis, edges: np.ndarray, heights: np.ndarray) -> str:
    """Path along the tops of the bins."""
    at = np.repeat(edges, 2)
    values = np.concatenate([[0.0], np.repeat(heights, 2), [0.0]])
    return path(x(at), y(values))
