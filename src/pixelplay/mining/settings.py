"""Settings of clip mining, `src/mine.py`. The keys are documented in `configs/mine/`."""

import os
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pixelplay.detectors.settings import MaskConfig
from pixelplay.errors import ConfigError
from pixelplay.settings import (
    BatchSize,
    ExistingFile,
    FileName,
    FilePath,
    Fps,
    Natural,
    Percentile,
    Seed,
    Settings,
    Share,
    Window,
    Workers,
)

MINING_STEPS = ("manifest", "score", "render", "distribution", "select")


def _seed(value: Any) -> Any:
    """A number in the environment variable SEED; another text there is an error only where it is used: `mask_seed`."""
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"\d{1,19}", value, re.ASCII) and int(value) < 2**63:
        return int(value)
    return None if value == os.environ.get("SEED") else value


def _named(value: Any) -> Any:
    return None if value == "" else value  # an empty SCORES_OUT counts as unset


class NuScenesConfig(Settings):
    version: FileName | None
    frames: Literal["all", "key_frames"]


class RenderConfig(Settings):
    count: Annotated[int, Field(ge=0, le=1_000_000)]


class SelectConfig(Settings):
    """Which clips are chosen: see `pixelplay.mining.select`."""

    count: Natural | None
    calibrate: Literal["none", "camera", "scene"]
    min_group: Annotated[int, Field(ge=2, le=1_000_000)]
    baseline: ExistingFile | None
    percentile: Percentile
    diversify: Literal["none", "k_center", "k_means"]
    pool: Annotated[int, Field(ge=1, le=10_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    min_gap: Annotated[float, Field(ge=0, le=86_400)]
    min_distance: Share
    picture_width: Annotated[int, Field(ge=64, le=640)]
    mp4: bool
    context: Annotated[float, Field(ge=0, le=600)]

    @model_validator(mode="after")
    def _bounded(self) -> "SelectConfig":
        if self.count is None and self.baseline is None:
            raise ValueError("count=null and baseline=null would choose every clip: set one of them")
        return self


class DistributionConfig(Settings):
    bins: Annotated[int, Field(ge=1, le=10_000)]


class MineConfig(Settings):
    folder: FilePath
    source: FilePath | None
    layout: Literal["auto", "nuscenes", "scenes", "cameras"]
    scenes: list[str]
    cameras: list[str]
    nuscenes: NuScenesConfig
    fps: Fps
    frames: Window
    frame_step: Window
    stride: Window
    short_scenes: Literal["pad", "skip"]
    manifest: FilePath | None
    root: FilePath | None
    scores: Annotated[FilePath | None, BeforeValidator(_named)]
    seed: Annotated[Seed | None, BeforeValidator(_seed)]  # None: see `mask_seed`
    mask: MaskConfig
    precision: Literal["fp32", "bf16", "auto"]
    engine: Literal["local", "ray"]
    workers: Workers
    batch_size: BatchSize
    render: RenderConfig
    select: SelectConfig

    @property
    def mask_seed(self) -> int:
        """Raises ConfigError where the environment variable SEED holds something else."""
        if self.seed is None:
            name = f"the environment variable SEED={os.environ['SEED']}" if "SEED" in os.environ else "mine.seed=null"
            raise ConfigError(f"{name}: must be a whole number from 0 to 2**63 - 1; unset it, or set mine.seed=42")
        return self.seed

    @model_validator(mode="after")
    def _no_gaps(self) -> "MineConfig":
        if self.stride > self.frames:
            raise ValueError(
                f"stride={self.stride} would leave frames out between clips of frames={self.frames}: at most "
                f"{self.frames}; frame_step={-(-self.stride // self.frames)} covers as much time with as many clips"
            )
        return self
