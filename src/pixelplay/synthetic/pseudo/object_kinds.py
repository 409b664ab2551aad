"""Kinds of pseudo-anomaly that only somebody who follows objects can tell: another kind of object, a way against the
stream, somebody who stands, something left behind, something thrown.

Sizes, speeds and ways are those of things that move through the same footage.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pixelplay.synthetic.pseudo.cutouts import CutOut, reflected
from pixelplay.synthetic.pseudo.drawn import ball, cart, color_on, parcel
from pixelplay.synthetic.pseudo.events import (
    Event,
    Length,
    NoUseError,
    Piece,
    any_time,
    boxes,
    most_visible,
    pasted,
    things_in,
)
from pixelplay.synthetic.pseudo.motion_mask import EVERY, STILL, STOOD, steps_of, stood_in
from pixelplay.synthetic.pseudo.settings import PseudoConfig

CART = (0.5, 0.7)  # of a thing's height
PARCEL = (0.25, 0.35)
BALL = (0.15, 0.25)
THROW = (4.0, 7.0)  # times as fast as things move: walking 1.4 m/s, throwing 6 to 10 m/s
FLIGHT = (3.0, 5.0)  # of a thing's height, how far a ball flies
RISE = 0.25  # of that, how high: thrown at 45 degrees
HAND = 0.6  # of a thing's height
AGAINST = 0.15  # of the steps where all go one way, at most, go against it: some stop, or step aside
WITNESSES = 5  # steps in a place that tell which way is usual there, at least
NEAR = 0.5  # of a thing's height: feet that are nearer are in the same place
TRIES = 8  # moments at which a thing may stand still
SHORTEST = 0.5  # of the anomalous frames: somebody who goes against the stream for less is not used

Drawing = Callable[[int, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def foreign_object(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """A cart moves on somebody's way, as fast as he does, straight on; it is reflected at the frame's edges."""
    height, width = piece.frames.shape[1:3]
    found = []
    for thing in things_in(piece, length.anomalous, rng):
        drawn = _drawn(cart, CART, thing, piece, rng)
        tall, wide = drawn.alpha.shape
        step = (np.array(thing[-1].foot) - thing[0].foot) / max(len(thing) - 1, 1)
        places = np.array(thing[0].foot) - (wide / 2, tall) + np.arange(length.anomalous)[:, None] * step
        corners = [(reflected(x, max(width - wide, 0)), reflected(y, max(height - tall, 0))) for x, y in places]
        found.append([_at(drawn, x + wide / 2, y + tall) for x, y in corners])
    return pasted(most_visible(found, piece), length, any_time(length, rng))


def against_stream(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """Somebody who walks by, where all go one way, is seen a second time, mirrored, and walks his way back."""
    steps = _steps(piece)
    found = [_back(thing) for thing in things_in(piece, length.anomalous, rng) if _is_one_way(thing, steps)]
    found = [thing for thing in found if len(thing) >= SHORTEST * length.anomalous]
    if not found:
        raise NoUseError("nobody walks through it for long enough where all go one way")
    return pasted(most_visible(found, piece), length, any_time(length, rng))


def standing(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """Somebody who walks by is seen a second time, standing still on his way, where nobody else stands."""
    stood = np.concatenate([piece.usual().stood, stood_in(piece.survey.blobs[::EVERY])])
    found = things_in(piece, length.anomalous, rng)
    cuts = [thing[i] for thing in found for i in rng.permutation(len(thing))[:TRIES].tolist()]
    free = [[cut] * length.anomalous for cut in cuts if not _near([cut], stood).any()]
    if not free:
        raise NoUseError("people stand everywhere in it")
    return pasted(most_visible(free, piece), length, any_time(length, rng))


def left_object(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """A parcel stands where somebody who walks by has just been, and stays there when he is gone."""
    last = length.frames - length.anomalous - length.edge
    found = []
    for thing in things_in(piece, length.frames, rng):
        cuts = [cut for cut in thing if length.edge <= cut.at <= last]
        if cuts:
            cut = cuts[int(rng.integers(len(cuts)))]
            found.append([_at(_drawn(parcel, PARCEL, thing, piece, rng), *cut.foot, cut.at)] * length.anomalous)
    if not found:
        raise NoUseError("nobody walks through it early enough to leave something behind")
    left = most_visible(found, piece)
    return pasted(left, length, left[0].at)


def throwing(piece: Piece, length: Length, config: PseudoConfig, rng: np.random.Generator) -> Event:
    """A ball is thrown to and fro in high arcs, from where somebody walks by and back there."""
    found = [_thrown(thing, piece, length, rng) for thing in things_in(piece, length.anomalous, rng)]
    return pasted(most_visible(found, piece), length, any_time(length, rng))


def _thrown(thing: Sequence[CutOut], piece: Piece, length: Length, rng: np.random.Generator) -> list[CutOut]:
    height, width = piece.frames.shape[1:3]
    drawn = _drawn(ball, BALL, thing, piece, rng)
    size, tall = len(drawn.alpha), len(thing[0].alpha)
    x, foot = min(max(thing[0].foot[0], size / 2), width - size / 2), thing[0].foot[1]
    hand = min(max(foot - HAND * tall, size), height)
    half = size / 2  # of the ball stays within the frame on each side
    right = 1 if x < width / 2 else -1  # there is more room
    room = (width - half - x) if right > 0 else (x - half)
    far = max(min(rng.uniform(*FLIGHT) * tall, room), 1.0)
    walking = np.hypot(*(np.array(thing[-1].foot) - thing[0].foot)) / max(len(thing) - 1, 1)
    share = max(rng.uniform(*THROW) * walking, 1.0) / far  # of a flight, in one frame
    rise = min(RISE * far, hand - size)
    cuts = []
    for i in range(length.anomalous):
        along = share * i % 2
        along = min(along, 2 - along)  # to and fro
        cuts.append(_at(drawn, x + right * far * along, hand - 4 * rise * along * (1 - along)))
    return cuts


def _drawn(
    draw: Drawing, size: tuple[float, float], thing: Sequence[CutOut], piece: Piece, rng: np.random.Generator
) -> CutOut:
    """Something drawn at a share `size` of the thing's height, at least 3 pixels, standing out from its ground."""
    corners, ends = boxes(thing)
    (x1, y1), (x2, y2) = np.maximum(corners.min(axis=0), 0), ends.max(axis=0)
    ground = piece.survey.scene.background[y1:y2, x1:x2].reshape(-1, 3)
    tall = float(np.median(ends[:, 1] - corners[:, 1]))
    pixels, alpha = draw(max(3, round(rng.uniform(*size) * tall)), color_on(ground, rng), rng)
    return CutOut(pixels, alpha, thing[0].foot, thing[0].at)


