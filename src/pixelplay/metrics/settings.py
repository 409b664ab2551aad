"""Settings of metrics and thresholds."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.settings import Draws, Natural, Positive, Seed, Settings


class BootstrapConfig(Settings):
    """Intervals over resampled videos: see `pixelplay.metrics.bootstrap`."""

    n_bootstrap: Draws
    level: Annotated[float, Field(gt=0, lt=1)]  # share of the draws that lie within
    seed: Seed


class LinkConfig(Settings):
    """How boxes become tracks where nobody says which belong together: see `pixelplay.metrics.truth.link`."""

    iou: Annotated[float, Field(gt=0, le=1)]
    max_gap: Annotated[int, Field(ge=0, le=10_000)]  # frames that a track may be missing


class RegionConfig(Settings):
    """When a region and a track are found, for RBDC and TBDC: see `pixelplay.metrics.regions`."""

    iou: Annotated[float, Field(gt=0, le=1)]
    track_share: Annotated[float, Field(gt=0, le=1)]  # of a track's regions


class TaoConfig(Settings):
    """When detections match, for the source document's object metrics: see `pixelplay.metrics.tao`."""

    iou: Annotated[float, Field(gt=0, le=1)]
    matches: Natural  # frames that must match …
    window: Natural  # … of this many in a row

    @model_validator(mode="after")
    def _reachable(self) -> "TaoConfig":
        if self.matches > self.window:
            raise ValueError(f"matches={self.matches} of window={self.window} frames can never be reached")
        return self


class EvtConfig(Settings):
    tail: Annotated[float, Field(gt=0, lt=1)]  # share of the normal scores that the tail is fitted to
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)]  # of a false alarm, per normal score

    @model_validator(mode="after")
    def _in_the_tail(self) -> "EvtConfig":
        if self.false_alarm_rate > self.tail:
            raise ValueError(
                f"false_alarm_rate={self.false_alarm_rate} is above tail={self.tail}: the threshold lies in the tail"
            )
        return self


class AdaptiveConfig(Settings):
    window: Annotated[int, Field(ge=2, le=1_000_000)]  # frames
    n_sigma: Positive  # standard deviations above their mean


class ThresholdsConfig(Settings):
    """How thresholds come from held-out normal scores: see `pixelplay.metrics.thresholds`."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]  # that a false-alarm rate is not above what is said of it
    evt: EvtConfig
    percentile: Annotated[float, Field(ge=0, le=100)]
    fixed: dict[str, float]  # by data set, in robust standard deviations above the median
    adaptive: AdaptiveConfig


class EvaluateConfig(Settings):
    """What is measured where the truth is on disk, and how."""

    metrics: list[Literal["pixel", "region", "tao", "thresholds"]]  # beside those of frames
    bootstrap: BootstrapConfig
    aupro_limit: Annotated[float, Field(gt=0, le=1)]  # false positive rate up to which AUPRO is integrated
    link: LinkConfig
    region: RegionConfig
    tao: TaoConfig
    thresholds: ThresholdsConfig
