"""3-D convolutions (kernel 3, padding 1 in time) with correct bf16 gradients on CPUs.

For exactly two frames and no stride in time, oneDNN 3.13.3 (torch 2.15) computes weight gradients in bf16 from
uninitialised memory. Two frames are therefore convolved in two dimensions, as one image of twice the channels, at the
same speed.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Conv3d(nn.Conv3d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `nn.Conv3d`: (B, C, T, H, W) to (B, C', T', H', W')."""
        if not _two_frames(x, self.stride):
            return super().forward(x)
        weight = _between_pairs(self.weight)  # (2C', 2C, 3, 3)
        return _unstack(F.conv2d(_stack(x), weight, _twice(self.bias), self.stride[1:], self.padding[1:]))


class ConvTranspose3d(nn.ConvTranspose3d):
    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """As `nn.ConvTranspose3d`: (B, C, T, H, W) to (B, C', T', H', W')."""
        if not _two_frames(x, self.stride) or output_size is not None:
            return super().forward(x, output_size)
        weight = _between_pairs(self.weight)  # (2C, 2C', 3, 3)
        assert not isinstance(self.padding, str)
        sizes = self.stride[1:], self.padding[1:], self.output_padding[1:]
        return _unstack(F.conv_transpose2d(_stack(x), weight, _twice(self.bias), *sizes))


def _two_frames(x: torch.Tensor, stride: tuple[int, ...]) -> bool:
    return x.shape[2] == 2 and stride[0] == 1


def _between_pairs(weight: torch.Tensor) -> torch.Tensor:
    """The 2-D kernel (2N, 2M, h, w) of a 3-D one (N, M, 3, h, w) between two frames and two frames: a frame sees its
    own time through the middle tap, the other's through the first or the last.
    """
    first, middle, last = weight.unbind(2)
    return torch.cat([torch.cat([middle, last], dim=1), torch.cat([first, middle], dim=1)])


def _stack(x: torch.Tensor) -> torch.Tensor:
    """Frames to channels, (B, C, 2, H, W) to (B, 2C, H, W)."""
    return x.transpose(1, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def _unstack(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(1, (2, -1)).transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)


def _twice(bias: torch.Tensor | None) -> torch.Tensor | None:
    return None if bias is None else bias.repeat(2)
