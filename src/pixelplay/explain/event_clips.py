"""Clips and thumbnails of events: frames with scored boxes around each event, above its score and its threshold."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pixelplay.drawing.annotate import WHITE, Drawing, annotated, clip_writer, shrunk, write_image
from pixelplay.events.event import Event, Events
from pixelplay.events.pictures import VERSION, ClipsConfig
from pixelplay.events.zones import Zone, read_zones, zones_of
from pixelplay.explain.clips import Curve, Painter
from pixelplay.explain.event_curves import EventCurves
from pixelplay.explain.frames import full_size_frames
from pixelplay.explain.scored_boxes import Objects, joined, scored_objects
from pixelplay.explain.tracks import draw_path
from pixelplay.report.tables import number_text
from pixelplay.run.artifacts import parse_json, write_json
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests, fingerprint
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video, recording_start

if TYPE_CHECKING:
    from pixelplay.config import Config

MADE = "pictures.json"  # of each file in the folder: what it was made from, and its digest


@dataclass(frozen=True, eq=False)
class Shown:
    """What the pictures of one event show."""

    event: Event
    first: int  # position of the clip's first frame in the video
    stop: int  # and after its last; of an event without a clip, its peak alone
    peak: int  # position
    curve: Curve  # of the frames from first to stop
    titles: Sequence[str]  # of these
    drawing: Callable[[int], Drawing]  # of the frame at a position of the video, pixels of the full-size frame
    boxes: str  # digest of what is drawn
    color: tuple[int, int, int]  # RGB, of the path of its main track
    outlines: Sequence[np.ndarray] = ()  # polygons (K, 2) of the zones that it touches, pixels of the full-size frame

    @property
    def positions(self) -> range:
        return range(self.first, self.stop)

    def key(self, video: Video, rate: float, size: int) -> str:
        """Of all that decides what its pictures look like."""
        curve, shaded = self.curve, None if self.curve.shaded is None else self.curve.shaded.tolist()
        below = [curve.name, curve.scores.tolist(), curve.ends, curve.threshold, shaded]
        drawn = [self.boxes, self.color, *(outline.tolist() for outline in self.outlines)]
        frames = [video.key, self.first, self.stop, self.peak, rate, size, list(self.titles)]
        return fingerprint(VERSION, frames, below, drawn, [track.path for track in self.event.tracks[:1]])

    def scene(self, frame: np.ndarray, factor: float) -> np.ndarray:
        """A frame that is smaller by a factor, with the outlines of zones: uint8 (H, W, 3) RGB."""
        corners = [np.round(factor * outline).astype(np.int32)[:, None] for outline in self.outlines]
        return cv2.polylines(frame.copy(), corners, True, WHITE, 1) if corners else frame


def write_event_pictures(config: "Config", index: Index, found: Events) -> list[Path]:
    """Write the pictures that events name; those that are there and would be the same are kept. Returns all paths."""
    folder = RunFiles.of(config).events_folder
    curves, objects = EventCurves(config, index, found), scored_objects(config, index)
    made = _Made(folder)
    for video in index.test:
        events = [event for event in found.events if event.video == video.id and _names(event)]
        if not events:
            continue
        rate, settings = video.fps or config.events.fps, config.events.clips
        zones = zones_of(read_zones(config.events.zones), video.id, video.size) if config.events.zones else []
        shown = [_shown(event, video, rate, settings, curves, objects, zones) for event in events]
        keys = [(one, one.key(video, rate, settings.size)) for one in shown]
        due = {one: key for one, key in keys if not made.has(_names(one.event), key)}
        _write(folder, video, list(due), rate, settings.size)
        made.add({name: key for one, key in due.items() for name in _names(one.event)})
    names = sorted(name for event in found.events for name in _names(event))
    made.only(names)
    return [folder / name for name in (*names, MADE)]


def _names(event: Event) -> list[str]:
    return [name for name in (event.thumbnail, event.clip) if name]


class _Made:
    """The list of pictures in a folder, with what they were made from."""

    def __init__(self, folder: Path):
        self._path = folder / MADE
        try:
            self._of: dict[str, list[str]] = dict(parse_json(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):  # not there, or damaged: all are made again
            self._of = {}

    def has(self, names: Sequence[str], key: str) -> bool:
        """Whether all these files are there as they were made, from the same."""
        paths = [self._path.with_name(name) for name in names]
        return all(path.is_file() for path in paths) and [[key, d] for d in file_digests(paths)] == [
            self._of.get(name) for name in names
        ]

    def add(self, keys: Mapping[str, str]) -> None:
        digests = file_digests(self._path.with_name(name) for name in keys)
        self._of |= {name: [key, digest] for (name, key), digest in zip(keys.items(), digests, strict=True)}
        write_json(self._path, self._of)

    def only(self, names: Sequence[str]) -> None:
        """Forget all others."""
        self._of = {name: self._of[name] for name in names}
        write_json(self._path, self._of)


def _shown(
    event: Event,
    video: Video,
    rate: float,
    settings: ClipsConfig,
    curves: EventCurves,
    objects: Sequence[Objects],
    zones: Sequence[Zone],
) -> Shown:
    start, end, peak = (int(np.searchsorted(video.numbers, at.frame)) for at in (event.start, event.end, event.peak))
    first, stop = stretch(start, end, peak, len(video), rate, settings) if event.clip else (peak, peak + 1)
    curve, numbers = curves.of(event, video, first, stop), video.numbers[first:stop].tolist()
    began = recording_start(video.originals.source if video.originals else None)
    seconds = [None] * len(numbers) if video.seconds is None else video.seconds[first:stop].tolist()
    moments = zip(numbers, seconds, curve.scores.tolist(), strict=True)
    return Shown(
        event=event,
        first=first,
        stop=stop,
        peak=peak,
        curve=curve,
        titles=[frame_title(video.id, *moment, began) for moment in moments],
        drawing=lambda position: joined([of.of_frame(video.id, int(video.numbers[position])) for of in objects]),
        boxes=fingerprint([of.digest(video.id, numbers[0], numbers[-1]) for of in objects]),
        color=curves.color(event),
        outlines=[zone.polygon for zone in zones if zone.name in event.zones],
    )


def stretch(start: int, end: int, peak: int, frames: int, rate: float, settings: ClipsConfig) -> tuple[int, int]:
    """Positions from which and up to which a clip goes: the event with what is around it, or if that is longer than
    `settings.longest`, so much of it, with the peak in the middle where the event allows that.
    """
    around, longest = round(settings.around * rate), max(1, round(settings.longest * rate))
    first, stop = max(0, start - around), min(frames, end + 1 + around)
    if stop - first > longest:
        first = min(max(first, peak - longest // 2), stop - longest)
        stop = first + longest
    return first, stop


def _write(folder: Path, video: Video, shown: Sequence[Shown], rate: float, size: int) -> None:
    """Write all pictures of one video's events in one pass over its frames."""
    wanted = {position for one in shown for position in (*one.positions, one.peak)}
    with ExitStack() as clips:
        opened = {one: Clip(one, folder / one.event.clip, rate, clips) for one in shown if one.event.clip}
        for position, frame in full_size_frames(video, sorted(wanted)):
            factor = min(1.0, size / max(frame.shape[:2]))
            small = shrunk(frame, factor)
            for one in shown:
                if position in one.positions and one in opened:
                    opened[one].add(position, small, factor)
                if position == one.peak and one.event.thumbnail:
                    write_image(folder / one.event.thumbnail, thumbnail(one, one.scene(small, factor), factor))


