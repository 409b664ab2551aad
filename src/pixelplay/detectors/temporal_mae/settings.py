"""Settings of the temporal masked autoencoder. Keys are explained in `configs/detector/temporal_mae.yaml`."""

from typing import Annotated

from pydantic import Field, model_validator

from pixelplay.detectors.temporal_mae.network import HeadsSettings, TransformerSettings
from pixelplay.settings import BatchSize, PartialShare, PositiveShare, Settings, Share, Window, one_of
from pixelplay.training.run import ScheduleSettings


class TemporalMAESettings(ScheduleSettings):
    """Precision and loggers of training are the trainer's."""

    window: Annotated[int, Field(ge=2, le=10_000)]  # frames
    stride: Window  # frames between the starts of two training windows
    pooling: Annotated[str, one_of("pixelplay.detectors.temporal_mae.network:POOLINGS")]
    transformer: TransformerSettings
    mask_ratio: PartialShare  # of a window's steps
    heads: HeadsSettings
    warmup_epochs: Annotated[int, Field(ge=0, le=100_000)]

    @model_validator(mode="after")
    def _possible(self) -> "TemporalMAESettings":
        if self.stride > self.window:
            raise ValueError(f"stride={self.stride} would skip frames between windows of {self.window}")
        if self.warmup_epochs >= self.max_epochs:
            raise ValueError(f"warmup_epochs={self.warmup_epochs} must be below max_epochs={self.max_epochs}")
        return self


class TemporalMAEScoring(Settings):
    stride: Window  # frames between the starts of two windows; causally, every frame ends one
    batch_size: BatchSize  # windows, each with one step masked
    alpha: Share  # of the reconstruction error; the rest is that of the embeddings
    quantile: PositiveShare  # of normal objects' scores, from which on a scaled score is 1
    decay: PartialShare  # of the moving average along a track, per frame
    checkpoint: Annotated[str, Field(min_length=1)]  # best, last, or a folder

    @property
    def weights(self) -> dict[str, float]:
        """Of each stream, scaled and clipped, in the detector's own score.

        Normal scores are about log-normal, the embedding's with the wider spread: in robust standard deviations its
        outliers would outweigh every reconstruction error.
        """
        return {"reconstruction": self.alpha, "embedding": 1 - self.alpha}
