"""What a training run needs besides a network and data. Settings are explained in `configs/trainer/`."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.settings import BatchSize, Epochs, NonNegative, Rate, Settings

if TYPE_CHECKING:  # the configuration is read without torch
    import torch


class ScheduleSettings(Settings):
    """Of a training that a detector needs first, such as its backbone's; the rest is the trainer's."""

    max_epochs: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: NonNegative

    def trainer(self, run: "TrainerConfig") -> "TrainerConfig":
        """The run's trainer with this schedule, to its end: the loss is lowest at the end of the cosine."""
        own = {name: getattr(self, name) for name in ScheduleSettings.model_fields}
        return run.model_copy(update=own | {"patience": self.max_epochs})


class TrainerConfig(Settings):
    max_epochs: Epochs
    patience: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: NonNegative
    precision: Literal["auto", "fp32", "bf16"]
    loggers: list[Literal["csv", "tensorboard", "wandb"]]


@dataclass(frozen=True)
class TrainingRun:
    name: str
    config: TrainerConfig
    folder: Path  # checkpoints and logs of the run
    device: "torch.device"
    seed: int
    among: Path | None = None  # folder for models that several detectors train once; None: its own folder
    kept: Path | None = None  # folder for intermediate results that outlive the run; None: its own folder
    open_wandb: Callable[[], Any] | None = None  # see `weights_and_biases.open_run`; None: no curves there

    @property
    def shared(self) -> Path:
        return self.among or self.folder

    def intermediate(self, name: str, *decisive: Any) -> Path:
        """See `keyed_folder`; for results of this detector."""
        return keyed_folder(self.kept or self.folder, name, *decisive)


def keyed_folder(parent: Path, name: str, *decisive: Any) -> Path:
    """Folder for a result that depends on these values alone; one of other values is deleted."""
    folder = parent / f"{name}-{fingerprint(*decisive)}"
    for old in parent.glob(f"{name}-{KEYS}"):
        if old != folder:
            shutil.rmtree(old)
    return folder


def seed_of(*values: int) -> int:
    """A well-spread 63-bit seed per combination of values; a resumed run draws the same as an undisturbed one."""
    return int.from_bytes(hashlib.sha256(repr(values).encode()).digest()[:8], "little") >> 1
