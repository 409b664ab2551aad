"""The CNN that finds flipped frames: trained on normal footage, half of it flipped, with noisy frames among the clean.

A plain loop on the CPU in one thread: it takes seconds, less than importing Lightning, so a killed run starts over; and
neither an accelerator nor the number of cores changes which frames are found flipped.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel
from torch.nn import functional as F

from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.errors import DataError
from pixelplay.restoration.flip_classifier import FlipClassifier
from pixelplay.restoration.settings import FlipNetworkConfig, RestoreConfig
from pixelplay.run.artifacts import read_model, write_json
from pixelplay.videos.background import evenly_spaced
from pixelplay.videos.corruption import corrupt, draw_kinds, noise_after_resize
from pixelplay.videos.settings import CorruptionConfig, FrameFormat
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

CHUNK = 512  # frames judged at a time
EPOCH_FRAMES = 2048  # whatever the footage: a short video needs as many steps as a long one
HELDOUT_FRAMES = 1024  # judged at most, evenly spaced
GAIN, OFFSET = (0.7, 1.3), (-0.15, 0.15)  # of frames in [0, 1]: another day's light, another exposure


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
        """P(flipped), float32 [T], of grey frames, uint8 [T, H, W]; raises DataError for a size not trained with."""
        size = (self.frames.height, self.frames.width)
        if frames.shape[1:] != size:
            raise DataError(
                f"frames of shape {frames.shape[1:]}: the flip network was trained with {size}; "
                "prepare again with the same restore.frames"
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


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: the number of threads changes the rounding of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
@one_thread()
def probability(model: FlipClassifier, frames: np.ndarray) -> np.ndarray:
    """P(flipped), float32 [T], of grey frames, uint8 [T, H, W]."""
    model.eval()
    parts = [model(as_input(frames[i : i + CHUNK])).sigmoid() for i in range(0, len(frames), CHUNK)]
    return torch.cat(parts).numpy()


def as_input(frames: np.ndarray) -> torch.Tensor:
    """Input of the network: uint8 [T, H, W] to float32 (T, 1, H, W) in [0, 1]."""
    return torch.from_numpy(frames.astype(np.float32)).unsqueeze(1).div_(255)


class Footage:
    """Frames of several videos in the working size, with the noise that resizing leaves of a full-size frame's."""

    def __init__(self, videos: Sequence[Video], config: RestoreConfig):
        self._frames = [video.frames(config.frames) for video in videos]
        self._noise = [_noise_when_small(config, video.size) for video in videos]
        self._stops = np.cumsum([len(frames) for frames in self._frames])

    def __len__(self) -> int:
        return int(self._stops[-1])

    def corrupted(self, items: np.ndarray, flip: np.ndarray, kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Frames `items`, uint8 [N, H, W], flipped where `flip` [N] is set, with the noise that `kinds` [N] names."""
        frames = np.empty((len(items), *self._frames[0].shape[1:]), np.uint8)
        for row, item in enumerate(items):
            video = np.searchsorted(self._stops, item, side="right")
            frame = self._frames[video][item - self._stops[video]]  # a negative position: from the video's end
            frames[row] = corrupt(frame[::-1] if flip[row] else frame, kinds[row], self._noise[video], rng)
        return frames


@one_thread()
def train(
    fit: Sequence[Video], heldout: Sequence[Video], config: RestoreConfig, folder: Path, seed: int
) -> FlipNetwork:
    """Train on `fit`, measure on `heldout`, and save into `folder`; the same arguments give the same weights."""
    if not fit or not heldout:
        raise DataError(
            "the flip network needs normal footage to learn from and some held out (a training video of at least two "
            "frames); or set restore.flip=background"
        )
    settings = config.network
    torch.manual_seed(seed)
    model = FlipClassifier(settings.widths, settings.pool)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    footage = Footage(fit, config)
    for epoch in range(settings.epochs):
        for frames, flipped in batches(footage, config, np.random.default_rng([seed, epoch])):
            loss = F.binary_cross_entropy_with_logits(model(frames), flipped)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network = FlipNetwork(model, config.frames, settings, balanced_accuracy(model, heldout, config, seed))
    network.save(folder)
    found = network.heldout
    noisy = "" if found.noisy is None else f", {found.noisy:.4f} on the noisy ones"
    log.info(f"flip network, held-out footage: balanced accuracy {found.overall:.4f} on {found.judged} frames{noisy}")
    return network


def balanced_accuracy(model: FlipClassifier, videos: Sequence[Video], config: RestoreConfig, seed: int) -> Accuracy:
    """Judge frames of `videos`, each upright and flipped, with noise drawn for each of the two."""
    rng = np.random.default_rng(seed)
    footage = Footage(videos, config)
    items = evenly_spaced(len(footage), HELDOUT_FRAMES)
    items, flip = np.tile(items, 2), np.repeat([False, True], len(items))
    kinds = _draw_noise(len(items), config.corruption, rng)
    judged = probability(model, footage.corrupted(items, flip, kinds, rng)) > config.threshold
    noisy = kinds != "none"
    both = np.unique(flip[noisy]).size == 2
    return Accuracy(len(items), _balanced(judged, flip), _balanced(judged[noisy], flip[noisy]) if both else None)


def batches(
    footage: Footage, config: RestoreConfig, rng: np.random.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """An epoch: frames (B, 1, H, W) in [0, 1], each in a light of its own, and 1 for a flipped one (B,)."""
    rounds = -(-EPOCH_FRAMES // len(footage))
    order = np.concatenate([rng.permutation(len(footage)) for _ in range(rounds)])[:EPOCH_FRAMES]
    for start in range(0, len(order), config.network.batch_size):
        items = order[start : start + config.network.batch_size]
        flip = rng.random(len(items)) < config.corruption.flip
        kinds = _draw_noise(len(items), config.corruption, rng)
        frames = as_input(footage.corrupted(items, flip, kinds, rng))
        gain, offset = (torch.from_numpy(rng.uniform(*r, (len(items), 1, 1, 1))).float() for r in (GAIN, OFFSET))
        yield (frames * gain + offset).clamp_(0, 1), torch.from_numpy(flip).float()


def _draw_noise(count: int, corruption: CorruptionConfig, rng: np.random.Generator) -> np.ndarray:
    """Which noise each frame gets, independent of flips."""
    return draw_kinds(count, corruption.model_copy(update={"flip": 0.0, "missing": 0.0}), rng)


def _noise_when_small(config: RestoreConfig, size: tuple[int, int]) -> CorruptionConfig:
    levels = config.corruption.model_dump(include={"heavy_sd", "light_sd"})
    small = {name: noise_after_resize(level, size, config.frames) for name, level in levels.items()}
    return config.corruption.model_copy(update=small)


def _balanced(judged: np.ndarray, truth: np.ndarray) -> float:
    """Balanced accuracy: the mean of the two classes' recalls, as `sklearn.metrics.balanced_accuracy_score`."""
    return float((judged[truth].mean() + (~judged[~truth]).mean()) / 2)
