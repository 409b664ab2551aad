"""Objects that stay too long in a zone: see `Zoned.stays`, frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.evaluation.zoned import DWELL
from pixelplay.events.event import Event
from pixelplay.events.machine import Instant
from pixelplay.events.zones import Zone, standing, touched
from pixelplay.online.open_events import Naming, moment_of
from pixelplay.online.sightings import SeenTrack, Sighting


@dataclass(eq=False)
class Stay:
    """How long one object has been in one zone."""

    naming: Naming
    zone: Zone
    number: int  # of the zone in its file, from 1
    above: float  # seconds from which on it is an event
    seconds: float = 0.0  # all visits together
    inside_at: float | None = None  # seconds of the frame before, where it was in the zone then
    start: Instant | None = None  # from when it was too long
    end: Instant | None = None  # the last frame in the zone
    seen: SeenTrack | None = None
    last: Sighting | None = None  # at the end

    def step(self, seen: Sighting, inside: bool) -> bool:
        """The object's next frame; whether its event starts with it."""
        if inside and self.inside_at is not None:
            self.seconds += seen.at.seconds - self.inside_at
        self.inside_at = seen.at.seconds if inside else None
        starts = inside and self.seconds > self.above and self.start is None
        if starts:
            self.start, self.seen = seen.at, SeenTrack(seen.track, own=True)
        if self.seen is not None:
            self.seen.add(seen)
            if inside:
                self.end, self.last = seen.at, seen
                self.seen.confirm()
        return starts

    @property
    def id(self) -> str:
        assert self.start and self.last
        return self.naming.id_of(self.start, self.last.track, self.number)

    @property
    def times(self) -> tuple[float, float, float]:
        """Seconds of its start, of its end so far, and of its peak, which is its end."""
        assert self.start and self.end
        return self.start.seconds, self.end.seconds, self.end.seconds

    def sightings(self) -> list[Sighting]:
        assert self.start and self.end and self.seen
        return list(self.seen.sightings(self.start, self.end))

    def as_event(self) -> Event:
        """Of a stay that is an event."""
        assert self.start and self.end and self.seen and self.last, "it is one from its start on"
        shown = self.seen.between(self.start, self.end, self.last.xyxy)
        return Event(
            id=self.id,
            video=self.naming.video,
            found_by=[DWELL],
            start=moment_of(self.start),
            end=moment_of(self.end),
            peak=moment_of(self.end),
            score=self.seconds,
            stream=DWELL,
            threshold=self.above,
            tail_probability=None,
            contributions={},
            tracks=[shown],
            zones=list(dict.fromkeys([self.zone.name, *touched(self.naming.zones, [shown])])),
            thumbnail=None,
            clip=None,
        )


class Dwelling:
    """The stays of all objects that are followed."""

    def __init__(self, naming: Naming, numbers: dict[str, int], above: float | None):
        """numbers: of the zones in their file; above: seconds; None: no stay is too long."""
        self._naming, self._above = naming, above
        self._tracks: dict[int, dict[int, Stay]] = {}
        self._zones = [(zone, numbers[zone.name]) for zone in naming.zones if zone.alarms is not False]

    def step(self, sightings: Sequence[Sighting]) -> list[Stay]:
        """The stays that have become too long in this frame."""
        if self._above is None or not sightings:
            return []
        started = []
        for k, (zone, number) in enumerate(self._zones):
            inside = zone.inside(standing(np.array([seen.xyxy for seen in sightings])))
            for seen, within in zip(sightings, inside.tolist(), strict=True):
                stays = self._tracks.setdefault(seen.track, {})
                if k not in stays:
                    stays[k] = Stay(self._naming, zone, number, self._above)
                if stays[k].step(seen, within):
                    started.append(stays[k])
        return started

    @property
    def seconds(self) -> dict[tuple[int, str], float]:
        """How long objects that are in a zone have been there, by track and zone."""
        every = ((track, stay) for track, stays in self._tracks.items() for stay in stays.values())
        return {(track, stay.zone.name): stay.seconds for track, stay in every if stay.inside_at is not None}

    @property
    def open(self) -> list[Stay]:
        return [stay for stays in self._tracks.values() for stay in stays.values() if stay.start is not None]

    def end(self, tracks: Sequence[int]) -> list[Stay]:
        """The stays that are events of tracks that have ended."""
        ended = [stay for track in tracks for stay in self._tracks.pop(track, {}).values()]
        return [stay for stay in ended if stay.start is not None]

    def finish(self) -> list[Stay]:
        return self.end(list(self._tracks))
