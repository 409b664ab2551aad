"""Convolutional autoencoder on a clip of grey frames stacked as channels (after Hasan et al., CVPR 2016)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class ConvAutoencoder(nn.Module):
    """Each encoder stage halves height and width, each decoder stage doubles them. No skip connections.

    frames: how many frames stand as channels; widths: channels after each halving, the last is the bottleneck's.
    Height and width must be divisible by 2 ** len(widths).
    """

    def __init__(self, frames: int, widths: Sequence[int], dropout: float):
        super().__init__()
        encoder: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([frames, *widths])):
            encoder += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            if i < len(widths) - 1:  # none in the bottleneck
                encoder.append(nn.Dropout(dropout))
        decoder: list[nn.Module] = []
        outward = list(widths[::-1])
        for before, after in pairwise(outward):
            decoder += [_double(before, after, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        decoder.append(_double(outward[-1], frames, bias=True))
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruct clips (B, frames, H, W) in [0, 1]; the same shape, float32, in [0, 1]."""
        x = self.encoder(x)  # (B, widths[-1], H / 2**n, W / 2**n)
        x = self.decoder(x)  # (B, frames, H, W)
        return torch.sigmoid(x.float())  # under bf16 autocast, 8 bits of mantissa would be the error that is scored


def _double(before: int, after: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1, bias=bias)
