"""The progress of long work: a bar on a terminal; elsewhere, as in log files, a line now and then."""

import sys
import time
from collections.abc import Callable
from typing import Self

from tqdm import tqdm

SELDOM = 30.0  # seconds between two lines where there is no terminal


class ProgressLines:
    """Prints how far the work is, and the time left at the average rate so far, at most every `SELDOM` seconds."""

    def __init__(self, total: int, unit: str, description: str, clock: Callable[[], float] = time.monotonic):
        self.total, self._unit, self._description, self._clock = total, unit, description, clock
        self._done, self._started = 0, clock()
        self._told = self._started

    def update(self, n: int = 1) -> None:
        self._done += n
        now = self._clock()
        if now - self._told < SELDOM or self._done >= self.total:
            return
        self._told = now
        left = (now - self._started) / self._done * (self.total - self._done) if self._done else 0.0
        counted = f"{self._done:,} of {self.total:,} {self._unit}s"
        print(f"{self._description}: {counted}, {time_left(left)}", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def progress_bar(total: int, unit: str, description: str) -> tqdm | ProgressLines:
    """The progress of `total` units of work, called `unit` in the singular."""
    if not sys.stderr.isatty():
        return ProgressLines(total, unit, description)
    return tqdm(total=total, unit=unit, desc=description, dynamic_ncols=True, disable=total == 0)


def time_left(seconds: float) -> str:
    return "less than a minute left" if seconds < 60 else f"about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """In the unit that suits: 8 s, 3 min, 2.5 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
