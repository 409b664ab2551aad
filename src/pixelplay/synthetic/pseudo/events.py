"""What kinds of pseudo-anomaly are made of: footage, a clip of it, an event in that, and things that are seen again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pixelplay.synthetic.pseudo.cutouts import CutOut, cut_out_things, paste, reflected
from pixelplay.synthetic.pseudo.motion_mask import Survey, Usual
from pixelplay.synthetic.pseudo.settings import PseudoConfig

LEAST = 4  # frames of a clip: one moment can be shown backwards between two normal ones
EDGE = 0.1  # of a clip's frames, at least, are normal before the event, and after it
THINGS = 8  # tried in a piece of footage
VISIBLE = 0.5  # of a thing's pixels must differ from the ground by the motion threshold
LOOKS = 8  # frames of a thing in which that is checked

Change = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]
# (i, the frame shown) of the i-th anomalous frame -> that frame changed, and the mask of what is anomalous in it


class NoUseError(Exception):
    """Nothing of this kind can be planted in this piece of footage; the message says why."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Normal footage in which something is planted."""

    frames: np.ndarray  # uint8 (S, H, W, 3), memory-mapped
    survey: Survey
    usual: Callable[[], Usual]  # of the footage around it


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


def things_in(piece: Piece, frames: int, rng: np.random.Generator) -> list[list[CutOut]]:
    """The first few that can be cut out of the piece, each in so many frames in a row at most."""
    found = list(islice(cut_out_things(piece.frames, piece.survey, frames, rng), THINGS))
    if not found:
        raise NoUseError("nothing moves through it that could be cut out whole")
    return found


def seen_again(things: Sequence[Sequence[CutOut]], piece: Piece, length: Length, rng: np.random.Generator) -> Event:
    """The most visible thing, as it moved; to and fro if it was seen too shortly."""
    thing = most_visible(things, piece)
    to_and_fro = [thing[reflected(i, len(thing) - 1)] for i in range(length.anomalous)]
    return pasted(to_and_fro, length, any_time(length, rng))


def most_visible(things: Sequence[Sequence[CutOut]], piece: Piece) -> Sequence[CutOut]:
    """Of at least one thing, the one with the most contrast to the ground for the longest time."""
    scene = piece.survey.scene

    def visible(thing: Sequence[CutOut]) -> float:
        some = thing[:: max(1, len(thing) // LOOKS)]
        pixels = np.concatenate([cut.stands_out(scene.background, scene.config.threshold) for cut in some])
        return len(thing) * pixels.sum() / len(some) if pixels.size and pixels.mean() > VISIBLE else 0.0

    most = max(things, key=visible)
    if not visible(most):
        raise NoUseError("nothing that moves through it would stand out from the ground")
    return most


def pasted(cuts: Sequence[CutOut], length: Length, first: int) -> Event:
    """The piece as it is, but for `cuts`, one in each of the frames from `first` on, which are the anomalous ones."""

    def change(i: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return paste(frame, cuts[i].pixels, cuts[i].alpha, cuts[i].corner)

    return Event(np.arange(length.frames), first, first + len(cuts), change)


def boxes(thing: Sequence[CutOut]) -> tuple[np.ndarray, np.ndarray]:
    """Left and top, right and bottom of the thing in each of its frames, int64 (n, 2) each."""
    corners = np.array([cut.corner for cut in thing])
    return corners, corners + [cut.alpha.shape[::-1] for cut in thing]


def any_time(length: Length, rng: np.random.Generator) -> int:
    """The first anomalous frame, drawn among those with room for the event and normal frames around it."""
    return int(rng.integers(length.edge, length.frames - length.anomalous - length.edge + 1))
