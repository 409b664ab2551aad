"""Self-supervised training of an encoder on crops: SimCLR's loss (Chen et al., ICML 2020) on whole crops and, as in
DenseCL (Wang et al., CVPR 2021), on places in them.

Two views of a crop, shifted, recoloured and with noise, are contrasted with all other crops of the batch: of other
objects, and of the same object at another moment. The encoder becomes invariant to noise, small shifts and colours, but
not to shape and motion. Places are contrasted too, since a memory bank holds a descriptor of each.
"""

import torch
from torch import nn
from torch.nn import functional as F

from pixelplay.backbones.descriptors import local_maps
from pixelplay.backbones.encoder import Decoder, Encoder
from pixelplay.backbones.views import Views, as_crops, as_seen
from pixelplay.training.fit import TrainingModule
from pixelplay.training.run import seed_of
from pixelplay.training.settings import TrainerConfig

WIDTH = 128  # of the projected vectors (SimCLR's)
PLACES = 8  # compared per crop: 64 crops have as many places as a batch of 512
MARGIN = 1 / 14  # of a view's side: a place is at least so far from its border, so that its cell is inside


class Contrast(nn.Module):
    """The contrastive loss of `encoder`, on the descriptors that a memory bank will hold: both stages in `channels`
    groups.
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
        """Random places that two views of each crop share, (N, PLACES, 2): row and column in each view, as fractions
        of its side. one, other: (N, 2), where the views start.
        """
        size = self._views.size
        low = torch.maximum(one, other)[:, None] + MARGIN * size
        room = torch.minimum(one, other)[:, None] + (1 - MARGIN) * size - low
        places = low + room * torch.rand(len(one), PLACES, 2)
        return (places - one[:, None]) / size, (places - other[:, None]) / size


class CropReconstruction(nn.Module):
    """The loss of an autoencoder of crops, the baseline for `Contrast`: `decoder` restores a view without its noise
    from the last stage of `encoder`.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, views: Views):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self._views = views

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Mean squared error over the crops of a batch of pairs, uint8 (B, 2, S, S, 3)."""
        noisy, clean = self._views.of(as_crops(batch))
        return F.mse_loss(self.decoder(self.encoder(as_seen(noisy))[1]), as_seen(clean))


class EncoderTraining(TrainingModule):
    """Trains an objective: a module that returns the loss of a batch of pairs, uint8 (B, 2, S, S, 3).

    Held-out crops have the same views in every epoch.
    """

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


def _head(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
