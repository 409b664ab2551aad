"""Frames per second, latency and dropped frames, of the last seconds and of all."""

import logging
import time

import numpy as np

from pixelplay.online.result import Result

log = logging.getLogger(__name__)

# Latencies are counted in bins, so that memory is the same after a day; of a bin, its upper edge is told.
EDGES = 1e-4 * 1.02 ** np.arange(931)  # seconds, from 0.1 ms to about 10,000 s, 2 % from one to the next


class Tally:
    """The results since `start`, in seconds of `time.monotonic()`."""

    def __init__(self, start: float):
        self.start = self._end = start
        self._bins, self._total = np.zeros(len(EDGES) + 1, np.int64), 0.0
        self.frames = self.dropped = 0

    def add(self, result: Result, now: float) -> None:
        self._end, self.frames = now, self.frames + 1
        self._total, self.dropped = self._total + result.latency, self.dropped + result.dropped
        self._bins[np.searchsorted(EDGES, result.latency)] += 1

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.frames / max(self._end - self.start, 1e-9)

    @property
    def latency(self) -> float:
        """Seconds, mean."""
        return self._total / max(self.frames, 1)

    @property
    def latency_p95(self) -> float:
        """Seconds, 95th percentile, at most 2 % too high."""
        at = int(np.searchsorted(np.cumsum(self._bins), 0.95 * self.frames)) if self.frames else 0
        return float(EDGES[min(at, len(EDGES) - 1)])

    def __str__(self) -> str:
        return (
            f"{self.fps:.1f} frames/s, latency {self.latency:.3f} s (95 % within {self.latency_p95:.3f} s), "
            f"{self.dropped:,} of {self.frames + self.dropped:,} frames dropped"
        )


class Meter:
    """An output that logs speed each `progress` seconds and at the end."""

    def __init__(self, progress: float):
        self._progress = progress
        self.all, self._recent = Tally(0.0), Tally(0.0)

    def write(self, result: Result) -> None:
        now = time.monotonic()
        if not self.all.frames:  # from the first frame's arrival on
            self.all, self._recent = Tally(now - result.latency), Tally(now - result.latency)
        self.all.add(result, now)
        self._recent.add(result, now)
        if now - self._recent.start >= self._progress:
            log.info(f"{result.seconds:.1f} s: {self._recent}")
            self._recent = Tally(now)

    def close(self) -> None:
        log.info(f"in all: {self.all}")
