"""What a training run needs besides a network and data."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.training.settings import TrainerConfig


@dataclass(frozen=True)
class TrainingRun:
    name: str
    config: TrainerConfig
    folder: Path  # checkpoints and logs of the run
    device: torch.device
    seed: int
    among: Path | None = None  # folder for models that several detectors train once; None: its own folder
    kept: Path | None = None  # folder for intermediate results that outlive the run; None: its own folder

    @property
    def shared(self) -> Path:
        return self.among or self.folder

    def intermediate(self, name: str, *decisive: Any) -> Path:
        """See `keyed_folder`; for results of this detector."""
        return keyed_folder(self.kept or self.folder, name, *decisive)


def keyed_folder(parent: Path, name: str, *decisive: Any) -> Path:
    """Folder for a result that depends on these values alone: a later training with the same values finds it there, one
    with other values replaces it.
    """
    folder = parent / f"{name}-{fingerprint(*decisive)}"
    for old in parent.glob(f"{name}-{KEYS}"):
        if old != folder:
            shutil.rmtree(old)
    return folder


def seed_of(*values: int) -> int:
    """A well-spread 63-bit seed per combination of values; a resumed run draws the same as an undisturbed one."""
    return int.from_bytes(hashlib.sha256(repr(values).encode()).digest()[:8], "little") >> 1
