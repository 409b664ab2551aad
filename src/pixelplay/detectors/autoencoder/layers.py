"""Layers for CPUs: 3-D convolutions (kernel 3, padding 1 in time) with correct bf16 gradients, and faster dropout.

For exactly two frames and no stride in time, oneDNN 3.13.3 (torch 2.15) computes weight gradients in bf16 from
uninitialised memory. Two frames are therefore convolved in two dimensions, as one image of twice the channels, at the
same speed.
"""

import torch
from torch import nn
from torch.nn import functional as F

LEVELS = 2**16  # dropout drops a share p with a resolution of 1 / LEVELS


class Conv3d(nn.Conv3d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `nn.Conv3d`: (B, C, T, H, W) to (B, C', T', H', W')."""
        if x.shape[2] != 2 or self.stride[0] != 1:
            return super().forward(x)
        return _unstack(F.conv2d(_stack(x), *_for_pairs(self), self.stride[1:], self.padding[1:]))


class ConvTranspose3d(nn.ConvTranspose3d):
    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """As `nn.ConvTranspose3d`: (B, C, T, H, W) to (B, C', T', H', W')."""
        if x.shape[2] != 2 or self.stride[0] != 1 or output_size is not None:
            return super().forward(x, output_size)
        assert not isinstance(self.padding, str)
        sizes = self.stride[1:], self.padding[1:], self.output_padding[1:]
        return _unstack(F.conv_transpose2d(_stack(x), *_for_pairs(self), *sizes))


def _for_pairs(layer: nn.Conv3d | nn.ConvTranspose3d) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight (N, M, 3, h, w) and bias of a 3-D layer as those between two frames and two frames, (2N, 2M, h, w): a
    frame sees its own time through the middle tap, the other's through the first or the last.
    """
    first, middle, last = layer.weight.unbind(2)
    weight = torch.cat([torch.cat([middle, last], dim=1), torch.cat([first, middle], dim=1)])
    return weight, None if layer.bias is None else layer.bias.repeat(2)


def _stack(x: torch.Tensor) -> torch.Tensor:
    """Frames to channels, (B, C, 2, H, W) to (B, 2C, H, W)."""
    return x.transpose(1, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def _unstack(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(1, (2, -1)).transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)


class Dropout(nn.Dropout):
    """`nn.Dropout`; on a CPU, 16 random bits decide about each element instead of 64 (benchmarks/RESULTS.md), where
    PyTorch draws a double for each on a single thread.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0 or x.device.type != "cpu":
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # four int16 from each
        layout = torch.empty_like(x, dtype=torch.int16)  # dense, in the order of dimensions that x has
        bits = draws.view(torch.int16)[: x.numel()].as_strided(x.shape, layout.stride())
        kept = bits >= round(self.p * LEVELS) - LEVELS // 2
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))
