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
        self.stem = nn.Sequential(_convolution(3, stem, stride=2), _convolution(stem, low, stride=2))
        self.first = nn.Sequential(_convolution(low, first, stride=2), _convolution(first, first))
        self.second = nn.Sequential(_convolution(first, second, stride=2), _convolution(second, second))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)  # (N, widths[1], S / 4, S / 4)
        first = self.first(x)
        return first, self.second(first)


class Decoder(nn.Module):
    """Maps (N, widths[3], S / 16, S / 16) back to images (N, 3, S, S), in [-1, 1]."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.layers = nn.Sequential(
            *(_upsampling(inputs, outputs) for inputs, outputs in pairwise(reversed(widths))),
            nn.ConvTranspose2d(widths[0], 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _upsampling(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
