"""What in a frame was compared with which normal footage: an explanation of a score that a person can check."""

from dataclasses import dataclass

Rectangle = tuple[float, float, float, float]  # x1, y1, x2, y2, pixels of the full-size frame; x2 and y2 exclusive


@dataclass(frozen=True)
class Place:
    """A box in a frame of a video, or in two of which the change was compared."""

    video: str
    frames: tuple[int, ...]  # their numbers
    box: Rectangle
    part: str  # what of the clip was compared, in words
    cell: Rectangle | None = None  # where that is, if it is less than the box


@dataclass(frozen=True)
class Neighbour:
    """Something in a frame, and what of the normal footage is most like it, as one stream of a detector sees them."""

    stream: str
    here: Place
    there: Place  # in a training video
    distance: float
    relative: float  # the distance as a multiple of what `Explains.legend` says


@dataclass(frozen=True)
class Finding:
    """An object in a frame, or the whole frame, and its neighbours, one for each stream that looks at it."""

    label: str  # class of the object; '' for the whole frame
    confidence: float
    box: Rectangle  # as it was detected
    neighbours: tuple[Neighbour, ...]
