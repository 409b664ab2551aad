"""Explanations of a score that a person can check: what in a frame was compared with which normal footage."""

from dataclasses import dataclass

Rectangle = tuple[float, float, float, float]  # x1, y1, x2, y2, pixels of the full-size frame; x2 and y2 exclusive


@dataclass(frozen=True)
class Place:
    """A box in a frame of a video, or in two frames whose difference was compared."""

    video: str
    frames: tuple[int, ...]  # their numbers
    box: Rectangle
    part: str  # of the clip that was compared, in words
    cell: Rectangle | None = None  # the compared part of the box, if it is less than the box


@dataclass(frozen=True)
class Neighbour:
    """Something in a frame and the most similar normal footage, as seen by one stream of a detector."""

    stream: str
    here: Place
    there: Place  # in a training video
    distance: float
    relative: float  # the distance in the unit that `Explains.legend` explains


@dataclass(frozen=True)
class Finding:
    """An object in a frame, or the whole frame, and its neighbours, one per stream."""

    label: str  # class of the object; '' for the whole frame
    confidence: float
    box: Rectangle  # as it was detected
    neighbours: tuple[Neighbour, ...]
