"""A small CNN on single frames: is this frame flipped top to bottom?"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class FlipClassifier(nn.Module):
    """Convolutions of stride 2, each with ReLU, then averages over a pool x pool grid, then one linear layer.

    widths: channels after each convolution. The grid tells above from below: with pool=1 the network would see how
    things look, but not where they are.
    """

    def __init__(self, widths: Sequence[int], pool: int):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([1, *widths]):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(pool))
        self.output = nn.Linear(widths[-1] * pool * pool, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B,) for frames (B, 1, H, W) in [0, 1]; their sigmoid is the probability of a flipped frame."""
        x = self.features(x)  # (B, widths[-1], pool, pool)
        return self.output(x.flatten(1)).squeeze(1)
