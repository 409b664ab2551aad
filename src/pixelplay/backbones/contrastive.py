"""Self-supervised training of an encoder on crops: SimCLR's loss (Chen et al., ICML 2020) on whole crops and, as in
DenseCL (Wang et al., CVPR 2021), on places in them.

Two views of a crop, shifted, recoloured and with noise, are contrasted with all other crops of the batch, also of the
same object at another moment: the encoder becomes invariant to noise, small shifts and colours, but not to shape and
motion. Places are contrasted too, since a memory bank holds a descriptor of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pixelplay.backbones.frozen import local_maps
from pixelplay.errors import DataError
from pixelplay.training.clips import Augmentation, Items
from pixelplay.training.fit import TrainingModule
from pixelplay.training.run import TrainerConfig, seed_of

WIDTH = 128  # of the projected vectors (SimCLR's)
PLACES = 8  # compared per crop: 64 crops have as many places as a batch of 512
MARGIN = 1 / 14  # of a view's side: a place is at least so far from its border, so that its cell is inside


class Pairs(Items):
    """Crops of objects at two moments, of each video uint8 (N, 2, S, S, 3), memory-mapped."""

    def __init__(self, crops: Sequence[np.ndarray]):
        if not crops:
            raise DataError("no crop of normal footage to train an encoder on: there is no footage, or too little")
        super().__init__(crops, [np.arange(len(pairs)) for pairs in crops])


@dataclass(frozen=True)
class Views:
    """Random views of crops."""

    size: int  # pixels, from a random place
    color: float  # each channel is multiplied by 1 +- this and shifted by up to half as much
    noise: Augmentation

    def of(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A view of each crop (N, 3, S, S), and the same without noise, float32 (N, 3, size, size) in [0, 1]."""
        return self.at(crops, self.starts(crops))

    def starts(self, crops: torch.Tensor) -> torch.Tensor:
        """Where a view of each crop (N, 3, S, S) starts: int64 (N, 2), row and column, on the CPU."""
        return torch.randint(crops.shape[-1] - self.size + 1, (len(crops), 2))

    def at(self, crops: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`of`, with views that start at `starts`."""
        pixels = (starts[:, :, None] + torch.arange(self.size)).to(crops.device)  # (N, 2, size)
        places = torch.arange(len(crops), device=crops.device)[:, None, None]
        views = crops.permute(0, 2, 3, 1)[places, pixels[:, 0, :, None], pixels[:, 1, None, :]]  # (N, size, size, 3)
        views = views.permute(0, 3, 1, 2).contiguous()
        gain, offset = (self.color * (2 * torch.rand(2, len(views), 3, 1, 1) - 1)).to(views.device)
        return self.noise.apply((views * (1 + gain) + offset / 2).clamp_(0, 1))


class Contrast(nn.Module):
    """The contrastive loss of `encoder` on a memory bank's descriptors: both stages, in `channels` groups."""

    def __init__(self, encoder: nn.Module, channels: int, temperature: float, views: Views):
        super().__init__()
        self.encoder = encoder
        self.head, self.place_head = (
            nn.Sequential(nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
            for inputs in (2 * channels, channels)
        )
        self._channels, self._temperature, self._views = channels, temperature, views

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """The mean of the two losses for a batch of pairs, uint8 (B, 2, S, S, 3)."""
        crops = _as_crops(batch)
        starts = [self._views.starts(crops) for _ in range(2)]
        views = torch.cat([self._views.at(crops, start)[0] for start in starts])
        first, second = self.encoder(_as_seen(views))
        maps = local_maps(first, second, self._channels)  # (4 B, C, H, W)
        whole = self.head(torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1))
        places = self.place_head(at_places(maps, *self._places(*starts)))
        return (contrast(whole, self._temperature) + contrast(places, self._temperature)) / 2

    def _places(self, one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Random places that views which start at (N, 2) share: in each (N, PLACES, 2), as fractions of its side."""
        size = self._views.size
        low = torch.maximum(one, other)[:, None] + MARGIN * size
        room = torch.minimum(one, other)[:, None] + (1 - MARGIN) * size - low
        places = low + room * torch.rand(len(one), PLACES, 2)
        return (places - one[:, None]) / size, (places - other[:, None]) / size


class CropReconstruction(nn.Module):
    """The baseline for `Contrast`: `decoder` restores a view without its noise from the last stage of `encoder`."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, views: Views):
        super().__init__()
        self.encoder, self.decoder, self._views = encoder, decoder, views

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Mean squared error over the crops of a batch of pairs, uint8 (B, 2, S, S, 3)."""
        noisy, clean = self._views.of(_as_crops(batch))
        return F.mse_loss(self.decoder(self.encoder(_as_seen(noisy))[1]), _as_seen(clean))


class EncoderTraining(TrainingModule):
    """Trains a module that returns the loss of a batch of pairs; held-out crops have the same views in every epoch."""

    def __init__(self, objective: nn.Module, config: TrainerConfig, seed: int):
        super().__init__(config)
        self.objective, self._seed = objective, seed

    def loss(self, batch: torch.Tensor, epoch: int | None, step: int) -> torch.Tensor:
        torch.manual_seed(seed_of(self._seed, -1 if epoch is None else epoch, step))
        return self.objective(batch)


def at_places(maps: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Descriptors (2 N P, C) at P places of maps (2 N, C, H, W), bilinear between the centres of cells: those of the
    first N maps at `one`, (N, P, 2), then those of the last N at `other`.
    """
    grid = 2 * torch.cat([one, other]).flip(-1)[:, :, None] - 1  # (2 N, P, 1, 2): x, y in [-1, 1]
    found = F.grid_sample(maps, grid.to(maps), padding_mode="border", align_corners=False)
    return found[..., 0].transpose(1, 2).flatten(0, 1)


def contrast(vectors: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cross entropy of finding each vector's partner among all others; of (2 N, D), n and N + n are partners."""
    vectors = F.normalize(vectors.float(), dim=1)
    similarity = vectors @ vectors.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    partners = torch.arange(len(vectors), device=vectors.device).roll(len(vectors) // 2)
    return F.cross_entropy(similarity, partners)


def _as_crops(batch: torch.Tensor) -> torch.Tensor:
    """Pairs uint8 (B, 2, S, S, 3) as crops float32 (2 B, 3, S, S) in [0, 1]."""
    return batch.flatten(0, 1).permute(0, 3, 1, 2).float().div_(255)


def _as_seen(views: torch.Tensor) -> torch.Tensor:
    """Views in [0, 1] as the encoder's input, in [-1, 1] and in its memory format."""
    return (views * 2 - 1).contiguous(memory_format=torch.channels_last)
