"""Masks of a clip's tokens: random ones as in VideoMAE's training, rotating ones for scores.

Masked autoencoders hide most tokens (He et al., CVPR 2022); VideoMAE hides tubes, the same places at all times (Tong et
al., NeurIPS 2022).
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from pixelplay.errors import ConfigError

Grid = tuple[int, int, int]  # tokens in time, height and width


def random_masks(seed: int, keys: Sequence[str], grid: Grid, ratio: float, tube: bool) -> torch.Tensor:
    """A mask for each clip, bool (N, tokens), True where a token is hidden; the same number of them in every row.

    keys: names of the clips; a clip's mask depends on the seed and its own key alone. ratio: the share of the tokens
    that is hidden, to the nearest whole number; tube: hide places at all times. Raises ConfigError for a ratio that
    hides all or nothing.
    """
    count = _count(grid, tube)
    hidden = round(ratio * count)
    if not 0 < hidden < count:
        raise ConfigError(
            f"a mask ratio of {ratio} hides {hidden} of {count} {'places' if tube else 'tokens'}: "
            "some must be hidden and some visible"
        )
    masks = np.zeros((len(keys), count), bool)
    for row, key in enumerate(keys):
        masks[row, _order(f"{seed} {key}", count)[:hidden]] = True
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
