"""Pictures and vectors of events while footage comes: `<id>.mp4`, `<id>.jpg` and `<id>.npz`, written by a thread.

The pictures of the last seconds are kept as JPEG. A clip shows an event with what is around it, or if that is longer
than what is kept, the part around its peak; it is written as soon as all of its pictures are there, and again if the
event then goes on or has a higher peak. What can't be written is reported, and never stops scoring.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pixelplay.drawing.annotate import Drawing, encoded, shrunk, write_image
from pixelplay.evaluation.zoned import DWELL
from pixelplay.events.event import Event
from pixelplay.events.machine import Instant, usual_spacing
from pixelplay.events.pictures import ClipsConfig, possible, with_pictures
from pixelplay.events.zones import Zone
from pixelplay.explain.clips import Curve
from pixelplay.explain.event_clips import Clip, Shown, frame_title, thumbnail
from pixelplay.explain.event_curves import curve_of
from pixelplay.explain.scored_boxes import NO_BOXES, Span, color_of, drawing_of, share_of, shares_between
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import Tracks
from pixelplay.online.dwelling import Stay
from pixelplay.online.file_writer import FileWriter
from pixelplay.online.fusion import Fused
from pixelplay.online.open_events import OpenEvent
from pixelplay.online.sightings import vectors_of
from pixelplay.report.timelines import roomy
from pixelplay.scores.settings import FUSED

QUALITY = 90  # of the pictures that are kept, JPEG; ours

Window = tuple[float, float]  # seconds of a clip's first and last frame


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame that is kept."""

    at: Instant
    jpeg: bytes
    size: tuple[int, ...]  # height and width of the frame
    factor: float  # by which the JPEG is smaller
    score: float  # fused
    tracks: Tracks  # n rows, boxes in pixels of the frame
    scores: np.ndarray  # float64 (n,), of objects
    dwell: Mapping[tuple[int, str], float]  # seconds so far by track and zone

    @property
    def image(self) -> np.ndarray:
        """uint8 (h, w, 3) RGB."""
        found = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert found is not None, "it was encoded here"
        return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)


class EventFiles:
    """The files of one stream's events."""

    def __init__(self, folder: Path, clips: ClipsConfig, buffer: float, span: Span, zones: Sequence[Zone]):
        """buffer: seconds of pictures that are kept; span: see `object_spans`."""
        self._folder, self._clips, self._span, self._zones = folder, possible(clips), span, zones
        self._length, self._buffer = min(clips.longest, buffer), buffer
        self._kept: deque[Picture] = deque()
        self._written: dict[str, Window] = {}  # of the clips of events that go on
        self._due: list[tuple[Window, Event]] = []  # events that are over and still need pictures of what follows
        self._writer = FileWriter()

    @property
    def _pictured(self) -> bool:
        return bool(self._clips.count or self._clips.thumbnails)

    def keep(self, moment: Moment, fused: Fused, dwell: Mapping[tuple[int, str], float]) -> None:
        """Keep a frame, and forget those that are too old."""
        if not self._pictured:
            return
        size = moment.image.shape[:2]
        factor = min(1.0, self._clips.size / max(size))
        if self._kept and self._kept[-1].size != size:
            self._kept.clear()  # the pictures of a clip have one size
        now, scores = Instant(moment.number, moment.seconds), np.empty(0) if fused.objects is None else fused.objects
        self._kept.append(
            Picture(
                at=now,
                jpeg=encoded(shrunk(moment.image, factor), quality=QUALITY),
                size=size,
                factor=factor,
                score=fused.score,
                tracks=moment.tracks[: len(scores)],  # none, where no scores of objects are fused
                scores=scores,
                dwell=dwell,
            )
        )
        while self._kept[0].at.seconds < now.seconds - self._buffer:
            self._kept.popleft()

    def started(self, open_event: OpenEvent | Stay) -> Event:
        """The event so far, with the name of its first thumbnail."""
        event, (_, _, peak) = self._named(open_event.as_event()).model_copy(update={"clip": None}), open_event.times
        if event.thumbnail:
            self._write(event, (peak, peak))
        return event

    def going(self, open_event: OpenEvent | Stay, now: float) -> None:
        """Write the clip of an event that goes on, once all of its pictures are there and before they are forgotten."""
        window = self._window(*open_event.times)
        if self._pictured and window[1] <= now and self._written.get(open_event.id) != window:
            self._written[open_event.id] = window
            self._write(self._named(open_event.as_event()), window)

    def ended(self, open_event: OpenEvent | Stay) -> Event:
        """The whole event with the names of its files, which are written when their last picture is there."""
        event, window = self._named(open_event.as_event()), self._window(*open_event.times)
        vectors = vectors_of(open_event.sightings())
        if vectors is not None:
            self._writer.add(event.id, lambda: vectors.save(self._folder / f"{event.id}.npz"))
        if self._pictured and self._written.pop(event.id, None) != window:
            self._due.append((window, event))
        return event

    def step(self, now: float) -> None:
        """Write what was waiting for pictures up to now."""
        ready = [(window, event) for window, event in self._due if window[1] <= now]
        self._due = [(window, event) for window, event in self._due if window[1] > now]
        for window, event in ready:
            self._write(event, window)

    def _window(self, start: float, end: float, peak: float) -> Window:
        """Of an event from `start` to `end`, seconds: see `pixelplay.explain.event_clips.stretch`."""
        first, last = start - self._clips.around, end + self._clips.around
        if last - first > self._length:
            first = min(max(first, peak - self._length / 2), last - self._length)
            last = first + self._length
        return first, last

    def close(self, patience: float) -> None:
        """Write what is waiting; no longer than `patience` seconds without a file."""
        self.step(np.inf)
        self._writer.close(patience)

    def _named(self, event: Event) -> Event:
        return with_pictures([event], self._clips)[0]

    def _write(self, event: Event, window: Window) -> None:
        pictures = [one for one in self._kept if window[0] <= one.at.seconds <= window[1]]
        if pictures:
            draw = _Drawing(event, pictures, self._span, self._zones, self._folder)
            self._writer.add(event.id, draw.write)


