"""Settings of metrics and thresholds. Keys are explained in `configs/config.yaml`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.settings import Draws, Gap, Natural, PartialShare, Percentile, Positive, PositiveShare, Seed, Settings


class BootstrapConfig(Settings):
    """Confidence intervals over resampled videos: see `pixelplay.metrics.frames`."""

    n_bootstrap: Draws
    level: PartialShare
    seed: Seed


class LinkConfig(Settings):
    """How boxes are linked to tracks where the data set has none: see `pixelplay.metrics.boxes.link`."""

    iou: PositiveShare
    max_gap: Gap


class RegionConfig(Settings):
    """When a region and a track count as detected, for RBDC and TBDC: see `pixelplay.metrics.regions`."""

    iou: PositiveShare
    track_share: PositiveShare


class TaoConfig(Settings):
    """When detections match, for the reference solution's object metrics: see `pixelplay.metrics.regions`."""

    iou: PositiveShare
    matches: Natural
    window: Natural

    @model_validator(mode="after")
    def _reachable(self) -> "TaoConfig":
        if self.matches > self.window:
            raise ValueError(f"matches={self.matches} of window={self.window} frames can never be reached")
        return self


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
    """How thresholds come from held-out normal scores: see `pixelplay.metrics.thresholds`."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    evt: EvtConfig
    percentile: Percentile
    fixed: dict[str, float]
    adaptive: AdaptiveConfig


class EvaluateConfig(Settings):
    metrics: list[Literal["pixel", "region", "tao", "thresholds"]]
    bootstrap: BootstrapConfig
    aupro_limit: PositiveShare
    link: LinkConfig
    region: RegionConfig
    tao: TaoConfig
    thresholds: ThresholdsConfig
