"""Frames per second, latency and dropped frames, of the last seconds and of all."""

import logging
import time
from dataclasses import dataclass

import numpy as np

from pixelplay.online.result import Result

log = logging.getLogger(__name__)

# Latencies are counted in bins, so that memory is the same after a day; of a bin, its upper edge is told.
EDGES = 1e-4 * 1.02 ** np.arange(931)  # seconds, from 0.1 ms to about 10,000 s, 2 % from one to the next


@dataclass(frozen=True)
class Speed:
    frames: int
    fps: float  # frames per second
    latency: float  # seconds, mean
    latency_p95: float  # seconds, 95th percentile, at most 2 % too high
    dropped: int

    def __str__(self) -> str:
        return (
            f"{self.fps:.1f} frames/s, latency {self.latency:.3f} s (95 % within {self.latency_p95:.3f} s), "
            f"{self.dropped:,} of {self.frames + self.dropped:,} frames dropped"
        )


class Tally:
    """The results since `start`, in seconds of `time.monotonic()`."""

    def __init__(self, start: float):
        self.start = self._end = start
        self._bins, self._frames, self._total, self._dropped = np.zeros(len(EDGES) + 1, np.int64), 0, 0.0, 0

    def add(self, result: Result, now: float) -> None:
        self._end, self._frames = now, self._frames + 1
        self._total, self._dropped = self._total + result.latency, self._dropped + result.dropped
        self._bins[np.searchsorted(EDGES, result.latency)] += 1

    def speed(self) -> Speed:
        elapsed, frames = self._end - self.start, self._frames
        fps = frames / elapsed if elapsed > 0 else 0.0
        at = int(np.searchsorted(np.cumsum(self._bins), 0.95 * frames)) if frames else 0
        return Speed(frames, fps, self._total / max(frames, 1), float(EDGES[min(at, len(EDGES) - 1)]), self._dropped)


class Meter:
    """An output that logs speed each `progress` seconds and at the end."""

    def __init__(self, progress: float):
        self._progress = progress
        self._all: Tally | None = None  # from the first frame's arrival on
        self._recent: Tally | None = None

    @property
    def speed(self) -> Speed:
        """Of all results."""
        return (self._all or Tally(0.0)).speed()

    def write(self, result: Result) -> None:
        now = time.monotonic()
        if self._all is None or self._recent is None:
            self._all, self._recent = Tally(now - result.latency), Tally(now - result.latency)
        self._all.add(result, now)
        self._recent.add(result, now)
        if now - self._recent.start >= self._progress:
            log.info(f"{result.seconds:.1f} s: {self._recent.speed()}")
            self._recent = Tally(now)

    def close(self) -> None:
        log.info(f"in all: {self.speed}")
