"""Settings of VideoPatchCore: what its memory banks depend on, and how it scores."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.backbones.pretrained import BackboneConfig, check_backbone
from pixelplay.backbones.settings import EncoderSettings
from pixelplay.detectors.folds import Folds
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videopatchcore.clip_features import STREAMS, PatchSettings
from pixelplay.errors import ConfigError
from pixelplay.memory.bank import BankConfig, DistanceConfig
from pixelplay.memory.coreset import CoresetConfig
from pixelplay.objects.settings import TubeConfig
from pixelplay.settings import BatchSize, NonNegative, Settings, Share, Window, validate
from pixelplay.training.clips import NoiseSettings


class VideoPatchCoreSettings(Settings):
    backbone: BackboneConfig
    tubes: TubeConfig
    clip: Annotated[int, Field(ge=2, le=10_000)]  # frames
    stride: Window  # frames between the starts of two training clips
    batch_size: BatchSize  # images per call of the backbone; not scoring's, since rounding depends on it
    patches: PatchSettings
    noise: NoiseSettings
    in_domain: EncoderSettings  # for weights.backbone=in_domain
    distance: DistanceConfig
    coreset: dict[Literal["spatial", "temporal", "global"], CoresetConfig]
    bank: BankConfig
    folds: Folds

    @model_validator(mode="after")
    def _possible(self) -> "VideoPatchCoreSettings":
        if set(self.coreset) != set(STREAMS):
            raise ValueError(f"coreset is for {', '.join(self.coreset)}; must be for {', '.join(STREAMS)}")
        return self

    @property
    def described(self) -> PatchSettings:
        """How the backbone in use describes crops."""
        channels = self.in_domain.descriptor_size if self.backbone.in_domain else self.patches.channels
        return self.patches.model_copy(update={"channels": channels})

    @property
    def shrinkage(self) -> float | None:
        """Of the covariance for Mahalanobis distances; None for Euclidean ones."""
        metric = self.distance.in_domain if self.backbone.in_domain else self.distance.pretrained
        return self.distance.shrinkage if metric == "mahalanobis" else None


class VideoPatchCoreScoring(Settings):
    stride: Window  # frames between the starts of two clips
    batch_size: BatchSize  # images per call of the backbone
    noise_above: NonNegative | None
    quantile: Annotated[float, Field(gt=0, le=1)]  # of normal distances, from which on a scaled distance is 1
    power: Annotated[float, Field(gt=0, le=100)]  # POWER_N
    spatial_weight: Share  # of the local score; the rest is temporal
    local_weight: Share  # of the final score; the rest is global

    @property
    def weights(self) -> dict[str, float]:
        """Of each stream in the final score; they sum to 1."""
        local, spatial = self.local_weight, self.spatial_weight
        return {"spatial": local * spatial, "temporal": local * (1 - spatial), "global": 1 - local}

    def local_score(self, spatial: float, temporal: float) -> float:
        """Of an object from its distances in units of normal ones; unbounded, for the order in explanations."""
        return self.spatial_weight * spatial**self.power + (1 - self.spatial_weight) * temporal**self.power


def check(name: str, config: DetectorConfig) -> tuple[VideoPatchCoreSettings, VideoPatchCoreScoring]:
    """The algorithm's typed settings; raises ConfigError, or WeightsError for missing weights."""
    settings = validate(VideoPatchCoreSettings, config.training, f"detectors.{name}.training")
    scoring = validate(VideoPatchCoreScoring, config.scoring, f"detectors.{name}.scoring")
    for part, stride in (("training", settings.stride), ("scoring", scoring.stride)):
        if stride > settings.clip:
            key = f"detectors.{name}.{part}.stride"
            raise ConfigError(f"{key}={stride}: would skip frames between clips of {settings.clip}")
    check_backbone(settings.backbone)
    return settings, scoring
