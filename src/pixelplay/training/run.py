"""What a training run needs besides a network and data."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from pixelplay.training.settings import TrainerConfig


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


def seed_of(*values: int) -> int:
    """A well-spread 63-bit seed per combination of values; a resumed run draws the same as an undisturbed one."""
    return int.from_bytes(hashlib.sha256(repr(values).encode()).digest()[:8], "little") >> 1
