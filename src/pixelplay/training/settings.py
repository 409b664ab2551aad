"""Settings of training. Keys are explained in `configs/trainer/`."""

from typing import Literal

from pixelplay.settings import BatchSize, Epochs, NonNegative, Rate, Settings


class WandbConfig(Settings):
    project: str
    mode: Literal["online", "offline"]


class TrainerConfig(Settings):
    max_epochs: Epochs
    patience: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: NonNegative
    precision: Literal["auto", "fp32", "bf16"]
    loggers: list[Literal["csv", "tensorboard", "wandb"]]
    wandb: WandbConfig
