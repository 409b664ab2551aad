"""Geometry of the report's curves and histograms: from arrays to the ticks and paths of SVGs (templates/charts.html).

Colours are CSS classes, so that charts follow the page's light, dark and print styles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy import ndimage

COLORS = 6  # classes s0 to s5 of the page's palette
DASHES = ("", " dashed", " dotted")  # of the first lines in these colours, and of further ones
POINTS = 1000  # of a line, at most: a pixel or so each


class Tick(NamedTuple):
    at: float  # pixels
    text: str


@dataclass(frozen=True)
class Axis:
    """Maps values in [low, high] to pixels in [start, end] (a vertical axis starts at its bottom)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        share = (np.asarray(values, np.float64) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[Tick]:
        """At most about `count` round values on the axis, with their pixels."""
        locator = MaxNLocator(count, steps=[1, 2, 5, 10])
        values = np.asarray(locator.tick_values(self.low, self.high))
        margin = 1e-9 * (self.high - self.low)
        inside = values[(values >= self.low - margin) & (values <= self.high + margin)]
        step = float(np.diff(values).min()) if len(values) > 1 else 1.0
        digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
        return [Tick(float(self(value)), f"{0.0 + round(float(value), digits):,.{digits}f}") for value in inside]


@dataclass(frozen=True)
class Line:
    path: str  # of an SVG path
    style: str  # CSS classes
    label: str


@dataclass(frozen=True)
class Chart:
    """One SVG, in pixels of its view box; the page scales it."""

    about: str  # for screen readers
    style: str  # CSS class
    key: str  # unique on the page: ids inside the SVG start with it
    x: Axis
    y: Axis
    titles: tuple[str, str]  # of these
    ticks: int  # on each, at most about so many
    lines: Sequence[Line]


def line_style(number: int) -> str:
    """CSS classes of the `number`-th line, from 0: colours first, then the same ones dashed, then dotted."""
    return f"s{number % COLORS}{DASHES[number // COLORS % len(DASHES)]}"


def thin(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most `points` of the points (N,) of a line: the first, lowest, highest and last of equal stretches.

    No peak is lost.
    """
    if len(x) <= points:
        return x, y
    edges = np.linspace(0, len(x), max(points // 4, 1) + 1).astype(int)
    chosen = [[a, a + int(y[a:b].argmin()), a + int(y[a:b].argmax()), b - 1] for a, b in pairwise(edges)]
    at = np.unique(np.concatenate(chosen))
    return x[at], y[at]


def path(x: np.ndarray, y: np.ndarray) -> str:
    """SVG path through pixels x, y (N,), rounded to a tenth."""
    pixels = zip(np.round(x, 1).tolist(), np.round(y, 1).tolist(), strict=True)
    return "".join(f"{'L' if i else 'M'}{a:g} {b:g}" for i, (a, b) in enumerate(pixels))


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of each run of True in `mask`, bool (T,)."""
    if not mask.any():
        return []
    return [(found.start, found.stop) for (found,) in ndimage.find_objects(ndimage.label(mask)[0])]


def widened(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis that differ even if all values are the same."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)
