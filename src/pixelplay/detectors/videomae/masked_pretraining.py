"""Masked pre-training of a VideoMAE (Tong et al., NeurIPS 2022) on normal clips, with the model's own loss."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from pixelplay.detectors.videomae.tokens import LOSS_MEAN, LOSS_STD, normalised
from pixelplay.training.fit import TrainingModule
from pixelplay.training.settings import TrainerConfig

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import VideoMAEForPreTraining

Masks = Callable[[Sequence[str]], torch.Tensor]


class MaskedPretraining(TrainingModule):
    """Trains `model` to predict the hidden tokens of clips uint8 (B, T, S, S, 3).

    masks: gives a mask, bool (N, tokens), for each of N names. They name epoch, step and row, so a run that was killed
    and resumed hides what an undisturbed one does.
    """

    def __init__(self, model: "VideoMAEForPreTraining", masks: Masks, config: TrainerConfig):
        super().__init__(config)
        self.model = model
        self._masks = masks

    def loss(self, batch: torch.Tensor, epoch: int | None, step: int) -> torch.Tensor:
        name = f"held-out {step}" if epoch is None else f"{epoch} {step}"
        masks = self._masks([f"{name} {row}" for row in range(len(batch))])
        return self.model(normalised(batch, LOSS_MEAN, LOSS_STD), bool_masked_pos=masks.to(batch.device)).loss
