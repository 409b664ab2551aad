"""Settings of pretrained weights, and of the encoder for runs without. Keys are explained in `configs/weights/`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pixelplay.objects.settings import TubeConfig
from pixelplay.settings import (
    Channels,
    Epochs,
    FilePath,
    ImageSize,
    Natural,
    NonNegative,
    Positive,
    Rate,
    Settings,
    Share,
    Window,
)


def _yolo(value: str) -> str:
    if value != "motion" and not value.endswith(".pt"):
        raise ValueError("allowed: motion, or a YOLO name or file that ends in .pt, such as yolov5lu.pt")
    return value


def _backbone(value: str) -> str:
    if value not in ("clip_rn101", "in_domain") and not (value.startswith("timm:") and len(value) > 5):
        raise ValueError("allowed: clip_rn101, in_domain, or timm:<model name>, such as timm:resnet18")
    return value


class EncoderSettings(Settings):
    """How an in-domain encoder is built and trained; precision and loggers are the trainer's."""

    objective: Literal["contrast", "reconstruction"]  # reconstruction: an autoencoder's, as a baseline
    image_size: ImageSize  # of the crops that it sees in training, pixels
    tubes: TubeConfig  # crops are of objects that these settings select, and as much larger than their boxes
    noise_amplitude: Share  # of uniform noise, of [0, 1]
    widths: Annotated[list[Channels], Field(min_length=4, max_length=4)]  # channels after each halving
    channels: Channels | None  # of a local descriptor; None: all of both stages
    contrast_channels: Channels  # groups of channels in the contrastive loss
    max_pairs: Natural  # of crops, of all footage, at most
    frame_gap: Window  # frames between the two crops of a pair
    shift: Share  # of a view, at most, as a share of the crop's side
    color_jitter: Share  # strength of the colour jitter
    noise_share: Share  # of the views that have noise
    temperature: Positive
    max_epochs: Epochs
    batch_size: Annotated[int, Field(ge=2, le=65_536)]  # pairs
    learning_rate: Rate
    weight_decay: NonNegative

    @model_validator(mode="after")
    def _possible(self) -> "EncoderSettings":
        there = sum(self.widths[2:])
        for name, groups in (("channels", self.channels), ("contrast_channels", self.contrast_channels)):
            if groups is not None and groups > there:
                raise ValueError(f"{name}={groups} is more than the {there} channels of the last two widths")
        return self

    @property
    def descriptor_size(self) -> int:
        """Channels of a local descriptor."""
        return self.channels or sum(self.widths[2:])


class WeightsConfig(Settings):
    source: Literal["hub", "in_domain"]
    yolo: Annotated[str, AfterValidator(_yolo)]
    backbone: Annotated[str, AfterValidator(_backbone)]
    backbone_file: FilePath | None
    image_size: ImageSize
    videomae: Annotated[str, Field(min_length=1)]
    encoder: EncoderSettings
