"""Faster dropout on CPUs, where PyTorch draws a double for each element on a single thread."""

import torch
from torch import nn

LEVELS = 2**16  # a share p is dropped with a resolution of 1 / LEVELS


class Dropout(nn.Dropout):
    """`nn.Dropout`; on a CPU, 16 random bits decide about each element instead of 64 (benchmarks/RESULTS.md)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0 or x.device.type != "cpu":
            return super().forward(x)
        kept = _random_int16(x) >= round(self.p * LEVELS) - LEVELS // 2
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))


def _random_int16(x: torch.Tensor) -> torch.Tensor:
    """Uniform over all of int16, of the shape and memory layout of `x`; four numbers from each 64-bit draw."""
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    layout = torch.empty_like(x, dtype=torch.int16)  # dense, in the order of dimensions that x has
    return draws.view(torch.int16)[: x.numel()].as_strided(x.shape, layout.stride())
