"""From scores to events, frame by frame: hysteresis, merging gap, minimum duration. Offline and online alike.

An event starts with a score above the threshold and lasts until scores have been below a lower one (Canny's hysteresis,
PAMI 1986), and not above the threshold again, for longer than the merging gap.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from pixelplay.events.settings import DurationConfig


class Levels(NamedTuple):
    """A score above `start` starts an event, one below `end` interrupts it; a `Limit` that stays the same."""

    start: float
    end: float

    def at(self, score: float) -> "Levels":
        return self


class Limit(Protocol):
    """The levels of a video, which may depend on its scores so far."""

    def at(self, score: float) -> Levels:
        """Those that the next score meets."""
        ...


class Instant(NamedTuple):
    """A frame of a stream: its number and its time."""

    frame: int
    seconds: float


@dataclass(frozen=True)
class Stretch:
    """A stretch of a stream's scores that is an event."""

    start: Instant
    end: Instant  # the last frame of it
    peak: Instant
    score: float  # at the peak
    threshold: float  # at the peak


class Change(NamedTuple):
    """What a frame brought."""

    ended: Stretch | None = None  # an event that is over, as a whole
    started: Stretch | None = None  # an event that has just become long enough, so far


class EventMachine:
    """The state of one stream of scores: which event is going on, if any."""

    def __init__(self, limit: Limit, config: DurationConfig, spacing: float):
        """spacing: seconds from frame to frame; a frame lasts so long."""
        self._limit, self._config, self._spacing = limit, config, spacing
        self._rounding = spacing / 2  # seconds by which times may be off: they vary, and differences are rounded
        self.open: Stretch | None = None  # what may become an event, or is one, so far
        self._told = False  # whether it is one
        self._last: int | None = None  # number of the frame before
        self.levels: Levels | None = None  # that the frame before met

    def step(self, frame: int, seconds: float, score: float) -> Change:
        """The next frame, later than all before; frames may be missing between them."""
        levels, now = self._limit.at(score), Instant(frame, seconds)
        self.levels = levels
        ended = self._closed_before(now)
        within = self.open is not None and self.open.end.frame == self._last  # else scores must rise again first
        self._last = frame
        if not (score >= levels.end if within else score > levels.start):
            return Change(ended)
        self.open = self._extended(now, score, levels.start)
        if self._told or self._seconds(self.open) < self._config.min_duration - self._rounding:
            return Change(ended)
        self._told = True
        return Change(ended, self.open)

    def finish(self) -> Stretch | None:
        """The stream is over: the event that was going on, if any."""
        last, told = self.open, self._told
        self.open, self._told = None, False
        return last if told else None

    def _closed_before(self, now: Instant) -> Stretch | None:
        if self.open is None:
            return None
        gap = now.seconds - self.open.end.seconds - self._spacing  # since its last frame was over
        return self.finish() if gap > self._config.merge_gap + self._rounding else None

    def _extended(self, now: Instant, score: float, threshold: float) -> Stretch:
        if self.open is None:
            return Stretch(now, now, now, score, threshold)
        if score > self.open.score:
            return replace(self.open, end=now, peak=now, score=score, threshold=threshold)
        return replace(self.open, end=now)

    def _seconds(self, stretch: Stretch) -> float:
        return stretch.end.seconds - stretch.start.seconds + self._spacing


def stretches(
    frames: np.ndarray, seconds: np.ndarray, scores: np.ndarray, limit: Limit, config: DurationConfig, spacing: float
) -> list[Stretch]:
    """The events of a whole video: frame numbers, their times and scores, each (T,), by ascending frame."""
    machine = EventMachine(limit, config, spacing)
    rows: Iterable[tuple[int, float, float]] = zip(frames.tolist(), seconds.tolist(), scores.tolist(), strict=True)
    found = [machine.step(*row).ended for row in rows]
    return [one for one in (*found, machine.finish()) if one is not None]


def usual_spacing(seconds: np.ndarray) -> float:
    """Seconds from frame to frame, by the times of a video's frames (T,): their median; 0 of a single frame."""
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
