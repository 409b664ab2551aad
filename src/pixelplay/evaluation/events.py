"""From the scores of a run to its events: what is unusual in the test videos, and since when; no labels are read."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.evaluation.clock import Clock
from pixelplay.evaluation.contributions import Contributions
from pixelplay.evaluation.run_alarms import RunAlarms
from pixelplay.evaluation.score_tables import object_streams, read_fused, read_objects, read_scores
from pixelplay.evaluation.scored_tracks import scored_tracks
from pixelplay.evaluation.zoned import DWELL, Stay, Zoned, no_dwell
from pixelplay.events.alarm import StreamAlarm
from pixelplay.events.event import Event, Events, EventTrack, Source
from pixelplay.events.machine import Instant, Stretch, stretches
from pixelplay.events.tracks import Merged, ScoredTrack, box_of, merge, path_of
from pixelplay.metrics.events import HOUR
from pixelplay.run.files import plain_name
from pixelplay.scores.settings import FUSED, OBJECTS
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config


def find_events(config: "Config", index: Index) -> Events:
    """The events of the run's test videos, the most severe first; raises as `read_fused` does.

    A stream without scores of held-out normal footage has no threshold and no events: `no_alarm` says why.
    """
    table = read_fused(config, index)
    zoned = Zoned.of(config)
    zoned.warn_of_unused(index)
    of_objects = object_streams(config)
    objects = (read_scores(config, OBJECTS, index), read_objects(config, OBJECTS, index.test)) if of_objects else None
    own = RunAlarms.of(config, index, zoned, table, objects)
    found = _Finder(config, index, table, own.alarms, zoned).events()
    return Events(
        alarms=[one.alarm for one in own.alarms.values()],
        no_alarm=own.missing,
        heldout_frames=len(own.frames.all),
        heldout_seconds=None if own.frames.hours is None else round(own.frames.hours * HOUR, 1),
        events=found,
    )


class _Finder:
    """The events of test videos."""

    def __init__(
        self,
        config: "Config",
        index: Index,
        table: pd.DataFrame,
        alarms: Mapping[str, StreamAlarm],
        zoned: Zoned,
    ):
        self._config, self._index, self._alarms, self._zoned = config, index, alarms, zoned
        fused = table[(table["stream"] == FUSED) & (table["split"] == "test")]
        self._fused = {str(video): rows.sort_values("frame") for video, rows in fused.groupby("video", sort=False)}
        self._tracks = _test_objects(config, index) if OBJECTS in alarms or zoned.zones else {}
        self._contributions = Contributions.of(config, index, table)

    def events(self) -> list[Event]:
        found = [pair for video in self._index.test for pair in self._of_video(video)]
        ordered = sorted(found, key=lambda pair: (-pair[0], pair[1].id))
        return [event for _, event in ordered]

    def _of_video(self, video: Video) -> Iterator[tuple[float, Event]]:
        """With how severe each is."""
        clock = Clock.of(video, self._config.events.fps)
        tracks = list(scored_tracks(self._tracks[video.id], video, clock)) if video.id in self._tracks else []
        counted = [self._zoned.counted(video, track) for track in tracks]
        frames: list[Stretch] = []
        if FUSED in self._alarms:
            scores = self._fused[video.id]["score"].to_numpy(np.float64)
            limit = self._alarms[FUSED].limit()
            frames = stretches(video.numbers, clock.seconds, scores, limit, self._config.events, clock.spacing)
            frames = [one for one in frames if not self._zoned.ignores(one, tracks, counted)]
        unusual = self._unusual(counted, clock) if OBJECTS in self._alarms else []
        for group in merge(frames, unusual):
            streams = [(FUSED, one) for one in group.frames] + [(OBJECTS, one) for _, one in group.tracks]
            severity = max(self._alarms[stream].severity(one.score, one.threshold) for stream, one in streams)
            yield severity, self._event(video, clock, group, tracks)
        for stay in self._zoned.stays(video, tracks):
            yield stay.stretch.score / stay.stretch.threshold, self._dwell_event(video, clock, stay)

    def _dwell_event(self, video: Video, clock: Clock, stay: Stay) -> Event:
        found = stay.stretch
        shown = _event_track(stay.track, found.start, found.end, found.peak)
        return Event(
            id=f"event-{plain_name(video.id)}-{found.start.frame}-track{stay.track.track}-zone{stay.number}",
            video=video.id,
            found_by=[DWELL],
            start=clock.moment(found.start),
            end=clock.moment(found.end),
            peak=clock.moment(found.peak),
            score=found.score,
            stream=DWELL,
            threshold=found.threshold,
            tail_probability=None,
            contributions={},
            tracks=[shown],
            zones=list(dict.fromkeys([stay.zone, *self._zoned.touched(video, [shown])])),
            thumbnail=None,
            clip=None,
        )

    def _unusual(self, tracks: list[ScoredTrack], clock: Clock) -> list[tuple[ScoredTrack, Stretch]]:
        lasting = [track for track in tracks if track.lasts(self._config.events, clock.spacing)]
        stretches_of = [
            (track, track.event(self._alarms[OBJECTS].limit(follows=False), clock.spacing)) for track in lasting
        ]
        return [(track, stretch) for track, stretch in stretches_of if stretch is not None]

    def _event(self, video: Video, clock: Clock, group: Merged, tracks: list[ScoredTrack]) -> Event:
        start = min(one.start for one in group.of_all)
        end = max(one.end for one in group.of_all)
        peak, stream = group.peak, FUSED if group.frames else OBJECTS
        ids = {track.track for track, _ in group.tracks}
        alone = "" if group.frames else f"-track{min(ids)}"
        if group.frames:  # objects that are seen at the peak and high, if not unusual as tracks
            ids |= {one.track for one in tracks if self._is_high(one, peak.peak.frame)}
        shown = [_event_track(track, start, end, peak.peak) for track in tracks if track.track in ids]
        sources: list[tuple[Source, bool]] = [("frames", bool(group.frames)), ("objects", bool(group.tracks))]
        return Event(
            id=f"event-{plain_name(video.id)}-{start.frame}{alone}",
            video=video.id,
            found_by=[source for source, there in sources if there],
            start=clock.moment(start),
            end=clock.moment(end),
            peak=clock.moment(peak.peak),
            score=peak.score,
            stream=stream,
            threshold=peak.threshold,
            tail_probability=self._alarms[stream].probability(peak.score),
            contributions=self._contributions.at(video.id, peak.peak.frame, min(ids) if alone else None),
            tracks=sorted(shown, key=lambda one: (-one.score, one.track)),
            zones=self._zoned.touched(video, shown),
            thumbnail=None,
            clip=None,
        )

    def _is_high(self, track: ScoredTrack, frame: int) -> bool:
        if OBJECTS not in self._alarms:
            return False
        at = np.flatnonzero(track.frames == frame)
        return bool(len(at) and track.scores[at[0]] >= self._alarms[OBJECTS].alarm.end_threshold)


def dwell_table(config: "Config", index: Index) -> pd.DataFrame | None:
    """For each frame of an object in a zone, how long it has been there: see `Zoned.dwell`. None without zones."""
    zoned = Zoned.of(config)
    if not zoned.zones:
        return None
    objects, tables = _test_objects(config, index), [no_dwell()]
    for video in index.test:
        if video.id in objects:
            tracks = scored_tracks(objects[video.id], video, Clock.of(video, config.events.fps))
            tables.append(zoned.dwell(video, list(tracks)))
    return pd.concat(tables, ignore_index=True)


def _test_objects(config: "Config", index: Index) -> dict[str, pd.DataFrame]:
    """Rows of fused objects by test video."""
    objects = read_objects(config, OBJECTS, index.test)
    objects = objects[objects["split"] == "test"]
    return {str(video): rows for video, rows in objects.groupby("video", sort=False)}


def _event_track(track: ScoredTrack, start: Instant, end: Instant, peak: Instant) -> EventTrack:
    inside = np.arange(*np.searchsorted(track.frames, [start.frame, end.frame + 1]))
    at = np.flatnonzero(track.frames == peak.frame)
    return EventTrack(
        track=track.track,
        label=track.label,
        score=float(track.scores[inside].max()),
        box=box_of(track.xyxy[at[0]]) if len(at) else None,
        path=path_of(track.frames[inside], track.xyxy[inside]),
    )
