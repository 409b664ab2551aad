"""Clips of consecutive frames for training, in whole batches from the memory-mapped frame cache; noise and flips."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from pixelplay.errors import DataError
from pixelplay.settings import Settings, Share
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows

Batch = TypeVar("Batch")


class Batched(Dataset[Batch]):
    """Items of which a list of numbers gives a whole batch."""

    def __len__(self) -> int:
        raise NotImplementedError


class Items(Batched[torch.Tensor]):
    """Parts of memory-mapped arrays, one of each video, by what indexes them."""

    def __init__(self, arrays: Sequence[np.ndarray], places: Sequence[np.ndarray]):
        self._arrays, self._places = arrays, places
        self._starts = np.cumsum([0, *map(len, places)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, items: list[int]) -> torch.Tensor:
        videos = np.searchsorted(self._starts, items, side="right") - 1
        rows = items - self._starts[videos]
        parts = [self._arrays[video][self._places[video][row]] for video, row in zip(videos, rows, strict=True)]
        return torch.from_numpy(np.stack(parts))


class Clips(Items):
    """All windows of some videos, in batches uint8 (B, length, H, W), in colour (B, length, H, W, 3). Raises DataError
    without videos.
    """

    def __init__(self, videos: list[Video], frame_format: FrameFormat, length: int, stride: int):
        if not videos:
            raise DataError("no normal footage to cut clips from: training videos need two frames or more to be shared")
        frames = [video.frames(frame_format) for video in videos]
        super().__init__(frames, [windows(len(video), length, stride) for video in videos])


def as_input(clips: torch.Tensor, memory_format: torch.memory_format) -> torch.Tensor:
    """uint8 (B, T, H, W) to float32 in [0, 1], in a network's memory format."""
    return clips.to(torch.float32, memory_format=memory_format).div_(255)


class ShuffledBatches(Sampler[list[int]]):
    """Batches of item numbers, in an order that depends on the seed and the epoch alone, so that resuming repeats it.

    limit: items of an epoch, others in each; None for all.
    """

    def __init__(self, count: int, batch_size: int, seed: int, limit: int | None = None):
        self._count, self._batch_size, self._seed, self._epoch = count, batch_size, seed, 0
        self._drawn = count if limit is None else min(limit, count)

    def set_epoch(self, epoch: int) -> None:  # called by Lightning
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-self._drawn // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        # A generator reads the epoch with the first batch: on resuming, Lightning calls iter before set_epoch.
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._count)[: self._drawn]
        for start in range(0, self._drawn, self._batch_size):
            yield order[start : start + self._batch_size].tolist()


class OrderedBatches(BatchSampler):
    """Batches of item numbers from the first to the last."""

    def __init__(self, count: int, batch_size: int):
        super().__init__(range(count), batch_size, drop_last=False)


def loader(items: Dataset[Batch], batches: Sampler[list[int]], device: torch.device) -> DataLoader[Batch]:
    """Whole batches straight from disk, without worker processes: nothing is left to decode."""
    return DataLoader(items, sampler=batches, batch_size=None, pin_memory=device.type == "cuda")


class NoiseSettings(Settings):
    """Uniform noise in +-amplitude of the range [0, 1], added to this share of the training clips."""

    amplitude: Share
    share: Share


@dataclass(frozen=True)
class Augmentation:
    """Random noise and flips, drawn from torch's global generators."""

    noise_amplitude: float  # uniform noise in +- this, for frames in [0, 1]
    noise_share: float  # of the clips that get it
    target: Literal["noisy", "clean"]  # the clip with its noise, or without
    vertical_flip: float  # share of the clips that are turned upside down, with their target

    def apply(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of training from clips (B, T, H, W) in [0, 1]; changes `clips` in place."""
        if self.vertical_flip:
            rows = _draw(clips, self.vertical_flip)
            clips[rows] = clips[rows].flip(-2)
        rows = _draw(clips, self.noise_share)
        inputs = clips.clone() if self.target == "clean" else clips
        noise = torch.rand(len(rows), *clips.shape[1:], device=clips.device).sub_(0.5).mul_(2 * self.noise_amplitude)
        inputs[rows] = noise.add_(clips[rows]).clamp_(0, 1)
        return inputs, clips


def _draw(clips: torch.Tensor, share: float) -> torch.Tensor:
    """Rows of the clips drawn with this probability; on the CPU, so that a GPU is not waited for."""
    rows = (torch.rand(len(clips)) < share).nonzero().flatten()
    return rows.to(clips.device, non_blocking=True)
