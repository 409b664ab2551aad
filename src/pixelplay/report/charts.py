"""Geometry of the report's charts: from arrays to the ticks, paths and boxes of SVGs (see templates/charts.html).

Colours are CSS classes, so that charts follow the page's light, dark and print styles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy import ndimage

COLORS = 6  # classes s0 to s5 of the page's palette; further lines are dashed
POINTS = 1000  # of a line, at most: a pixel or so each
GAP = 0.02  # share of the horizontal axis: lines are broken at wider gaps
LABEL_HEIGHT = 12.0  # pixels between the labels at the ends of two lines


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
    whole: bool = False  # ticks at whole numbers only

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        share = (np.asarray(values, np.float64) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[Tick]:
        """At most about `count` round values on the axis, with their pixels."""
        locator = MaxNLocator(count, steps=[1, 2, 5, 10], integer=self.whole)
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
    label_at: float | None = None  # vertical pixel of the label at the line's end; None for no label
    axis: Axis | None = None  # its own vertical axis, if it is not the chart's


@dataclass(frozen=True)
class Block:
    """A stretch of the horizontal axis."""

    start: float
    width: float
    title: str  # its tooltip


@dataclass(frozen=True)
class Strip:
    """A row of blocks below the plot."""

    style: str
    label: str
    top: float
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Marker:
    """A number in a circle on a line, with a link."""

    x: float
    y: float
    text: str
    href: str
    title: str


@dataclass(frozen=True)
class Chart:
    """One SVG, in pixels of its view box; the page scales it."""

    about: str  # for screen readers
    size: tuple[float, float]
    x: Axis
    y: Axis
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line]
    x_title: str = ""
    y_title: str = ""
    shaded: Sequence[Block] = ()
    strips: Sequence[Strip] = ()
    markers: Sequence[Marker] = ()
    style: str = ""
    key: str = ""  # unique on the page: ids inside the SVG start with it


def line_style(number: int) -> str:
    """CSS classes of the `number`-th line, from 0: colours first, then the same ones dashed."""
    return f"s{number % COLORS}" + (" dashed" if number >= COLORS else "")


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


def path(x: np.ndarray, y: np.ndarray, breaks: np.ndarray | None = None) -> str:
    """SVG path through pixels x, y (N,), rounded to a tenth; broken before each position in `breaks`."""
    lifted = {0} if breaks is None else {0, *breaks.tolist()}
    pixels = zip(np.round(x, 1).tolist(), np.round(y, 1).tolist(), strict=True)
    return "".join(f"{'M' if i in lifted else 'L'}{a:g} {b:g}" for i, (a, b) in enumerate(pixels))


def curve(x: Axis, y: Axis, at: np.ndarray, values: np.ndarray, points: int = POINTS) -> str:
    """Path of `values` (N,) over `at` (N,), thinned and broken at gaps."""
    at, values = thin(at, values, points)
    steps = np.diff(at)
    typical = float(np.median(steps)) if len(steps) else 0.0
    breaks = np.flatnonzero(steps > max(GAP * (x.high - x.low), 3 * typical)) + 1
    return path(x(at), y(values), breaks)


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of each run of True in `mask`, bool (T,)."""
    if not mask.any():
        return []
    return [(found.start, found.stop) for (found,) in ndimage.find_objects(ndimage.label(mask)[0])]


def blocks(x: Axis, numbers: np.ndarray, mask: np.ndarray, what: str) -> list[Block]:
    """A block for each run of True in `mask` (T,) over frame numbers (T,), half a frame wider on both sides."""
    found = []
    for start, stop in runs(mask):
        first, last = int(numbers[start]), int(numbers[stop - 1])
        left, right = x(np.array([first - 0.5, last + 0.5])).clip(x.start, x.end).tolist()
        frames = f"frame {first}" if first == last else f"frames {first} to {last}"
        found.append(Block(round(left, 1), round(max(right - left, 1.0), 1), f"{what}: {frames}"))
    return found


def spread(wanted: Sequence[float], low: float, high: float, gap: float = LABEL_HEIGHT) -> list[float]:
    """Positions close to the `wanted` ones, in the same order and at least `gap` apart, from `low` on.

    They end at `high` if there is room for all.
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    places, floor = [0.0] * len(wanted), low
    for i in order:
        places[i] = max(wanted[i], floor)
        floor = places[i] + gap
    ceiling = max(high, low + gap * (len(places) - 1))
    for i in reversed(order):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - gap
    return [round(place, 1) for place in places]


def widened(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis that differ even if all values are the same."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)
