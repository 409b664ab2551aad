"""Timelines: the scores of each test video as the data that the page's script draws; and their vertical scale."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelplay.evaluation.clock import Clock
from pixelplay.events.event import Alarm
from pixelplay.events.settings import EventsConfig
from pixelplay.report.charts import runs, widened
from pixelplay.report.outcome import ScoredVideo
from pixelplay.scores.settings import FUSED

UNLIKE = 6.0  # ratio of score ranges above which each stream gets its own axis
HIDDEN = 99.5  # percentile of the detectors' scores that fits on the axis: single outliers need not
EVEN = 1e-6  # seconds: times that are off by no more are multiples of a step
STEPS = 65535  # of a line's height: 16 bits, finer than any screen


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


def line_data(name: str, style: str, axis: tuple[float, float], values: np.ndarray) -> dict[str, Any]:
    """A line of scores (T,), rounded to a screen's pixels; the fusion's as they are, since events are counted in it."""
    return {"name": name, "style": style, "axis": axis, "values": exact(values) if style == FUSED else rounded(values)}


def video_data(
    one: ScoredVideo, clock: Clock, scale: Scale, styles: Mapping[str, str], events: Sequence[Mapping[str, int]]
) -> dict[str, Any]:
    """A video's timeline. events: their rank, and the positions `from`, `to` and `peak`."""
    axes = {**scale.streams, FUSED: scale.fused}
    strips = [(style, text, mask) for style, text, mask in one.marks if mask.any()]
    return {
        "id": one.video,
        "anchor": one.anchor,
        "numbers": consecutive(one.numbers),
        "seconds": times(clock.seconds),
        "timed": clock.known,
        "lines": [line_data(name, styles[name], axes[name], scores) for name, scores in one.named.items()],
        "labels": [] if one.labels is None else runs(one.labels > 0),
        "strips": [{"style": style, "label": text, "runs": runs(mask)} for style, text, mask in strips],
        "events": events,
    }


def rule_data(alarm: Alarm, settings: EventsConfig) -> dict[str, Any]:
    """The rule of events for a threshold that the reader moves: see `pixelplay.events.machine`.

    The lower threshold is `hysteresis` of the way from `base`, the median of normal scores, to the threshold.
    """
    share = settings.hysteresis
    base = alarm.threshold if share == 1 else (alarm.end_threshold - share * alarm.threshold) / (1 - share)
    return {
        "threshold": alarm.threshold,
        "base": base,
        "hysteresis": share,
        "minDuration": settings.min_duration,
        "mergeGap": settings.merge_gap,
    }


def exact(values: np.ndarray) -> dict[str, Any]:
    """Numbers (T,) as base64 of float64, little-endian."""
    return {"f64": _text(values.astype("<f8"))}


def rounded(values: np.ndarray) -> dict[str, Any]:
    """Numbers (T,) as base64 of 16 bits each, from the lowest to the highest."""
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low) if high > low else np.zeros(len(values))
    return {"u16": _text(np.round(STEPS * share).astype("<u2")), "low": low, "high": high}


def times(seconds: np.ndarray) -> dict[str, Any]:
    """Times (T,): the first and the step between them where they are even, else as they are."""
    step = float(seconds[-1] - seconds[0]) / max(len(seconds) - 1, 1)
    even = np.abs(seconds - (seconds[0] + step * np.arange(len(seconds)))).max() <= EVEN
    return {"start": float(seconds[0]), "step": step} if even else exact(seconds)


def consecutive(numbers: np.ndarray) -> list[tuple[int, int]]:
    """Frame numbers (T,) as runs of consecutive ones: (first, count)."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return [(int(part[0]), len(part)) for part in parts]


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
