"""What figures are made of: a figure is a list of parts, painted in this order, in its own upright plane.

Metres throughout: `u` to the right, `v` up, the origin on the ground below the figure.
"""

from typing import NamedTuple

Point = tuple[float, float]
Colour = tuple[int, int, int]  # blue, green, red

DARK = (36, 36, 38)


class Part(NamedTuple):
    """A stroke along `points` of `width` metres with round ends, or a filled polygon where `width` is 0."""

    points: list[Point]
    width: float
    colour: Colour


def disc(u: float, v: float, diameter: float, colour: Colour) -> Part:
    """A filled circle."""
    return Part([(u, v), (u, v)], diameter, colour)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, `factor` times as bright, clipped to 0..255."""
    return tuple(int(min(255, max(0, c * factor))) for c in colour)
