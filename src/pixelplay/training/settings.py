"""Settings of training. Keys are explained in `configs/trainer/`."""

from typing import Literal

from pixelplay.settings import BatchSize, Epochs, NonNegative, Rate, Settings


class WandbConfig(Settings):
    project: str
    mode: Literal["online", "offline"]


class ScheduleSettings(Settings):
    """Of a training that a detector needs first, such as its backbone's; the rest is the trainer's."""

    max_epochs: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: NonNegative

    def trainer(self, run: "TrainerConfig") -> "TrainerConfig":
        """The run's trainer with this schedule, to its end: the loss is lowest at the end of the cosine."""
        own = {name: getattr(self, name) for name in ScheduleSettings.model_fields}
        return run.model_copy(update=own | {"patience": self.max_epochs})


class TrainerConfig(Settings):
    max_epochs: Epochs
    patience: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: NonNegative
    precision: Literal["auto", "fp32", "bf16"]
    loggers: list[Literal["csv", "tensorboard", "wandb"]]
    wandb: WandbConfig
