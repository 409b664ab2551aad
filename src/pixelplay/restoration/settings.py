"""Settings of the restoration of corrupted test frames. Keys are explained in `configs/restore/`."""

from typing import Annotated, Literal

from pydantic import Field

from pixelplay.settings import BatchSize, Channels, Epochs, NonNegative, Rate, Settings, Share, one_of
from pixelplay.videos.settings import CorruptionConfig, FrameFormat


class FlipNetworkConfig(Settings):
    """The CNN that classifies frames as upright or flipped: see `pixelplay.restoration.flip_network`."""

    widths: Annotated[list[Channels], Field(min_length=1, max_length=12)]
    pool: Annotated[int, Field(ge=1, le=64)]
    epochs: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: NonNegative


class DenoiseConfig(Settings):
    method: Annotated[str, one_of("pixelplay.videos.corruption:METHODS")]


class RestoreConfig(Settings):
    flip: Literal["none", "network", "background", "both"]
    threshold: Share
    frames: FrameFormat
    corruption: CorruptionConfig
    network: FlipNetworkConfig
    noise_above: NonNegative
    denoise: DenoiseConfig
    save_images: bool
