"""The network of an autoencoder for other libraries than PyTorch."""

from typing import Any

import torch

from pixelplay.backbones.exports import AREA, GREY, Exported, in_place_of
from pixelplay.backbones.frozen import hash_of_weights
from pixelplay.detectors.autoencoder.network import Network
from pixelplay.videos.settings import FrameFormat

POOLED = {
    "mean": "mean of the map",
    "max": "largest pixel",
    "topk": "mean of the largest share `topk` of the pixels",
    "patch_max": "largest mean over squares of `patch` pixels half of one apart, cropped at the right and lower edges",
}


def exported(model: Network, frames: FrameFormat, window: int, stride: int, scoring: dict[str, Any]) -> Exported:
    """scoring: the detector's settings of that name."""
    size = frames.height, frames.width
    return Exported(
        module=model,
        inputs={"clips": "(N, frames, height, width): grey values / 255, in [0, 1], the oldest frame first"},
        outputs={"reconstructions": "the same shape, in [0, 1]"},
        example=lambda count: (torch.rand(count, window, *size),),
        use=in_place_of(model),
        weights=hash_of_weights(model),
        preprocessing={
            "grey": GREY,
            "resize": AREA,
            "window": window,
            "start": "before there are so many frames, the first one is repeated",
            "stride": stride,
            "due": "a window ends at frames 0, stride, 2 * stride and so on",
        },
        postprocessing={
            "error": "(reconstructions - clips) ** 2 of the last frame of the window: a map",
            "pooling": scoring["pooling"],
            "patch": scoring["patch"],
            "topk": scoring["topk"],
            "score": f"{POOLED[scoring['pooling']]}; between two windows it stays",
        },
    )
