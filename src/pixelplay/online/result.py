"""What the pipeline says of one frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.events.event import Box, Event


@dataclass(frozen=True)
class ScoredObject:
    """An object that was detected in the frame and is followed."""

    track: int  # its id, which no other object of the stream has
    label: str  # its class
    box: Box
    score: float | None  # of its fused streams; None where the run fuses no scores of objects
    unusual: bool  # whether it is above the threshold of objects


@dataclass(frozen=True, eq=False)
class Result:
    """Scores of one frame, and the events that they start and end."""

    position: int  # 0, 1, 2, … of the frames that are scored
    number: int  # of the frame, as its source counts
    seconds: float  # since the source's first frame
    image: np.ndarray  # uint8 (H, W, 3) RGB, restored
    score: float  # fused
    threshold: float | None  # of the fused score, at this frame; None where the run has none
    members: Mapping[str, float]  # what is fused, on one scale
    objects: Sequence[ScoredObject]
    alarm: bool  # whether an event goes on
    started: Sequence[Event] = ()  # events that have just become long enough, so far
    ended: Sequence[Event] = ()  # events that are over, as a whole
    dropped: int = 0  # frames that were left out before this one, to keep up
    latency: float = 0.0  # seconds from the frame's arrival until its scores
