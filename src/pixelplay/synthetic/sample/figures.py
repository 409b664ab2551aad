"""Figures: people who walk, run, stand, cycle and throw, what they carry, and other things of the plaza."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin, sqrt

import numpy as np

from pixelplay.synthetic.sample.sprites import DARK, Colour, Part, Point, disc, shade

# Proportions of a grown person of 1.72 m, in metres.
PERSON_HEIGHT = 1.72
THIGH, SHIN, HIP, SHOULDER, HEAD = 0.44, 0.46, 0.88, 1.42, 1.61
UPPER_ARM, FOREARM = 0.30, 0.30


class Look:
    """What a person wears, carries and pushes, drawn at random; with `carries`, an adult who carries that."""

    def __init__(self, rng: np.random.Generator, carries: str = ""):
        self.skin = [(150, 180, 220), (120, 155, 200), (80, 110, 160), (55, 80, 125)][rng.integers(4)]
        self.hair = [(30, 34, 40), (40, 60, 90), (60, 100, 150), (140, 140, 145), (24, 24, 26)][rng.integers(5)]
        child = not carries and rng.random() < 0.08
        kinds = ("nothing", "backpack", "umbrella", "pushchair", "suitcase")
        shares = (0.5, 0.18, 0.12, 0.12, 0.08)
        self.carries = carries or ("nothing" if child else str(rng.choice(kinds, p=shares)))
        self.height = float(rng.uniform(1.1, 1.35) if child else rng.normal(PERSON_HEIGHT, 0.08))  # metres
        self.build = float(rng.uniform(0.85, 1.25))  # width of the body, 1 is average
        self.top, self.legs = _cloth(rng, 40, 230), _cloth(rng, 30, 150)
        self.coat = bool(rng.random() < 0.3)


def _cloth(rng: np.random.Generator, dark: int, bright: int) -> Colour:
    """A random colour, from dull to vivid."""
    level = rng.uniform(dark, bright)
    tint = rng.uniform(0.55, 1.25, 3) if rng.random() < 0.6 else np.full(3, 1.0)
    red, green, blue = np.clip(level * tint, 15, 240).astype(int).tolist()
    return red, green, blue


@dataclass(frozen=True)
class Gait:
    """How far limbs swing; angles in radians, `stride` is metres per cycle of both legs."""

    stride: float
    leg_swing: float
    knee: float
    arm_swing: float
    elbow: float
    lean: float


WALK = Gait(stride=1.45, leg_swing=0.46, knee=0.65, arm_swing=0.5, elbow=0.25, lean=0.03)
RUN = Gait(stride=2.7, leg_swing=0.85, knee=1.5, arm_swing=0.9, elbow=1.5, lean=0.24)
STAND = Gait(stride=1.0, leg_swing=0.06, knee=0.0, arm_swing=0.05, elbow=0.2, lean=0.0)

DUFFEL = [  # a bright travelling bag that stands on the ground
    Part([(-0.14, 0.42), (0, 0.52), (0.14, 0.42)], 0.05, DARK),
    Part([(-0.22, 0.19), (0.22, 0.19)], 0.36, (40, 60, 190)),
    Part([(-0.12, 0.05), (-0.12, 0.36)], 0.05, (30, 40, 120)),
    Part([(0.12, 0.05), (0.12, 0.36)], 0.05, (30, 40, 120)),
]


def mirrored(f: float, *points: Point) -> list[Point]:
    """Points of a thing that faces to the right; `f`: +1, or -1 where it faces to the left."""
    return [(f * u, v) for u, v in points]


def person(look: Look, gait: Gait, phase: float, facing: float, raised: float = 0.0) -> list[Part]:
    """A person in mid-step.

    `phase`: radians of the leg cycle. `facing`: cosine of the heading, from -1 (to the left) over 0 (away from or
    towards the camera) to 1. `raised`: 0 for arms that hang or swing, 1 for arms held up.
    """
    k = look.height / PERSON_HEIGHT
    side = sqrt(max(0.0, 1 - facing * facing))  # how much of the body's breadth shows
    feet = [_leg(gait, phase + shift) for shift in (0.0, pi)]
    drop = min(min(v for _, v in leg) for leg in feet)  # the lower foot touches the ground
    spread = 0.09 * side

    def place(points: list[Point], aside: float = 0.0) -> list[Point]:
        return [((u * facing + aside) * k, (v - drop) * k) for u, v in points]

    lean = (SHOULDER - HIP) * sin(gait.lean)
    arms = [_arm(gait, phase + shift, lean, raised) for shift in (pi, 0.0)]
    breadth = (0.27 + 0.15 * side) * look.build
    dark = shade(look.legs, 0.72)
    return [
        Part(place(arms[1], -0.8 * breadth * side), 0.1 * k, shade(look.top, 0.7)),
        Part(place(feet[1], -spread), 0.135 * k, dark),
        _shoe(place([feet[1][-1]], -spread)[0], facing, k),
        Part(place(feet[0], spread), 0.14 * k, look.legs),
        _shoe(place([feet[0][-1]], spread)[0], facing, k),
        *_torso(look, place, lean, breadth * k),
        Part(place([(lean, SHOULDER + 0.05), (lean * 1.2, HEAD)]), 0.11 * k, shade(look.skin, 0.85)),
        disc(*place([(lean * 1.3 - 0.03, HEAD + 0.03)])[0], 0.235 * k, look.hair),
        disc(*place([(lean * 1.3 + 0.035, HEAD - 0.02)])[0], 0.185 * k, look.skin),
        Part(place(arms[0], 0.8 * breadth * side), 0.1 * k, shade(look.top, 0.88)),
        disc(*place([arms[0][-1]], 0.8 * breadth * side)[0], 0.1 * k, look.skin),
        *_carried(look, facing, phase),
    ]


def cyclist(rider: Look, turn: float, f: float) -> list[Part]:
    """A rider on a bicycle; `turn` is the wheels' angle in radians, `f` +1 to the right, -1 to the left."""
    parts = []
    for hub in (-0.52, 0.52):
        ring = [(f * hub + 0.33 * cos(a * pi / 10), 0.34 + 0.33 * sin(a * pi / 10)) for a in range(21)]
        spoke = [(f * hub + 0.3 * s * cos(turn), 0.34 + 0.3 * s * sin(turn)) for s in (-1, 1)]
        parts += [Part(ring, 0.075, DARK), Part(spoke, 0.03, (120, 120, 120))]
    frame = mirrored(f, (-0.52, 0.34), (-0.15, 0.85), (0.4, 0.8), (-0.02, 0.32), (-0.15, 0.85))
    fork = mirrored(f, (0.52, 0.34), (0.4, 0.98), (0.5, 1.02))
    parts += [Part(frame, 0.06, (40, 50, 170)), Part(fork, 0.06, (60, 60, 70))]
    for shift in (pi, 0.0):
        foot = (-0.02 + 0.17 * cos(turn + shift), 0.32 - 0.17 * sin(turn + shift))
        knee = (0.28 + 0.08 * cos(turn + shift), 0.72 - 0.1 * sin(turn + shift))
        colour = shade(rider.legs, 0.8) if shift else rider.legs
        parts.append(Part(mirrored(f, (-0.16, 0.97), knee, foot), 0.14, colour))
    return [
        *parts,
        Part(mirrored(f, (-0.14, 1.0), (0.12, 1.42)), 0.3, rider.top),
        Part(mirrored(f, (0.14, 1.42), (0.34, 1.16), (0.48, 1.04)), 0.1, shade(rider.top, 0.85)),
        disc(f * 0.22, 1.66, 0.24, rider.hair),
        disc(f * 0.25, 1.63, 0.19, rider.skin),
    ]


