"""Events that go on: their parts, and what is known of them so far."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pixelplay.events.alarm import StreamAlarm
from pixelplay.events.event import Event, Moment, Source
from pixelplay.events.machine import Instant, Stretch
from pixelplay.events.tracks import overlap
from pixelplay.events.zones import Zone, touched
from pixelplay.online.parts import Part, Peak
from pixelplay.online.sightings import History, SeenTrack, Sighting
from pixelplay.run.files import plain_name
from pixelplay.scores.settings import FUSED, OBJECTS

MOST_TRACKS = 100  # objects of an event, at most: those with the highest scores; ours


@dataclass(frozen=True, eq=False)
class Naming:
    """What events of one stream have in common."""

    video: str
    alarms: Mapping[str, StreamAlarm]
    zones: Sequence[Zone]

    def id_of(self, start: Instant, track: int | None = None, zone: int | None = None) -> str:
        of_track = "" if track is None else f"-track{track}"
        of_zone = "" if zone is None else f"-zone{zone}"
        return f"event-{plain_name(self.video)}-{start.frame}{of_track}{of_zone}"


def moment_of(at: Instant) -> Moment:
    return Moment(frame=at.frame, seconds=round(at.seconds, 3))


@dataclass(eq=False)
class OpenEvent:
    """One event: a stretch of frames, or several, and the tracks that overlap them; or a track alone, or several that
    overlap frames that were high for too short a time.

    It ends when all of its parts have. Its id is that of how it began.
    """

    naming: Naming
    id: str
    start: Instant
    end: Instant
    going: list[Part] = field(default_factory=list)
    by_frames: list[tuple[Stretch, Peak]] = field(default_factory=list)  # over: the highest, then the latest
    by_tracks: list[tuple[Stretch, Peak]] = field(default_factory=list)  # over: the highest
    tracks: set[int] = field(default_factory=set)  # of its parts, also of those that are over
    seen: dict[int, SeenTrack] = field(default_factory=dict)
    by_objects: bool = False
    _unconfirmed: dict[int, SeenTrack] = field(default_factory=dict)  # seen since its end so far

    @property
    def has_frames(self) -> bool:
        return bool(self.by_frames) or any(part.track is None for part in self.going)

    def meets(self, part: Part) -> bool:
        """Whether a part that is ripe belongs to it: stretches of frames and tracks that overlap do."""
        if part.track is None:
            return any(one.track is not None and overlap(one.stretch, part.stretch) for one in self.going)
        frames = [one.stretch for one in self.going if one.track is None] + [one for one, _ in self.by_frames]
        return any(overlap(one, part.stretch) for one in frames)

    def join(self, part: Part, history: History) -> None:
        """Take a part in, and what was seen since it started."""
        part.event = self
        self.going.append(part)
        earlier = part.stretch.start.frame < self.start.frame
        self.start, self.end = min(self.start, part.stretch.start), max(self.end, part.stretch.end)
        if part.track is not None:
            self.tracks.add(part.track)
            self.by_objects = True
        fresh = {track: SeenTrack(track, track in self.tracks) for track in self.seen} if earlier else {}
        self.seen |= fresh
        known = set(self.seen) - set(fresh)
        if part.track is not None and part.track in known:
            self.seen[part.track].own = True
        for seen in history.since(self.start.frame):
            if seen.track not in known and (self.has_frames or seen.track in self.tracks):
                self._add(seen)
                if seen.at <= self.end:
                    self.seen[seen.track].confirm()

    def _add(self, seen: Sighting) -> None:
        if seen.track not in self.seen:
            self.seen[seen.track] = SeenTrack(seen.track, seen.track in self.tracks)
        self.seen[seen.track].add(seen)
        self._unconfirmed[seen.track] = self.seen[seen.track]

    def record(self, sightings: Sequence[Sighting]) -> None:
        """What is seen in the next frame, before parts join in it."""
        for seen in sightings:
            if self.has_frames or seen.track in self.tracks:
                self._add(seen)

    def confirm(self, now: Instant) -> None:
        """Its end so far, by its parts."""
        self.end = max([self.end, *(part.stretch.end for part in self.going)])
        if self.end == now:
            for one in self._unconfirmed.values():
                one.confirm()
            self._unconfirmed.clear()

    def close(self, part: Part) -> None:
        """A part is over."""
        self.going.remove(part)
        self.end = max(self.end, part.stretch.end)
        every = [*(self.by_frames if part.track is None else self.by_tracks), (part.stretch, part.peak)]
        highest = max(every, key=lambda one: one[0].score)
        if part.track is None:
            self.by_frames = [highest, *([every[-1]] if every[-1] is not highest else [])]
        else:
            self.by_tracks = [highest]

    def forget(self, followed: Collection[int]) -> None:
        """Drop tracks that have ended and are no part of it, nor high at its peak; and the least of very many."""
        for track in set(self.seen) - set(followed) - self.shown:
            del self.seen[track]
        scores = {track: one.score for track, one in self.seen.items()}
        over = sorted(self.tracks - {part.track for part in self.going}, key=lambda one: -scores.get(one, -np.inf))
        for track in over[MOST_TRACKS:]:
            self.tracks.discard(track)
            self.seen.pop(track, None)

    @property
    def peak(self) -> tuple[Stretch, Peak]:
        """Of the frames' scores where these are high, else of its tracks."""
        frames, over = self.has_frames, self.by_frames if self.has_frames else self.by_tracks
        going = [(part.stretch, part.peak) for part in self.going if (part.track is None) == frames]
        return max([*over, *going], key=lambda one: (one[0].score, -one[0].peak.frame))

    @property
    def shown(self) -> set[int]:
        """Its tracks, and of an event of frames those that are high at its peak."""
        if not self.has_frames or OBJECTS not in self.naming.alarms:
            return self.tracks
        high = self.naming.alarms[OBJECTS].alarm.end_threshold
        return self.tracks | {seen.track for seen in self.peak[1].sightings if seen.score >= high}

    @property
    def times(self) -> tuple[float, float, float]:
        """Seconds of its start, of its end so far, and of its peak."""
        return self.start.seconds, self.end.seconds, self.peak[0].peak.seconds

    def sightings(self) -> list[Sighting]:
        """Its objects in its frames, as far as they have vectors."""
        shown = [self.seen[track] for track in self.shown if track in self.seen]
        return [seen for track in shown for seen in track.sightings(self.start, self.end)]

    def as_event(self) -> Event:
        """The event so far."""
        stretch, peak = self.peak
        stream = FUSED if self.has_frames else OBJECTS
        shown = [
            self.seen[track].between(self.start, self.end, peak.box(track))
            for track in self.shown
            if track in self.seen
        ]
        sources: list[tuple[Source, bool]] = [("frames", self.has_frames), ("objects", self.by_objects)]
        return Event(
            id=self.id,
            video=self.naming.video,
            found_by=[source for source, there in sources if there],
            start=moment_of(self.start),
            end=moment_of(self.end),
            peak=moment_of(stretch.peak),
            score=stretch.score,
            stream=stream,
            threshold=stretch.threshold,
            tail_probability=self.naming.alarms[stream].probability(stretch.score),
            contributions=peak.contributions,
            tracks=sorted(shown, key=lambda one: (-one.score, one.track)),
            zones=touched(self.naming.zones, shown),
            thumbnail=None,
            clip=None,
        )
