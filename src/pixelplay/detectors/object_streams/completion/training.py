"""What the network of event completion learns from cubes of normal objects."""

import torch

from pixelplay.detectors.object_streams.completion.network import CompletionNet
from pixelplay.detectors.object_streams.completion.settings import CompletionSettings
from pixelplay.detectors.object_streams.completion.store import Batch
from pixelplay.training.fit import TrainingModule
from pixelplay.training.run import TrainerConfig, seed_of


class Training(TrainingModule):
    """The weighted sum of both squared errors, each cube with one of its steps erased; held-out ones with each."""

    def __init__(self, model: CompletionNet, settings: CompletionSettings, config: TrainerConfig, seed: int):
        super().__init__(config)
        self.model = model
        self._weights, self._erased, self._seed = settings.loss, settings.cube.erased, seed

    def loss(self, batch: Batch, epoch: int | None, step: int) -> torch.Tensor:
        if epoch is None:
            found = [self._errors(batch, torch.full((len(batch),), erased)) for erased in self._erased]
        else:
            generator = torch.Generator().manual_seed(seed_of(self._seed, epoch, step))
            drawn = torch.randint(len(self._erased), (len(batch),), generator=generator)
            found = [self._errors(batch, torch.tensor(self._erased)[drawn])]
        appearance, motion = torch.stack(found).mean(dim=0)
        for name, value in (("appearance", appearance), ("motion", motion)):
            prefix = "val" if epoch is None else "train"
            self.log(f"{prefix}/{name}", value, on_step=False, on_epoch=True, batch_size=len(batch))
        return self._weights.appearance * appearance + self._weights.motion * motion

    def _errors(self, batch: Batch, erased: torch.Tensor) -> torch.Tensor:
        """Mean errors of appearance and motion, (2,)."""
        found = self.model.errors(batch.patches, batch.flow, erased.to(batch.patches.device))
        return torch.stack(found).mean(dim=1)
