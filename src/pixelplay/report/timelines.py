"""A chart per test video: each detector's processed score and their fusion over frame numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.report.charts import Axis, Chart, Line, Marker, Strip, Tick, blocks, curve, line_style, spread, widened
from pixelplay.report.outcome import ScoredVideo

WIDTH, PLOT_HEIGHT = 1040.0, 132.0  # pixels
LEFT, RIGHT, TOP, BELOW = 46.0, 166.0, 10.0, 24.0  # margins; the right one has the lines' labels
BOTTOM = TOP + PLOT_HEIGHT
STRIP_HEIGHT = 11.0
UNLIKE = 6.0  # ratio of score ranges above which each stream gets its own axis
FUSED = "fused"
HIDDEN = 99.5  # percentile of the detectors' scores that fits on the axis: single outliers need not


@dataclass(frozen=True)
class Scale:
    """The vertical axis, the same for all videos, whose frames are ranked together."""

    fused: tuple[float, float]  # ends of the axis
    streams: Mapping[str, tuple[float, float]]  # of each detector: the same, or its own if not `shared`
    shared: bool

    @classmethod
    def of(cls, videos: Sequence[ScoredVideo]) -> "Scale":
        """The axis covers the whole fused score, and the detectors' scores except for rare outliers.

        If one stream's range is more than `UNLIKE` times another's, each gets its own axis, from its lowest to its
        highest score.
        """
        fused = np.concatenate([one.fused for one in videos])
        every = {name: np.concatenate([one.streams[name] for one in videos]) for name in videos[0].streams}
        ends = {name: tuple(np.percentile(scores, [100 - HIDDEN, HIDDEN]).tolist()) for name, scores in every.items()}
        all_ends = [(float(fused.min()), float(fused.max())), *ends.values()]
        widths = [high - low for low, high in all_ends if high > low]
        if widths and max(widths) > UNLIKE * min(widths):
            own = {name: roomy(float(scores.min()), float(scores.max())) for name, scores in every.items()}
            return cls(roomy(*all_ends[0]), own, shared=False)
        common = roomy(min(low for low, _ in all_ends), max(high for _, high in all_ends))
        return cls(common, dict.fromkeys(ends, common), shared=True)


def roomy(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis that differ, the upper one with room for a line's width."""
    low, high = widened(low, high)
    return low, high + 0.04 * (high - low)


def timeline(one: ScoredVideo, scale: Scale, peaks: Mapping[int, int]) -> Chart:
    """The chart of one video. `peaks`: positions of its frames in the gallery, by their rank, from 1."""
    x = Axis(*widened(float(one.numbers[0]), float(one.numbers[-1])), LEFT, WIDTH - RIGHT, whole=True)
    axes = {name: Axis(*ends, BOTTOM, TOP) for name, ends in {**scale.streams, FUSED: scale.fused}.items()}
    styles = [*map(line_style, range(len(one.streams))), FUSED]
    ends = [float(axes[name](scores[-1]).clip(TOP, BOTTOM)) for name, scores in one.named.items()]
    places = spread(ends, TOP + 4, BOTTOM - 7)
    lines = [
        Line(curve(x, axes[name], one.numbers, scores), style, name, place, axes[name])
        for (name, scores), style, place in zip(one.named.items(), styles, places, strict=True)
    ]
    strips = _strips(x, one)
    about = f"Scores of video {one.video}, frames {one.numbers[0]} to {one.numbers[-1]}"
    about += "" if one.seconds is None else f", {one.seconds[0]:.2f} to {one.seconds[-1]:.2f} s"
    return Chart(
        about=about,
        size=(WIDTH, BOTTOM + STRIP_HEIGHT * len(strips) + BELOW),
        x=x,
        y=axes[FUSED],
        x_ticks=frame_ticks(x, one, 12, 8),
        y_ticks=axes[FUSED].ticks(5),
        lines=lines,
        x_title="frame" if one.seconds is None else "frame (seconds)",
        shaded=[] if one.labels is None else blocks(x, one.numbers, one.labels > 0, "labelled anomalous"),
        strips=strips,
        markers=[_marker(x, axes[FUSED], one, rank, position) for rank, position in peaks.items()],
        style="timeline",
        key=one.anchor,
    )


def frame_ticks(x: Axis, one: ScoredVideo, count: int, timed: int) -> list[Tick]:
    """Frame numbers, about `count`, or where times are known, about `timed` with those: `100 (4.0 s)`."""
    if one.seconds is None:
        return x.ticks(count)
    numbers, seconds = x(one.numbers), one.seconds
    return [Tick(at, f"{text} ({float(np.interp(at, numbers, seconds)):.1f} s)") for at, text in x.ticks(timed)]


def _strips(x: Axis, one: ScoredVideo) -> list[Strip]:
    present = [mark for mark in one.marks if mark[2].any()]
    return [
        Strip(style, f"{text}: {mask.sum()}", BOTTOM + 4 + STRIP_HEIGHT * i, blocks(x, one.numbers, mask, text))
        for i, (style, text, mask) in enumerate(present)
    ]


def _marker(x: Axis, y: Axis, one: ScoredVideo, rank: int, position: int) -> Marker:
    number, score = int(one.numbers[position]), float(one.fused[position])
    title = f"{rank} in the gallery: {one.moment(position)}, fused score {score:.3g}"
    return Marker(round(float(x(number)), 1), round(float(y(score)), 1), str(rank), f"#peak-{rank}", title)
