"""Box sides of a YOLO in float32, while the rest of the network computes in bfloat16.

A side is the mean of a distribution over 16 cells of up to 32 pixels (DFL, Li et al., https://arxiv.org/abs/2006.04388);
bfloat16's 8 bits leave it a pixel off.
"""

from typing import Any

import torch
from torch import nn


class Float32(nn.Module):
    """A module computed in float32 also within autocast."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.module(x.float())


def decode_in_float32(network: Any) -> None:
    """Have the head of an Ultralytics network, where it has such distributions, take their means in float32."""
    head = network.model[-1]
    if isinstance(dfl := getattr(head, "dfl", None), nn.Module):
        head.dfl = Float32(dfl)
