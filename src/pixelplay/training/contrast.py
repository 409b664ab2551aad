"""Self-supervised training of an encoder on crops: SimCLR's loss (Chen et al., ICML 2020).

Two views of a crop, shifted, in other colours and with noise, are to be told from all other crops of the batch: from
other objects, and from the same object at another moment. So what the encoder sees does not change with noise, small
shifts and the colour of a coat, and does with what is seen and how it moves.
"""

import torch
from lightning import LightningModule
from torch import nn
from torch.nn import functional as F

from pixelplay.config import TrainerConfig
from pixelplay.models.encoder import Encoder
from pixelplay.models.patch_features import local_maps
from pixelplay.training.seeds import seed_of
from pixelplay.training.views import Views, as_crops, as_seen

WIDTH = 128  # of the vectors that are compared (SimCLR's)


class Contrast(LightningModule):
    """Trains `encoder`. Compared are the descriptors that the memory will hold: its two stages in `channels` groups."""

    def __init__(
        self, encoder: Encoder, channels: int, temperature: float, views: Views, config: TrainerConfig, seed: int
    ):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(2 * channels, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self._channels, self._temperature, self._views = channels, temperature, views
        self._config, self._seed = config, seed

    def training_step(self, batch: torch.Tensor, step: int) -> torch.Tensor:
        loss = self._loss(batch, self.current_epoch, step)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: torch.Tensor, step: int) -> None:
        self.log("val/loss", self._loss(batch, -1, step), batch_size=len(batch))  # the same views in every epoch

    def configure_optimizers(self):
        config = self._config
        optimizer = torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.max_epochs)]

    def _loss(self, batch: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        """Cross entropy of finding a crop's other view among those of the batch, uint8 (B, 2, S, S, 3)."""
        torch.manual_seed(seed_of(self._seed, epoch, step))
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
