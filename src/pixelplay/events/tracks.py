"""Events of objects: a track whose highest score is above the threshold of tracks."""

from dataclasses import dataclass

import numpy as np

from pixelplay.events.machine import Limit, Stretch, stretches
from pixelplay.events.settings import DurationConfig

WHOLE = 10_000.0  # seconds: longer than a track is lost for, so that it gives one event


@dataclass(frozen=True, eq=False)
class ScoredTrack:
    """One track of a video: its rows by ascending frame."""

    track: int
    label: str
    frames: np.ndarray  # int64 (N,), their numbers
    seconds: np.ndarray  # float64 (N,)
    scores: np.ndarray  # float64 (N,)
    xyxy: np.ndarray  # float64 (N, 4), pixels

    def lasts(self, config: DurationConfig, spacing: float) -> bool:
        """Whether it was followed for as long as an event lasts at least; spacing: seconds from frame to frame."""
        return self.seconds[-1] - self.seconds[0] + spacing >= config.min_duration - spacing / 2

    def event(self, limit: Limit, spacing: float) -> Stretch | None:
        """From its first score above the threshold to the last that is above where events end."""
        whole = DurationConfig(min_duration=0.0, merge_gap=WHOLE)
        found = stretches(self.frames, self.seconds, self.scores, limit, whole, spacing)
        return found[0] if found else None


@dataclass(frozen=True, eq=False)
class Merged:
    """What becomes one event: stretches of frames' scores, and unusual tracks that overlap them."""

    frames: list[Stretch]
    tracks: list[tuple[ScoredTrack, Stretch]]

    @property
    def of_all(self) -> list[Stretch]:
        return [*self.frames, *(stretch for _, stretch in self.tracks)]

    @property
    def peak(self) -> Stretch:
        """Of the frames' scores where these are high, else of the track."""
        return max(self.frames or self.of_all, key=lambda one: one.score)


def merge(frames: list[Stretch], tracks: list[tuple[ScoredTrack, Stretch]]) -> list[Merged]:
    """Events of one video: a track joins the frame events that it overlaps, and joins these; others are their own."""
    groups = [Merged([one], []) for one in frames]
    for track in tracks:
        met = [group for group in groups if any(_overlap(one, track[1]) for one in group.frames)]
        joined = Merged([s for g in met for s in g.frames], [*(t for g in met for t in g.tracks), track])
        groups = [*(group for group in groups if group not in met), joined]
    return groups


def _overlap(one: Stretch, other: Stretch) -> bool:
    return one.start.frame <= other.end.frame and other.start.frame <= one.end.frame
