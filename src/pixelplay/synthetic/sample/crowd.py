"""Who is on the plaza: actors, and the normal life of people who walk, chat, push and carry, of birds and leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import cos, inf, pi, sin

import numpy as np

from pixelplay.synthetic.sample import plaza
from pixelplay.synthetic.sample.figures import PERSON_HEIGHT, STAND, WALK, Gait, Look, person
from pixelplay.synthetic.sample.plaza import FRAME_RATE, Camera, Lane, Points, Route, Step, travel
from pixelplay.synthetic.sample.sprites import Colour, Part, Sprite

WALKING_SPEED = (0.9, 1.9)  # metres per second, strolling to brisk
MARGIN = 1.0  # metres beyond the edge of the image at which people appear and disappear
PEOPLE_PER_MINUTE = {"near": (3, 20), "middle": (3, 20), "far": (2, 8), "door": (1, 6)}  # drawn for each video
GROUP_SIZES = (1, 2, 3, 4)
GROUP_SHARES = (0.55, 0.27, 0.12, 0.06)
CHAT_SHARE = 0.16  # of the groups stop on their way
CHAT_SECONDS = (2.0, 6.0)
BIRDS_PER_MINUTE = (0, 8)
LEAVES_PER_MINUTE = (0, 30)


@dataclass(frozen=True, eq=False)
class Actor:
    """Moves along a route; anomalous, as object number `track`, from frame `first` to before `end`."""

    route: Route
    figure: Callable[[Step, int, int], list[Sprite]]  # place, frame, number of the anomalous object or 0 -> sprites
    track: int = 0
    first: float = -inf
    end: float = inf

    def at(self, frame: int) -> list[Sprite]:
        """The sprites in this frame; none while it is away."""
        step = self.route.locate(frame)
        track = self.track if self.first <= frame < self.end else 0
        return [] if step is None else self.figure(step, frame, track)


def pedestrian(look: Look, gait: Gait, rest: float, step: Step, frame: int, track: int) -> list[Sprite]:
    """`rest`: where they face when they stand (+1 right, -1 left)."""
    if step.moving:
        phase = 2 * pi * step.walked / (gait.stride * look.height / PERSON_HEIGHT)
        parts = person(look, gait, phase, step.facing)
    else:
        parts = person(look, STAND, 0.25 * frame, 0.8 * rest)
    return [Sprite(step.x, step.z, parts, track=track)]


def _pigeon(height: float, step: Step, frame: int, track: int) -> list[Sprite]:
    tip = 0.22 * sin(1.9 * frame)
    wings = Part([(-0.28, tip), (0, 0), (0.28, tip)], 0.09, (92, 88, 84))
    body = Part([(-0.12, -0.02), (0.12, 0)], 0.12, (70, 66, 64))
    return [Sprite(step.x, step.z, [wings, body], height + 0.2 * sin(0.2 * frame))]


def _blown_leaf(colour: Colour, step: Step, frame: int, track: int) -> list[Sprite]:
    tip = (0.09 * cos(0.9 * frame), 0.05 * sin(0.9 * frame))
    blade = Part([(-tip[0], -tip[1]), tip], 0.08, colour)
    return [Sprite(step.x, step.z, [blade], 0.05 + 0.4 * abs(sin(0.35 * frame)))]


@dataclass(frozen=True)
class Stage:
    """The camera and the number of frames of a video."""

    camera: Camera
    frames: int

    def edge(self, z: float) -> float:
        """Distance from the axis at which people are out of view at distance `z`, metres."""
        return self.camera.half_view(z) + MARGIN


def pick_crowd(stage: Stage, rng: np.random.Generator) -> list[Actor]:
    """The people, birds and leaves of a normal video."""
    actors: list[Actor] = []
    lead = 20 * FRAME_RATE  # people who came before the video starts are still on their way
    for name, per_minute in PEOPLE_PER_MINUTE.items():
        for _ in range(_count(per_minute, stage.frames + lead, rng)):
            actors += _group(_pick_points(stage, name, rng), float(rng.uniform(-lead, stage.frames)), rng)
    for _ in range(_count(BIRDS_PER_MINUTE, stage.frames, rng)):
        actors += _flock(stage, rng)
    leaves = _count(LEAVES_PER_MINUTE, stage.frames, rng)
    return actors + [_leaf(stage, rng) for _ in range(leaves)]


def _count(per_minute: tuple[float, float], frames: float, rng: np.random.Generator) -> int:
    """A Poisson count for so many frames, at a random rate."""
    return rng.poisson(rng.uniform(*per_minute) * frames / (60 * FRAME_RATE))


def lane_points(stage: Stage, lane: Lane, direction: int, rng: np.random.Generator) -> Points:
    """Waypoints along a lane: edge, a visible point, other edge; `direction` is +1 or -1."""
    z, drift = rng.uniform(lane.near, lane.far), rng.uniform(-0.3, 0.3)
    end = float(np.clip(z + drift, lane.near, lane.far))
    middle = rng.uniform(-0.6, 0.6) * stage.camera.half_view(z)
    edge = stage.edge(max(z, end))
    return [(-direction * edge, z), (middle, (z + end) / 2), (direction * edge, end)]


def _pick_points(stage: Stage, way: str, rng: np.random.Generator) -> Points:
    if way in plaza.LANES:
        return lane_points(stage, plaza.LANES[way], plaza.LANES[way].direction or int(rng.choice((-1, 1))), rng)
    z = rng.uniform(plaza.MIDDLE_LANE.near + 0.5, plaza.MIDDLE_LANE.far)
    x = plaza.DOOR_X + rng.uniform(-0.6, 0.6)
    edge = plaza.MIDDLE_LANE.direction * stage.edge(z)
    if rng.random() < 0.5:  # out of the door and on along the middle lane, or along it and in
        return [(plaza.DOOR_X, plaza.FACADE_Z - 0.1), (x, plaza.LAWN[0] - 0.2), (x - 1.0, z), (edge, z)]
    return [(-edge, z), (x + 1.0, z), (x, plaza.LAWN[0] - 0.2), (plaza.DOOR_X, plaza.FACADE_Z - 0.1)]


def _group(points: Points, start: float, rng: np.random.Generator) -> list[Actor]:
    """People who walk side by side; some groups stop for a chat."""
    size = int(rng.choice(GROUP_SIZES, p=GROUP_SHARES))
    stop = (1, float(rng.uniform(*CHAT_SECONDS)) * FRAME_RATE) if rng.random() < CHAT_SHARE else None
    route = travel(points, float(rng.uniform(*WALKING_SPEED)), start, stop)
    facing = int(rng.choice((-1, 1)))
    actors = []
    for member in range(size):
        figure = partial(pedestrian, Look(rng), WALK, facing * (1 if member % 2 else -1))
        x = member * 0.55 + rng.uniform(-0.1, 0.1)
        beside = route.shifted(x, (member % 2) * 0.45 + rng.uniform(-0.1, 0.1)) if member else route
        actors.append(Actor(beside, figure))
    return actors


def _flock(stage: Stage, rng: np.random.Generator) -> list[Actor]:
    """Up to three birds."""
    z, side = rng.uniform(7, 18), int(rng.choice((-1, 1)))
    points = [(-side * stage.edge(z), z), (side * stage.edge(z), z)]
    start, flock = float(rng.uniform(-20, stage.frames)), int(rng.integers(1, 4))
    route = travel(points, float(rng.uniform(6, 10)), start)
    return [Actor(route.shifted(0.7 * i, 0.3 * i), partial(_pigeon, float(rng.uniform(1.5, 5)))) for i in range(flock)]


def _leaf(stage: Stage, rng: np.random.Generator) -> Actor:
    z = rng.uniform(5.5, 14)
    colour = [(40, 110, 170), (40, 80, 130), (60, 150, 190)][rng.integers(3)]
    edge = stage.edge(z)
    points = [(-edge, z), (edge, z + rng.uniform(-0.5, 0.5))]
    start = float(rng.uniform(-2 * edge / 3.0 * FRAME_RATE, stage.frames))
    return Actor(travel(points, float(rng.uniform(2, 4)), start), partial(_blown_leaf, colour))
