"""Settings of detectors, of the weights that they start from, and of their training."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pixelplay.config.dataset import FrameFormat
from pixelplay.config.settings import BatchSize, Epochs, FileName, FilePath, NonNegative, Rate, Settings


class DetectorConfig(Settings):
    """What every detector's configuration has. `training` and `scoring` are its algorithm's own and validated by it:
    the first decide what is learnt, the second only how it is scored, so a change in them needs no new training.
    """

    algorithm: FileName
    frames: FrameFormat | None  # working size in the frame cache
    training: dict[str, Any]
    scoring: dict[str, Any]


def _detector_weights(value: str) -> str:
    if value != "motion" and not value.endswith(".pt"):
        raise ValueError("allowed: motion, or a YOLO name or file that ends in .pt, such as yolov5lu.pt")
    return value


def _backbone(value: str) -> str:
    if value not in ("clip_rn101", "in_domain") and not (value.startswith("timm:") and len(value) > 5):
        raise ValueError("allowed: clip_rn101, in_domain, or timm:<model name>, such as timm:resnet18")
    return value


class WeightsConfig(Settings):
    """Where pretrained weights come from (autoencoders use none)."""

    source: Literal["hub", "in_domain"]
    yolo: Annotated[str, AfterValidator(_detector_weights)]
    backbone: Annotated[str, AfterValidator(_backbone)]
    backbone_file: FilePath | None
    image_size: Annotated[int, Field(ge=48, le=4096, multiple_of=16)]  # pixels of the square images that networks see
    videomae: Annotated[str, Field(min_length=1)]  # a hub name, a folder, or in_domain


class WandbConfig(Settings):
    project: str
    mode: Literal["online", "offline"]


class TrainerConfig(Settings):
    max_epochs: Epochs
    patience: Epochs  # epochs without a better validation loss before training stops
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: NonNegative
    precision: Literal["auto", "fp32", "bf16"]
    loggers: list[Literal["csv", "tensorboard", "wandb"]]
    wandb: WandbConfig
