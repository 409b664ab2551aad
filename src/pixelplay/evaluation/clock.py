"""The times of a video's frames: known ones, or for durations those of an assumed frame rate."""

from dataclasses import dataclass

import numpy as np

from pixelplay.events.event import Moment
from pixelplay.events.machine import Instant, usual_spacing
from pixelplay.scores.smooth import in_steps
from pixelplay.videos.video import Video


@dataclass(frozen=True, eq=False)
class Clock:
    """The times of a video's frames."""

    seconds: np.ndarray  # float64 (T,), by `fps` of the settings where the rate is not known
    known: bool  # whether it is

    @classmethod
    def of(cls, video: Video, fps: float) -> "Clock":
        if video.seconds is not None:
            return cls(video.seconds, True)
        return cls(in_steps(video.numbers) / (video.fps or fps), video.fps is not None)

    @property
    def spacing(self) -> float:
        return usual_spacing(self.seconds)

    def moment(self, at: Instant) -> Moment:
        return Moment(frame=at.frame, seconds=round(at.seconds, 3) if self.known else None)
