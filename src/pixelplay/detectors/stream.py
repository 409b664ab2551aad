"""The contract of detectors that score footage while it comes: frame by frame, from that frame and earlier ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pixelplay.objects.moments import Moment


@dataclass(frozen=True)
class StreamFormat:
    """What is known of a stream before its first frame."""

    size: tuple[int, int]  # width and height of its frames, pixels
    fps: float  # frames per second
    name: str = ""  # what random draws are of, as they are of a video's id


@dataclass(frozen=True)
class MomentScores:
    """Raw scores of one frame, finite, higher = more anomalous.

    streams: of the frame by name, as in `Scores.streams`, the detector's own among them. objects: of detectors that
    score objects, by stream float32 (n,), of the rows of the moment's tracks.
    """

    streams: Mapping[str, float]
    objects: Mapping[str, np.ndarray] | None = None


class Stream(Protocol):
    """The state of one stream. It keeps no more than its detector looks back, however long the stream is."""

    @property
    def stride(self) -> int:
        """The frame's score is computed anew at every so many frames, the first among them, and stays in between."""
        ...

    def step(self, moment: Moment) -> MomentScores:
        """The scores of the next frame: those that `score(video, causal=True)` gives it, but for rounding."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A detector that can score frame by frame. Its streams share nothing that changes."""

    def stream(self, footage: StreamFormat) -> Stream:
        """A new stream, before its first frame."""
        ...
