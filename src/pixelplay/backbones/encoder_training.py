"""The Lightning steps of an encoder's training on crops, whatever its objective."""

import torch
from torch import nn

from pixelplay.training.fit import TrainingModule
from pixelplay.training.run import seed_of
from pixelplay.training.settings import TrainerConfig


class EncoderTraining(TrainingModule):
    """Trains all that an objective holds: a module that gives the loss of a batch of pairs, uint8 (B, 2, S, S, 3).

    Every random number depends on seed, epoch and step alone, so that a run that was killed and resumed computes what
    an undisturbed one does; held-out crops are seen in the same views in every epoch.
    """

    def __init__(self, objective: nn.Module, config: TrainerConfig, seed: int):
        super().__init__(config)
        self.objective = objective
        self._seed = seed

    def loss(self, batch: torch.Tensor, epoch: int | None, step: int) -> torch.Tensor:
        torch.manual_seed(seed_of(self._seed, -1 if epoch is None else epoch, step))
        return self.objective(batch)
