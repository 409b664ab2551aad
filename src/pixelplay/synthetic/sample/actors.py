"""People and things on the plaza, normal or anomalous, and their figures in each frame."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, pi, sin

import numpy as np

from pixelplay.synthetic.sample.figures import PERSON_HEIGHT, STAND, WALK, Gait, Look, bird, leaf, person
from pixelplay.synthetic.sample.plaza import FRAME_RATE
from pixelplay.synthetic.sample.routes import Route, Step
from pixelplay.synthetic.sample.sprites import Colour, Part, Sprite

GRAVITY = 9.81  # metres per second squared


@dataclass(frozen=True, kw_only=True)
class Mover:
    """Moves along a route; anomalous, as object number `track`, from frame `first` to before `end`."""

    route: Route
    track: int = 0
    first: float = -inf
    end: float = inf

    def at(self, frame: int) -> list[Sprite]:
        """The sprites in this frame; none while it is away."""
        step = self.route.locate(frame)
        track = self.track if self.first <= frame < self.end else 0
        return [] if step is None else self.sprites(step, frame, track)

    def sprites(self, step: Step, frame: int, track: int) -> list[Sprite]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Walker(Mover):
    """A pedestrian; `rest`: where they face when they stand (+1 right, -1 left)."""

    look: Look
    gait: Gait = WALK
    rest: float = 1.0

    def sprites(self, step: Step, frame: int, track: int) -> list[Sprite]:
        if step.moving:
            phase = 2 * pi * step.walked / (self.gait.stride * self.look.height / PERSON_HEIGHT)
            parts = person(self.look, self.gait, phase, step.facing)
        else:
            parts = person(self.look, STAND, 0.25 * frame, 0.8 * self.rest)
        return [Sprite(step.x, step.z, parts, track=track)]


@dataclass(frozen=True, kw_only=True)
class Vehicle(Mover):
    """A bicycle or a cart on wheels of `radius` metres."""

    figure: Callable[[float, float], list[Part]]  # angle of the wheels, +1 to the right or -1 to the left -> parts
    radius: float

    def sprites(self, step: Step, frame: int, track: int) -> list[Sprite]:
        turn = -step.walked * step.facing / self.radius
        return [Sprite(step.x, step.z, self.figure(turn, 1.0 if step.facing > 0 else -1.0), track=track)]


@dataclass(frozen=True, kw_only=True)
class Thrower(Walker):
    """A pedestrian who stops, throws a thing straight up and catches it, again and again; both are anomalous then.

    Two tracks: the thrower's, and the next number for what is thrown.
    """

    thing: list[Part]
    flight: float  # frames from hand to hand

    def sprites(self, step: Step, frame: int, track: int) -> list[Sprite]:
        if not track:
            return super().sprites(step, frame, track)
        air = (frame - self.first) % self.flight / FRAME_RATE  # seconds since it left the hand
        whole = self.flight / FRAME_RATE
        height = 1.9 * self.look.height / PERSON_HEIGHT + 0.5 * GRAVITY * air * (whole - air)
        raised = 1.0 - 0.6 * sin(pi * air / whole)
        body = person(self.look, STAND, 0.0, 0.8 * self.rest, raised)
        x = step.x + self.rest * (0.35 + 0.25 * sin(2 * pi * air / whole))
        return [Sprite(step.x, step.z, body, track=track), Sprite(x, step.z - 0.01, self.thing, height, track + 1)]


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Stands on the ground, anomalous, from frame `first` to before `end`."""

    x: float
    z: float
    parts: list[Part]
    track: int
    first: float
    end: float

    def at(self, frame: int) -> list[Sprite]:
        here = self.first <= frame < self.end
        return [Sprite(self.x, self.z, self.parts, track=self.track)] if here else []


@dataclass(frozen=True, kw_only=True)
class Bird(Mover):
    """A pigeon that flies by at `height` metres."""

    height: float

    def sprites(self, step: Step, frame: int, track: int) -> list[Sprite]:
        return [Sprite(step.x, step.z, bird(1.9 * frame), self.height + 0.2 * sin(0.2 * frame))]


@dataclass(frozen=True, kw_only=True)
class Leaf(Mover):
    """A leaf that the wind blows over the ground."""

    colour: Colour

    def sprites(self, step: Step, frame: int, track: int) -> list[Sprite]:
        return [Sprite(step.x, step.z, leaf(0.9 * frame, self.colour), 0.05 + 0.4 * abs(sin(0.35 * frame)))]


Actor = Mover | Thing


def pick_look(rng: np.random.Generator, carries: str = "") -> Look:
    """A random person; with `carries`, an adult who carries that."""
    skin = [(150, 180, 220), (120, 155, 200), (80, 110, 160), (55, 80, 125)][rng.integers(4)]
    hair = [(30, 34, 40), (40, 60, 90), (60, 100, 150), (140, 140, 145), (24, 24, 26)][rng.integers(5)]
    child = not carries and rng.random() < 0.08
    kinds = ("nothing", "backpack", "umbrella", "pushchair", "suitcase")
    chosen = carries or ("nothing" if child else str(rng.choice(kinds, p=(0.5, 0.18, 0.12, 0.12, 0.08))))
    return Look(
        height=float(rng.uniform(1.1, 1.35) if child else rng.normal(PERSON_HEIGHT, 0.08)),
        build=float(rng.uniform(0.85, 1.25)),
        skin=skin,
        hair=hair,
        top=_cloth(rng, 40, 230),
        legs=_cloth(rng, 30, 150),
        coat=bool(rng.random() < 0.3),
        carries=chosen,
    )


def _cloth(rng: np.random.Generator, dark: int, bright: int) -> Colour:
    """A random colour, from dull to vivid."""
    level = rng.uniform(dark, bright)
    tint = rng.uniform(0.55, 1.25, 3) if rng.random() < 0.6 else np.full(3, 1.0)
    red, green, blue = np.clip(level * tint, 15, 240).astype(int).tolist()
    return red, green, blue