def _torso(look: Look, place: Callable[..., list[Point]], lean: float, breadth: float) -> list[Part]:
    parts = [
        Part(place([(0, HIP + 0.02), (lean, SHOULDER - 0.1)]), breadth, look.top),
        Part(place([(-0.05, HIP + 0.1), (lean - 0.05, SHOULDER - 0.12)]), 0.35 * breadth, shade(look.top, 0.82)),
    ]
    if not look.coat:
        return parts
    (left, low), (right, _), (_, high) = place([(-0.02, 0.5), (0.02, 0.5), (0, HIP + 0.15)])
    middle, hem, top = (left + right) / 2, 0.62 * breadth, 0.5 * breadth
    coat = [(middle - hem, low), (middle + hem, low), (middle + top, high), (middle - top, high)]
    return [Part(coat, 0, shade(look.top, 0.9)), *parts]


def _leg(gait: Gait, phase: float) -> list[Point]:
    """Hip, knee and ankle; the knee bends while the leg swings forward."""
    thigh = gait.leg_swing * sin(phase) + 0.3 * gait.lean
    shin = thigh - 0.08 - gait.knee * max(0.0, cos(phase))
    knee = (THIGH * sin(thigh), HIP - THIGH * cos(thigh))
    return [(0.0, HIP), knee, (knee[0] + SHIN * sin(shin), knee[1] - SHIN * cos(shin))]


