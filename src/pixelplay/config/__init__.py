"""The root schema of the configuration; the schema of each part is `settings.py` of the package that it configures.

Hydra composes the YAML files of `configs/` and the command line's overrides; pydantic rejects unknown keys, wrong types
and impossible values before any work starts. Defaults, units and explanations are in the YAML files only.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.ablation.settings import AblateConfig, SweepConfig
from pixelplay.backbones.settings import WeightsConfig
from pixelplay.config.online import OnlineConfig, VizConfig
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import ConfigError
from pixelplay.events.settings import EventsConfig
from pixelplay.explain.settings import ShowConfig
from pixelplay.metrics.settings import EvaluateConfig
from pixelplay.mining.settings import DistributionConfig, MineConfig
from pixelplay.objects.settings import ObjectsConfig
from pixelplay.report.settings import ReportConfig
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.run.files import RESERVED
from pixelplay.run.settings import WandbConfig
from pixelplay.scores.settings import FUSED, FusionConfig
from pixelplay.settings import DeviceName, ExistingFile, FileName, FilePath, RunName, Seed, Settings, Unique, Workers
from pixelplay.synthetic.pseudo.settings import PseudoConfig
from pixelplay.training.run import TrainerConfig
from pixelplay.videos.settings import DatasetConfig


class PathsConfig(Settings):
    outputs: FilePath
    checkpoints: FilePath
    submissions: FilePath
    cache: FilePath


class SubmitConfig(Settings):
    send: bool
    message: Annotated[str, Field(min_length=1)] | None
    competition: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] | None
    sample: ExistingFile | None


class Config(Settings):
    experiment: FileName
    run: FileName | None
    name: FileName | None
    seed: Seed
    seeds: Annotated[list[Seed], Field(min_length=2), Unique] | None
    checkpoints_of: RunName | None
    device: DeviceName
    workers: Workers
    paths: PathsConfig
    dataset: DatasetConfig
    weights: WeightsConfig
    objects: ObjectsConfig
    detectors: Annotated[dict[FileName, DetectorConfig], Field(min_length=1)]
    trainer: TrainerConfig
    wandb: WandbConfig
    fusion: FusionConfig
    fusion_file: FilePath | None
    restore: RestoreConfig
    events: EventsConfig
    evaluate: EvaluateConfig
    pseudo: PseudoConfig
    ablate: AblateConfig
    sweep: SweepConfig
    show: ShowConfig
    submit: SubmitConfig
    report: ReportConfig
    step: str | None
    export: Literal["latex", "csv"] | None
    format: Literal["onnx"]
    source: str | None
    view: Literal["none", "web"]
    backend: Literal["torch", "onnx"]
    checkpoint: Annotated[str, Field(min_length=1)]
    viz: VizConfig
    event: str | None
    online: OnlineConfig
    mine: MineConfig
    distribution: DistributionConfig

    @property
    def run_name(self) -> str:
        """`experiment` or `experiment/run`."""
        return f"{self.experiment}/{self.run}" if self.run else self.experiment

    @property
    def full_name(self) -> str:
        """`run_name`, or with the name of its fusion's variant `run_name:name`."""
        return f"{self.run_name}:{self.name}" if self.name else self.run_name

    @property
    def trained_seeds(self) -> list[int | None]:
        """The seeds that each detector is trained with; [None] where it is `seed` alone."""
        return list(self.seeds) if self.seeds else [None]

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        taken = sorted(set(self.fusion.external_files) & {*self.detectors, FUSED})
        if taken:
            owner = "the fusion's own" if taken[0] == FUSED else "that of a detector of this run"
            raise ConfigError(
                f"fusion.external: {self.fusion.external_files[taken[0]]} would be called {taken[0]!r}, and that name "
                f"is {owner}: rename the file"
            )
        if self.run in RESERVED:
            raise ConfigError(f"run={self.run}: a run has a folder of that name; choose another one")
        if self.checkpoints_of == self.run_name:
            raise ConfigError(
                f"checkpoints_of={self.checkpoints_of}: this is that run itself; name this one otherwise: run=NAME"
            )
        self.ablate.check_changes(self.fusion)
        return self
