"""The Lightning steps of an encoder's training on crops, whatever its objective."""

import torch
from lightning import LightningModule
from torch import nn

from pixelplay.config import TrainerConfig
from pixelplay.training.seeds import seed_of


class EncoderTraining(LightningModule):
    """Trains all that an objective holds: a module that gives the loss of a batch of pairs, uint8 (B, 2, S, S, 3).

    Every random number depends on seed, epoch and step alone, so that a run that was killed and resumed computes what
    an undisturbed one does; held-out crops are seen in the same views in every epoch.
    """

    def __init__(self, objective: nn.Module, config: TrainerConfig, seed: int):
        super().__init__()
        self.objective = objective
        self._config, self._seed = config, seed

    def training_step(self, batch: torch.Tensor, step: int) -> torch.Tensor:
        loss = self._loss(batch, self.current_epoch, step)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: torch.Tensor, step: int) -> None:
        self.log("val/loss", self._loss(batch, -1, step), batch_size=len(batch))

    def configure_optimizers(self):
        config = self._config
        optimizer = torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.max_epochs)]

    def _loss(self, batch: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        torch.manual_seed(seed_of(self._seed, epoch, step))
        return self.objective(batch)
