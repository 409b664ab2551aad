"""Things of the plaza: pushchair, bag, cart, ball, bird and leaf."""

from math import cos, sin

from pixelplay.synthetic.sample.sprites import DARK, Colour, Part, Point, disc, shade


def pushchair(f: float, colour: Colour) -> list[Part]:
    """A pushchair in front of a person who faces to the side of `f` (+1 or -1)."""
    hood = [(0.55 * f, 0.5), (1.15 * f, 0.5), (1.05 * f, 0.75), (0.75 * f, 1.05), (0.55 * f, 0.95)]
    return [
        Part([(0.3 * f, 1.0), (0.6 * f, 0.55), (1.1 * f, 0.15)], 0.04, DARK),
        Part(hood, 0, shade(colour, 1.2)),
        disc(0.6 * f, 0.13, 0.24, DARK),
        disc(1.1 * f, 0.1, 0.18, DARK),
    ]


def duffel() -> list[Part]:
    """A bright travelling bag that stands on the ground."""
    return [
        Part([(-0.14, 0.42), (0, 0.52), (0.14, 0.42)], 0.05, DARK),
        Part([(-0.22, 0.19), (0.22, 0.19)], 0.36, (40, 60, 190)),
        Part([(-0.12, 0.05), (-0.12, 0.36)], 0.05, (30, 40, 120)),
        Part([(0.12, 0.05), (0.12, 0.36)], 0.05, (30, 40, 120)),
    ]


def cart(colour: Colour, turn: float, f: float) -> list[Part]:
    """A small utility cart with a cab and a load bed, 2.5 m long; `turn` and `f` as for `cyclist`."""

    def mirror(points: list[Point]) -> list[Point]:
        return [(f * u, v) for u, v in points]

    parts = [
        Part(mirror([(-1.25, 0.35), (1.25, 0.35), (1.25, 0.85), (-1.25, 0.95)]), 0, colour),
        Part(mirror([(-0.05, 0.85), (1.2, 0.85), (0.85, 1.75), (-0.05, 1.75)]), 0, (78, 70, 62)),
        disc(f * 0.35, 1.32, 0.24, (120, 150, 190)),
        Part(mirror([(-0.05, 0.9), (-0.05, 1.78), (0.9, 1.78), (1.22, 0.85)]), 0.09, shade(colour, 1.15)),
        Part(mirror([(-1.2, 0.95), (-0.15, 0.95), (-0.2, 1.25), (-1.1, 1.25)]), 0, (70, 96, 110)),
        Part(mirror([(-1.25, 0.42), (1.25, 0.42)]), 0.1, shade(colour, 0.6)),
        disc(f * 1.2, 0.65, 0.14, (200, 235, 240)),
    ]
    for hub in (-0.8, 0.8):
        rim = [(f * hub + 0.12 * s * cos(turn), 0.28 + 0.12 * s * sin(turn)) for s in (-1, 1)]
        parts += [disc(f * hub, 0.28, 0.54, DARK), Part(rim, 0.08, (170, 170, 170))]
    return parts


def ball(diameter: float, colour: Colour) -> list[Part]:
    """A thrown thing, round, that is centred on the origin."""
    return [disc(0, 0, diameter, colour), disc(-0.06 * diameter, 0.1 * diameter, 0.6 * diameter, shade(colour, 1.2))]


def bird(flap: float) -> list[Part]:
    """A pigeon on the wing; `flap` is the wings' phase in radians."""
    tip = 0.22 * sin(flap)
    return [
        Part([(-0.28, tip), (0, 0), (0.28, tip)], 0.09, (92, 88, 84)),
        Part([(-0.12, -0.02), (0.12, 0)], 0.12, (70, 66, 64)),
    ]


def leaf(turn: float, colour: Colour) -> list[Part]:
    """A leaf that the wind turns over."""
    return [Part([(-0.09 * cos(turn), -0.05 * sin(turn)), (0.09 * cos(turn), 0.05 * sin(turn))], 0.08, colour)]
