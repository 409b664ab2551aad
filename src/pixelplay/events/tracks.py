"""Events of objects: a track whose highest score is above the threshold of tracks."""

from dataclasses import dataclass

import numpy as np

from pixelplay.events.event import Box
from pixelplay.events.machine import Limit, Stretch, stretches
from pixelplay.events.settings import DurationConfig

WHOLE = DurationConfig(min_duration=0.0, merge_gap=10_000.0)  # longer than a track is lost for: it gives one event
PATH_POINTS = 500  # of a track in an event, at most: events may last for hours


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
        return lasts(self.seconds[-1] - self.seconds[0], config, spacing)

    def event(self, limit: Limit, spacing: float) -> Stretch | None:
        """From its first score above the threshold to the last that is above where events end."""
        found = stretches(self.frames, self.seconds, self.scores, limit, WHOLE, spacing)
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
        met = [group for group in groups if any(overlap(one, track[1]) for one in group.frames)]
        joined = Merged([s for g in met for s in g.frames], [*(t for g in met for t in g.tracks), track])
        groups = [*(group for group in groups if group not in met), joined]
    return groups


def overlap(one: Stretch, other: Stretch) -> bool:
    return one.start.frame <= other.end.frame and other.start.frame <= one.end.frame


def lasts(seconds: float, config: DurationConfig, spacing: float) -> bool:
    """Whether a track lasts as long as an event at least; seconds: from its first frame to its last."""
    return seconds + spacing >= config.min_duration - spacing / 2


def path_of(frames: np.ndarray, xyxy: np.ndarray) -> list[tuple[int, float, float]]:
    """The path of an object by its frames (N,) and boxes (N, 4): see `EventTrack.path`."""
    points = np.linspace(0, len(frames) - 1, min(len(frames), PATH_POINTS)).round().astype(int)
    x1, _, x2, y2 = xyxy[points].T
    return list(zip(frames[points].tolist(), _rounded((x1 + x2) / 2), _rounded(y2), strict=True))


def box_of(xyxy: np.ndarray) -> Box:
    x1, y1, x2, y2 = _rounded(xyxy)
    return x1, y1, x2, y2


def _rounded(values: np.ndarray) -> list[float]:
    return np.round(values, 1).tolist()
