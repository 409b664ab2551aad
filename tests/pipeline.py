"""What the tests of networks, detectors and stages share: generated clips, and commands run as a user runs them."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from pixelplay import pipeline
from pixelplay.cli import load_config, main
from pixelplay.detectors.autoencoder.network import ConvAutoencoder, SpatioTemporalAutoencoder
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.stages.status import STAGES
from pixelplay.training.clips import Augmentation, Batched, Clips, OrderedBatches, ShuffledBatches, loader
from pixelplay.training.fit import Reconstruction
from pixelplay.training.run import TrainerConfig, TrainingRun
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video, format_name

ROOT = Path(__file__).resolve().parents[1]
GRAY = FrameFormat(height=16, width=16, gray=True)
WINDOW, STRIDE, BATCH = 4, 2, 4
CPU = torch.device("cpu")
SOURCE = Augmentation(noise_amplitude=0.1373, noise_share=0.4, target="noisy", vertical_flip=0.0)  # conv_ae's
DENOISING = Augmentation(noise_amplitude=0.157, noise_share=1.0, target="clean", vertical_flip=0.0)

torch.set_num_threads(1)  # the tests share their cores; sums over another number of threads round differently


def walking_square(count: int, seed: int) -> np.ndarray:
    """Normal footage: a 4x4 square that walks to and fro on a plain ground, uint8 (count, 16, 16)."""
    rng = np.random.default_rng(seed)
    frames = np.full((count, 16, 16), 60, np.uint8)
    row, phase = int(rng.integers(0, 12)), int(rng.integers(0, 24))
    for t in range(count):
        column = 12 - abs((t + phase) % 24 - 12)
        frames[t, row : row + 4, column : column + 4] = 110
    return frames


def cached_video(folder: Path, name: str, frames: np.ndarray, split: str = "train") -> Video:
    """A video whose frames, uint8 (T, H, W), lie in the frame cache; its frame numbers start at 10."""
    height, width = frames.shape[1:]
    place = folder / split / name
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / f"{format_name(FrameFormat(height=height, width=width, gray=True))}.npy", frames)
    return Video(name, split, np.arange(10, 10 + len(frames)), (width, height), place)


def shipped(preset: str, *changes: str, run: Sequence[str] = ()) -> DetectorConfig:
    """Settings of configs/detector/ in a run of these options, with changes KEY=VALUE; Hydra composes them once."""
    ((_, config),) = load_config([f"detector=[{preset}]", *run]).detectors.items()
    values = OmegaConf.merge(config.model_dump(), OmegaConf.from_dotlist(list(changes)))
    return DetectorConfig.model_validate(OmegaConf.to_container(values))


def trainer_config(**changes: object) -> TrainerConfig:
    """The tiny experiment's trainer in plain float32, with these changes."""
    trainer = load_config(["experiment=tiny"]).trainer
    return trainer.model_copy(update={"precision": "fp32", "batch_size": BATCH, **changes})


def clips_of(folder: Path, name: str, count: int, seed: int) -> Clips:
    return Clips([cached_video(folder, name, walking_square(count, seed))], GRAY, WINDOW, STRIDE)


def small_training(
    folder: Path,
    config: TrainerConfig,
    clips: Batched[Any] | None = None,
    heldout: Batched[Any] | None = None,
    network: type[ConvAutoencoder] | type[SpatioTemporalAutoencoder] = ConvAutoencoder,
    augmentation: Augmentation = SOURCE,
) -> tuple[Reconstruction, DataLoader, DataLoader, TrainingRun]:
    """What `fit` takes: a small network and 15 clips, so 4 steps an epoch, and 3 held-out clips in `folder`."""
    torch.manual_seed(0)
    module = Reconstruction(network(WINDOW, [4, 8], 0.2), augmentation, config, seed=0)
    clips = clips or clips_of(folder, "fit", 32, seed=1)
    heldout = heldout or clips_of(folder, "heldout", 8, seed=2)
    return (
        module,
        loader(clips, ShuffledBatches(len(clips), BATCH, seed=0), CPU),
        loader(heldout, OrderedBatches(len(heldout), BATCH), CPU),
        TrainingRun("small", config, folder / "run", CPU, 0),
    )


class Killed(BaseException):
    """Stands for a kill in tests that stay in one process."""


def kill() -> None:
    raise Killed


class Dying(Batched[Any]):
    """Items that end the process, or what stands for that, where the `fatal`-th batch is read."""

    def __init__(self, items: Batched[Any], fatal: int, end: Callable[[], object] = kill):
        self._items, self._left, self._end = items, fatal, end

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, items: list[int]) -> Any:
        self._left -= 1
        if not self._left:
            self._end()
        return self._items[items]


def user_environment() -> dict[str, str]:
    """An active virtual environment: this Python's, as `source .venv/bin/activate` would make it."""
    folder = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder.parent),
        "OMP_NUM_THREADS": "1",  # as above
    }


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; standard output and standard error come back as text."""
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env or user_environment(), capture_output=True, text=True
    )


def run_python(
    script: str, *options: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of the commands in src/."""
    return run(sys.executable, ROOT / "src" / script, *options, cwd=cwd, env=env)


def run_here(script: str, *options: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same within this process, which spares the seconds that a command takes to import what it needs."""
    output, errors, level = StringIO(), StringIO(), logging.root.level
    arguments = [str(ROOT / "src" / script), *map(str, options)]
    torch.set_num_threads(1)  # as in a process of its own, whatever the tests before have set
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", arguments)
        patch.setattr(logging.root, "handlers", [])  # a command has none of its own yet
        patch.setattr(sys, "warnoptions", ["default"])  # a command would silence warnings for all tests after it
        try:
            main(script.removesuffix(".py"))
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            logging.root.setLevel(level)
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())


@contextmanager
def stages_here() -> Iterator[list[tuple[str, str]]]:
    """The stages that `run` and `sweep` start, without processes of their own; yields the run and the name of each."""
    started = list[tuple[str, str]]()

    def stage_here(stage: str, overrides: Sequence[str], started_by: str) -> None:
        config = load_config(list(overrides))
        started.append((str(config.run), stage))
        STAGES[stage].run(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_run_process", stage_here)
        yield started


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
