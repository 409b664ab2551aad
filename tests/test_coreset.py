"""Coresets: the naive algorithm's centres index for index on all kinds of data, covering radii by hand, bad input."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelplay.errors import ConfigError, DataError
from pixelplay.memory import coreset as module
from pixelplay.memory.coreset import CoresetConfig, greedy_k_center, select_coreset, squared_distances
from pixelplay.settings import validate

KINDS = ("normal", "clusters", "duplicates", "constant", "integers", "far from 0", "far outlier", "tiny", "huge")


def naive(vectors: np.ndarray, count: int, first: int) -> tuple[list[int], float]:
    """The definition: every distance in float32, none twice, ties to the lowest index; and the covering radius."""
    chosen, nearest = [first], np.square(vectors - vectors[first]).sum(axis=1)
    for _ in range(count - 1):
        nearest[chosen[-1]] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(vectors - vectors[chosen[-1]]).sum(axis=1))
    return chosen, float(np.sqrt(max(0, nearest.max())))


def data(kind: str, count: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, d))
    spots = rng.normal(size=(max(1, count // 20), d))[rng.integers(max(1, count // 20), size=count)]
    made = {
        "normal": x,
        "clusters": 10 * spots + 0.1 * x,
        "duplicates": spots,
        "constant": np.full((count, d), 0.3),
        "integers": rng.integers(-1, 2, (count, d)),  # masses of exact ties
        "far from 0": x + 1e4,
        "far outlier": np.where(np.arange(count)[:, None] == count // 2, 1e6, x),  # rounding hides all other distances
        "tiny": 5e-23 * x,  # squares underflow, many of them to 0
        "huge": 1e16 * x,
    }
    return made[kind].astype(np.float32)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that a few hundred vectors take many rounds, tiles and batches of pairs."""
    for name, value in {"ROWS": 16, "CENTERS": 8, "PAIRS": 32, "FRONT": 8, "MIN_FRONT": 4, "COMPACT": 4}.items():
        monkeypatch.setattr(module, name, value)


SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=["function_scoped_fixture"])


@pytest.mark.usefixtures("small_tiles")
@SETTINGS
@given(st.sampled_from(KINDS), st.integers(1, 300), st.integers(1, 40), st.integers(0, 2**32 - 1), st.data())
def test_the_centres_are_the_naive_algorithm_s(kind: str, size: int, d: int, seed: int, draw: st.DataObject):
    vectors = data(kind, size, d, seed)
    count, first = draw.draw(st.integers(1, size)), draw.draw(st.integers(0, size - 1))
    expected, radius = naive(vectors, count, first)
    coreset = greedy_k_center(vectors, count, first, threads=2)
    assert coreset.indices.dtype == np.int64
    assert coreset.indices.tolist() == expected
    assert coreset.radius == radius


@pytest.mark.parametrize("kind", ["normal", "clusters", "integers", "far from 0"])
def test_the_centres_are_the_naive_algorithm_s_with_tiles_of_the_real_size(kind: str):
    vectors = data(kind, 5000, 32, seed=1)
    expected, radius = naive(vectors, 700, 17)
    coreset = greedy_k_center(vectors, 700, 17, threads=2)
    assert coreset.indices.tolist() == expected
    assert coreset.radius == radius


@pytest.mark.usefixtures("small_tiles")
def test_the_number_of_threads_changes_nothing():
    vectors = data("clusters", 2000, 16, seed=2)
    one, many = (greedy_k_center(vectors, 300, 5, threads=threads) for threads in (1, 5))
    assert one.indices.tolist() == many.indices.tolist() and one.radius == many.radius


def test_a_memory_mapped_file_and_a_strided_view_give_what_the_array_gives(tmp_path):
    vectors = data("clusters", 1500, 8, seed=3)
    np.save(tmp_path / "features.npy", vectors)
    expected = greedy_k_center(vectors, 100, 0, threads=1).indices.tolist()
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert greedy_k_center(mapped, 100, 0, threads=2).indices.tolist() == expected
    assert greedy_k_center(np.repeat(vectors, 2, axis=1)[:, ::2], 100, 0, threads=2).indices.tolist() == expected


def test_a_line_by_hand():
    line = np.array([[0], [1], [4], [10], [6]], np.float32)
    coreset = greedy_k_center(line, 3, 0, threads=1)
    assert coreset.indices.tolist() == [0, 3, 2]  # 10 away, then 4 from both 0 and 10 (6 is as far, and comes later)
    assert coreset.radius == 2  # of 6, from 4
    assert greedy_k_center(line, 5, 0, threads=1).indices.tolist() == [0, 3, 2, 4, 1]


def test_no_vector_is_taken_twice_and_equal_ones_follow_in_order():
    vectors = np.array([[1, 1], [0, 0], [1, 1], [0, 0], [1, 1]], np.float32)
    coreset = greedy_k_center(vectors, 5, 2, threads=1)
    assert coreset.indices.tolist() == [2, 1, 0, 3, 4]
    assert coreset.radius == 0


