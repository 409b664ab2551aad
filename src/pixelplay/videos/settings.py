"""Settings of `prepare`: the data set, what is held out of it, frames, and how corrupted ones are put right."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.settings import (
    FileName,
    FilePath,
    Natural,
    NonNegative,
    Seed,
    Settings,
    Share,
)

Finite = Annotated[float, Field(allow_inf_nan=False)]


class CorruptionConfig(Settings):
    """Shares of test frames that are corrupted, and how: see `pixelplay.videos.corruption`."""

    flip: Share
    heavy: Share
    light: Share
    missing: Share
    heavy_sd: NonNegative  # grey levels of 255
    light_sd: NonNegative

    @model_validator(mode="after")
    def _shares_fit(self) -> "CorruptionConfig":
        total = self.flip + self.heavy + self.light + self.missing
        if total > 1:
            raise ValueError(f"flip + heavy + light + missing is {total:.3g}; it must be at most 1")
        return self


class SampleConfig(Settings):
    """The data set that the project renders itself: see `pixelplay.synthetic.sample`."""

    seed: Seed
    train_videos: Annotated[int, Field(ge=1, le=10_000)]
    test_videos: Annotated[int, Field(ge=1, le=10_000)]
    min_frames: Annotated[int, Field(ge=20, le=100_000)]
    max_frames: Annotated[int, Field(ge=20, le=100_000)]
    width: Annotated[int, Field(ge=64, le=4096)]
    height: Annotated[int, Field(ge=48, le=4096)]
    corruption: CorruptionConfig

    @model_validator(mode="after")
    def _lengths_ordered(self) -> "SampleConfig":
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames={self.min_frames} is greater than max_frames={self.max_frames}")
        return self


class HeldoutConfig(Settings):
    """Which normal training footage no detector is fitted on: see `pixelplay.videos.heldout`."""

    share: Annotated[float, Field(gt=0.0, lt=1.0)]
    min_videos: Natural  # with fewer training videos than this, blocks of time are held out instead of whole videos
    gap: Annotated[int, Field(ge=0, le=10_000)]  # frames between two uses of one video: a detector's longest window
    seed: Seed


class DatasetConfig(Settings):
    name: FileName
    layout: FileName
    root: FilePath | None
    candidates: list[str]  # where to look, in this order, when root is null
    tracks: FilePath | None  # folder of the test videos' track files; null: test_tracks below the root, if it is there
    max_unreadable: Share  # of the frames of one video; with more it is unreadable
    on_unreadable: Literal["stop", "skip"]  # what `prepare` does about unreadable videos, once it knows all of them
    # Values shown as 0 to 255 in images of more than 8 bits, low < high; null: estimated on training frames.
    value_range: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = None
    heldout: HeldoutConfig
    noise_share: Share  # of training clips that get noise, for detectors that meet noisy test footage so
    sample: SampleConfig | None

    @model_validator(mode="after")
    def _range_ordered(self) -> "DatasetConfig":
        if self.value_range is not None and self.value_range[0] >= self.value_range[1]:
            raise ValueError(f"value_range={self.value_range}: the first value must be less than the second")
        return self


class FrameFormat(Settings):
    """A working size that the frame cache stores."""

    height: Annotated[int, Field(ge=8, le=4096)]
    width: Annotated[int, Field(ge=8, le=4096)]
    gray: bool
