"""The scores that events come from, as they are drawn below their clips."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.evaluation.score_tables import object_streams, read_fused, read_objects
from pixelplay.evaluation.zoned import DWELL
from pixelplay.events.event import Event, Events
from pixelplay.explain.clips import Curve
from pixelplay.explain.scored_boxes import NO_SPAN, color_of, object_spans, share_of
from pixelplay.report.timelines import roomy
from pixelplay.run.artifacts import read_table
from pixelplay.run.files import RunFiles
from pixelplay.scores.settings import FUSED, OBJECTS
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config


class EventCurves:
    """Curves of a run's events: of the fused score, or of the one track that an event is about."""

    def __init__(self, config: "Config", index: Index, found: Events):
        table = read_fused(config, index)
        fused = table[(table["stream"] == FUSED) & (table["split"] == "test")]
        objects = read_objects(config, OBJECTS, index.test) if object_streams(config) else None
        self._span = object_spans(objects).get(OBJECTS, NO_SPAN) if objects is not None else NO_SPAN
        self._scores: dict[tuple[str | int, ...], pd.Series] = {  # by stream, video, and what an event is about
            (FUSED, str(video)): rows.set_index("frame")["score"] for video, rows in fused.groupby("video")
        }
        ends = {FUSED: [fused["score"].min(), fused["score"].max()]}
        if objects is not None:
            test = objects[objects["split"] == "test"]
            for (video, track), rows in test.groupby(["video", "track"]):
                self._scores[OBJECTS, str(video), int(str(track))] = rows.set_index("frame")["score"]
            ends[OBJECTS] = [test["score"].min(), test["score"].max()]
        if any(event.stream == DWELL for event in found.events):
            dwell = read_table(RunFiles.of(config).dwell, made_by="events").set_index("frame")
            for (video, track, zone), seconds in dwell.groupby(["video", "track", "zone"])["seconds"]:
                self._scores[DWELL, str(video), int(str(track)), str(zone)] = seconds
            ends[DWELL] = [0.0]  # scores of events follow
        for event in found.events:  # of an adaptive method, thresholds differ
            ends.setdefault(event.stream, []).extend([event.threshold, event.score])
        self._ends = {stream: roomy(float(min(values)), float(max(values))) for stream, values in ends.items()}

    def of(self, event: Event, video: Video, first: int, stop: int) -> Curve:
        """From position `first` up to `stop` of the event's video; NaN where its track is not seen."""
        numbers = video.numbers[first:stop]
        track, zone = [one.track for one in event.tracks[:1]], event.zones[:1]
        about = {FUSED: [], OBJECTS: track, DWELL: [*track, *zone]}[event.stream]
        scores = self._scores[event.stream, video.id, *about]
        return curve_of(event, numbers, scores.reindex(numbers).to_numpy(np.float64), self._ends[event.stream])

    def color(self, event: Event) -> tuple[int, int, int]:
        """RGB of the highest score of the event's main track, as of its box there; a normal one's without tracks."""
        return color_of(share_of(event.tracks[0].score, self._span)) if event.tracks else color_of(0.0)


def curve_of(event: Event, numbers: np.ndarray, scores: np.ndarray, ends: tuple[float, float]) -> Curve:
    """Scores (T,), of what an event is about, in the frames with these numbers (T,); ends: of the vertical axis."""
    name, main = "fused score", event.tracks[0] if event.tracks else None
    if main is not None and event.stream != FUSED:
        whose = f"{main.label} {main.track}"
        name = f"seconds of {whose} in {event.zones[0]}" if event.stream == DWELL else f"score of {whose}"
    shaded = (numbers >= event.start.frame) & (numbers <= event.end.frame)
    return Curve(name, numbers, scores, ends, shaded, event.threshold)
