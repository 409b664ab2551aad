"""Settings of clip mining, `src/mine.py`: see `pixelplay.mining`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pixelplay.config.settings import (
    BatchSize,
    ExistingFile,
    FileName,
    FilePath,
    Fps,
    Natural,
    Seed,
    Settings,
    Window,
    Workers,
)

MINING_STEPS = ("manifest", "score", "render", "distribution", "select")


def _whole_number(value: Any) -> Any:
    """What the environment variable SEED holds is text."""
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        raise ValueError("no whole number; it comes from the environment variable SEED: correct or unset it") from None


def _named(value: Any) -> Any:
    return None if value == "" else value  # SCORES_OUT= is as good as unset


class NuScenesConfig(Settings):
    """Which of a NuScenes data set's frames are used."""

    version: FileName | None
    frames: Literal["all", "key_frames"]


class MaskConfig(Settings):
    """Which tokens are hidden from VideoMAE: see `pixelplay.features.token_masks`."""

    kind: Literal["tube", "random", "rotating"]
    ratio: Annotated[float, Field(gt=0, lt=1)]
    count: Annotated[int, Field(ge=1, le=1000)]

    @model_validator(mode="after")
    def _parts(self) -> "MaskConfig":
        if self.kind == "rotating" and self.count < 2:
            raise ValueError(f"kind=rotating with count={self.count}: tokens are shown in at least 2 parts; 10, say")
        return self


class RenderConfig(Settings):
    count: Annotated[int, Field(ge=0, le=1_000_000)]  # 0: all clips


class SelectConfig(Settings):
    """Which clips are chosen: see `pixelplay.mining.choose`."""

    count: Natural | None
    calibrate: Literal["none", "camera", "scene"]
    min_group: Annotated[int, Field(ge=2, le=1_000_000)]
    baseline: ExistingFile | None
    percentile: Annotated[float, Field(ge=0, le=100)]
    diversify: Literal["none", "k_center", "k_means"]
    pool: Annotated[int, Field(ge=1, le=10_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    picture_width: Annotated[int, Field(ge=64, le=640)]

    @model_validator(mode="after")
    def _bounded(self) -> "SelectConfig":
        if self.count is None and self.baseline is None:
            raise ValueError("count=null and baseline=null would choose every clip: set one of them")
        return self


class DistributionConfig(Settings):
    """The histogram of clip scores."""

    bins: Annotated[int, Field(ge=1, le=10_000)]


class MineConfig(Settings):
    folder: FilePath
    source: FilePath | None
    layout: Literal["auto", "nuscenes", "scenes", "cameras"]
    scenes: list[str]
    cameras: list[str]
    nuscenes: NuScenesConfig
    rate: Fps
    frames: Window
    every: Window
    stride: Window
    short: Literal["pad", "skip"]
    manifest: FilePath | None
    root: FilePath | None
    scores: Annotated[FilePath | None, BeforeValidator(_named)]
    seed: Annotated[Seed, BeforeValidator(_whole_number)]
    mask: MaskConfig
    precision: Literal["fp32", "bf16", "auto"]
    engine: Literal["local", "ray"]
    workers: Workers
    batch_size: BatchSize
    render: RenderConfig
    select: SelectConfig

    @model_validator(mode="after")
    def _no_gaps(self) -> "MineConfig":
        if self.stride > self.frames:
            raise ValueError(
                f"stride={self.stride} would leave frames out between clips of frames={self.frames}: at most "
                f"{self.frames}; every={-(-self.stride // self.frames)} covers as much time with as many clips"
            )
        return self
