"""The alarm of a stream: its threshold from held-out normal scores, where events end, and how rare a score is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pixelplay.errors import ConfigError
from pixelplay.events.adaptive import AdaptiveLimit
from pixelplay.events.event import Alarm
from pixelplay.events.machine import Levels, Limit
from pixelplay.events.settings import EventsConfig
from pixelplay.events.tails import Tail, peaks_above
from pixelplay.events.thresholds import PROMISING, Threshold, constant_threshold, exceeded, tail_of, unpromised


@dataclass(frozen=True, eq=False)
class NormalScores:
    """A stream's scores in held-out normal footage."""

    stream: str
    videos: Sequence[np.ndarray]  # finite float (T,) of each video, by ascending frame; some has any
    hours: float | None  # of that footage; None where a frame rate is not known
    what: str = "frames"  # that scores are of

    @cached_property
    def all(self) -> np.ndarray:
        return np.concatenate([np.empty(0), *self.videos])

    @cached_property
    def usual(self) -> float:
        return float(np.median(self.all))

    def alarms_per_score(self, tail: float) -> float:
        """How many alarms, clusters of neighbouring scores, a score above the threshold is worth, at most 1.

        Counted among the `tail` highest: 1 where these follow nothing.
        """
        peaks = peaks_above(float(np.quantile(self.all, 1 - tail)), self.videos)
        return peaks.clusters / (peaks.share * peaks.frames) if peaks.clusters else 1.0


@dataclass(frozen=True, eq=False)
class StreamAlarm:
    """An alarm, and what else is known of its stream from held-out normal footage."""

    alarm: Alarm
    normal: NormalScores
    config: EventsConfig
    tail: Tail | None

    @classmethod
    def of(cls, normal: NormalScores, config: EventsConfig, dataset: str, budget: float | None) -> "StreamAlarm":
        """budget: alarms per hour that this stream may have, instead of a share of scores; dataset: for `fixed`.

        Raises ConfigError for a budget without a frame rate, and where `fixed` has no threshold for the data set.
        """
        thresholds = config.thresholds
        found = _threshold(normal, config, dataset, budget)
        per_hour = None
        if found.expected is not None and normal.hours:
            scores = len(normal.all) / normal.hours
            per_hour = found.expected * scores * normal.alarms_per_score(thresholds.evt.tail)
        alarm = Alarm(
            stream=normal.stream,
            method=config.method,
            threshold=found.value,
            end_threshold=normal.usual + config.hysteresis * (found.value - normal.usual),
            parameters=found.parameters,
            expected=found.expected,
            expected_per_hour=per_hour,
            remark=found.remark,
        )
        return cls(alarm, normal, config, tail_of(normal.videos, thresholds.evt.tail)[2])

    def limit(self, follows: bool = True) -> Limit:
        """For one video, from its first frame on; follows: let an adaptive threshold follow its scores."""
        if follows and self.alarm.method == "adaptive":
            return AdaptiveLimit(self.normal.all, self.config.thresholds.adaptive, self.config.hysteresis)
        return Levels(self.alarm.threshold, self.alarm.end_threshold)

    def probability(self, score: float) -> float | None:
        """The share of normal scores expected to be as high: of the fitted tail, or below it of those that were seen.

        None where no tail fits and none was as high.
        """
        if self.tail is not None and score > self.tail.start:
            return self.tail.share_above(score)
        return float(np.mean(self.normal.all >= score)) or None

    def severity(self, score: float, threshold: float) -> float:
        """How far a score is from the usual one, in distances of the threshold, so that streams compare."""
        distance = threshold - self.normal.usual
        return (score - self.normal.usual) / (distance if distance > 0 else 1.0)


def _threshold(normal: NormalScores, config: EventsConfig, dataset: str, budget: float | None) -> Threshold:
    method, settings, videos, what = config.method, config.thresholds, normal.videos, normal.what
    if method == "fixed" and dataset not in settings.fixed:
        raise ConfigError(
            f"events.method=fixed: events.thresholds.fixed names none for data set {dataset!r}: add it, as in "
            f"+events.thresholds.fixed.{dataset}=2.0, or choose another method"
        )
    if budget is not None:  # of evt alone: see `EventsConfig`
        rate = {"false_alarm_rate": _rate(normal, budget, settings.evt.tail)}
        settings = settings.model_copy(update={"evt": settings.evt.model_copy(update=rate)})
    if method == "adaptive":
        first = AdaptiveLimit(normal.all, settings.adaptive).at(np.inf).start
        found = Threshold(method, first, settings.adaptive.model_dump())
    else:
        found = constant_threshold(method, videos, dataset, settings, what)
    if method in PROMISING:
        return found
    expected = exceeded(found.value, videos, settings.confidence)[1] if method == "fixed" else None
    return replace(found, expected=expected, remark=unpromised(videos, settings.evt.tail, expected, what))


def _rate(normal: NormalScores, budget: float, tail: float) -> float:
    """The share of scores that may be above the threshold for so many alarms per hour; at most `tail`."""
    if normal.hours is None:
        raise ConfigError(
            f"events.false_alarms_per_hour={budget:g}: the frame rate of the normal footage is not known; set "
            "events.false_alarms_per_hour=null and a share of frames: events.thresholds.evt.false_alarm_rate"
        )
    return min(budget * normal.hours / (len(normal.all) * normal.alarms_per_score(tail)), tail)
