"""Masks of tokens: how many they hide, that a clip's own mask never changes, and that rotating ones leave no gap."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.detectors.videomae.tokens import random_masks, rotating_masks
from pixelplay.errors import ConfigError

GRID = (8, 14, 14)  # of VideoMAE
grids = st.tuples(st.integers(1, 8), st.integers(1, 7), st.integers(2, 7))
names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True)


@pytest.mark.parametrize(("tube", "hidden"), [(False, 1411), (True, 8 * 176)])  # of 1568 tokens; of 196 places
def test_every_row_hides_the_nearest_whole_number_of_tokens(tube: bool, hidden: int):
    masks = random_masks(0, ["a", "b", "c"], GRID, 0.9, tube)
    assert masks.dtype == torch.bool and masks.shape == (3, 1568)
    assert masks.sum(dim=1).tolist() == [hidden] * 3


@given(names, st.integers(0, 99), st.booleans(), st.randoms())
def test_a_clip_s_mask_depends_on_the_seed_and_its_own_key_alone(keys: list[str], seed: int, tube: bool, random):
    together = random_masks(seed, keys, (2, 3, 4), 0.6, tube)
    order = random.sample(range(len(keys)), len(keys))
    assert torch.equal(random_masks(seed, [keys[i] for i in order], (2, 3, 4), 0.6, tube), together[order])
    assert torch.equal(random_masks(seed, keys[-1:], (2, 3, 4), 0.6, tube)[0], together[-1])


def test_clips_and_seeds_have_masks_of_their_own():
    masks = random_masks(0, [f"clip {i}" for i in range(50)], GRID, 0.9, False)
    assert len(masks.unique(dim=0)) == 50
    assert not torch.equal(random_masks(1, ["clip 0"], GRID, 0.9, False)[0], masks[0])


def test_all_tokens_are_hidden_equally_often():
    masks = random_masks(0, [str(i) for i in range(2000)], (2, 3, 4), 0.75, False)
    assert masks.float().mean(dim=0).numpy() == pytest.approx(np.full(24, 0.75), abs=0.04)  # 4 standard deviations


@given(grids, st.integers(0, 99), st.booleans())
def test_tubes_hide_the_same_places_at_all_times(grid: tuple[int, int, int], seed: int, rotating: bool):
    masks = rotating_masks(seed, grid, 2, tube=True) if rotating else random_masks(seed, ["a", "b"], grid, 0.5, True)
    moments = masks.unflatten(1, (grid[0], -1))  # (N, T', places)
    assert torch.equal(moments, moments[:, :1].expand_as(moments))


@given(grids, st.integers(2, 12), st.integers(0, 99), st.booleans())
def test_visible_sets_of_rotating_masks_partition_the_tokens(grid, n: int, seed: int, tube: bool):
    places = grid[1] * grid[2]
    if n > (places if tube else grid[0] * places):
        return
    masks = rotating_masks(seed, grid, n, tube)
    assert masks.dtype == torch.bool and masks.shape == (n, grid[0] * places)
    assert ((~masks).sum(dim=0) == 1).all()  # each token is visible in exactly one
    visible = (~masks).sum(dim=1)
    assert visible.min() >= 1 and visible.max() - visible.min() <= (grid[0] if tube else 1)


def test_rotating_masks_are_drawn_by_the_seed():
    assert torch.equal(rotating_masks(3, GRID, 10), rotating_masks(3, GRID, 10))
    assert not torch.equal(rotating_masks(3, GRID, 10), rotating_masks(4, GRID, 10))
    visible = (~rotating_masks(3, GRID, 10)[0]).nonzero().flatten()
    assert visible.diff().unique().numel() > 5  # neither a block of tokens nor every tenth


@pytest.mark.parametrize(
    ("ratio", "tube", "message"),
    [
        (0.01, False, r"ratio of 0\.01 hides 0 of 24 tokens"),
        (0.99, False, r"ratio of 0\.99 hides 24 of 24 tokens"),
        (0.96, True, r"ratio of 0\.96 hides 12 of 12 places"),
    ],
)
def test_a_ratio_that_hides_all_or_nothing_is_refused(ratio: float, tube: bool, message: str):
    with pytest.raises(ConfigError, match=message):
        random_masks(0, ["a"], (2, 3, 4), ratio, tube)


@pytest.mark.parametrize(("n", "tube"), [(1, False), (25, False), (13, True)])
def test_as_many_rotating_masks_as_there_are_tokens_at_most(n: int, tube: bool):
    with pytest.raises(ConfigError, match=rf"{n} rotating masks of .*allowed are 2 to {12 if tube else 24}"):
        rotating_masks(0, (2, 3, 4), n, tube)
