"""The seven kinds of anomaly: to run, cycle, drive, throw, walk the wrong way, cross the lawn, loiter with a bag."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import pi, sin

import numpy as np

from pixelplay.synthetic.sample import figures, plaza
from pixelplay.synthetic.sample.crowd import Actor, Stage, lane_points, pedestrian
from pixelplay.synthetic.sample.figures import Look
from pixelplay.synthetic.sample.plaza import FRAME_RATE, Lane, Points, Route, Step, travel
from pixelplay.synthetic.sample.sprites import Part, Sprite

TRACKS_PER_EVENT = 2  # the person, and a thing of theirs

RUNNING_SPEED = (3.6, 4.8)  # metres per second, as those below
CYCLING_SPEED = (3.8, 5.0)
DRIVING_SPEED = (2.6, 3.6)
WALKING_SPEED = (1.2, 1.6)
THROWING_SECONDS = (3.5, 5.0)
THROW_SECONDS = (0.9, 1.2)  # from hand to hand: 1.0 to 1.8 m high
LOITERING_TURNS = (3, 6)  # to and fro, of 1.6 m each
GRAVITY = 9.81  # metres per second squared


@dataclass(frozen=True)
class Slot:
    """When an event happens: it begins at `frame` if `entering`, else it ends before `frame`."""

    frame: int
    entering: bool
    track: int  # the first of its track numbers


def pick_slots(frames: int, events: int, rng: np.random.Generator) -> list[Slot]:
    """Times of one or two events that leave normal frames before, after or between them."""
    if events == 1:
        share, entering = rng.uniform(0.3, 0.44), bool(rng.random() < 0.5)
        return [Slot(int((1 - share if entering else share) * frames), entering, 1)]
    early, late = int(rng.uniform(0.12, 0.2) * frames), int(rng.uniform(0.8, 0.88) * frames)
    return [Slot(early, False, 1), Slot(late, True, 1 + TRACKS_PER_EVENT)]


def running(stage: Stage, slot: Slot, rng: np.random.Generator) -> list[Actor]:
    route = _crossing(stage, slot, _pick_lane(rng), RUNNING_SPEED, 0.9, rng)
    return [Actor(route, partial(pedestrian, Look(rng, "nothing"), figures.RUN, 1.0), slot.track)]


def cycling(stage: Stage, slot: Slot, rng: np.random.Generator) -> list[Actor]:
    route = _crossing(stage, slot, _pick_lane(rng), CYCLING_SPEED, 0.95, rng)
    return [Actor(route, partial(_vehicle, partial(figures.cyclist, Look(rng, "nothing")), 0.7), slot.track)]


def driving(stage: Stage, slot: Slot, rng: np.random.Generator) -> list[Actor]:
    colour = [(60, 150, 215), (200, 205, 208), (70, 120, 60)][rng.integers(3)]
    route = _crossing(stage, slot, plaza.MIDDLE_LANE, DRIVING_SPEED, 1.3, rng)
    return [Actor(route, partial(_vehicle, partial(figures.cart, colour), 0.27), slot.track)]


def wrong_way(stage: Stage, slot: Slot, rng: np.random.Generator) -> list[Actor]:
    lane = _pick_lane(rng)
    against = Lane(lane.near, lane.far, -lane.direction)
    route = _crossing(stage, slot, against, WALKING_SPEED, 0.55, rng)
    return [Actor(route, partial(pedestrian, Look(rng, "nothing"), figures.WALK, 1.0), slot.track)]


def trespassing(stage: Stage, slot: Slot, rng: np.random.Generator) -> list[Actor]:
    """Leaves the far walkway, cuts across the lawn beside the path, and goes on along the middle lane."""
    speed = float(rng.uniform(*WALKING_SPEED))
    on, off = rng.uniform(-6.0, -3.5), rng.uniform(plaza.PATH[0] - 2.6, plaza.PATH[0] - 1.2)
    exit_z = rng.uniform(plaza.MIDDLE_LANE.near, plaza.MIDDLE_LANE.far)
    lawn = [(on, plaza.LAWN[1]), (off, plaza.LAWN[0])]
    points = [(-stage.edge(19.5), 19.5), *lawn, (off - 1.0, exit_z), (-stage.edge(exit_z), exit_z)]
    route, first, end = _timed(points, speed, slot, 1, 2)
    return [Actor(route, partial(pedestrian, Look(rng, "nothing"), figures.WALK, 1.0), slot.track, first, end)]


def throwing(stage: Stage, slot: Slot, rng: np.random.Generator) -> list[Actor]:
    """Stops, throws a thing straight up and catches it, again and again; the thing has the second track."""
    lane, pause = _pick_lane(rng), float(rng.uniform(*THROWING_SECONDS)) * FRAME_RATE
    points = lane_points(stage, lane, lane.direction, rng)
    route, first, end = _timed(points, float(rng.uniform(*WALKING_SPEED)), slot, 1, 1, pause)
    colour = [(40, 60, 220), (60, 200, 230), (200, 120, 40)][rng.integers(3)]
    flight = float(rng.uniform(*THROW_SECONDS)) * FRAME_RATE
    figure = partial(_thrower, Look(rng, "nothing"), lane.direction, figures.ball(0.36, colour), first, flight)
    return [Actor(route, figure, slot.track, first, end)]


def loitering(stage: Stage, slot: Slot, rng: np.random.Generator) -> list[Actor]:
    """Sets a bag down, paces about beside it and leaves it; where the slot ends early, comes back to take it along."""
    direction, speed = plaza.MIDDLE_LANE.direction, float(rng.uniform(*WALKING_SPEED))
    x, z = rng.uniform(-0.45, 0.45) * stage.camera.half_view(11.5), plaza.MIDDLE_LANE.far + rng.uniform(-0.1, 0.3)
    edge = stage.edge(z)
    turns = [(x + (0.9 if turn % 2 else -0.7), z + 0.25) for turn in range(int(rng.integers(*LOITERING_TURNS)))]
    points = [(-direction * edge, z), (x, z + 0.2), *turns, (direction * edge, z - 0.5)]
    route, first, end = _timed(points, speed, slot, 1, len(turns) + 1)
    figure = partial(pedestrian, Look(rng, "nothing"), figures.WALK, 1.0)
    until = stage.frames if slot.entering else end
    stand = Route(np.array([first, until]), np.array([[x, z, 0.0]] * 2))
    return [Actor(route, figure, slot.track, first, end), Actor(stand, _bag, slot.track + 1, first, until)]


def _vehicle(
    figure: Callable[[float, float], list[Part]], radius: float, step: Step, frame: int, track: int
) -> list[Sprite]:
    """On wheels of `radius` metres; `figure`: their angle, +1 to the right or -1 to the left -> parts."""
    turn = -step.walked * step.facing / radius
    return [Sprite(step.x, step.z, figure(turn, 1.0 if step.facing > 0 else -1.0), track=track)]


def _thrower(
    look: Look, rest: float, thing: list[Part], first: float, flight: float, step: Step, frame: int, track: int
) -> list[Sprite]:
    """A pedestrian who throws from frame `first` on, while they have a track; `flight`: frames from hand to hand."""
    if not track:
        return pedestrian(look, figures.WALK, rest, step, frame, track)
    air = (frame - first) % flight / FRAME_RATE  # seconds since it left the hand
    whole = flight / FRAME_RATE
    height = 1.9 * look.height / figures.PERSON_HEIGHT + 0.5 * GRAVITY * air * (whole - air)
    raised = 1.0 - 0.6 * sin(pi * air / whole)
    body = figures.person(look, figures.STAND, 0.0, 0.8 * rest, raised)
    x = step.x + rest * (0.35 + 0.25 * sin(2 * pi * air / whole))
    return [Sprite(step.x, step.z, body, track=track), Sprite(x, step.z - 0.01, thing, height, track + 1)]


def _bag(step: Step, frame: int, track: int) -> list[Sprite]:
    return [Sprite(step.x, step.z, figures.DUFFEL, track=track)] if track else []


EVENTS: dict[str, Callable[[Stage, Slot, np.random.Generator], list[Actor]]] = {
    event.__name__: event for event in (running, cycling, driving, throwing, wrong_way, trespassing, loitering)
}


def pick_kinds(video: int) -> list[str]:
    """Kinds of the events in test video number `video`, from 0: each kind in turn; every other video has two."""
    kinds = list(EVENTS)
    first = kinds[video % len(kinds)]
    return [first] if video % 2 == 0 else [first, kinds[(video + 3) % len(kinds)]]


def _pick_lane(rng: np.random.Generator) -> Lane:
    return (plaza.NEAR_LANE, plaza.MIDDLE_LANE)[rng.integers(2)]


def _crossing(
    stage: Stage, slot: Slot, lane: Lane, speeds: tuple[float, float], half: float, rng: np.random.Generator
) -> Route:
    """From edge to edge along `lane`, coming into view or just gone at the slot's frame; `half` a length, metres."""
    z, speed = float(rng.uniform(lane.near, lane.far)), float(rng.uniform(*speeds))
    edge = stage.camera.half_view(z) + half
    start = slot.frame if slot.entering else slot.frame - 2 * edge / speed * FRAME_RATE
    return travel([(-lane.direction * edge, z), (lane.direction * edge, z)], speed, start)


def _timed(
    points: Points, speed: float, slot: Slot, begin: int, finish: int, pause: float = 0.0
) -> tuple[Route, float, float]:
    """A route that keeps to the slot from waypoint `begin` (with a `pause`) to `finish`, its first frame and end."""
    stop = (begin, pause) if pause else None
    trial = travel(points, speed, 0.0, stop)
    first, end = float(trial.frames[begin]), float(trial.frames[finish + (stop is not None)])
    start = slot.frame - (first if slot.entering else end)
    return travel(points, speed, start, stop), start + first, start + end
