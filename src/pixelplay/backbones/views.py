"""Pairs of crops to train an encoder on, and random views of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from pixelplay.errors import DataError
from pixelplay.training.augmentation import Augmentation


class Pairs(Dataset[torch.Tensor]):
    """Crops of objects at two moments, of each video uint8 (N, 2, S, S, 3), memory-mapped. Indexed by a list."""

    def __init__(self, crops: Sequence[np.ndarray]):
        if not len(crops):
            raise DataError("no crop of normal footage to train an encoder on: there is no footage, or too little")
        self._crops = crops
        self._starts = np.cumsum([0, *map(len, crops)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, items: list[int]) -> torch.Tensor:
        videos = np.searchsorted(self._starts, items, side="right") - 1
        places = items - self._starts[videos]
        return torch.from_numpy(np.stack([self._crops[v][i] for v, i in zip(videos, places, strict=True)]))


@dataclass(frozen=True)
class Views:
    """Random views of crops: `size` pixels from a random place, recoloured, with noise on a share of them.

    color: each channel is multiplied by 1 +- this and shifted by up to half as much.
    """

    size: int
    color: float
    noise: Augmentation

    def of(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A view of each crop (N, 3, S, S), and the same without noise, float32 (N, 3, size, size) in [0, 1]."""
        return self.at(crops, self.starts(crops))

    def starts(self, crops: torch.Tensor) -> torch.Tensor:
        """Where a view of each crop (N, 3, S, S) starts: int64 (N, 2), row and column, on the CPU."""
        return torch.randint(crops.shape[-1] - self.size + 1, (len(crops), 2))

    def at(self, crops: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`of`, with views that start at `starts`."""
        pixels = starts[:, :, None] + torch.arange(self.size)  # (N, 2, size)
        rows, columns = (pixels[:, i].to(crops.device) for i in (0, 1))
        places = torch.arange(len(crops), device=crops.device)[:, None, None]
        views = crops.permute(0, 2, 3, 1)[places, rows[:, :, None], columns[:, None, :]]  # (N, size, size, 3)
        views = views.permute(0, 3, 1, 2).contiguous()
        gain, offset = (self.color * (2 * torch.rand(2, len(views), 3, 1, 1) - 1)).to(views.device)
        return self.noise.apply((views * (1 + gain) + offset / 2).clamp_(0, 1))


def as_crops(batch: torch.Tensor) -> torch.Tensor:
    """Pairs uint8 (B, 2, S, S, 3) as crops float32 (2 B, 3, S, S) in [0, 1]."""
    return batch.flatten(0, 1).permute(0, 3, 1, 2).float().div_(255)


def as_seen(views: torch.Tensor) -> torch.Tensor:
    """Views in [0, 1] as the encoder's input, in [-1, 1] and in its memory format."""
    return (views * 2 - 1).contiguous(memory_format=torch.channels_last)
