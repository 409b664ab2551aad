"""A small convolutional encoder with the two stages of a backbone, for runs without pretrained weights."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class Encoder(nn.Module):
    """Images (N, 3, S, S) to maps (N, widths[2], S / 8, S / 8) and (N, widths[3], S / 16, S / 16).

    widths: channels after each of the four halvings of height and width. S must be a multiple of 16.
    """

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        stem, low, first, second = widths
        self.stem = nn.Sequential(_down(3, stem, stride=2), _down(stem, low, stride=2))
        self.first = nn.Sequential(_down(low, first, stride=2), _down(first, first, stride=1))
        self.second = nn.Sequential(_down(first, second, stride=2), _down(second, second, stride=1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)  # (N, widths[1], S / 4, S / 4)
        first = self.first(x)
        return first, self.second(first)


class Decoder(nn.Module):
    """Maps (N, widths[3], S / 16, S / 16) back to images (N, 3, S, S), in [-1, 1]."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.layers = nn.Sequential(
            *(_normed(nn.ConvTranspose2d(a, b, 4, 2, padding=1, bias=False)) for a, b in pairwise(reversed(widths))),
            nn.ConvTranspose2d(widths[0], 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def _down(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return _normed(nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False))


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True))
