"""Masked pre-training of a VideoMAE (Tong et al., NeurIPS 2022) on normal clips, with the model's own loss."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from lightning import LightningModule

from pixelplay.config import TrainerConfig
from pixelplay.detectors.videomae.tokens import LOSS_MEAN, LOSS_STD, normalised

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import VideoMAEForPreTraining

Masks = Callable[[Sequence[str]], torch.Tensor]


class MaskedPretraining(LightningModule):
    """Trains `model` to predict the hidden tokens of clips uint8 (B, T, S, S, 3).

    masks: gives a mask, bool (N, tokens), for each of N names. They name epoch, step and row, so a run that was killed
    and resumed hides what an undisturbed one does.
    """

    def __init__(self, model: "VideoMAEForPreTraining", masks: Masks, config: TrainerConfig):
        super().__init__()
        self.model = model
        self._masks, self._config = masks, config

    def training_step(self, batch: torch.Tensor, step: int) -> torch.Tensor:
        loss = self._loss(batch, f"{self.current_epoch} {step}")
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: torch.Tensor, step: int) -> None:
        self.log("val/loss", self._loss(batch, f"held-out {step}"), batch_size=len(batch))  # the same in every epoch

    def configure_optimizers(self):
        config = self._config
        optimizer = torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.max_epochs)]

    def _loss(self, batch: torch.Tensor, name: str) -> torch.Tensor:
        masks = self._masks([f"{name} {row}" for row in range(len(batch))])
        return self.model(normalised(batch, LOSS_MEAN, LOSS_STD), bool_masked_pos=masks.to(batch.device)).loss
