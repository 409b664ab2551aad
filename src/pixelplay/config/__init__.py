"""Typed, validated configuration: what the YAML files under `configs/` may say.

Hydra composes the files and the command line's overrides; pydantic refuses unknown keys, wrong types and
impossible values before any work starts. Default values stand in the YAML files alone, never here.
"""

from typing import Annotated

from pydantic import Field, model_validator

from pixelplay.ablation.settings import AblateConfig
from pixelplay.backbones.settings import WeightsConfig
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import ConfigError
from pixelplay.explain.settings import ShowConfig
from pixelplay.metrics.settings import EvaluateConfig
from pixelplay.mining.settings import DistributionConfig, MineConfig
from pixelplay.objects.settings import ObjectsConfig
from pixelplay.report.settings import ReportConfig
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.scores.settings import FUSED, FusionConfig
from pixelplay.settings import DeviceName, ExistingFile, FileName, FilePath, Seed, Settings, Workers
from pixelplay.synthetic.pseudo.settings import PseudoConfig
from pixelplay.training.settings import TrainerConfig
from pixelplay.videos.settings import DatasetConfig


class PathsConfig(Settings):
    """Top folders of what runs write, relative to the working directory."""

    outputs: FilePath
    checkpoints: FilePath
    submissions: FilePath
    cache: FilePath


class SubmitConfig(Settings):
    """What `submit` does with the run's submission once it is valid."""

    send: bool  # to Kaggle; without it nothing leaves this machine
    message: Annotated[str, Field(min_length=1)] | None  # null: the run's name and the fingerprint of its fusion
    competition: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] | None  # as in its address on kaggle.com
    sample: ExistingFile | None  # sample_submission.csv; null: the data set's, where it has one


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
