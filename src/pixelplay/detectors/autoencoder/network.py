"""Convolutional autoencoders on clips of grey frames, without skip connections.

Frames stacked as channels (after Hasan et al., CVPR 2016), or as a cuboid convolved in space and time (after Zhao et
al., ACM MM 2017). Layers are PyTorch's, made correct in bf16 and faster on CPUs.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

LEVELS = 2**16  # dropout drops a share p with a resolution of 1 / LEVELS

Stride = tuple[int, ...]  # of (height, width), or of (time, height, width)
Layer = type[nn.Module]


class ConvAutoencoder(nn.Module):
    """`frames` are channels of one image; each encoder stage halves height and width.

    widths: channels after each halving, the last is the bottleneck's. Sides must be divisible by 2 ** len(widths).
    """

    memory_format = torch.channels_last  # of clips and weights; bf16 convolutions want it (benchmarks/RESULTS.md)

    def __init__(self, frames: int, widths: Sequence[int], dropout: float):
        super().__init__()
        strides = [(2, 2)] * len(widths)
        self.encoder = _encoder(frames, widths, strides, dropout, nn.Conv2d, nn.BatchNorm2d)
        self.decoder = _decoder(frames, widths, strides, nn.ConvTranspose2d, nn.BatchNorm2d)
        self.to(memory_format=self.memory_format)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruct clips (B, frames, H, W) in [0, 1]; the same shape, float32, in [0, 1]."""
        x = self.encoder(x)  # (B, widths[-1], H / 2**n, W / 2**n)
        x = self.decoder(x)  # (B, frames, H, W)
        return torch.sigmoid(x.float())  # in bf16, rounding would be a large part of the error


class SpatioTemporalAutoencoder(nn.Module):
    """A clip is a cuboid; each encoder stage halves height and width, and all but the last halve time, too.

    frames must be divisible by 2 ** (len(widths) - 1), height and width by 2 ** len(widths).
    """

    memory_format = torch.contiguous_format  # of clips: with one channel, (B, 1, T, H, W) is also channels-last

    def __init__(self, frames: int, widths: Sequence[int], dropout: float):
        super().__init__()
        strides = [(2, 2, 2)] * (len(widths) - 1) + [(1, 2, 2)]
        self.encoder = _encoder(1, widths, strides, dropout, Conv3d, nn.BatchNorm3d)
        self.decoder = _decoder(1, widths, strides, ConvTranspose3d, nn.BatchNorm3d)
        self.to(memory_format=torch.channels_last_3d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruct clips (B, frames, H, W) in [0, 1]; the same shape, float32, in [0, 1]."""
        x = self.encoder(x[:, None])  # (B, widths[-1], frames / 2**(n-1), H / 2**n, W / 2**n)
        x = self.decoder(x)[:, 0]  # (B, frames, H, W)
        return torch.sigmoid(x.float())


def _encoder(
    channels: int, widths: Sequence[int], strides: Sequence[Stride], dropout: float, conv: Layer, norm: Layer
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (before, after), stride in zip(pairwise([channels, *widths]), strides, strict=True):
        layers += [conv(before, after, 3, stride, padding=1, bias=False), norm(after), nn.ReLU(inplace=True)]
        layers.append(Dropout(dropout))
    return nn.Sequential(*layers[:-1])  # none in the bottleneck


def _decoder(
    channels: int, widths: Sequence[int], strides: Sequence[Stride], conv: Layer, norm: Layer
) -> nn.Sequential:
    """The encoder's mirror; its last stage has a bias instead of a norm, and the caller adds the sigmoid."""
    layers: list[nn.Module] = []
    for (before, after), stride in zip(pairwise([*widths[::-1], channels]), strides[::-1], strict=True):
        growth = tuple(step - 1 for step in stride)  # an output exactly `stride` times as large as the input
        last = len(layers) == 3 * (len(widths) - 1)
        layers.append(conv(before, after, 3, stride, padding=1, output_padding=growth, bias=last))
        if not last:
            layers += [norm(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Conv3d(nn.Conv3d):
    """With kernel 3 and padding 1 in time, and correct bf16 gradients on CPUs.

    For two frames and no stride in time, oneDNN 3.13.3 (torch 2.15) computes bf16 weight gradients from uninitialised
    memory. They are therefore convolved in two dimensions, as one image of twice the channels, at the same speed.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `nn.Conv3d`: (B, C, T, H, W) to (B, C', T', H', W')."""
        if x.shape[2] != 2 or self.stride[0] != 1:
            return super().forward(x)
        weight, bias = _for_pairs(self)
        return _unstack(F.conv2d(_stack(x), weight, bias, self.stride[1:], self.padding[1:]))


class ConvTranspose3d(nn.ConvTranspose3d):
    """See `Conv3d`."""

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """As `nn.ConvTranspose3d`: (B, C, T, H, W) to (B, C', T', H', W')."""
        if x.shape[2] != 2 or self.stride[0] != 1 or output_size is not None:
            return super().forward(x, output_size)
        assert not isinstance(self.padding, str)
        sizes = self.stride[1:], self.padding[1:], self.output_padding[1:]
        return _unstack(F.conv_transpose2d(_stack(x), *_for_pairs(self), *sizes))


def _for_pairs(layer: nn.Conv3d | nn.ConvTranspose3d) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight (N, M, 3, h, w) and bias of a layer as those from two frames to two, (2N, 2M, h, w): a frame sees its own
    time through the middle tap, the other's through the first or the last.
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
    """`nn.Dropout`; on a CPU, 16 random bits decide about each element, not 64 (benchmarks/RESULTS.md)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0 or x.device.type != "cpu":
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # four int16 from each
        layout = torch.empty_like(x, dtype=torch.int16)  # dense, in the order of dimensions that x has
        bits = draws.view(torch.int16)[: x.numel()].as_strided(x.shape, layout.stride())
        kept = bits >= round(self.p * LEVELS) - LEVELS // 2
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))


Network = ConvAutoencoder | SpatioTemporalAutoencoder
NETWORKS = {"conv2d": ConvAutoencoder, "conv3d": SpatioTemporalAutoencoder}
