"""Pooling of error maps: hand-worked maps for each pooling."""

import pytest
import torch

from pixelplay.detectors.autoencoder.detector import POOLINGS, pool_errors


def hot(height: int, width: int, rows: slice | int, columns: slice | int) -> torch.Tensor:
    """A map (H, W) of 0, and 1 in a rectangle."""
    errors = torch.zeros(height, width)
    errors[rows, columns] = 1
    return errors


def test_every_pooling_of_a_hand_worked_map():
    errors = torch.arange(16.0).reshape(4, 4)
    pooled = pool_errors(errors, patch=2, topk=0.25)
    assert set(pooled) == set(POOLINGS)
    assert pooled["mean"] == 7.5
    assert pooled["max"] == 15
    assert pooled["topk"] == (12 + 13 + 14 + 15) / 4
    assert pooled["patch_max"] == (10 + 11 + 14 + 15) / 4


@pytest.mark.parametrize(("share", "expected"), [(1e-9, 15.0), (0.1, 14.5), (0.5, 11.5), (1.0, 7.5)])
def test_topk_takes_the_share_of_pixels_and_at_least_one(share, expected):
    assert pool_errors(torch.arange(16.0).reshape(4, 4), patch=2, topk=share)["topk"] == expected


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, 1.0), (2, 1.0), (4, 1.0), (1, 9 / 16), (3, 9 / 16)],  # off the grid of 2, a square covers 3x3 of the 4x4
)
def test_patches_overlap_by_half(offset, expected):
    block = slice(offset, offset + 4)
    assert pool_errors(hot(8, 8, block, block), patch=4, topk=0.01)["patch_max"] == expected


def test_patches_reach_the_last_row_and_column_of_a_map_that_they_do_not_tile():
    # 4x4 squares start at 0, 2 and 4; of the last, 3x3 are inside a 7x7 map.
    assert pool_errors(hot(7, 7, 6, 6), patch=4, topk=0.01)["patch_max"] == pytest.approx(1 / 9)


def test_a_patch_larger_than_the_map_is_as_large_as_its_shorter_side():
    assert pool_errors(hot(3, 3, 0, 0), patch=16, topk=0.01)["patch_max"] == pytest.approx(1 / 9)
    assert pool_errors(hot(2, 6, 0, 5), patch=16, topk=0.01)["patch_max"] == 1 / 4  # 2x2 squares


def test_patches_of_one_pixel_are_the_maximum():
    pooled = pool_errors(torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0)), patch=1, topk=0.1)
    assert torch.equal(pooled["patch_max"], pooled["max"])


def test_maps_of_a_batch_are_pooled_one_by_one():
    errors = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    pooled = pool_errors(errors, patch=4, topk=0.1)
    for name, values in pooled.items():
        assert values.shape == (2, 3)
        assert values[1, 2] == pool_errors(errors[1, 2], patch=4, topk=0.1)[name]
