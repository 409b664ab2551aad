"""Training of a reconstruction network: augmented clips, MSE, AdamW with one cosine."""

import torch
from lightning import LightningModule
from torch import nn
from torch.nn import functional as F

from pixelplay.config import TrainerConfig
from pixelplay.training.augmentation import Augmentation
from pixelplay.training.clips import as_input
from pixelplay.training.seeds import seed_of


class Reconstruction(LightningModule):
    """Learns to reconstruct clips. Every random number depends on seed, epoch and step alone, so that a run that was
    killed and resumed computes what an undisturbed one does.

    model: takes clips (B, T, H, W) in [0, 1] in its `memory_format`, and gives the same shape.
    """

    def __init__(self, model: nn.Module, augmentation: Augmentation, config: TrainerConfig, seed: int):
        super().__init__()
        self.model = model
        self._augmentation = augmentation
        self._config, self._seed = config, seed

    def training_step(self, batch: torch.Tensor, step: int) -> torch.Tensor:
        torch.manual_seed(seed_of(self._seed, self.current_epoch, step))  # for the noise and for dropout
        fed, target = self._augmentation.apply(self._input(batch))
        loss = F.mse_loss(self.model(fed), target)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: torch.Tensor, step: int) -> None:
        clips = self._input(batch)
        self.log("val/loss", F.mse_loss(self.model(clips), clips), batch_size=len(batch))

    def configure_optimizers(self):
        config = self._config
        optimizer = torch.optim.AdamW(
            self.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.max_epochs)]

    def _input(self, batch: torch.Tensor) -> torch.Tensor:
        return as_input(batch, self.model.memory_format)
