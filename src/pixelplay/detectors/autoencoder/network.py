"""Convolutional autoencoders on clips of grey frames, without skip connections.

Frames stacked as channels (after Hasan et al., CVPR 2016), or as a cuboid convolved in space and time (after Zhao et
al., ACM MM 2017).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from pixelplay.detectors.autoencoder.layers import Conv3d, ConvTranspose3d, Dropout

Stride = tuple[int, ...]  # of (height, width), or of (time, height, width)


class ConvAutoencoder(nn.Module):
    """Frames are channels of one image; each encoder stage halves height and width.

    frames: how many; widths: channels after each halving, the last is the bottleneck's. Height and width must be
    divisible by 2 ** len(widths).
    """

    memory_format = torch.channels_last  # of clips and weights; bf16 convolutions want it (benchmarks/RESULTS.md)

    def __init__(self, frames: int, widths: Sequence[int], dropout: float):
        super().__init__()
        strides = [(2, 2)] * len(widths)
        self.encoder = _encoder(frames, widths, strides, dropout)
        self.decoder = _decoder(frames, widths, strides)
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
        self.encoder = _encoder(1, widths, strides, dropout)
        self.decoder = _decoder(1, widths, strides)
        self.to(memory_format=torch.channels_last_3d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruct clips (B, frames, H, W) in [0, 1]; the same shape, float32, in [0, 1]."""
        x = self.encoder(x[:, None])  # (B, widths[-1], frames / 2**(n-1), H / 2**n, W / 2**n)
        x = self.decoder(x)[:, 0]  # (B, frames, H, W)
        return torch.sigmoid(x.float())


def _encoder(channels: int, widths: Sequence[int], strides: Sequence[Stride], dropout: float) -> nn.Sequential:
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if len(strides[0]) == 2 else (Conv3d, nn.BatchNorm3d)
    layers: list[nn.Module] = []
    for (before, after), stride in zip(pairwise([channels, *widths]), strides, strict=True):
        layers += [conv(before, after, 3, stride, padding=1, bias=False), norm(after), nn.ReLU(inplace=True)]
        layers.append(Dropout(dropout))
    return nn.Sequential(*layers[:-1])  # none in the bottleneck


def _decoder(channels: int, widths: Sequence[int], strides: Sequence[Stride]) -> nn.Sequential:
    """The encoder's mirror; its last stage has a bias instead of a norm, and the caller adds the sigmoid."""
    conv, norm = (nn.ConvTranspose2d, nn.BatchNorm2d) if len(strides[0]) == 2 else (ConvTranspose3d, nn.BatchNorm3d)
    layers: list[nn.Module] = []
    for (before, after), stride in zip(pairwise([*widths[::-1], channels]), strides[::-1], strict=True):
        growth = tuple(step - 1 for step in stride)  # an output exactly `stride` times as large as the input
        last = len(layers) == 3 * (len(widths) - 1)
        layers.append(conv(before, after, 3, stride, padding=1, output_padding=growth, bias=last))
        if not last:
            layers += [norm(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


Network = ConvAutoencoder | SpatioTemporalAutoencoder
NETWORKS = {"conv2d": ConvAutoencoder, "conv3d": SpatioTemporalAutoencoder}
