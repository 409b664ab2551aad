"""Settings of the restoration of corrupted test frames."""

from typing import Annotated, Literal

from pydantic import Field

from pixelplay.settings import BatchSize, Channels, Epochs, NonNegative, Rate, Settings, Share
from pixelplay.videos.settings import CorruptionConfig, FrameFormat


class FlipNetworkConfig(Settings):
    """The CNN that tells upright frames from flipped ones: see `pixelplay.restoration.flip_network`."""

    widths: Annotated[list[Channels], Field(min_length=1, max_length=12)]  # channels of its convolutions
    pool: Annotated[int, Field(ge=1, le=64)]  # side of the grid of averages that the last layer sees
    epochs: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: NonNegative


class DenoiseConfig(Settings):
    method: Literal["none", "median", "bilateral", "nlmeans"]


class RestoreConfig(Settings):
    """How corrupted test frames are found and put right: see `pixelplay.restoration`."""

    flip: Literal["none", "network", "background", "both"]
    threshold: Share  # flip probability above which a frame is turned
    frames: FrameFormat  # working size in which frames are judged
    corruption: CorruptionConfig  # the noise that the network is trained with
    network: FlipNetworkConfig
    noise_above: NonNegative  # noise level, grey levels of 255, above which a frame counts as noisy everywhere
    denoise: DenoiseConfig
    save_images: bool  # write every restored frame as an image, too
