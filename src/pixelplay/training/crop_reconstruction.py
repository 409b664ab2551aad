"""Training of an encoder as half of an autoencoder of crops: what the contrastive one is measured against."""

import torch
from lightning import LightningModule
from torch.nn import functional as F

from pixelplay.config import TrainerConfig
from pixelplay.models.encoder import Decoder, Encoder
from pixelplay.training.seeds import seed_of
from pixelplay.training.views import Views, as_crops, as_seen


class CropReconstruction(LightningModule):
    """Trains `encoder` so that a decoder gets a view without its noise back from the encoder's last stage."""

    def __init__(self, encoder: Encoder, decoder: Decoder, views: Views, config: TrainerConfig, seed: int):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self._views, self._config, self._seed = views, config, seed

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
        torch.manual_seed(seed_of(self._seed, epoch, step))
        fed, clean = self._views.of(as_crops(batch))
        return F.mse_loss(self.decoder(self.encoder(as_seen(fed))[1]), as_seen(clean))
