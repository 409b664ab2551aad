"""Clips of consecutive frames for training, read in whole batches from the memory-mapped frame cache."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from pixelplay.errors import DataError
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows


class Clips(Dataset[torch.Tensor]):
    """All windows of some videos. Indexed by a list of window numbers: uint8 (B, length, H, W), in
    colour (B, length, H, W, 3), no copy per frame.
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
    """Clips as networks take them: uint8 (B, T, H, W) to float32 in [0, 1], in the memory format that theirs names."""
    return clips.to(torch.float32, memory_format=memory_format).div_(255)


class ShuffledBatches(Sampler[list[int]]):
    """Batches of window numbers, in an order that depends on the seed and the epoch alone: resuming repeats it.

    limit: of an epoch's windows, others in each epoch; None for all.
    """

    def __init__(self, count: int, batch_size: int, seed: int, limit: int | None = None):
        self._count, self._batch_size, self._seed, self._epoch = count, batch_size, seed, 0
        self._drawn = count if limit is None else min(limit, count)

    def set_epoch(self, epoch: int) -> None:  # Lightning calls it
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-self._drawn // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        # A generator reads the epoch with the first batch. Resuming, Lightning asks for the iterator before it tells
        # the epoch: an order drawn at once would be that of epoch 0.
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._count)[: self._drawn]
        for start in range(0, self._drawn, self._batch_size):
            yield order[start : start + self._batch_size].tolist()


class OrderedBatches(Sampler[list[int]]):
    """Batches of window numbers from the first to the last."""

    def __init__(self, count: int, batch_size: int):
        self._count, self._batch_size = count, batch_size

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        return (list(range(i, min(i + self._batch_size, self._count))) for i in range(0, self._count, self._batch_size))


def loader(items: Dataset[torch.Tensor], batches: Sampler[list[int]], device: torch.device) -> DataLoader[torch.Tensor]:
    """Whole batches straight from disk; no worker processes, since there is nothing left to decode."""
    return DataLoader(items, sampler=batches, batch_size=None, pin_memory=device.type == "cuda")
