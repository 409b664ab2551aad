"""Pooling of a frame's map of reconstruction errors into a score."""

import torch
from torch.nn import functional as F

POOLINGS = ("mean", "max", "topk", "patch_max")


def pool_errors(errors: torch.Tensor, patch: int, topk: float) -> dict[str, torch.Tensor]:
    """All poolings of error maps (..., H, W), each (...), in one pass.

    mean: over the map. max: the largest pixel. topk: mean of the largest share `topk` of the pixels.
    patch_max: the largest mean over patch x patch squares that overlap by half, cropped at the right and lower edges;
    on a map smaller than `patch`, squares are as large as its shorter side.
    """
    height, width = errors.shape[-2:]
    flat = errors.reshape(-1, 1, height, width)
    shape = errors.shape[:-2]
    largest = flat.flatten(1).topk(max(1, round(topk * height * width)), dim=1).values  # sorted, (N, k)
    side = min(patch, height, width)
    patches = F.avg_pool2d(flat, side, stride=max(1, side // 2), ceil_mode=True)  # (N, 1, rows, columns)
    pooled = {
        "mean": flat.mean(dim=(1, 2, 3)),
        "max": largest[:, 0],
        "topk": largest.mean(dim=1),
        "patch_max": patches.amax(dim=(1, 2, 3)),
    }
    return {name: value.reshape(shape) for name, value in pooled.items()}