def _arm(gait: Gait, phase: float, lean: float, raised: float) -> list[Point]:
    """Shoulder, elbow and hand."""
    upper = gait.arm_swing * sin(phase) * (1 - raised) + 2.3 * raised
    lower = upper + gait.elbow * (1 - raised) + 0.5 * raised
    shoulder = (lean, SHOULDER - 0.03)
    elbow = (shoulder[0] + UPPER_ARM * sin(upper), shoulder[1] - UPPER_ARM * cos(upper))
    return [shoulder, elbow, (elbow[0] + FOREARM * sin(lower), elbow[1] - FOREARM * cos(lower))]


def _shoe(ankle: Point, facing: float, k: float) -> Part:
    return Part([ankle, (ankle[0] + 0.14 * facing * k, ankle[1] - 0.01)], 0.09 * k, (40, 40, 46))


def _carried(look: Look, facing: float, phase: float) -> list[Part]:
    f = 1.0 if facing >= 0 else -1.0
    sway = 0.02 * sin(2 * phase)
    match look.carries:
        case "backpack":
            return [Part([(-0.2 * facing, 1.02), (-0.2 * facing, 1.28)], 0.24, shade(look.legs, 1.3))]
        case "umbrella":
            dome = [(0.6 * cos(a * pi / 8) + 0.1 * f, 1.88 + 0.34 * sin(a * pi / 8) + sway) for a in range(9)]
            return [Part(mirrored(f, (0.15, 1.1), (0.1, 2.0)), 0.03, DARK), Part(dome, 0, shade(look.top, 0.6))]
        case "pushchair":
            hood = mirrored(f, (0.55, 0.5), (1.15, 0.5), (1.05, 0.75), (0.75, 1.05), (0.55, 0.95))
            rod = Part(mirrored(f, (0.3, 1.0), (0.6, 0.55), (1.1, 0.15)), 0.04, DARK)
            wheels = [disc(0.6 * f, 0.13, 0.24, DARK), disc(1.1 * f, 0.1, 0.18, DARK)]
            return [rod, Part(hood, 0, shade(look.legs, 1.2)), *wheels]
        case "suitcase":
            box = mirrored(f, (-0.75, 0.08), (-0.45, 0.08), (-0.42, 0.66), (-0.72, 0.66))
            return [Part(mirrored(f, (-0.5, 0.6), (-0.2, 0.9)), 0.03, DARK), Part(box, 0, shade(look.legs, 1.25))]
    return []


def cart(colour: Colour, turn: float, f: float) -> list[Part]:
    """A small utility cart with a cab and a load bed, 2.5 m long; `turn` and `f` as for `cyclist`."""
    parts = [
        Part(mirrored(f, (-1.25, 0.35), (1.25, 0.35), (1.25, 0.85), (-1.25, 0.95)), 0, colour),
        Part(mirrored(f, (-0.05, 0.85), (1.2, 0.85), (0.85, 1.75), (-0.05, 1.75)), 0, (78, 70, 62)),
        disc(f * 0.35, 1.32, 0.24, (120, 150, 190)),
        Part(mirrored(f, (-0.05, 0.9), (-0.05, 1.78), (0.9, 1.78), (1.22, 0.85)), 0.09, shade(colour, 1.15)),
        Part(mirrored(f, (-1.2, 0.95), (-0.15, 0.95), (-0.2, 1.25), (-1.1, 1.25)), 0, (70, 96, 110)),
        Part(mirrored(f, (-1.25, 0.42), (1.25, 0.42)), 0.1, shade(colour, 0.6)),
        disc(f * 1.2, 0.65, 0.14, (200, 235, 240)),
    ]
    for hub in (-0.8, 0.8):
        rim = [(f * hub + 0.12 * s * cos(turn), 0.28 + 0.12 * s * sin(turn)) for s in (-1, 1)]
        parts += [disc(f * hub, 0.28, 0.54, DARK), Part(rim, 0.08, (170, 170, 170))]
    return parts


def ball(diameter: float, colour: Colour) -> list[Part]:
    """A thrown thing, round, that is centred on the origin."""
    return [disc(0, 0, diameter, colour), disc(-0.06 * diameter, 0.1 * diameter, 0.6 * diameter, shade(colour, 1.2))]
