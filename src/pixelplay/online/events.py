"""Events while they happen: the run's own thresholds and event machine, for the fused score and for each track.

An event starts when its first part is long enough, and ends when all of its parts have: see `OpenEvent`. It is what
`pixelplay.evaluation.events` finds in the same scores of a whole video, but for what only later frames tell: two events
that have both started stay two, though a track that rises again later may overlap both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.detectors.stream import StreamFormat
from pixelplay.errors import ConfigError
from pixelplay.evaluation.run_alarms import RunAlarms
from pixelplay.evaluation.zoned import Zoned
from pixelplay.events.event import Event
from pixelplay.events.machine import EventMachine, Instant
from pixelplay.events.tracks import WHOLE, lasts, overlap
from pixelplay.events.zones import Zone, counting, standing, zones_of
from pixelplay.objects.moments import Moment
from pixelplay.online.dwelling import Dwelling, Stay
from pixelplay.online.fusion import Fused, OnlineFusion
from pixelplay.online.open_events import Naming, OpenEvent
from pixelplay.online.parts import Followed, FramesPart, Part, Peak
from pixelplay.online.sightings import History, Sighting, object_vectors
from pixelplay.scores.settings import FUSED, OBJECTS

if TYPE_CHECKING:  # importing it imports matplotlib
    from pixelplay.online.event_files import EventFiles


@dataclass(frozen=True, eq=False)
class Happened:
    """What a frame brought."""

    started: list[Event]  # events that have just become long enough, so far
    ended: list[Event]  # events that are over, as a whole
    alarm: bool  # whether an event goes on
    threshold: float | None  # of the fused score, at this frame; None where the run has none
    unusual: np.ndarray  # bool (n,), which of the moment's objects are above the threshold of objects


class OnlineEvents:
    """The alarms of a run, for any number of streams."""

    def __init__(self, fusion: OnlineFusion):
        """Raises ConfigError for zones where no objects are followed, and as `RunAlarms.of`."""
        run = fusion.run
        self.config = run.config
        self.zoned = Zoned.of(run.config)
        if self.zoned.zones and not run.streams:
            raise ConfigError(
                f"events.zones={run.config.events.zones}: no detector scores objects frame by frame, and zones are "
                "about objects: set events.zones=null"
            )
        own = RunAlarms.of(run.config, run.index, self.zoned, run.fused, run.objects)
        self.alarms = own.alarms
        remarks = {stream: one.alarm.remark for stream, one in self.alarms.items() if one.alarm.remark}
        self.remarks = [f"{stream}: {why}" for stream, why in (remarks | own.missing).items()]
        self.objects = run.objects  # tables of the run

    def stream(self, video: str, footage: StreamFormat, folder: Path | None = None) -> "EventStream":
        """A new stream, before its first frame.

        video: what it is called in events and in files of zones; folder: of clips, thumbnails and vectors, which are
        not written without one.
        """
        return EventStream(self, video, footage, folder)


class EventStream:
    """The events of one stream that go on. Its memory does not grow with it."""

    def __init__(self, events: OnlineEvents, video: str, footage: StreamFormat, folder: Path | None):
        config = events.config.events
        self._config, self._spacing = config, 1 / footage.fps
        zones = zones_of(events.zoned.zones, video, footage.size)
        self._naming = Naming(video, events.alarms, zones)
        numbers = {zone.name: number for number, zone in enumerate(events.zoned.zones, start=1)}
        self._dwelling = Dwelling(self._naming, numbers, events.zoned.dwell_above)
        fused = events.alarms.get(FUSED)
        self._frames = EventMachine(fused.limit(), config, self._spacing) if fused else None
        self._part: FramesPart | None = None  # of frames
        self._followed: dict[int, Followed] = {}
        self._history = History(config.min_duration + config.merge_gap + 3 * self._spacing)
        self._open: list[OpenEvent] = []
        self._files = None if folder is None else _files(events, folder, zones)

    @property
    def open(self) -> list[OpenEvent | Stay]:
        """The events that go on."""
        return [*self._open, *self._dwelling.open]

    def step(self, moment: Moment, fused: Fused) -> Happened:
        """The next frame, later than all before."""
        now = Instant(moment.number, moment.seconds)
        sightings, counts = self._sightings(moment, fused, now)
        stays = self._gone(moment.ended)
        unusual = self._step_tracks(now, fused, sightings, counts) if sightings else np.zeros(len(moment.tracks), bool)
        self._step_frames(now, fused, sightings, counts)
        ended = [event for event in self._open if not event.going]
        self._open = [event for event in self._open if event.going]
        for event in self._open:
            event.record(sightings)
        started = self._joined()
        for event in self._open:
            event.confirm(now)
            if moment.ended:
                event.forget(self._followed)
        late = self._dwelling.step(sightings)
        if self._files is not None:
            self._keep(self._files, moment, fused)
        gap = self._config.merge_gap + 1.5 * self._spacing  # which would still be closed
        return Happened(
            started=[self._told(event, over=False) for event in (*started, *late)],
            ended=[self._told(event, over=True) for event in (*ended, *stays)],
            alarm=any(event.end is not None and now.seconds - event.end.seconds <= gap for event in self.open),
            threshold=self._frames.levels.start if self._frames and self._frames.levels else None,
            unusual=unusual,
        )

    def finish(self) -> list[Event]:
        """The stream is over, or what follows has nothing to do with it: the events that were going on end."""
        if self._frames is not None:
            self._frames.finish()
        self._close(self._part)
        for track in self._followed.values():
            self._close(track.part)
        ended = [*self._open, *self._dwelling.finish()]
        self._part, self._open, self._followed = None, [], {}
        return [self._told(event, over=True) for event in ended]

    def close(self) -> None:
        """Wait until the files of events are written, no longer than `events.delivery.patience` for one of them."""
        if self._files is not None:
            self._files.close(self._config.delivery.patience)

    def _keep(self, files: "EventFiles", moment: Moment, fused: Fused) -> None:
        files.keep(moment, fused, self._dwelling.seconds)
        files.step(moment.seconds)
        for event in self.open:
            files.going(event, moment.seconds)

    def _told(self, event: OpenEvent | Stay, over: bool) -> Event:
        """The event with the names of its files."""
        if self._files is None:
            return event.as_event()
        return self._files.ended(event) if over else self._files.started(event)

    def _sightings(self, moment: Moment, fused: Fused, now: Instant) -> tuple[list[Sighting], np.ndarray]:
        """The moment's scored objects, and whether each can raise an alarm where it stands, bool (n,)."""
        if fused.objects is None or not len(fused.objects):
            self._history.add(now.seconds, [])
            return [], np.empty(0, bool)
        tracks, xyxy = moment.tracks, moment.tracks.xyxy.astype(np.float64)
        columns = zip(tracks.track.tolist(), tracks.label.tolist(), fused.objects.tolist(), xyxy, strict=True)
        sightings = [Sighting(now, *of, object_vectors(moment, i)) for i, of in enumerate(columns)]
        self._history.add(now.seconds, sightings)
        zones = self._naming.zones
        return sightings, counting(standing(xyxy), zones) if zones else np.ones(len(xyxy), bool)

    def _gone(self, tracks: Sequence[int]) -> list[Stay]:
        """Close what tracks that have ended were part of; returns their stays, which are over."""
        for track in tracks:
            if track in self._followed:
                self._close(self._followed.pop(track).part)
        return self._dwelling.end(tracks)

    def _close(self, part: Part | None) -> None:
        if part is not None and part.event is not None:
            part.event.close(part)

    def _step_tracks(self, now: Instant, fused: Fused, sightings: Sequence[Sighting], counts: np.ndarray) -> np.ndarray:
        alarm = self._naming.alarms.get(OBJECTS)
        if alarm is None:
            return np.zeros(len(sightings), bool)
        for i, seen in enumerate(sightings):
            if seen.track not in self._followed:
                machine = EventMachine(alarm.limit(follows=False), WHOLE, self._spacing)
                self._followed[seen.track] = Followed(machine, now.seconds)
            track = self._followed[seen.track]
            track.machine.step(*now, seen.score if counts[i] else -np.inf)
            stretch = track.machine.open
            if stretch is None:
                continue
            if track.part is None:
                track.part = Part(stretch, Peak(fused, sightings, i), seen.track)
            elif stretch.peak == now:
                track.part.peak = Peak(fused, sightings, i)
            track.part.stretch = stretch
            track.part.ripe = lasts(now.seconds - track.since, self._config, self._spacing)
        scores = np.array([seen.score for seen in sightings])
        return (scores > alarm.alarm.threshold) & counts

    def _step_frames(self, now: Instant, fused: Fused, sightings: Sequence[Sighting], counts: np.ndarray) -> None:
        if self._frames is None:
            return
        change, stretch = self._frames.step(*now, fused.score), self._frames.open
        if self._part is not None and (stretch is None or stretch.start != self._part.stretch.start):
            self._close(self._part)
            self._part = None
        if stretch is None:
            return
        if self._part is None:
            self._part = FramesPart(stretch, Peak(fused, sightings))
        elif stretch.peak == now:
            self._part.peak = Peak(fused, sightings)
        self._part.stretch = stretch
        self._part.long = self._part.long or change.started is not None
        self._part.look(now, sightings, counts)

    def _joined(self) -> list[OpenEvent]:
        """Let parts that have become long enough join an event that they overlap, the first one; returns new events."""
        parts = [self._part, *(track.part for track in self._followed.values())]
        started = []
        for part in parts:
            if part is None or not part.ripe or part.event is not None:
                continue
            event = next((event for event in self._open if event.meets(part) or self._bridged(event, part)), None)
            if event is None:
                start, end = part.stretch.start, part.stretch.end
                event = OpenEvent(self._naming, self._naming.id_of(start, part.track), start, end)
                self._open.append(event)
                started.append(event)
            event.join(part, self._history)
        return started

    def _bridged(self, event: OpenEvent, part: Part) -> bool:
        """Whether frames that are high, if not yet for long enough, overlap both a track and an event of tracks."""
        frames = self._part
        if frames is None or frames.event is not None or not frames.counts or part.track is None:
            return False
        return overlap(frames.stretch, part.stretch) and event.meets(frames)


def _files(events: OnlineEvents, folder: Path, zones: Sequence[Zone]) -> "EventFiles":
    from pixelplay.explain.scored_boxes import NO_SPAN, object_spans
    from pixelplay.online.event_files import EventFiles

    span = NO_SPAN if events.objects is None else object_spans(events.objects[1]).get(OBJECTS, NO_SPAN)
    return EventFiles(folder, events.config.events.clips, events.config.online.buffer, span, zones)
