"""The trained CNN that finds flipped frames: applying it, saving and loading it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel

from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.errors import DataError
from pixelplay.restoration.flip_classifier import FlipClassifier
from pixelplay.restoration.settings import FlipNetworkConfig
from pixelplay.run.artifacts import read_model, write_json
from pixelplay.videos.settings import FrameFormat

CHUNK = 512  # frames judged at a time


@dataclass(frozen=True)
class Accuracy:
    """Balanced accuracy on held-out footage, every frame judged upright and flipped, with the noise of training."""

    judged: int  # frames
    overall: float
    noisy: float | None  # of the noisy frames alone; None where there were none


class About(BaseModel):
    """flip_network.json."""

    frames: FrameFormat
    network: FlipNetworkConfig
    heldout_balanced_accuracy: Accuracy


@dataclass(frozen=True)
class FlipNetwork:
    """A trained network, the working size of its frames, and its accuracy on held-out footage."""

    model: FlipClassifier
    frames: FrameFormat
    config: FlipNetworkConfig
    heldout: Accuracy

    def probability(self, frames: np.ndarray) -> np.ndarray:
        """P(flipped), float32 [T], of grey frames, uint8 [T, H, W] (memory-mapped, for instance).

        Raises DataError for frames of another size than the network was trained with.
        """
        if frames.shape[1:] != (self.frames.height, self.frames.width):
            raise DataError(
                f"frames of shape {frames.shape[1:]}: the flip network was trained with "
                f"({self.frames.height}, {self.frames.width}); prepare again with the same restore.frames"
            )
        return probability(self.model, frames)

    def save(self, folder: Path) -> None:
        save_network(self.model, folder / "flip_network.safetensors")
        about = About(frames=self.frames, network=self.config, heldout_balanced_accuracy=self.heldout)
        write_json(folder / "flip_network.json", about.model_dump())

    @classmethod
    def load(cls, folder: Path) -> "FlipNetwork":
        """What `save` wrote. Raises MissingArtifactError where nothing is, DamagedArtifactError where it is damaged."""
        about = read_model(folder / "flip_network.json", About, made_by="prepare")
        model = FlipClassifier(about.network.widths, about.network.pool)
        load_network(model, folder / "flip_network.safetensors", made_by="prepare")
        return cls(model, about.frames, about.network, about.heldout_balanced_accuracy)


@torch.inference_mode()
def probability(model: FlipClassifier, frames: np.ndarray) -> np.ndarray:
    """P(flipped), float32 [T], of grey frames, uint8 [T, H, W]."""
    model.eval()
    with one_thread():
        parts = [model(as_input(frames[i : i + CHUNK])).sigmoid() for i in range(0, len(frames), CHUNK)]
    return torch.cat(parts).numpy()


def as_input(frames: np.ndarray) -> torch.Tensor:
    """Input of the network: uint8 [T, H, W] to float32 (T, 1, H, W) in [0, 1]."""
    return torch.from_numpy(frames.astype(np.float32)).unsqueeze(1).div_(255)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: the number of threads changes the rounding of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
