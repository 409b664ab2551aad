"""Who and what can be on the plaza, normal or not: each actor says what it looks like in a given frame."""

from dataclasses import dataclass
from math import inf, pi, sin
from typing import Protocol

import numpy as np

from pixelplay.synthetic.sample.figures import Colour, Part
from pixelplay.synthetic.sample.people import PERSON_HEIGHT, STAND, WALK, Gait, Look, cyclist, person
from pixelplay.synthetic.sample.plaza import FRAME_RATE
from pixelplay.synthetic.sample.props import bird, cart, leaf
from pixelplay.synthetic.sample.routes import Route
from pixelplay.synthetic.sample.sprites import Sprite

GRAVITY = 9.81  # metres per second squared


class Actor(Protocol):
    def at(self, frame: int) -> list[Sprite]:
        """The actor's sprites in this frame; none where it is away."""


@dataclass(frozen=True)
class Odd:
    """From which frame to before which frame an actor is anomalous, and its track number."""

    track: int = 0
    first: float = -inf
    end: float = inf

    def number(self, frame: int) -> int:
        return self.track if self.first <= frame < self.end else 0


NORMAL = Odd()


@dataclass(frozen=True)
class Walker:
    """Somebody on foot; `rest` is where they face while they stand (+1 right, -1 left)."""

    look: Look
    route: Route
    gait: Gait = WALK
    rest: float = 1.0
    odd: Odd = NORMAL

    def at(self, frame: int) -> list[Sprite]:
        step = self.route.locate(frame)
        if step is None:
            return []
        if step.moving:
            phase = 2 * pi * step.walked / (self.gait.stride * self.look.height / PERSON_HEIGHT)
            parts = person(self.look, self.gait, phase, step.facing)
        else:
            parts = person(self.look, STAND, 0.25 * frame, 0.8 * self.rest)
        return [Sprite(step.x, step.z, parts, track=self.odd.number(frame))]


@dataclass(frozen=True)
class Cyclist:
    rider: Look
    route: Route
    odd: Odd

    def at(self, frame: int) -> list[Sprite]:
        step = self.route.locate(frame)
        if step is None:
            return []
        parts = cyclist(self.rider, -step.walked * step.facing / 0.7, 1.0 if step.facing > 0 else -1.0)
        return [Sprite(step.x, step.z, parts, track=self.odd.number(frame))]


@dataclass(frozen=True)
class Cart:
    colour: Colour
    route: Route
    odd: Odd

    def at(self, frame: int) -> list[Sprite]:
        step = self.route.locate(frame)
        if step is None:
            return []
        parts = cart(1.0 if step.facing > 0 else -1.0, self.colour, -step.walked * step.facing / 0.27)
        return [Sprite(step.x, step.z, parts, track=self.odd.number(frame))]


@dataclass(frozen=True)
class Thrower:
    """Somebody who stops and throws a thing straight up, again and again, and catches it; both are anomalous then.

    Two tracks: the thrower's, and the next number for what is thrown.
    """

    look: Look
    route: Route
    thing: list[Part]
    rest: float
    flight: float  # frames from hand to hand
    odd: Odd

    def at(self, frame: int) -> list[Sprite]:
        step = self.route.locate(frame)
        if step is None:
            return []
        track = self.odd.number(frame)
        if not track:
            return Walker(self.look, self.route, rest=self.rest).at(frame)
        air = (frame - self.odd.first) % self.flight / FRAME_RATE  # seconds since it left the hand
        whole = self.flight / FRAME_RATE
        height = 1.9 * self.look.height / PERSON_HEIGHT + 0.5 * GRAVITY * air * (whole - air)
        raised = 1.0 - 0.6 * sin(pi * air / whole)
        body = person(self.look, STAND, 0.0, 0.8 * self.rest, raised)
        x = step.x + self.rest * (0.35 + 0.25 * sin(2 * pi * air / whole))
        return [Sprite(step.x, step.z, body, track=track), Sprite(x, step.z - 0.01, self.thing, height, track + 1)]


@dataclass(frozen=True)
class Thing:
    """Something that stands on the ground from frame `first` to before frame `end`."""

    x: float
    z: float
    parts: list[Part]
    first: float
    end: float
    odd: Odd

    def at(self, frame: int) -> list[Sprite]:
        if not self.first <= frame < self.end:
            return []
        return [Sprite(self.x, self.z, self.parts, track=self.odd.number(frame))]


@dataclass(frozen=True)
class Bird:
    """A pigeon that flies by at `height` metres."""

    route: Route
    height: float

    def at(self, frame: int) -> list[Sprite]:
        step = self.route.locate(frame)
        if step is None:
            return []
        return [Sprite(step.x, step.z, bird(1.9 * frame), self.height + 0.2 * sin(0.2 * frame))]


@dataclass(frozen=True)
class Leaf:
    """A leaf that the wind blows over the ground."""

    route: Route
    colour: Colour

    def at(self, frame: int) -> list[Sprite]:
        step = self.route.locate(frame)
        if step is None:
            return []
        return [Sprite(step.x, step.z, leaf(0.9 * frame, self.colour), 0.05 + 0.4 * abs(sin(0.35 * frame)))]


def pick_look(rng: np.random.Generator, carries: str = "") -> Look:
    """Somebody at random; with `carries`, a grown person who carries that."""
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
    return tuple(int(c) for c in np.clip(level * tint, 15, 240))
