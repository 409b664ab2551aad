"""A small U-Net that completes an erased patch of a cube, and the optical flow in it (Yu et al., ACM MM 2020).

Shapes: B cubes of L patches, h x w pixels. Without the outermost skip connection no pixel of a patch beside the erased
one reaches the output but through a level of half the size, so that none is copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

COLOURS, AXES = 3, 2


@dataclass(frozen=True)
class Scale:
    """Of normal objects' own patches: mean and standard deviation of brightness in [0, 1], root mean square of flow."""

    mean: float
    std: float
    flow: float


class CompletionNet(nn.Module):
    """The scale by which patches and flow are standardised is saved with the weights.

    widths: channels of each level, from full size down by halves; h and w must be divisible by 2 ** (len(widths) - 1).
    """

    mean: torch.Tensor  # as in `Scale`
    std: torch.Tensor
    flow: torch.Tensor

    def __init__(self, steps: int, widths: Sequence[int]):
        super().__init__()
        self.steps = steps
        self.first = _convolutions(steps * COLOURS, widths[0])
        down = list(pairwise(widths))
        up = down[::-1]
        self.halve = nn.MaxPool2d(2)
        self.encoder = nn.ModuleList(_convolutions(before, after) for before, after in down)
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(after, before, 2, 2) for before, after in up)
        joined = [2 * before for before, _ in up[:-1]] + [widths[0]]  # no skip connection to the outermost level
        self.decoder = nn.ModuleList(_convolutions(wide, before) for wide, (before, _) in zip(joined, up, strict=True))
        self.last = nn.Conv2d(widths[0], COLOURS + AXES, 1)
        for name in ("mean", "std", "flow"):
            self.register_buffer(name, torch.ones(()))
        self.to(memory_format=torch.channels_last)

    def standardise(self, scale: Scale) -> None:
        """Set what patches and flow are standardised by; what has no spread at all stays as it is."""
        for name, value in (("mean", scale.mean), ("std", scale.std or 1.0), ("flow", scale.flow or 1.0)):
            getattr(self, name).fill_(value)

    def forward(self, patches: torch.Tensor, erased: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The erased patch (B, 3, h, w) and its flow (B, 2, h, w), standardised, float32.

        patches: standardised, (B, L, 3, h, w). erased: int64 (B,), the step whose patch the network does not see.
        """
        hidden = torch.arange(self.steps, device=erased.device) == erased[:, None]  # (B, L)
        x = patches.masked_fill(hidden[:, :, None, None, None], 0).flatten(1, 2)  # (B, 3 L, h, w); 0 is the mean
        x = self.first(x.contiguous(memory_format=torch.channels_last))
        levels = []
        for layers in self.encoder:
            x = layers(self.halve(x))  # (B, widths[i], h / 2**i, w / 2**i)
            levels.append(x)
        skipped = [[level] for level in levels[-2::-1]] + [[]]
        for enlarge, layers, beside in zip(self.enlarge, self.decoder, skipped, strict=True):
            x = layers(torch.cat([enlarge(x), *beside], dim=1))
        found = self.last(x).float()  # (B, 5, h, w)
        return found[:, :COLOURS], found[:, COLOURS:]

    def errors(
        self, patches: torch.Tensor, flow: torch.Tensor, erased: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squared errors (B,) of the completed patch and of its flow: 1 is the spread of normal ones.

        patches: uint8 (B, S, h, w, 3), of which the one at L - 1 is the object's own, and is erased; that is the step
        `erased`, int64 (B,), of its cube. flow: (B, h, w, 2).
        """
        own = self.steps - 1
        first = own - erased  # where the cube begins
        steps = first[:, None] + torch.arange(self.steps, device=erased.device)  # (B, L)
        chosen = patches[torch.arange(len(patches), device=erased.device)[:, None], steps]  # (B, L, h, w, 3)
        cube = ((chosen.float() / 255 - self.mean) / self.std).permute(0, 1, 4, 2, 3)  # (B, L, 3, h, w)
        seen, moved = self(cube, erased)
        target = ((patches[:, own].float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
        motion = (flow.float() / self.flow).permute(0, 3, 1, 2)
        return (seen - target).square().mean(dim=(1, 2, 3)), (moved - motion).square().mean(dim=(1, 2, 3))


def _convolutions(before: int, after: int) -> nn.Sequential:
    layers = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
