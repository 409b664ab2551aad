"""A VideoMAE's tokens (Tong et al., NeurIPS 2022) and their prediction targets: pure functions on tensors.

The same arithmetic as in the loss of transformers' VideoMAEForPreTraining, which returns the mean over tokens only.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from pixelplay.errors import ConfigError

if TYPE_CHECKING:  # slow to import
    from transformers import VideoMAEConfig

LOSS_MEAN, LOSS_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # assumed by the loss, whatever the image processor
EPSILON = 1e-6  # the loss's guard against patches of one colour


def clip_size(config: "VideoMAEConfig") -> tuple[int, int, int, int]:
    """Frames of a clip and of a token, sides of a token and of the image; raises ConfigError if they don't divide."""
    side, patch = (_side(config, name) for name in ("image_size", "patch_size"))
    if config.num_channels != 3:
        raise ConfigError(f"a VideoMAE with num_channels={config.num_channels}: must be 3, for RGB")
    if config.num_frames % config.tubelet_size:
        raise ConfigError(
            f"a VideoMAE with num_frames={config.num_frames}: must be divisible by tubelet_size={config.tubelet_size}"
        )
    if side % patch:
        raise ConfigError(f"a VideoMAE with image_size={side}: must be divisible by patch_size={patch}")
    return config.num_frames, config.tubelet_size, patch, side


def _side(config: "VideoMAEConfig", name: str) -> int:
    value = getattr(config, name)
    if not isinstance(value, int) and len(set(value)) != 1:
        raise ConfigError(f"a VideoMAE with {name}={list(value)}: only squares are supported")
    return value if isinstance(value, int) else value[0]


def normalised(clips: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """uint8 (N, T, H, W, 3) RGB as a network's inputs, float32 (N, T, 3, H, W); mean and std: of colours in [0, 1]."""
    return whitened(clips.permute(0, 1, 4, 2, 3).float().div_(255), mean, std)


def whitened(frames: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Frames (N, T, 3, H, W) in [0, 1] less the mean colour, over its standard deviation."""
    return (frames - _of_colours(mean, frames)) / _of_colours(std, frames)


def coloured(inputs: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """The inverse of `whitened`: frames (N, T, 3, H, W) in [0, 1]."""
    return inputs * _of_colours(std, inputs) + _of_colours(mean, inputs)


def tokens_of(frames: torch.Tensor, tubelet: int, patch: int) -> torch.Tensor:
    """Frames (N, T, 3, H, W) cut into tokens, (N, tokens, tubelet * patch * patch, 3): time first, then rows."""
    n, time, colours, height, width = frames.shape
    cut = frames.reshape(n, time // tubelet, tubelet, colours, height // patch, patch, width // patch, patch)
    cut = cut.permute(0, 1, 4, 6, 2, 5, 7, 3)  # (N, T', H', W', tubelet, patch, patch, 3)
    return cut.reshape(n, -1, tubelet * patch * patch, colours)


def frames_of(tokens: torch.Tensor, grid: tuple[int, int, int], tubelet: int, patch: int) -> torch.Tensor:
    """The inverse of `tokens_of`: frames (N, T, 3, H, W) of tokens on a grid (T', H', W')."""
    cut = tokens.reshape(len(tokens), *grid, tubelet, patch, patch, tokens.shape[-1])
    cut = cut.permute(0, 1, 4, 7, 2, 5, 3, 6)  # (N, T', tubelet, 3, H', patch, W', patch)
    return cut.reshape(len(tokens), grid[0] * tubelet, tokens.shape[-1], grid[1] * patch, grid[2] * patch)


def mean_and_scale(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What `norm_pix_loss` subtracts from each colour of a token and divides it by, each (N, tokens, 1, 3)."""
    return tokens.mean(dim=-2, keepdim=True), tokens.std(dim=-2, keepdim=True) + EPSILON


def pool_tokens(errors: torch.Tensor, top: float) -> dict[str, torch.Tensor]:
    """Both poolings of the token errors of moments, (N, T', places) to (N, T'); NaN: a token without an error.

    mean: over the places. top: mean of the largest share `top` of the places, at least one. A moment without errors
    gets the mean of its clip.
    """
    known = ~errors.isnan()
    count = max(1, round(top * errors.shape[-1]))
    largest = torch.where(known, errors, -torch.inf).topk(count, dim=-1).values  # (N, T', count)
    largest = torch.where(largest.isinf(), torch.nan, largest)
    of_clip = errors.flatten(1).nanmean(dim=1, keepdim=True)  # (N, 1)
    pooled = {"mean": errors.nanmean(dim=-1), "top": largest.nanmean(dim=-1)}
    return {name: torch.where(known.any(dim=-1), values, of_clip) for name, values in pooled.items()}


def _of_colours(values: Sequence[float], frames: torch.Tensor) -> torch.Tensor:
    return frames.new_tensor(values).view(3, 1, 1)
