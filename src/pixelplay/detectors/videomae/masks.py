"""Which tokens of a clip a VideoMAE is not shown: random masks as in its training, and rotating ones for scores.

Masked autoencoders hide most of what they see (He et al., CVPR 2022); VideoMAE hides tubes, the same places at all
times (Tong et al., NeurIPS 2022).
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from pixelplay.errors import ConfigError

Grid = tuple[int, int, int]  # tokens in time, height and width


def random_masks(seed: int, keys: Sequence[str], grid: Grid, ratio: float, tube: bool) -> torch.Tensor:
    """A mask for each clip, bool (N, tokens), True where a token is hidden; the same number of them in every row.

    keys: name the clips. A clip's mask depends on the seed and its own key alone, whatever stands beside it.
    ratio: the share of the tokens that is hidden, to the nearest whole number; tube: hide places at all times.
    Raises ConfigError for a ratio that hides all or nothing.
    """
    time, places = grid[0], grid[1] * grid[2]
    count = places if tube else time * places
    hidden = round(ratio * count)
    if not 0 < hidden < count:
        raise ConfigError(
            f"a mask ratio of {ratio} hides {hidden} of {count} {'places' if tube else 'tokens'}: "
            "some must be hidden and some visible"
        )
    masks = np.zeros((len(keys), count), bool)
    for row, key in enumerate(keys):
        masks[row, _order(f"{seed} {key}", count)[:hidden]] = True
    return torch.from_numpy(np.tile(masks, (1, time)) if tube else masks)


def rotating_masks(seed: int, grid: Grid, n: int, tube: bool = False) -> torch.Tensor:
    """n masks, bool (n, tokens), True where a token is hidden, whose visible sets partition the tokens at random.

    Each token is so hidden n - 1 times. Numbers of visible tokens differ by one (tube: by one place) where n does not
    divide them: a batch must then hold clips under the same mask. Raises ConfigError where a set would be empty.
    """
    time, places = grid[0], grid[1] * grid[2]
    count = places if tube else time * places
    if not 2 <= n <= count:
        raise ConfigError(f"{n} rotating masks of {count} {'places' if tube else 'tokens'}: allowed are 2 to {count}")
    masks = np.ones((n, count), bool)
    for mask, visible in zip(masks, np.array_split(_order(f"{seed}", count), n), strict=True):
        mask[visible] = False
    return torch.from_numpy(np.tile(masks, (1, time)) if tube else masks)


def _order(name: str, count: int) -> np.ndarray:
    """A random order of 0..count-1 that depends on `name` alone."""
    rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    return rng.random(count).argsort(kind="stable")
