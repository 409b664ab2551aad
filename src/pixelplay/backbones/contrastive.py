"""Self-supervised training of an encoder on crops: SimCLR's loss (Chen et al., ICML 2020), of whole crops and, as in
DenseCL (Wang et al., CVPR 2021), of places in them.

Two views of a crop, shifted, in other colours and with noise, are to be told from all other crops of the batch: from
other objects, and from the same object at another moment. So what the encoder sees does not change with noise, small
shifts and the colour of a coat, and does with what is seen and how it moves. Places are told apart likewise, since a
memory holds a descriptor of every place of an object.
"""

import torch
from torch import nn
from torch.nn import functional as F

from pixelplay.backbones.encoder import Encoder
from pixelplay.backbones.views import Views, as_crops, as_seen
from pixelplay.detectors.videopatchcore.descriptors import local_maps

WIDTH = 128  # of the vectors that are compared (SimCLR's)
PLACES = 8  # of a crop, that are compared: 64 crops have as many places as a batch of 512
MARGIN = 1 / 14  # of a view's side: so far from its border that the cell around a place is within


class Contrast(nn.Module):
    """The loss that trains `encoder`. Compared are the descriptors that the memory will hold: its two stages in
    `channels` groups.
    """

    def __init__(self, encoder: Encoder, channels: int, temperature: float, views: Views):
        super().__init__()
        self.encoder = encoder
        self.head = _head(2 * channels)
        self.place_head = _head(channels)
        self._channels, self._temperature, self._views = channels, temperature, views

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """The mean of the two losses for a batch of pairs, uint8 (B, 2, S, S, 3)."""
        crops = as_crops(batch)  # (2 B, 3, S, S)
        starts = [self._views.starts(crops) for _ in range(2)]
        views = torch.cat([self._views.at(crops, start)[0] for start in starts])
        first, second = self.encoder(as_seen(views))
        maps = local_maps(first, second, 1, self._channels)[:, :, 0]  # (4 B, C, H, W)
        whole = self.head(torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1))
        places = self.place_head(at_places(maps, *self._places(*starts)))
        return (contrast(whole, self._temperature) + contrast(places, self._temperature)) / 2

    def _places(self, one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Random places that two views of each crop have in common, (N, PLACES, 2): row and column in each view, as
        shares of its side. one, other: (N, 2) where they start.
        """
        size = self._views.size
        low = torch.maximum(one, other)[:, None] + MARGIN * size
        room = torch.minimum(one, other)[:, None] + (1 - MARGIN) * size - low
        places = low + room * torch.rand(len(one), PLACES, 2)
        return (places - one[:, None]) / size, (places - other[:, None]) / size


def at_places(maps: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Descriptors (2 N P, C) at P places of maps (2 N, C, H, W): those of the first N maps at `one`, (N, P, 2), then
    those of the last N at `other`; bilinear between the centres of cells.
    """
    grid = 2 * torch.cat([one, other]).flip(-1)[:, :, None] - 1  # (2 N, P, 1, 2): x, y in [-1, 1]
    found = F.grid_sample(maps, grid.to(maps), padding_mode="border", align_corners=False)
    return found[..., 0].transpose(1, 2).flatten(0, 1)


def contrast(vectors: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cross entropy of finding each vector's partner among all others; of (2 N, D), n and N + n are partners."""
    vectors = F.normalize(vectors.float(), dim=1)
    likeness = vectors @ vectors.T / temperature
    likeness.fill_diagonal_(-torch.inf)
    partners = torch.arange(len(vectors), device=vectors.device).roll(len(vectors) // 2)
    return F.cross_entropy(likeness, partners)


def _head(fed: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(fed, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
