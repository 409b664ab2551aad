"""The kinds of pseudo-anomaly. Each plants one event in a piece of normal footage, or raises NoUseError.

A new kind is a function here and an entry at the end of `KINDS`, whose order seeds depend on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from pixelplay.synthetic.pseudo.cutouts import CutOut, cut_out_things, foreign_patch, irregular_shape, paste, reflected
from pixelplay.synthetic.pseudo.motion_mask import Survey
from pixelplay.synthetic.pseudo.settings import PseudoConfig

LEAST = 4  # frames of a clip: one moment can be shown backwards between two normal ones
EDGE = 0.1  # of a clip's frames, at least, are normal before the event, and after it
LIVELY = 0.8  # of the highest activity in the clip: events in time take place where there is at least this much
THINGS = 8  # tried in a piece of footage
PLACES = 200  # tried for a thing in a wrong place
LEAST_USUAL = 20  # of them are compared for how visible the thing is there
UNUSUAL = 0.1  # of the motion where the thing comes from: in a place that is wrong for it, there is less
VISIBLE = 0.5  # of a thing's pixels must differ from the ground by the motion threshold
LOOKS = 8  # frames of a thing in which that is checked
SLOPE = 0.25  # of a patch's path, at most: pixels down for one to the side

Change = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]
# (i, the frame shown) of the i-th anomalous frame -> that frame changed, and the mask of what is anomalous in it


class NoUseError(Exception):
    """Nothing of this kind can be planted in this piece of footage; the message says why."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Normal footage in which something is planted."""

    frames: np.ndarray  # uint8 (S, H, W, 3), memory-mapped
    survey: Survey
    usual: Callable[[], np.ndarray]  # float32 (H, W): share of the frames around it in which something moves there


@dataclass(frozen=True, eq=False)
class Event:
    """A clip of T frames: which of the piece's frames it shows, and how the anomalous ones are changed."""

    shown: np.ndarray  # int64 [T]
    first: int  # anomalous are the frames first, …, stop - 1
    stop: int
    change: Change


@dataclass(frozen=True)
class Length:
    frames: int  # T
    anomalous: int

    @property
    def edge(self) -> int:
        """Normal frames before and after the event, at least; few enough to leave room for a reversal."""
        return max(1, min(round(EDGE * self.frames), self.frames - 2 * self.anomalous - 1))


def length_in(available: int, kind: str, config: PseudoConfig) -> Length | None:
    """The longest clip of a kind that can be made of so many frames; None where they are too few."""
    for frames in range(min(config.frames, available), LEAST - 1, -1):
        length = Length(frames, min(max(1, round(config.anomalous_share * frames)), frames // 2 - 1))
        if needed(length, kind, config) <= available:
            return length
    return None


def needed(length: Length, kind: str, config: PseudoConfig) -> int:
    """Frames of footage that a clip of this length is made of."""
    skipped = config.speed_factor - 1 if kind == "speed_up" else 0  # for each anomalous frame
    return length.frames + skipped * length.anomalous


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

    return _at_any_time(length, change, rng)


def wrong_place(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """Somebody who walks by is seen a second time, where hardly anything ever moves."""
    used = np.maximum(piece.usual(), piece.survey.used)
    moved = [
        [cut.moved(right, down) for cut in thing]
        for thing in _things(piece, length, rng)
        for right, down in _unusual_places(thing, used, rng)
    ]
    if not moved:
        raise NoUseError("things move everywhere in it")
    return _seen_again(moved, piece, length, rng)


def wrong_size(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """Somebody who walks by is seen a second time on the same way, as a giant; as a dwarf where a giant doesn't fit."""
    height, width = piece.frames.shape[1:3]
    moved = []
    for thing in _things(piece, length, rng):
        tallest, widest = (max(cut.alpha.shape[axis] for cut in thing) for axis in (0, 1))
        fits = config.size_factor * max(tallest / height, widest / width) < 1
        sized = [cut.scaled(config.size_factor if fits else 1 / config.size_factor) for cut in thing]
        corners, ends = _boxes(sized)
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), ends.max(axis=0).tolist()
        moved.append([cut.moved(_inwards(left, right, width), _inwards(top, bottom, height)) for cut in sized])
    return _seen_again(moved, piece, length, rng)


def _things(piece: Piece, length: Length, rng: np.random.Generator) -> list[list[CutOut]]:
    """The first few that can be cut out of the piece."""
    found = list(islice(cut_out_things(piece.frames, piece.survey, length.anomalous, rng), THINGS))
    if not found:
        raise NoUseError("nothing moves through it that could be cut out whole")
    return found


def _seen_again(things: Sequence[Sequence[CutOut]], piece: Piece, length: Length, rng: np.random.Generator) -> Event:
    """The thing with the most contrast for the longest time, as it moved; to and fro if it was seen too shortly."""
    scene = piece.survey.scene

    def visible(thing: Sequence[CutOut]) -> float:
        some = thing[:: max(1, len(thing) // LOOKS)]
        pixels = np.concatenate([cut.stands_out(scene.background, scene.config.threshold) for cut in some])
        return len(thing) * pixels.sum() / len(some) if pixels.size and pixels.mean() > VISIBLE else 0.0

    most = max(things, key=visible)
    if not visible(most):
        raise NoUseError("nothing that moves through it would stand out from the ground")

    def change(i: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cut = most[reflected(i, len(most) - 1)]
        return paste(frame, cut.pixels, cut.alpha, cut.corner)

    return _at_any_time(length, change, rng)


def _unusual_places(thing: Sequence[CutOut], used: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Shifts to the right and down, within the frame, to where little motion is usual; the least usual first."""
    height, width = used.shape
    corners, ends = _boxes(thing)
    room = [width, height] - ends.max(axis=0)
    moves = rng.integers(-corners.min(axis=0), room, (PLACES, 2), endpoint=True)
    sums = cv2.integral(used, sdepth=cv2.CV_64F)  # (H + 1, W + 1)

    def usage(move: np.ndarray) -> float:
        (x1, y1), (x2, y2) = (corners + move).T, (ends + move).T
        return float((sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]).sum())

    costs, limit = np.array([usage(move) for move in moves]), UNUSUAL * usage(np.zeros(2, np.int64))
    least = np.argsort(costs, kind="stable")[:LEAST_USUAL]
    return [tuple(moves[i].tolist()) for i in least if costs[i] <= limit]


def _boxes(thing: Sequence[CutOut]) -> tuple[np.ndarray, np.ndarray]:
    """Left and top, right and bottom of the thing in each of its frames, int64 (n, 2) each."""
    corners = np.array([cut.corner for cut in thing])
    return corners, corners + [cut.alpha.shape[::-1] for cut in thing]


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


def _at_any_time(length: Length, change: Change, rng: np.random.Generator) -> Event:
    first = int(rng.integers(length.edge, length.frames - length.anomalous - length.edge + 1))
    return Event(np.arange(length.frames), first, first + length.anomalous, change)


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
}
