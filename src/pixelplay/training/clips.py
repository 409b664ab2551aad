"""Clips of consecutive frames for training, read in whole batches from the memory-mapped frame cache."""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from pixelplay.errors import DataError
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows

Item = TypeVar("Item")  # what a list of numbers gives: a batch


class Clips(Dataset[torch.Tensor]):
    """All windows of some videos. Indexed by a list of window numbers: uint8 (B, length, H, W), in colour
    (B, length, H, W, 3). Raises DataError without videos.
    """

    def __init__(self, videos: list[Video], frame_format: FrameFormat, length: int, stride: int):
        if not videos:
            raise DataError("no normal footage to cut clips from: training videos need two frames or more to be shared")
        self._videos = [video.frames(frame_format) for video in videos]
        positions = [windows(len(video), length, stride) for video in videos]
        self._positions = np.concatenate(positions)  # (N, length)
        self._video = np.repeat(np.arange(len(videos)), [len(p) for p in positions])  # (N,)

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, items: list[int]) -> torch.Tensor:
        first = self._videos[0]
        clips = np.empty((len(items), self._positions.shape[1], *first.shape[1:]), first.dtype)
        for row, item in enumerate(items):
            clips[row] = self._videos[self._video[item]][self._positions[item]]
        return torch.from_numpy(clips)


def as_input(clips: torch.Tensor, memory_format: torch.memory_format) -> torch.Tensor:
    """uint8 (B, T, H, W) to float32 in [0, 1], in a network's memory format."""
    return clips.to(torch.float32, memory_format=memory_format).div_(255)


class ShuffledBatches(Sampler[list[int]]):
    """Batches of window numbers, in an order that depends on the seed and the epoch alone, so that resuming repeats it.

    limit: windows of an epoch, others in each; None for all.
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
    """Batches of window numbers from the first to the last."""

    def __init__(self, count: int, batch_size: int):
        super().__init__(range(count), batch_size, drop_last=False)


def loader(items: Dataset[Item], batches: Sampler[list[int]], device: torch.device) -> DataLoader[Item]:
    """Whole batches straight from disk, without worker processes: nothing is left to decode."""
    return DataLoader(items, sampler=batches, batch_size=None, pin_memory=device.type == "cuda")
