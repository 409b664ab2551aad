"""Self-supervised training of an encoder on crops: SimCLR's loss (Chen et al., ICML 2020).

Two views of a crop, shifted, in other colours and with noise, are to be told from all other crops of the batch: from
other objects, and from the same object at another moment. So what the encoder sees does not change with noise, small
shifts and the colour of a coat, and does with what is seen and how it moves.
"""

import torch
from torch import nn
from torch.nn import functional as F

from pixelplay.models.encoder import Encoder
from pixelplay.models.patch_features import local_maps
from pixelplay.training.views import Views, as_crops, as_seen

WIDTH = 128  # of the vectors that are compared (SimCLR's)


class Contrast(nn.Module):
    """The loss that trains `encoder`. Compared are the descriptors that the memory will hold: its two stages in
    `channels` groups.
    """

    def __init__(self, encoder: Encoder, channels: int, temperature: float, views: Views):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(2 * channels, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self._channels, self._temperature, self._views = channels, temperature, views

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Cross entropy of finding a crop's other view among those of a batch of pairs, uint8 (B, 2, S, S, 3)."""
        crops = as_crops(batch)  # (2 B, 3, S, S)
        vectors = F.normalize(
            self._vectors(torch.cat([self._views.of(crops)[0], self._views.of(crops)[0]])).float(), dim=1
        )
        likeness = vectors @ vectors.T / self._temperature  # (4 B, 4 B)
        likeness.fill_diagonal_(-torch.inf)
        others = torch.arange(len(vectors), device=vectors.device).roll(len(crops))
        return F.cross_entropy(likeness, others)

    def _vectors(self, views: torch.Tensor) -> torch.Tensor:
        first, second = self.encoder(as_seen(views))
        maps = local_maps(first, second, 1, self._channels)[:, :, 0]  # (N, C, H, W)
        return self.head(torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1))
