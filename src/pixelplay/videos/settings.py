"""Settings of data sets and of the frames that the cache stores. Keys are explained in `configs/dataset/`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.settings import (
    Bounds,
    FileName,
    FilePath,
    Gap,
    Natural,
    NonNegative,
    PartialShare,
    Seed,
    Settings,
    Share,
)

Videos = Annotated[int, Field(ge=1, le=10_000)]
Frames = Annotated[int, Field(ge=20, le=100_000)]
Side = Annotated[int, Field(ge=8, le=4096)]


class FrameFormat(Settings):
    """A working size of frames, pixels."""

    height: Side
    width: Side
    gray: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame: (height, width) or (height, width, 3)."""
        return (self.height, self.width) if self.gray else (self.height, self.width, 3)


class CorruptionConfig(Settings):
    """Shares of frames that are corrupted, and how: see `pixelplay.videos.corruption`."""

    flip: Share
    heavy: Share
    light: Share
    missing: Share
    heavy_sd: NonNegative
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
    train_videos: Videos
    test_videos: Videos
    min_frames: Frames
    max_frames: Frames
    width: Annotated[int, Field(ge=64, le=4096)]
    height: Annotated[int, Field(ge=48, le=4096)]
    corruption: CorruptionConfig

    @model_validator(mode="after")
    def _lengths_ordered(self) -> "SampleConfig":
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames={self.min_frames} is greater than max_frames={self.max_frames}")
        return self


class HeldoutConfig(Settings):
    """Which normal training footage no detector is fitted on: see `pixelplay.videos.index`."""

    share: PartialShare
    min_videos: Natural
    gap: Gap
    seed: Seed


SEVERAL = "several"  # layout of a data set that consists of others


class DatasetConfig(Settings):
    name: FileName
    layout: FileName
    parts: dict[FileName, FilePath | None] | None = None  # folders of data sets, by their names, if there are several
    root: FilePath | None
    candidates: list[str]
    tracks: FilePath | None
    max_unreadable: Share
    on_unreadable: Literal["stop", "skip"]
    value_range: Bounds | None = None
    heldout: HeldoutConfig
    noise_share: Share
    sample: SampleConfig | None

    @model_validator(mode="after")
    def _whole_or_in_parts(self) -> "DatasetConfig":
        if self.parts and self.layout != SEVERAL:
            raise ValueError("parts are those of dataset=several; the folder of one data set is root")
        if self.layout == SEVERAL and (self.root or self.tracks):
            raise ValueError("root and tracks are those of one data set; dataset=several has parts: {NAME: FOLDER, …}")
        return self
