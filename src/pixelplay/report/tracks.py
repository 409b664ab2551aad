"""Tracks that are pictured: scores along each, from the tables of objects, as the data of a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelplay.evaluation.score_tables import object_streams, read_object_streams, read_objects
from pixelplay.report.charts import line_style, runs
from pixelplay.report.manifest import Manifest, PicturedTrack
from pixelplay.report.outcome import Outcome, ScoredVideo
from pixelplay.report.tables import number_text
from pixelplay.report.timelines import HIDDEN, consecutive, line_data, roomy, times
from pixelplay.run.artifacts import damaged
from pixelplay.run.files import RunFiles
from pixelplay.scores.objects import calibrated
from pixelplay.scores.settings import FUSED, OBJECTS

if TYPE_CHECKING:
    from pixelplay.config import Config


@dataclass(frozen=True, eq=False)
class ScoredTrack:
    """A followed object with N >= 1 boxes."""

    pictured: PicturedTrack
    of: ScoredVideo
    numbers: np.ndarray  # int64 [N], frame numbers
    scores: np.ndarray  # float64 [N], of the stream `objects`
    streams: Mapping[str, np.ndarray]  # float64 [N] of each that was summed, on the common scale, before smoothing

    @property
    def peak(self) -> int:
        """The position among the N of the pictured peak."""
        return int(np.searchsorted(self.numbers, self.pictured.peak))

    @property
    def interpolated(self) -> np.ndarray:
        """Which of the boxes are, bool [N]."""
        return np.isin(self.numbers, self.pictured.interpolated)

    @property
    def facts(self) -> list[str]:
        """Its frames, its highest score, and its boxes, in words."""
        ends = np.searchsorted(self.of.numbers, self.numbers[[0, -1, self.peak]]).tolist()
        (first, last, peak), count = map(self.of.moment, ends), len(self.numbers)
        boxes, between = f"{count} box{'es' if count > 1 else ''}", int(self.interpolated.sum())
        return [
            first if count == 1 else f"{first} to {last}",
            f"highest score {number_text(float(self.scores[self.peak]))}, {peak}",
            f"{boxes}, {between} interpolated" if between else boxes,
        ]


def scored_tracks(config: "Config", outcome: Outcome, manifest: Manifest) -> list[ScoredTrack]:
    """The tracks that are pictured, in that order; [] for a run without object streams.

    Raises DamagedArtifactError for a track that has no scores, and as `read_objects`.
    """
    if not manifest.tracks or not object_streams(config):
        return []
    settings = config.fusion.objects
    tables = {
        stream: table.assign(score=calibrated(table, settings))
        for stream, table in read_object_streams(config, outcome.index).items()
    }
    tables[OBJECTS] = read_objects(config, OBJECTS, outcome.index.test)
    rows = {
        stream: table[table["split"] == "test"].set_index(["video", "track", "frame"])["score"].sort_index()
        for stream, table in tables.items()
    }
    videos = {one.video: one for one in outcome.videos}
    found = []
    for one in manifest.tracks:
        if (one.video, one.track, one.peak) not in rows[OBJECTS].index:
            problem = f"track {one.track} of video {one.video!r} has no score in frame {one.peak}"
            raise damaged(RunFiles.of(config).manifest, "explain", problem)
        own = {stream: scores.loc[(one.video, one.track)] for stream, scores in rows.items()}
        numbers = own[OBJECTS].index.to_numpy(np.int64)
        values = {stream: scores.to_numpy(np.float64) for stream, scores in own.items()}
        found.append(ScoredTrack(one, videos[one.video], numbers, values.pop(OBJECTS), values))
    return found


def track_data(
    tracks: Sequence[ScoredTrack], styles: Mapping[str, str], videos: Sequence[ScoredVideo]
) -> list[dict[str, Any]]:
    """What the page's script draws of each track: its score over its frames, and that of each stream that was summed.

    All have one vertical axis: it covers the whole score, and the streams' except for rare outliers. styles: of the
    lines of videos; who is among them looks the same here.
    """
    if not tracks:
        return []
    summed = [*tracks[0].streams]  # as in all the others
    order = list(dict.fromkeys([*styles, *summed]))
    own = {stream: styles.get(stream) or line_style(order.index(stream)) for stream in summed}
    scores = np.concatenate([one.scores for one in tracks])
    every = np.concatenate([scores, *(values for one in tracks for values in one.streams.values())])
    low, high = np.percentile(every, [100 - HIDDEN, HIDDEN]).tolist()
    axis = roomy(min(float(scores.min()), low), max(float(scores.max()), high))
    return [_data(one, axis, own, videos.index(one.of)) for one in tracks]


def _data(one: ScoredTrack, axis: tuple[float, float], styles: Mapping[str, str], video: int) -> dict[str, Any]:
    at = np.searchsorted(one.of.numbers, one.numbers)
    labels = [] if one.of.labels is None else runs(one.of.labels[at] > 0)
    seconds = one.numbers.astype(np.float64) if one.of.seconds is None else one.of.seconds[at]
    between = [{"style": "interpolated", "label": "interpolated boxes", "runs": runs(one.interpolated)}]
    lines = [line_data(stream, style, axis, one.streams[stream]) for stream, style in styles.items()]
    return {
        "id": one.of.video,
        "anchor": None,
        "video": video,  # whose small frames are shown
        "numbers": consecutive(one.numbers),
        "seconds": times(seconds),
        "timed": one.of.seconds is not None,
        "lines": [*lines, line_data(OBJECTS, FUSED, axis, one.scores)],
        "labels": labels,
        "strips": between if one.interpolated.any() else [],
        "events": [],
    }
