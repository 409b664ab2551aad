"""Typed, validated configuration: what the YAML files under `configs/` may say.

Hydra composes the files and the command line's overrides; pydantic refuses unknown keys, wrong types and
impossible values before any work starts. Default values stand in the YAML files alone, never here.
"""

from typing import Annotated

from pydantic import Field, model_validator

from pixelplay import ROOT
from pixelplay.config.ablation import AblateConfig
from pixelplay.config.dataset import (
    CorruptionConfig,
    DatasetConfig,
    FlipNetworkConfig,
    FrameFormat,
    HeldoutConfig,
    RestoreConfig,
    SampleConfig,
)
from pixelplay.config.detectors import DetectorConfig, TrainerConfig, WeightsConfig
from pixelplay.config.evaluation import (
    AdaptiveConfig,
    BootstrapConfig,
    EvaluateConfig,
    EvtConfig,
    LinkConfig,
    RegionConfig,
    TaoConfig,
    ThresholdsConfig,
)
from pixelplay.config.fusion import (
    FUSED,
    CompositeConfig,
    CorruptedFramesConfig,
    FusionConfig,
    MemberConfig,
    NormaliseConfig,
    SmoothConfig,
)
from pixelplay.config.mining import DistributionConfig, MineConfig
from pixelplay.config.objects import MotionConfig, ObjectsConfig, SplitConfig, TubeConfig, YoloConfig
from pixelplay.config.pseudo import MovingConfig, PseudoConfig, PseudoKind
from pixelplay.config.results import ReportConfig, ShowConfig, SubmitConfig
from pixelplay.config.settings import (
    BatchSize,
    Channels,
    DeviceName,
    Epochs,
    FileName,
    FilePath,
    Natural,
    NonNegative,
    Pixels,
    Positive,
    Rate,
    Seed,
    Settings,
    Share,
    Window,
    Workers,
    alternatives,
    validate,
)
from pixelplay.errors import ConfigError

CONFIG_DIR = ROOT / "configs"


class PathsConfig(Settings):
    """Top folders of what runs write, relative to the working directory."""

    outputs: FilePath
    checkpoints: FilePath
    submissions: FilePath
    cache: FilePath


class Config(Settings):
    experiment: FileName
    run: FileName | None
    seed: Seed
    device: DeviceName
    workers: Workers  # threads that decode; 0 is one per core
    paths: PathsConfig
    dataset: DatasetConfig
    weights: WeightsConfig
    objects: ObjectsConfig
    detectors: Annotated[dict[FileName, DetectorConfig], Field(min_length=1)]
    trainer: TrainerConfig
    fusion: FusionConfig
    fusion_file: FilePath | None  # where `fusion` was read from, if not from configs/
    restore: RestoreConfig
    evaluate: EvaluateConfig
    pseudo: PseudoConfig
    ablate: AblateConfig
    show: ShowConfig
    submit: SubmitConfig
    report: ReportConfig
    step: str | None  # of a command that has several
    mine: MineConfig
    distribution: DistributionConfig

    @model_validator(mode="after")
    def _streams_distinct(self) -> "Config":
        taken = sorted(set(self.fusion.external_files) & {*self.detectors, FUSED})
        if taken:
            owner = "the fusion's own" if taken[0] == FUSED else "that of a detector of this run"
            raise ConfigError(
                f"fusion.external: {self.fusion.external_files[taken[0]]} would be called {taken[0]!r}, and that name "
                f"is {owner}: rename the file"
            )
        return self

    @model_validator(mode="after")
    def _changes_possible(self) -> "Config":
        self.ablate.check_over(self.fusion)
        return self
