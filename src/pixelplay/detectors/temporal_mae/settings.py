"""Settings of the temporal masked autoencoder. Keys are explained in `configs/detector/temporal_mae.yaml`."""

from typing import Annotated

from pydantic import Field, model_validator

from pixelplay.settings import (
    BatchSize,
    Channels,
    Epochs,
    NonNegative,
    PartialShare,
    Positive,
    PositiveShare,
    Rate,
    Settings,
    Share,
    Window,
    one_of,
)
from pixelplay.training.settings import TrainerConfig


class TransformerSettings(Settings):
    width: Annotated[int, Field(ge=2, le=65_536, multiple_of=2)]  # sines and cosines of positions are pairs
    depth: Annotated[int, Field(ge=1, le=256)]
    heads: Annotated[int, Field(ge=1, le=1024)]
    feed_forward: Channels

    @model_validator(mode="after")
    def _divides(self) -> "TransformerSettings":
        if self.width % self.heads:
            raise ValueError(f"width={self.width}: must be divisible by heads={self.heads}")
        return self


class ReconstructionSettings(Settings):
    weight: Positive  # of its loss
    hidden: Channels


class ContrastiveSettings(Settings):
    weight: NonNegative  # of its loss; 0: no such head
    hidden: Channels
    size: Channels  # of an embedding
    temperature: Positive


class ForecastSettings(Settings):
    weight: NonNegative  # of its loss; 0: no such head
    hidden: Channels
    steps: Annotated[int, Field(ge=1, le=1000)]  # predicted after the window


class HeadsSettings(Settings):
    reconstruction: ReconstructionSettings
    contrastive: ContrastiveSettings
    forecast: ForecastSettings

    @property
    def future(self) -> int:
        """Steps after a window that training reads."""
        return self.forecast.steps if self.forecast.weight else 0


class TemporalMAESettings(Settings):
    """Precision and loggers of training are the trainer's."""

    window: Annotated[int, Field(ge=2, le=10_000)]  # frames
    stride: Window  # frames between the starts of two training windows
    pooling: Annotated[str, one_of("pixelplay.detectors.temporal_mae.network:POOLINGS")]
    transformer: TransformerSettings
    mask_ratio: PartialShare  # of a window's steps
    heads: HeadsSettings
    max_epochs: Epochs
    warmup_epochs: Annotated[int, Field(ge=0, le=100_000)]
    batch_size: BatchSize  # windows
    learning_rate: Rate
    weight_decay: NonNegative

    @model_validator(mode="after")
    def _possible(self) -> "TemporalMAESettings":
        if self.stride > self.window:
            raise ValueError(f"stride={self.stride} would skip frames between windows of {self.window}")
        if self.warmup_epochs >= self.max_epochs:
            raise ValueError(f"warmup_epochs={self.warmup_epochs} must be below max_epochs={self.max_epochs}")
        return self

    def trainer(self, run: TrainerConfig) -> TrainerConfig:
        """The run's trainer with these lengths and rates."""
        own = self.model_dump(include={"max_epochs", "batch_size", "learning_rate", "weight_decay"})
        return run.model_copy(update=own | {"patience": self.max_epochs})  # the loss is lowest at the cosine's end


class TemporalMAEScoring(Settings):
    stride: Window  # frames between the starts of two windows; causally, every frame ends one
    batch_size: BatchSize  # windows, each with one step masked
    alpha: Share  # of the reconstruction error; the rest is that of the embeddings
    quantile: PositiveShare  # of normal objects' scores, from which on a scaled score is 1
    decay: PartialShare  # of the moving average along a track, per frame
    checkpoint: Annotated[str, Field(min_length=1)]  # best, last, or a folder
