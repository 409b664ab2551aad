"""A VideoMAE's tokens: which are hidden, and what is predicted of them. Pure functions on tensors.

Masked autoencoders hide most tokens (He et al., CVPR 2022); VideoMAE hides tubes, the same places at all times (Tong et
al., NeurIPS 2022). Targets are computed as in the loss of transformers' VideoMAEForPreTraining, which returns the mean
over tokens only.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from pixelplay.errors import ConfigError

if TYPE_CHECKING:  # slow to import
    from transformers import VideoMAEConfig

LOSS_MEAN, LOSS_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # assumed by the loss, whatever the image processor
EPSILON = 1e-6  # the loss's guard against patches of one colour

Grid = tuple[int, int, int]  # tokens in time, height and width


def clip_size(config: "VideoMAEConfig") -> tuple[int, int, int, int]:
    """Frames of a clip and of a token, sides of a token and of the image; raises ConfigError if they don't divide."""
    side, patch = (_side(config, name) for name in ("image_size", "patch_size"))
    if config.num_channels != 3:
        raise ConfigError(f"a VideoMAE with num_channels={config.num_channels}: must be 3, for RGB")
    frames, tubelet = config.num_frames, config.tubelet_size
    if frames % tubelet:
        raise ConfigError(f"a VideoMAE with num_frames={frames}: must be divisible by tubelet_size={tubelet}")
    if side % patch:
        raise ConfigError(f"a VideoMAE with image_size={side}: must be divisible by patch_size={patch}")
    return frames, tubelet, patch, side


def _side(config: "VideoMAEConfig", name: str) -> int:
    value = getattr(config, name)
    if not isinstance(value, int) and len(set(value)) != 1:
        raise ConfigError(f"a VideoMAE with {name}={list(value)}: only squares are supported")
    return value if isinstance(value, int) else value[0]


def random_masks(seed: int, keys: Sequence[str], grid: Grid, ratio: float, tube: bool) -> torch.Tensor:
    """A mask for each clip, bool (N, tokens), True where a token is hidden; the same number of them in every row.

    keys: names of the clips; a mask depends on the seed and its key alone. ratio: the share of the tokens that is
    hidden, rounded; tube: hide places at all times. Raises ConfigError for a ratio that hides all or nothing.
    """
    count = _count(grid, tube)
    hidden = round(ratio * count)
    if not 0 < hidden < count:
        raise ConfigError(
            f"a mask ratio of {ratio} hides {hidden} of {count} {'places' if tube else 'tokens'}: "
            "some must be hidden and some visible"
        )
    masks = np.zeros((len(keys), count), bool)
    for mask, key in zip(masks, keys, strict=True):
        mask[_order(f"{seed} {key}", count)[:hidden]] = True
    return torch.from_numpy(np.tile(masks, (1, grid[0])) if tube else masks)


def rotating_masks(seed: int, grid: Grid, n: int, tube: bool = False) -> torch.Tensor:
    """n masks, bool (n, tokens), True where a token is hidden, whose visible tokens are a random partition of all.

    Each token is hidden n - 1 times. Where n does not divide the tokens (tube: the places), masks differ by one in how
    many they hide, so a batch must hold clips under the same mask. Raises ConfigError where a mask would hide all.
    """
    count = _count(grid, tube)
    if not 2 <= n <= count:
        raise ConfigError(f"{n} rotating masks of {count} {'places' if tube else 'tokens'}: allowed are 2 to {count}")
    masks = np.ones((n, count), bool)
    for mask, visible in zip(masks, np.array_split(_order(f"{seed}", count), n), strict=True):
        mask[visible] = False
    return torch.from_numpy(np.tile(masks, (1, grid[0])) if tube else masks)


def _count(grid: Grid, tube: bool) -> int:
    return grid[1] * grid[2] * (1 if tube else grid[0])


def _order(name: str, count: int) -> np.ndarray:
    """A random order of 0..count-1 that depends on `name` alone."""
    rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    return rng.random(count).argsort(kind="stable")


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


def frames_of(tokens: torch.Tensor, grid: Grid, tubelet: int, patch: int) -> torch.Tensor:
    """The inverse of `tokens_of`: frames (N, T, 3, H, W) of tokens on a grid (T', H', W')."""
    cut = tokens.reshape(len(tokens), *grid, tubelet, patch, patch, tokens.shape[-1])
    cut = cut.permute(0, 1, 4, 7, 2, 5, 3, 6)  # (N, T', tubelet, 3, H', patch, W', patch)
    return cut.reshape(len(tokens), grid[0] * tubelet, tokens.shape[-1], grid[1] * patch, grid[2] * patch)


def mean_and_scale(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What `norm_pix_loss` subtracts from each colour of a token and divides it by, each (N, tokens, 1, 3)."""
    return tokens.mean(dim=-2, keepdim=True), tokens.std(dim=-2, keepdim=True) + EPSILON


def pool_tokens(errors: torch.Tensor, top: float) -> dict[str, torch.Tensor]:
    """Both poolings of the token errors of moments, (N, T', places) to (N, T'); NaN: a token without an error.

    mean: over the places. top: over the share `top` of the largest, at least one. Without errors: the clip's mean.
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
