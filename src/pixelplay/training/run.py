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
