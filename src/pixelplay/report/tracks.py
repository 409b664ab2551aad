"""The most unusual tracks: scores along each, from the tables of objects, and a chart of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.evaluation.score_tables import object_streams, read_object_streams, read_objects
from pixelplay.report.charts import Axis, Chart, Line, Marker, Strip, blocks, curve, line_style
from pixelplay.report.manifest import Manifest, PicturedTrack
from pixelplay.report.outcome import Outcome, ScoredVideo
from pixelplay.report.tables import number_text
from pixelplay.report.timelines import FUSED, HIDDEN, STRIP_HEIGHT, frame_ticks, roomy
from pixelplay.run.artifacts import damaged
from pixelplay.run.files import RunFiles
from pixelplay.scores.objects import calibrated
from pixelplay.scores.settings import OBJECTS

if TYPE_CHECKING:
    from pixelplay.config import Config

WIDTH, PLOT_HEIGHT = 500.0, 170.0  # pixels
LEFT, RIGHT, TOP, BELOW = 52.0, 30.0, 10.0, 44.0  # margins
BOTTOM = TOP + PLOT_HEIGHT
POINTS = 400  # of a line, at most
MARGIN = 0.04  # of the horizontal axis beside the track's ends, in lengths of the track; at least a frame
FLOOR = 0.06  # of the vertical axis below the lowest score, for the marker


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
        first, last, peak = (self.moment(at) for at in (0, -1, self.peak))
        boxes = f"{len(self.numbers)} box" + ("es" if len(self.numbers) > 1 else "")
        between = int(self.interpolated.sum())
        return [
            first if len(self.numbers) == 1 else f"{first} to {last}",
            f"highest score {number_text(float(self.scores[self.peak]))}, {peak}",
            f"{boxes}, {between} interpolated" if between else boxes,
        ]

    def moment(self, at: int) -> str:
        """`frame 512`, or `frame 512 at 20.48 s`."""
        return self.of.moment(int(np.searchsorted(self.of.numbers, self.numbers[at])))


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


def track_styles(tracks: Sequence[ScoredTrack], streams: Sequence[str]) -> dict[str, str]:
    """CSS classes of the lines in the charts of at least one track, by name, that of `objects` last.

    streams: the lines of the videos' charts; who is among them looks the same here.
    """
    summed = list(tracks[0].streams)  # as in all the others
    order = list(dict.fromkeys([*streams, *summed]))
    return {stream: line_style(order.index(stream)) for stream in summed} | {OBJECTS: FUSED}


def track_charts(tracks: Sequence[ScoredTrack], styles: Mapping[str, str]) -> list[Chart]:
    """A chart for each of at least one track: its score over frame numbers, and that of each stream that was summed.

    All have one vertical axis: it covers the whole score, and the streams' except for rare outliers.
    """
    scores = np.concatenate([one.scores for one in tracks])
    summed = np.concatenate([values for one in tracks for values in one.streams.values()])
    low, high = np.percentile(summed, [100 - HIDDEN, HIDDEN]).tolist()
    low, high = roomy(min(float(scores.min()), low), max(float(scores.max()), high))
    y = Axis(low - FLOOR * (high - low), high, BOTTOM, TOP)
    return [_chart(one, y, styles, rank) for rank, one in enumerate(tracks, 1)]


def _chart(one: ScoredTrack, y: Axis, styles: Mapping[str, str], rank: int) -> Chart:
    first, last = float(one.numbers[0]), float(one.numbers[-1])
    beside = max(MARGIN * (last - first), 1.0)
    x = Axis(first - beside, last + beside, LEFT, WIDTH - RIGHT, whole=True)
    values = {**one.streams, OBJECTS: one.scores}
    lines = [Line(curve(x, y, one.numbers, values[k], POINTS), style, k, axis=y) for k, style in styles.items()]
    between, of = blocks(x, one.numbers, one.interpolated, "interpolated boxes"), one.of
    strips = [Strip("interpolated", "", BOTTOM + 4, between)] if between else []
    shown = (of.numbers >= x.low) & (of.numbers <= x.high)
    labels = None if of.labels is None else of.labels[shown] > 0
    score, at = float(one.scores[one.peak]), round(float(x(one.pictured.peak)), 1)
    title = f"highest score {number_text(score)}, {one.moment(one.peak)}"
    return Chart(
        about=f"Score of track {one.pictured.track} of video {of.video}, frames {first:.0f} to {last:.0f}",
        size=(WIDTH, BOTTOM + STRIP_HEIGHT * len(strips) + BELOW),
        x=x,
        y=y,
        x_ticks=frame_ticks(x, of, 6, 3),
        y_ticks=y.ticks(4),
        lines=lines,
        x_title="frame" if of.seconds is None else "frame (seconds)",
        y_title="score",
        shaded=[] if labels is None else blocks(x, of.numbers[shown], labels, "labelled anomalous"),
        strips=strips,
        markers=[Marker(at, round(float(y(score)), 1), str(rank), f"#{of.anchor}", title)],
        style="timeline of-track",
        key=f"track-{rank}-scores",
    )