class Clip:
    """A clip that is being written; the file is there after its last frame."""

    def __init__(self, shown: Shown, path: Path, rate: float, clips: ExitStack):
        self._shown, self._painter = shown, Painter(shown.curve)
        self._open = clips.enter_context(ExitStack())
        self._start = lambda: self._open.enter_context(clip_writer(path, rate))

    def add(self, position: int, frame: np.ndarray, factor: float) -> None:
        shown, at = self._shown, position - self._shown.first
        if at == 0:
            self._write = self._start()
        scene, drawing = shown.scene(frame, factor), shown.drawing(position).scaled(factor)
        self._write(self._painter.picture(at, scene, drawing, shown.titles[at]))
        if position == shown.stop - 1:
            self._open.close()


def thumbnail(shown: Shown, frame: np.ndarray, factor: float) -> np.ndarray:
    """The frame at an event's peak with its boxes and the path of its main track: uint8 (H, W, 3) RGB.

    factor: by which the frame is smaller than the original.
    """
    picture = annotated(frame, shown.drawing(shown.peak).scaled(factor), "")
    path = shown.event.tracks[0].path if shown.event.tracks else []
    if path:
        points = factor * (picture.shape[1] / frame.shape[1]) * np.array([[x, y] for _, x, y in path])
        draw_path(picture, points, [shown.color] * len(points))
    return picture


def frame_title(video: str, number: int, seconds: float | None, score: float, began: datetime | None = None) -> str:
    """`03 frame 512 at 20.48 s: 4.213`, or `03 2026-05-01 14:03:07 UTC, frame 512 at 20.48 s: 4.213`."""
    day = "" if began is None or seconds is None else f"{began + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S %Z}, "
    time = "" if seconds is None else f" at {seconds:.2f} s"
    value = f": {number_text(score)}" if np.isfinite(score) else ""
    return f"{video} {day}frame {number}{time}{value}"