def _at(cut: CutOut, x: float, y: float, at: int = 0) -> CutOut:
    return CutOut(cut.pixels, cut.alpha, (x, y), at)


def _back(thing: Sequence[CutOut]) -> list[CutOut]:
    """The thing mirrored, frame after frame, on its way back, as high at each place as it was there."""
    highs = np.array([len(cut.alpha) for cut in thing], np.float64)
    high = np.poly1d(np.polyfit(range(len(thing)), highs, 1)) if len(thing) > 1 else lambda i: highs[0]
    back = []
    for i, (cut, there) in enumerate(zip(thing, reversed(thing), strict=True)):
        pixels, alpha = (np.ascontiguousarray(image[:, ::-1]) for image in (cut.pixels, cut.alpha))
        back.append(CutOut(pixels, alpha, there.foot, 0).scaled(float(high(len(thing) - 1 - i) / high(i))))
    return back


def _is_one_way(thing: Sequence[CutOut], steps: np.ndarray) -> bool:
    """Whether the thing goes somewhere, and hardly anything that moves where it goes goes against it."""
    way = np.array(thing[-1].foot) - thing[0].foot
    there = steps[_near(thing, steps) & _moves(steps)]
    return bool(way.any() and len(there) >= WITNESSES and (there[:, 4:] @ way < 0).mean() <= AGAINST)


def _steps(piece: Piece) -> np.ndarray:
    """See `Usual.steps`: of training footage, and of the piece itself."""
    return np.concatenate([piece.usual().steps, steps_of(piece.survey.blobs[::EVERY])])


def _moves(steps: np.ndarray) -> np.ndarray:
    return np.hypot(steps[:, 4], steps[:, 5]) > STILL / STOOD * (steps[:, 3] - steps[:, 1])


def _near(thing: Sequence[CutOut], places: np.ndarray) -> np.ndarray:
    """Which of the boxes (K, 4+) stand where the thing stands in one of its frames: bool (K,)."""
    feet = np.array([cut.foot for cut in thing])
    others = np.stack([(places[:, 0] + places[:, 2]) / 2, places[:, 3]], axis=1)
    away = np.hypot(*(others[:, None] - feet[None]).transpose(2, 0, 1))  # (K, n)
    return (away < NEAR * np.median([len(cut.alpha) for cut in thing])).any(axis=1)
