"""What a training run needs besides a network and data."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pixelplay.config import TrainerConfig


@dataclass(frozen=True)
class TrainingRun:
    name: str
    config: TrainerConfig
    folder: Path  # checkpoints and logs of the run
    device: torch.device
    seed: int
    among: Path | None = None  # folder for models that several detectors train once; None: its own folder

    @property
    def shared(self) -> Path:
        return self.among or self.folder
