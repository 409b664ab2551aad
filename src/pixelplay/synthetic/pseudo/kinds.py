"""The kinds of pseudo-anomaly. Each plants one event in a piece of normal footage, or raises NoUseError.

A new kind is a function, here or in `object_kinds`, and an entry at the end of `KINDS`, whose order seeds depend on.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from pixelplay.synthetic.pseudo import object_kinds
from pixelplay.synthetic.pseudo.cutouts import CutOut, foreign_patch, irregular_shape, paste, reflected
from pixelplay.synthetic.pseudo.events import Event, Length, NoUseError, Piece, any_time, boxes, seen_again, things_in
from pixelplay.synthetic.pseudo.settings import PseudoConfig

LIVELY = 0.8  # of the highest activity in the clip: events in time take place where there is at least this much
PLACES = 200  # tried for a thing in a wrong place
LEAST_USUAL = 20  # of them are compared for how visible the thing is there
UNUSUAL = 0.1  # of the motion where the thing comes from: in a place that is wrong for it, there is less
SLOPE = 0.25  # of a patch's path, at most: pixels down for one to the side


def foreign(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """A foreign patch drifts through the view; it is reflected at the frame's edges."""
    height, width = piece.frames.shape[1:3]
    (smallest, largest), (slowest, fastest) = config.patch.size, config.patch.speed
    side = min(max(4, round(rng.uniform(smallest, largest) * min(height, width))), height, width)
    pixels, alpha = foreign_patch(piece.frames, side, rng), irregular_shape(side, rng)
    right = rng.uniform(slowest, fastest) * width * rng.choice([-1, 1])
    down = right * rng.uniform(-SLOPE, SLOPE)
    room = width - side, height - side
    start = rng.uniform(0, room[0]), rng.uniform(0, room[1])

    def change(i: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        corner = reflected(start[0] + right * i, room[0]), reflected(start[1] + down * i, room[1])
        return paste(frame, pixels, alpha, corner)

    first = any_time(length, rng)
    return Event(np.arange(length.frames), first, first + length.anomalous, change)


def wrong_place(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """Somebody who walks by is seen a second time, where hardly anything ever moves."""
    used = np.maximum(piece.usual().moved, piece.survey.used)
    moved = [
        [cut.moved(right, down) for cut in thing]
        for thing in things_in(piece, length.anomalous, rng)
        for right, down in _unusual_places(thing, used, rng)
    ]
    if not moved:
        raise NoUseError("things move everywhere in it")
    return seen_again(moved, piece, length, rng)


def wrong_size(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """Somebody who walks by is seen a second time on the same way, as a giant; as a dwarf where a giant doesn't fit."""
    height, width = piece.frames.shape[1:3]
    moved = []
    for thing in things_in(piece, length.anomalous, rng):
        tallest, widest = (max(cut.alpha.shape[axis] for cut in thing) for axis in (0, 1))
        fits = config.size_factor * max(tallest / height, widest / width) < 1
        sized = [cut.scaled(config.size_factor if fits else 1 / config.size_factor) for cut in thing]
        corners, ends = boxes(sized)
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), ends.max(axis=0).tolist()
        moved.append([cut.moved(_inwards(left, right, width), _inwards(top, bottom, height)) for cut in sized])
    return seen_again(moved, piece, length, rng)


def _unusual_places(thing: Sequence[CutOut], used: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Shifts to the right and down, within the frame, to where little motion is usual; the least usual first."""
    height, width = used.shape
    corners, ends = boxes(thing)
    room = [width, height] - ends.max(axis=0)
    moves = rng.integers(-corners.min(axis=0), room, (PLACES, 2), endpoint=True)
    sums = cv2.integral(used, sdepth=cv2.CV_64F)  # (H + 1, W + 1)

    def usage(move: np.ndarray) -> float:
        (x1, y1), (x2, y2) = (corners + move).T, (ends + move).T
        return float((sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]).sum())

    costs, limit = np.array([usage(move) for move in moves]), UNUSUAL * usage(np.zeros(2, np.int64))
    least = np.argsort(costs, kind="stable")[:LEAST_USUAL]
    return [tuple(moves[i].tolist()) for i in least if costs[i] <= limit]


def _inwards(low: int, high: int, room: int) -> int:
    """The shift that brings low..high into 0..room; centred where it is too large."""
    if high - low > room:
        return round((room - low - high) / 2)
    return max(-low, 0) + min(room - high, 0)


def _retimed(piece: Piece, length: Length, step: int, rng: np.random.Generator) -> Event:
    """Time advances by `step` at each anomalous frame; all that moves is anomalous, so much has to happen then."""

    def shown(first: int) -> np.ndarray:
        steps = np.ones(length.frames, np.int64)
        steps[first : first + length.anomalous] = step
        return np.cumsum(steps) - 1

    earliest = max(length.edge, length.anomalous + 1) if step < 0 else length.edge
    starts = np.arange(earliest, length.frames - length.anomalous - length.edge + 1)
    activity = np.array([piece.survey.activity[shown(a)[a : a + length.anomalous]].mean() for a in starts.tolist()])
    if activity.max() < piece.survey.scene.config.min_area:
        raise NoUseError("hardly anything moves in it")
    first = int(rng.choice(starts[activity >= LIVELY * activity.max()]))

    def change(i: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return frame, piece.survey.scene.moving(frame)

    return Event(shown(first), first, first + length.anomalous, change)


KINDS: dict[str, Callable[[Piece, Length, PseudoConfig, np.random.Generator], Event]] = {
    "foreign_patch": foreign,
    # for a while only every `speed_factor`-th frame is shown
    "speed_up": lambda piece, length, config, rng: _retimed(piece, length, config.speed_factor, rng),
    # time runs backwards, and then forwards again: without a cut, which would be an anomaly of its own
    "reversal": lambda piece, length, config, rng: _retimed(piece, length, -1, rng),
    # everything stops, its noise too, and goes on where it stopped
    "freeze": lambda piece, length, config, rng: _retimed(piece, length, 0, rng),
    "wrong_place": wrong_place,
    "wrong_size": wrong_size,
    "foreign_object": object_kinds.foreign_object,
    "against_stream": object_kinds.against_stream,
    "standing": object_kinds.standing,
    "left_object": object_kinds.left_object,
    "throwing": object_kinds.throwing,
}
