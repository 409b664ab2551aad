"""The network of event completion for other libraries than PyTorch."""

import torch

from pixelplay.backbones.exports import Exported, in_place_of
from pixelplay.backbones.frozen import hash_of_weights
from pixelplay.detectors.object_streams.completion.network import CompletionNet
from pixelplay.detectors.object_streams.completion.settings import CubeConfig


def exported(network: CompletionNet, cube: CubeConfig) -> Exported:
    steps, side = cube.steps, cube.side
    mean, std, flow = (float(getattr(network, name)) for name in ("mean", "std", "flow"))
    return Exported(
        module=network,
        inputs={
            "patches": "(N, steps, 3, side, side): (RGB / 255 - mean) / std, the oldest patch first",
            "erased": "(N,): the step whose patch is the object's own, and is not seen; causally the last",
        },
        outputs={
            "patch": "(N, 3, side, side): the erased patch, standardised as the input",
            "flow": "(N, 2, side, side): x and y of the motion in it, in units of `flow`",
        },
        example=lambda count: (torch.randn(count, steps, 3, side, side), torch.arange(count) % steps),
        use=in_place_of(network),
        weights=hash_of_weights(network),
        preprocessing={
            "square": f"around the centre of the object's box, {cube.tubes.enlarge:g} times its longer side, clipped",
            "resize": f"to {side} x {side}, by area averaging where it is larger, else bilinearly",
            "steps": steps,
            "box": "of the object's own frame, in the frames before it, too",
            "start": "before the video begins, its first frame is repeated",
            "mean": mean,
            "std": std,
        },
        postprocessing={
            "flow": flow,
            "target": "DIS optical flow from the frame before to the object's own, in sides of the square, over `flow`",
            "appearance": "mean of (patch - the object's own patch, standardised) ** 2",
            "motion": "mean of (flow - target) ** 2",
            "score": "both on the scale of calibration.parquet, weighted, clipped: see docs/detectors.md; of a frame: "
            "the highest of its objects",
        },
    )
