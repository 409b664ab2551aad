"""What the temporal masked autoencoder learns from windows along normal tracks."""

import math
from functools import partial
from typing import Any

import torch

from pixelplay.detectors.temporal_mae.losses import info_nce, squared_error
from pixelplay.detectors.temporal_mae.network import TemporalMAE
from pixelplay.detectors.temporal_mae.sequences import Batch
from pixelplay.detectors.temporal_mae.settings import TemporalMAESettings
from pixelplay.training.fit import TrainingModule
from pixelplay.training.run import TrainerConfig, seed_of


class Training(TrainingModule):
    """The weighted sum of the losses of all heads; one pass with masked steps serves them all."""

    def __init__(self, model: TemporalMAE, settings: TemporalMAESettings, config: TrainerConfig, seed: int):
        super().__init__(config)
        self.model = model
        self._settings, self._seed = settings, seed

    def losses(self, batch: Batch, epoch: int | None, step: int) -> dict[str, torch.Tensor]:
        """By head, unweighted. A held-out batch (epoch None) has the same masks in each epoch."""
        model, length = self.model, self._settings.window
        valid, future = batch.valid[:, :length], batch.valid[:, length:]
        seed = seed_of(self._seed, step) if epoch is None else seed_of(self._seed, epoch, step)
        hidden = random_masks(valid, self._settings.mask_ratio, seed)
        targets = model.targets(batch.maps)  # (B, T + K, C)
        encoded = model.encode(model.tokens(batch.maps[:, :length]), valid, hidden)  # (B, T, d)
        predicted = model.reconstruction(encoded).float()
        found = {"reconstruction": squared_error(predicted, targets[:, :length], hidden)}
        if model.contrastive is not None:
            temperature = self._settings.heads.contrastive.temperature
            found["contrastive"] = info_nce(model.embed(encoded).float(), valid, batch.track, temperature)
        if model.forecast is not None:
            found["forecast"] = squared_error(model.forecasts(encoded).float(), targets[:, length:], future)
        return found

    def loss(self, batch: Batch, epoch: int | None, step: int) -> torch.Tensor:
        found = self.losses(batch, epoch, step)
        for name, value in found.items():
            prefix = "val" if epoch is None else "train"
            self.log(f"{prefix}/{name}", value, on_step=False, on_epoch=True, batch_size=len(batch))
        heads = self._settings.heads
        return torch.stack([getattr(heads, name).weight * value for name, value in found.items()]).sum()

    def scheduler(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        settings = self._settings
        rate = partial(warmup_cosine, warmup=settings.warmup_epochs, epochs=settings.max_epochs)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["configuration"] = self._settings.model_dump(mode="json")


def warmup_cosine(epoch: int, warmup: int, epochs: int) -> float:
    """Share of the learning rate in an epoch: rising linearly over `warmup` epochs, then a cosine's half to zero."""
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    return (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup))) / 2


def random_masks(valid: torch.Tensor, ratio: float, seed: int) -> torch.Tensor:
    """Which steps are hidden, bool (B, T): this share of each window's valid ones, rounded.

    At least one is hidden and, where there are two, one is seen. Decided by the seed alone, on any device.
    """
    count = valid.sum(dim=1).cpu()  # (B,)
    hidden = (count * ratio).round().clamp(min=1).minimum((count - 1).clamp(min=1))
    order = torch.rand(valid.shape, generator=torch.Generator().manual_seed(seed))
    rank = order.masked_fill(~valid.cpu(), 2.0).argsort(dim=1).argsort(dim=1)  # valid steps come first
    return (rank < hidden[:, None]).to(valid.device) & valid