@given(st.integers(1, 200), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_a_distance_does_not_depend_on_the_rows_beside_it(size: int, d: int, seed: int):
    vectors = data("normal", size, d, seed)
    rows = np.random.default_rng(seed).integers(size, size=size // 3 + 1)
    everything = np.square(vectors - vectors[0]).sum(axis=1)
    assert (squared_distances(vectors[rows], vectors[0]) == everything[rows]).all()
    assert (squared_distances(vectors[rows], np.tile(vectors[:1], (len(rows), 1))) == everything[rows]).all()


def test_with_fewer_vectors_than_asked_for_all_are_kept_and_a_warning_says_so(caplog):
    vectors = data("normal", 7, 3, seed=4)
    with caplog.at_level(logging.WARNING):
        coreset = greedy_k_center(vectors, 3000, 1, threads=1)
    assert coreset.indices.tolist() == naive(vectors, 7, 1)[0]
    assert "coreset of 3000 requested, but there are only 7 vectors" in caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("row", "first"), [(700, 3), (700, 700), (0, 3)])
def test_a_value_that_is_not_finite_is_refused_and_placed(value: float, row: int, first: int):
    vectors = data("normal", 1000, 5, seed=5)
    vectors[row, 2] = value
    with pytest.raises(DataError, match=rf"vector {row} of 1000 has {value} at position 2"):
        greedy_k_center(vectors, 10, first, threads=2)


def test_vectors_too_far_apart_for_float32_are_refused():
    with pytest.raises(DataError, match="scale them"):
        greedy_k_center(np.array([[0], [1e19]], np.float32), 2, 0, threads=1)


@pytest.mark.parametrize(
    ("vectors", "count", "first", "threads"),
    [
        (np.zeros((3, 2)), 1, 0, 1),
        (np.zeros(3, np.float32), 1, 0, 1),
        (np.zeros((0, 2), np.float32), 1, 0, 1),
        (np.zeros((3, 2), np.float32), 0, 0, 1),
        (np.zeros((3, 2), np.float32), 1, 3, 1),
        (np.zeros((3, 2), np.float32), 1, -1, 1),
        (np.zeros((3, 2), np.float32), 1, 0, -1),
    ],
)
def test_impossible_arguments_are_refused(vectors: np.ndarray, count: int, first: int, threads: int):
    with pytest.raises(ValueError, match=r"must be float32|impossible for"):
        greedy_k_center(vectors, count, first, threads)


# --- how many, and by groups ----------------------------------------------------------------------------------------


def config(count: int | None = None, ratio: float | None = None, per_group: int | None = None) -> CoresetConfig:
    return validate(CoresetConfig, {"count": count, "ratio": ratio, "per_group": per_group})


def test_the_size_is_the_count_or_the_ratio_of_what_there_is_and_never_none():
    assert config(count=3000).size(10) == 3000
    assert config(ratio=0.01).size(1_000_000) == 10_000
    assert config(ratio=0.29).size(100) == 29  # int(0.29 * 100) is 28
    assert config(ratio=0.01).size(30) == 1  # int(0.01 * 30) is 0
    assert config(ratio=1.0).size(30) == 30


@pytest.mark.parametrize("given", [{}, {"count": 5, "ratio": 0.5}, {"count": 0}, {"ratio": 0.0}, {"ratio": 1.5}])
def test_a_count_and_a_ratio_both_or_neither_or_out_of_range_are_refused(given):
    with pytest.raises(ConfigError):
        config(**given)


def test_all_groups_at_once_are_one_array_of_all_vectors():
    vectors = data("clusters", 600, 8, seed=6)
    groups = [vectors[:100], vectors[100:100], vectors[100:]]
    together = select_coreset(groups, config(count=50), seed=7)
    assert together.indices.tolist() == select_coreset([vectors], config(count=50), seed=7).indices.tolist()
    first = int(together.indices[0])
    assert together.indices.tolist() == naive(vectors, 50, first)[0]
    assert len({int(select_coreset([vectors], config(count=1), seed).indices[0]) for seed in range(9)}) > 1


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS[:5]), st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 20))
def test_groups_first_chooses_among_what_each_group_chose_and_bounds_the_radius(kind, sizes, per_group):
    if not sum(sizes):
        sizes = [*sizes, 5]
    vectors = data(kind, sum(sizes), 4, seed=8)
    groups = np.split(vectors, np.cumsum(sizes)[:-1])
    coreset = select_coreset(groups, config(count=10, per_group=per_group), seed=9)
    kept = sum(min(size, per_group) for size in sizes)
    assert len(coreset.indices) == len(set(coreset.indices.tolist())) == min(10, kept)
    numbers = np.repeat(np.arange(len(sizes)), sizes)[coreset.indices]
    assert np.bincount(numbers).max() <= per_group
    true = np.sqrt(np.square(vectors[:, None] - vectors[coreset.indices]).sum(axis=2).min(axis=1).max())
    assert true <= coreset.radius * (1 + 1e-5)


def test_groups_first_by_hand():
    groups = [np.array([[0], [0], [9]], np.float32), np.array([[20], [29], [20]], np.float32)]
    values = np.concatenate(groups)[:, 0]
    coreset = select_coreset(groups, config(count=4, per_group=2), seed=0)
    assert sorted(values[coreset.indices]) == [0, 9, 20, 29]  # the ends of either group, whichever comes first
    assert coreset.radius == 0
    one_each = select_coreset(groups, config(count=2, per_group=1), seed=0)
    assert set(one_each.indices.tolist()) & {0, 1, 2} and set(one_each.indices.tolist()) & {3, 4, 5}
    assert one_each.radius == 9  # what each group's one leaves out; then nothing is left out


def test_no_vectors_at_all_are_refused():
    with pytest.raises(DataError, match="nothing was detected"):
        select_coreset([np.zeros((0, 4), np.float32)], config(count=3), seed=0)
