"""Training of a reconstruction network: noise on a share of the clips, MSE, AdamW with one cosine."""

import hashlib

import torch
from lightning import LightningModule
from torch import nn
from torch.nn import functional as F

from pixelplay.config import TrainerConfig
from pixelplay.training.clips import as_input


class Reconstruction(LightningModule):
    """Learns to reconstruct clips. Every random number depends on seed, epoch and step alone, so that a run that was
    killed and resumed computes what an undisturbed one does.
    """

    def __init__(self, model: nn.Module, noise_amplitude: float, noise_share: float, config: TrainerConfig, seed: int):
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self._amplitude, self._share = noise_amplitude, noise_share
        self._config, self._seed = config, seed

    def training_step(self, batch: torch.Tensor, step: int) -> torch.Tensor:
        torch.manual_seed(_step_seed(self._seed, self.current_epoch, step))  # for the noise and for dropout
        clips = self._add_noise(as_input(batch))  # (B, T, H, W); the target is the clip as fed
        loss = F.mse_loss(self.model(clips), clips)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: torch.Tensor, step: int) -> None:
        clips = as_input(batch)
        self.log("val/loss", F.mse_loss(self.model(clips), clips), batch_size=len(batch))

    def configure_optimizers(self):
        config = self._config
        optimizer = torch.optim.AdamW(
            self.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.max_epochs)]

    def _add_noise(self, clips: torch.Tensor) -> torch.Tensor:
        noisy = torch.rand(len(clips), device=clips.device) < self._share  # (B,)
        noise = torch.rand_like(clips).mul_(2 * self._amplitude).sub_(self._amplitude)
        return (clips + noise * noisy.view(-1, 1, 1, 1)).clamp_(0, 1)


def _step_seed(*values: int) -> int:
    """One well-spread 63-bit seed per combination of values."""
    return int.from_bytes(hashlib.sha256(repr(values).encode()).digest()[:8], "little") >> 1
