"""What is remembered of objects while events go on: bounded, however long an event lasts."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from pixelplay.events.event import EventTrack
from pixelplay.events.machine import Instant
from pixelplay.events.tracks import PATH_POINTS, box_of, path_of
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.moments import Moment

VECTOR_ROWS = 128  # of a track in an event with vectors of its crop, and as many without; ours

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Sighting:
    """An object in a frame."""

    at: Instant
    track: int
    label: str
    score: float
    xyxy: np.ndarray  # float64 (4,)
    vectors: Mapping[str, np.ndarray]  # float32 (D,): `crops`, where one was taken, and `flow`


def object_vectors(moment: Moment, row: int) -> dict[str, np.ndarray]:
    """Those that the object has in this frame, copied: a view would keep those of all objects."""
    found = {"crops": moment.crops, "flow": moment.flow}
    rows = {name: values[row] for name, values in found.items() if values is not None}
    return {name: np.array(values, np.float32) for name, values in rows.items() if np.isfinite(values).all()}


class Thinned(Generic[Item]):
    """At most 2 `limit` items of any number: every one, then every second, every fourth, …"""

    def __init__(self, limit: int):
        self.items: list[Item] = []
        self._limit, self._stride, self._count = limit, 1, 0

    def add(self, item: Item) -> None:
        if self._count % self._stride == 0:
            if len(self.items) == 2 * self._limit:
                self.items, self._stride = self.items[::2], 2 * self._stride
            if self._count % self._stride == 0:
                self.items.append(item)
        self._count += 1


class SeenTrack:
    """One object through an event that goes on."""

    def __init__(self, track: int, own: bool):
        self.track, self.own = track, own  # own: whether it is itself a part of the event
        self.label, self.score = "", -np.inf  # its highest score up to the event's end so far
        self._since = -np.inf  # and after that
        self._path: Thinned[tuple[int, np.ndarray]] = Thinned(PATH_POINTS)
        self._with_crops: Thinned[Sighting] = Thinned(VECTOR_ROWS)
        self._others: Thinned[Sighting] = Thinned(VECTOR_ROWS)

    def add(self, seen: Sighting) -> None:
        self.label, self._since = seen.label, max(self._since, seen.score)
        self._path.add((seen.at.frame, seen.xyxy))
        if seen.vectors:
            (self._with_crops if "crops" in seen.vectors else self._others).add(seen)

    def confirm(self) -> None:
        """The event has lasted until here."""
        self.score, self._since = max(self.score, self._since), -np.inf

    def between(self, start: Instant, end: Instant, box: np.ndarray | None) -> EventTrack:
        """box: at the event's peak."""
        rows = [(frame, xyxy) for frame, xyxy in self._path.items if start.frame <= frame <= end.frame]
        frames, boxes = np.array([frame for frame, _ in rows], np.int64), np.array([xyxy for _, xyxy in rows])
        return EventTrack(
            track=self.track,
            label=self.label,
            score=self.score,
            box=None if box is None else box_of(box),
            path=path_of(frames, boxes.reshape(-1, 4)) if rows else [],
        )

    def sightings(self, start: Instant, end: Instant) -> Iterator[Sighting]:
        """Those with vectors."""
        every = (*self._with_crops.items, *self._others.items)
        yield from (seen for seen in every if start.frame <= seen.at.frame <= end.frame)


class History:
    """The sightings of the last seconds, by track: an event starts before it is known to be one."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._tracks: dict[int, deque[Sighting]] = {}

    def add(self, now: float, sightings: Sequence[Sighting]) -> None:
        for seen in sightings:
            self._tracks.setdefault(seen.track, deque()).append(seen)
        for track, rows in list(self._tracks.items()):
            while rows and rows[0].at.seconds < now - self._seconds:
                rows.popleft()
            if not rows:
                del self._tracks[track]

    def since(self, frame: int) -> Iterator[Sighting]:
        for rows in self._tracks.values():
            yield from (seen for seen in rows if seen.at.frame >= frame)


def vectors_of(sightings: Sequence[Sighting]) -> EventVectors | None:
    """Sightings as they are kept for `accept`; None where there are no vectors."""
    rows = sorted(sightings, key=lambda seen: (seen.at.frame, seen.track))
    sizes = {name: len(values) for seen in rows for name, values in seen.vectors.items()}
    if not sizes:
        return None
    lacking = {name: np.full(size, np.nan, np.float32) for name, size in sizes.items()}
    return EventVectors(
        frame=np.array([seen.at.frame for seen in rows], np.int64),
        track=np.array([seen.track for seen in rows], np.int64),
        xyxy=np.array([seen.xyxy for seen in rows], np.float32),
        label=np.array([seen.label for seen in rows], np.str_),
        vectors={
            name: np.array([seen.vectors.get(name, none) for seen in rows], np.float32)
            for name, none in lacking.items()
        },
    )
