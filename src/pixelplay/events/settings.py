"""Settings of thresholds and events. Keys are explained in `configs/events/default.yaml`."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pixelplay.events.pictures import ClipsConfig
from pixelplay.events.sinks.settings import SinksConfig
from pixelplay.events.zones import read_zones
from pixelplay.settings import ExistingFile, Fps, NonNegative, PartialShare, Percentile, Positive, Settings, Share

Method = Literal["evt", "percentile", "fixed", "adaptive"]


class EvtConfig(Settings):
    tail: PartialShare
    false_alarm_rate: PartialShare

    @model_validator(mode="after")
    def _in_the_tail(self) -> "EvtConfig":
        if self.false_alarm_rate > self.tail:
            raise ValueError(
                f"false_alarm_rate={self.false_alarm_rate} is above tail={self.tail}: the threshold lies in the tail"
            )
        return self


class AdaptiveConfig(Settings):
    window: Annotated[int, Field(ge=2, le=1_000_000)]
    n_sigma: Positive


class ThresholdsConfig(Settings):
    """How thresholds come from held-out normal scores: see `pixelplay.events.thresholds`."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    evt: EvtConfig
    percentile: Percentile
    fixed: dict[str, float]
    adaptive: AdaptiveConfig


class DurationConfig(Settings):
    """When a stretch of high scores is one event: see `pixelplay.events.machine`. Seconds."""

    min_duration: NonNegative
    merge_gap: NonNegative


class EventsConfig(DurationConfig, SinksConfig):
    """What is an event: see `pixelplay.events`."""

    method: Method
    false_alarms_per_hour: Positive | None
    hysteresis: Share
    fps: Fps
    thresholds: ThresholdsConfig
    zones: ExistingFile | None
    dwell_above: Positive | None
    clips: ClipsConfig

    @property
    def deciding(self) -> dict[str, Any]:
        """The part that decides which events there are, beside the contents of `zones`."""
        return self.model_dump(exclude={"clips", "zones", *SinksConfig.model_fields})

    @model_validator(mode="after")
    def _zoned(self) -> "EventsConfig":
        if self.zones is not None:
            read_zones(self.zones)  # what is wrong in it is reported before any work
        elif self.dwell_above is not None:
            raise ValueError(f"dwell_above={self.dwell_above:g} is about zones: set events.zones=FILE, too")
        return self

    @model_validator(mode="after")
    def _budgeted(self) -> "EventsConfig":
        if self.false_alarms_per_hour is not None and self.method != "evt":
            raise ValueError(
                f"false_alarms_per_hour={self.false_alarms_per_hour:g} needs method=evt, which estimates how often "
                f"scores are exceeded; it is method={self.method}"
            )
        return self
