"""Parts of events that go on: stretches of high scores, of frames or of a track."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.events.machine import EventMachine, Instant, Stretch
from pixelplay.online.fusion import Fused
from pixelplay.online.sightings import Sighting

if TYPE_CHECKING:
    from pixelplay.online.open_events import OpenEvent


@dataclass(frozen=True, eq=False)
class Peak:
    """The frame with the highest score of a part so far."""

    fused: Fused
    sightings: Sequence[Sighting]
    row: int | None = None  # of a track's part: which of the sightings it is

    @property
    def contributions(self) -> dict[str, float]:
        return self.fused.contributions if self.row is None else self.fused.contributions_of(self.row)

    def box(self, track: int) -> np.ndarray | None:
        return next((seen.xyxy for seen in self.sightings if seen.track == track), None)


@dataclass(eq=False)
class Part:
    """A stretch of high scores that goes on: of the fused score, or of one track (see `pixelplay.events.tracks`)."""

    stretch: Stretch
    peak: Peak
    track: int | None = None
    ripe: bool = False  # whether it is long enough for an event
    event: "OpenEvent | None" = None


@dataclass(eq=False)
class Followed:
    """A track that goes on."""

    machine: EventMachine
    since: float  # seconds of its first frame
    part: Part | None = None


class FramesPart(Part):
    """A stretch of the fused score, which counts unless its highest object is where alarms don't: `Zoned.ignores`."""

    long = False
    counts = True  # by the highest object up to its end so far
    _best = -np.inf
    _since = (-np.inf, True)  # and after that

    def look(self, now: Instant, sightings: Sequence[Sighting], counts: np.ndarray) -> None:
        if sightings:
            i = int(np.argmax([seen.score for seen in sightings]))
            if sightings[i].score > self._since[0]:
                self._since = sightings[i].score, bool(counts[i])
        if self.stretch.end == now:
            if self._since[0] > self._best:
                self._best, self.counts = self._since
            self._since = (-np.inf, True)
        self.ripe = self.long and self.counts
