"""Noise and flips for the training of reconstruction networks."""

from dataclasses import dataclass
from typing import Literal

import torch

from pixelplay.settings import Settings, Share


class NoiseSettings(Settings):
    """Uniform noise in +-amplitude of the range [0, 1], added to this share of the training clips."""

    amplitude: Share
    share: Share


@dataclass(frozen=True)
class Augmentation:
    """Random noise and flips, drawn from torch's global generators.

    noise_amplitude: uniform noise in +- this, for frames in [0, 1]; noise_share: of the clips that get it.
    target: `noisy`, the clip with its noise, or `clean`, the clip without. vertical_flip: share of the clips that are
    turned upside down, with their target.
    """

    noise_amplitude: float
    noise_share: float
    target: Literal["noisy", "clean"]
    vertical_flip: float

    def apply(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of training from clips (B, T, H, W) in [0, 1]; changes `clips` in place."""
        if self.vertical_flip:
            rows = _draw(clips, self.vertical_flip)
            clips[rows] = clips[rows].flip(-2)
        rows = _draw(clips, self.noise_share)
        inputs = clips.clone() if self.target == "clean" else clips
        noise = torch.rand(len(rows), *clips.shape[1:], device=clips.device).sub_(0.5).mul_(2 * self.noise_amplitude)
        inputs[rows] = noise.add_(clips[rows]).clamp_(0, 1)
        return inputs, clips


def _draw(clips: torch.Tensor, share: float) -> torch.Tensor:
    """Rows of the clips drawn with this probability; on the CPU, so that a GPU is not waited for."""
    rows = (torch.rand(len(clips)) < share).nonzero().flatten()
    return rows.to(clips.device, non_blocking=True)
