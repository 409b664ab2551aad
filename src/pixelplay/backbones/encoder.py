"""A small convolutional encoder with the two stages of a backbone, for runs that train their own."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class Encoder(nn.Module):
    """Images (N, 3, S, S) to maps (N, widths[2], S / 8, S / 8) and (N, widths[3], S / 16, S / 16).

    widths: channels after each halving of height and width, four of them. S must be a multiple of 16.
    """

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        stem, low, first, second = widths
        self.stem = nn.Sequential(_halving(3, stem), _halving(stem, low))
        self.first = nn.Sequential(_halving(low, first), _convolution(first, first))
        self.second = nn.Sequential(_halving(first, second), _convolution(second, second))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)  # (N, widths[1], S / 4, S / 4)
        first = self.first(x)
        return first, self.second(first)


class Decoder(nn.Module):
    """Maps (N, widths[3], S / 16, S / 16) back to images (N, 3, S, S), in [-1, 1]."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        sides = [*reversed(widths)]
        self.layers = nn.Sequential(
            *(_doubling(fed, given) for fed, given in pairwise(sides)),
            nn.ConvTranspose2d(sides[-1], 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def _doubling(fed: int, given: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(fed, given, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(given), nn.ReLU(inplace=True)
    )


def _halving(fed: int, given: int) -> nn.Sequential:
    return _convolution(fed, given, stride=2)


def _convolution(fed: int, given: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(fed, given, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(given), nn.ReLU(inplace=True)
    )
