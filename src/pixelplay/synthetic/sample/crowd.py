"""Normal life on the plaza: people who walk the usual ways, chat, push and carry; birds; leaves."""

from dataclasses import dataclass

import numpy as np

from pixelplay.synthetic.sample.actors import Actor, Bird, Leaf, Walker, pick_look
from pixelplay.synthetic.sample.plaza import (
    DOOR_X,
    FACADE_Z,
    FAR_LANE,
    FRAME_RATE,
    LAWN,
    MIDDLE_LANE,
    NEAR_LANE,
    Camera,
    Lane,
)
from pixelplay.synthetic.sample.routes import Route, frames_for, travel

WALKING_SPEED = (0.9, 1.9)  # metres per second, strolling to brisk
MARGIN = 1.0  # metres beyond the picture's edge at which somebody appears or goes
PEOPLE_PER_MINUTE = {"near": (3, 20), "middle": (3, 20), "far": (2, 8), "door": (1, 6)}  # drawn anew for every video
GROUP_SIZES = (1, 2, 3, 4)
GROUP_SHARES = (0.55, 0.27, 0.12, 0.06)
CHAT_SHARE = 0.16  # of the groups stop on their way
CHAT_SECONDS = (2.0, 6.0)
BIRDS_PER_MINUTE = (0, 8)
LEAVES_PER_MINUTE = (0, 30)


@dataclass(frozen=True)
class Stage:
    """What a video's actors need to know: the camera, for what is in view, and the number of frames."""

    camera: Camera
    frames: int

    def edge(self, z: float) -> float:
        """How far from the axis somebody is out of view at distance `z`, metres."""
        return self.camera.half_view(z) + MARGIN


def pick_crowd(stage: Stage, rng: np.random.Generator) -> list[Actor]:
    """Everybody who passes during one normal video."""
    actors: list[Actor] = []
    for name, low_high in PEOPLE_PER_MINUTE.items():
        rate = rng.uniform(*low_high)
        lead = 20 * FRAME_RATE  # those who came before the video starts are still on their way
        groups = rng.poisson(rate * (stage.frames + lead) / (60 * FRAME_RATE))
        for _ in range(groups):
            actors += _group(_pick_points(stage, name, rng), float(rng.uniform(-lead, stage.frames)), rng)
    return actors + _birds(stage, rng) + _leaves(stage, rng)


def lane_points(stage: Stage, lane: Lane, direction: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """A way along a lane from edge to edge with a point in view in its middle; `direction` is +1 or -1."""
    z, drift = rng.uniform(lane.near, lane.far), rng.uniform(-0.3, 0.3)
    end = float(np.clip(z + drift, lane.near, lane.far))
    middle = rng.uniform(-0.6, 0.6) * stage.camera.half_view(z)
    edge = stage.edge(max(z, end))
    return [(-direction * edge, z), (middle, (z + end) / 2), (direction * edge, end)]


def _pick_points(stage: Stage, way: str, rng: np.random.Generator) -> list[tuple[float, float]]:
    if way == "near":
        return lane_points(stage, NEAR_LANE, NEAR_LANE.direction, rng)
    if way == "middle":
        return lane_points(stage, MIDDLE_LANE, MIDDLE_LANE.direction, rng)
    if way == "far":
        return lane_points(stage, FAR_LANE, int(rng.choice((-1, 1))), rng)
    z = rng.uniform(MIDDLE_LANE.near + 0.5, MIDDLE_LANE.far)
    x = DOOR_X + rng.uniform(-0.6, 0.6)
    edge = MIDDLE_LANE.direction * stage.edge(z)
    if rng.random() < 0.5:  # out of the door and on along the middle lane, or along it and in
        return [(DOOR_X, FACADE_Z - 0.1), (x, LAWN[0] - 0.2), (x - 1.0, z), (edge, z)]
    return [(-edge, z), (x + 1.0, z), (x, LAWN[0] - 0.2), (DOOR_X, FACADE_Z - 0.1)]


def _group(points: list[tuple[float, float]], start: float, rng: np.random.Generator) -> list[Actor]:
    """People who walk one way side by side; some groups stop for a chat."""
    size = int(rng.choice(GROUP_SIZES, p=GROUP_SHARES))
    stop = None
    if rng.random() < CHAT_SHARE:
        stop = (1, float(rng.uniform(*CHAT_SECONDS)) * FRAME_RATE)
    route = travel(points, float(rng.uniform(*WALKING_SPEED)), start, stop)
    facing = int(rng.choice((-1, 1)))
    return [
        Walker(pick_look(rng), _beside(route, member, rng), rest=facing * (1 if member % 2 else -1))
        for member in range(size)
    ]


def _beside(route: Route, member: int, rng: np.random.Generator) -> Route:
    x = member * 0.55 + rng.uniform(-0.1, 0.1)
    return route.shifted(x, (member % 2) * 0.45 + rng.uniform(-0.1, 0.1)) if member else route


def _birds(stage: Stage, rng: np.random.Generator) -> list[Actor]:
    count = rng.poisson(rng.uniform(*BIRDS_PER_MINUTE) * stage.frames / (60 * FRAME_RATE))
    birds: list[Actor] = []
    for _ in range(count):
        z, side = rng.uniform(7, 18), int(rng.choice((-1, 1)))
        points = [(-side * stage.edge(z), z), (side * stage.edge(z), z)]
        start, flock = float(rng.uniform(-20, stage.frames)), int(rng.integers(1, 4))
        route = travel(points, float(rng.uniform(6, 10)), start)
        birds += [Bird(route.shifted(0.7 * i, 0.3 * i), float(rng.uniform(1.5, 5))) for i in range(flock)]
    return birds


def _leaves(stage: Stage, rng: np.random.Generator) -> list[Actor]:
    count = rng.poisson(rng.uniform(*LEAVES_PER_MINUTE) * stage.frames / (60 * FRAME_RATE))
    leaves: list[Actor] = []
    for _ in range(count):
        z = rng.uniform(5.5, 14)
        colour = [(40, 110, 170), (40, 80, 130), (60, 150, 190)][rng.integers(3)]
        points = [(-stage.edge(z), z), (stage.edge(z), z + rng.uniform(-0.5, 0.5))]
        start = float(rng.uniform(-frames_for(2 * stage.edge(z), 3.0), stage.frames))
        leaves.append(Leaf(travel(points, float(rng.uniform(2, 4)), start), colour))
    return leaves
