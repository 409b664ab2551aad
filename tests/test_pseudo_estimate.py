"""How corrupted the test footage is: shares and levels that can be counted by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.synthetic.pseudo.dataset import estimate_corruption, two_levels


def found(flipped: list[int], levels: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"flipped": flipped, "noise_level": levels})


def test_shares_and_levels_are_those_of_the_frames_found():
    table = found([1, 0, 0, 0, 0, 0, 0, 0, 0, 1], [1.0, 15.0, 16.0, 17.0, 11.0, 12.0, 0.5, 2.0, 7.9, 16.0])
    corruption = estimate_corruption(table, above=8.0)
    assert (corruption.flip, corruption.heavy, corruption.light, corruption.missing) == (0.2, 0.3, 0.2, 0.0)
    assert (corruption.heavy_sd, corruption.light_sd) == (16.0, 11.5)


def test_a_level_that_is_just_the_limit_is_no_noise():
    assert estimate_corruption(found([0, 0], [8.0, 8.01]), above=8.0).heavy == 0.5


def test_clean_footage_gives_no_corruption():
    corruption = estimate_corruption(found([0] * 5, [0.0, 1.0, 1.8, 2.0, 0.3]), above=8.0)
    assert set(corruption.model_dump().values()) == {0.0}


def test_noise_of_one_level_is_heavy():
    corruption = estimate_corruption(found([0] * 4, [12.0, 12.0, 12.0, 1.0]), above=8.0)
    assert (corruption.heavy, corruption.heavy_sd, corruption.light, corruption.light_sd) == (0.75, 12.0, 0.0, 0.0)


def test_footage_of_which_every_frame_is_flipped_has_shares_that_fit():
    assert estimate_corruption(found([1, 1], [20.0, 1.0]), above=8.0).flip == 1.0


def test_no_frame_at_all_is_refused():
    with pytest.raises(ValueError, match="no test frame"):
        estimate_corruption(found([], []), above=8.0)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8))
def test_two_levels_have_the_least_squared_distance_of_all_groupings(values: list[int]):
    low, high = two_levels(np.array(values, float))
    assert sorted([*low, *high]) == sorted(values)
    assert not len(low) or low.max() < high.min()

    def spread(group: tuple[int, ...] | np.ndarray) -> float:
        return float(np.var(group) * len(group)) if len(group) else 0.0

    every = (
        spread(chosen) + spread([values[i] for i in range(len(values)) if i not in places])
        for size in range(len(values) + 1)
        for places in combinations(range(len(values)), size)
        for chosen in [[values[i] for i in places]]
    )
    assert spread(low) + spread(high) == pytest.approx(min(every), abs=1e-9)
