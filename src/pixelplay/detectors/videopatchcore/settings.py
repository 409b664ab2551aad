"""Settings of VideoPatchCore: what decides what its memory holds, and what decides how it scores."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.backbones.in_domain import EncoderSettings
from pixelplay.backbones.settings import WeightsConfig
from pixelplay.detectors.videopatchcore.clip_features import STREAMS, PatchSettings
from pixelplay.memory.bank import BankConfig
from pixelplay.memory.coreset import CoresetConfig
from pixelplay.memory.distance import DistanceConfig
from pixelplay.objects.settings import TubeConfig
from pixelplay.settings import BatchSize, NonNegative, Settings, Share, Window


class NoiseSettings(Settings):
    """Uniform noise in +-amplitude of the range [0, 1], added to this share of the training clips."""

    amplitude: Share
    share: Share


class VideoPatchCoreSettings(Settings):
    weights: WeightsConfig
    tubes: TubeConfig
    clip: Annotated[int, Field(ge=2, le=10_000)]  # frames
    stride: Window  # frames between the starts of two training clips
    patches: PatchSettings
    noise: NoiseSettings
    encoder: EncoderSettings  # for weights.backbone=in_domain
    distance: DistanceConfig
    coreset: dict[Literal["spatial", "temporal", "global"], CoresetConfig]
    bank: BankConfig
    folds: Annotated[int, Field(ge=0, le=100)]  # of training footage, scored by memories without it; 0: none

    @model_validator(mode="after")
    def _possible(self) -> "VideoPatchCoreSettings":
        if set(self.coreset) != set(STREAMS):
            raise ValueError(f"coreset is for {', '.join(self.coreset)}; must be for {', '.join(STREAMS)}")
        if self.folds == 1:
            raise ValueError("folds=1: one fold leaves nothing to compare it with; 0 for none, or 2 and more")
        return self

    @property
    def own(self) -> bool:
        """Whether the backbone is an encoder that the run trains itself."""
        return self.weights.backbone == "in_domain"

    @property
    def described(self) -> PatchSettings:
        """How the backbone in use describes crops."""
        return self.patches.model_copy(update={"channels": self.encoder.descriptor_size}) if self.own else self.patches

    @property
    def shrinkage(self) -> float | None:
        """Of the covariance, where distances are Mahalanobis'."""
        metric = self.distance.in_domain if self.own else self.distance.pretrained
        return self.distance.shrinkage if metric == "mahalanobis" else None


class VideoPatchCoreScoring(Settings):
    stride: Window  # frames between the starts of two clips
    batch_size: BatchSize  # images that the backbone sees at a time
    noise_above: NonNegative | None
    quantile: Annotated[float, Field(gt=0, le=1)]  # of normal distances; that distance becomes 1, and more does, too
    power: Annotated[float, Field(gt=0, le=100)]  # POWER_N
    spatial_weight: Share  # of the local score; the rest is temporal
    local_weight: Share  # of the final score; the rest is global

    @property
    def weights(self) -> dict[str, float]:
        """Of each stream in the final score; they sum to 1."""
        local = {
            "spatial": self.local_weight * self.spatial_weight,
            "temporal": self.local_weight * (1 - self.spatial_weight),
        }
        return {**local, "global": 1 - self.local_weight}