@dataclass(frozen=True, eq=False)
class _Drawing:
    """The pictures of one event."""

    event: Event
    pictures: Sequence[Picture]
    span: Span
    zones: Sequence[Zone]
    folder: Path

    def write(self) -> None:
        event, shown = self.event, self._shown()
        seconds = np.array([one.at.seconds for one in self.pictures])
        spacing = usual_spacing(seconds)
        rate = min(max(1 / spacing, 1.0), 120.0) if spacing > 0 else 1.0
        with ExitStack() as clips:
            clip = Clip(shown, self.folder / event.clip, round(rate, 3), clips) if event.clip else None
            for position, picture in enumerate(self.pictures):
                name = event.thumbnail if position == shown.peak else None
                if not (clip or name):
                    continue
                frame = picture.image
                if clip:
                    clip.add(position, frame, picture.factor)
                if name:
                    scene = shown.scene(frame, picture.factor)
                    write_image(self.folder / name, thumbnail(shown, scene, picture.factor))

    def _shown(self) -> Shown:
        event, pictures = self.event, self.pictures
        numbers = np.array([one.at.frame for one in pictures])
        curve = self._curve(numbers)
        moments = zip(pictures, curve.scores.tolist(), strict=True)
        color = color_of(share_of(event.tracks[0].score, self.span) if event.tracks else 0.0)
        return Shown(
            event=event,
            first=0,
            stop=len(pictures),
            peak=int(np.abs(numbers - event.peak.frame).argmin()),
            curve=curve,
            titles=[frame_title(event.video, one.at.frame, one.at.seconds, score) for one, score in moments],
            drawing=self._boxes,
            boxes="",
            color=color,
            outlines=[zone.polygon for zone in self.zones if zone.name in event.zones],
        )

    def _curve(self, numbers: np.ndarray) -> Curve:
        event = self.event
        if event.stream == FUSED:
            scores = [one.score for one in self.pictures]
        elif event.stream == DWELL:
            place = event.tracks[0].track, event.zones[0]
            scores = [one.dwell.get(place, np.nan) for one in self.pictures]
        else:
            scores = [_score(one, event.tracks[0].track) for one in self.pictures]
        values = np.array(scores, np.float64)
        ends = [event.threshold, event.score, *values[np.isfinite(values)].tolist()]
        return curve_of(event, numbers, values, roomy(min(ends), max(ends)))

    def _boxes(self, position: int) -> Drawing:
        one = self.pictures[position]
        if not len(one.tracks):
            return NO_BOXES
        share = shares_between(one.scores, self.span.low, self.span.high)
        order = np.argsort(share, kind="stable")
        tracks = one.tracks[order]
        columns = (tracks.label.tolist(), tracks.track.tolist(), one.scores[order].tolist())
        return drawing_of(tracks.xyxy.astype(np.float64), list(zip(*columns, strict=True)), share[order])


def _score(picture: Picture, track: int) -> float:
    at = np.flatnonzero(picture.tracks.track == track)
    return float(picture.scores[at[0]]) if len(at) else np.nan
