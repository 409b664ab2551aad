"""Training of a reconstruction network: augmented clips, MSE, AdamW with one cosine."""

import torch
from torch.nn import functional as F

from pixelplay.detectors.autoencoder.network import Network
from pixelplay.training.clips import Augmentation, as_input
from pixelplay.training.fit import TrainingModule
from pixelplay.training.run import TrainerConfig, seed_of


class Reconstruction(TrainingModule):
    """Learns to reconstruct clips uint8 (B, T, H, W): augmented ones in training, held-out ones as they are."""

    fused = True

    def __init__(self, model: Network, augmentation: Augmentation, config: TrainerConfig, seed: int):
        super().__init__(config)
        self.model, self._augmentation, self._seed = model, augmentation, seed

    def loss(self, batch: torch.Tensor, epoch: int | None, step: int) -> torch.Tensor:
        inputs = target = as_input(batch, self.model.memory_format)
        if epoch is not None:
            torch.manual_seed(seed_of(self._seed, epoch, step))  # for the noise and for dropout
            inputs, target = self._augmentation.apply(inputs)
        return F.mse_loss(self.model(inputs), target)
