"""Near-duplicates: which clips are too close in time, or too alike, to those chosen before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.mining.duplicates import apart, distinct

Places = list[tuple[str, tuple[float, float] | None]]


def test_a_clip_closer_than_the_gap_to_a_higher_one_of_its_video_is_left_out():
    places: Places = [("a", (10, 12)), ("a", (14, 16)), ("b", (14, 16)), ("a", (5, 7)), ("a", (19, 21)), ("a", None)]
    # Of (10, 12): (14, 16) starts 2 s later, (5, 7) ends 3 s before, (19, 21) starts 7 s later.
    assert apart(places, 3.0) == ([0, 2, 4, 5], 2)
    assert apart(places, 2.9) == ([0, 2, 3, 4, 5], 1)
    assert apart(places, 7.0) == ([0, 2, 5], 3)
    assert apart(places, 0.0) == (list(range(6)), 0)
    assert apart(places, 3.0, most=2) == ([0, 2], 1)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 5)), max_size=30),
    st.floats(0.5, 20),
)
def test_those_chosen_are_apart_and_each_left_out_is_close_to_a_higher_one(rows, gap: float):
    places: Places = [(video, (float(start), float(start + length))) for video, start, length in rows]

    def close(i: int, j: int) -> bool:
        (video, one), (other_video, other) = places[i], places[j]
        assert one is not None and other is not None
        return video == other_video and max(one[0] - other[1], other[0] - one[1]) <= gap

    chosen, left_out = apart(places, gap)
    assert left_out == len(places) - len(chosen)
    assert all(not close(i, j) for i in chosen for j in chosen if i < j)
    for i in set(range(len(places))) - set(chosen):
        assert any(close(i, j) for j in chosen if j < i)


def test_clips_of_a_camera_that_are_nearer_than_a_share_of_its_median_distance_are_alike():
    """Camera a: distances 0.5, 2, 10, 1.5, 9.5 and 8, median 5. Camera b, ten times as fine, has the same picture."""
    points = np.array([[0], [0.5], [2], [10], [0], [0.05], [0.2], [1]], np.float32)
    cameras = ["a"] * 4 + ["b"] * 4
    assert distinct(points, cameras, 0.09) == list(range(8))
    assert distinct(points, cameras, 0.11) == [0, 2, 3, 4, 6, 7]
    assert distinct(points, cameras, 0.41) == [0, 3, 4, 7]
    assert distinct(points, ["a"] * 8, 0.0) == list(range(8))


def test_of_equal_clips_one_is_left_and_two_different_ones_are_both_kept():
    assert distinct(np.ones((4, 3), np.float32), [""] * 4, 0.25) == [0]
    assert distinct(np.eye(2, dtype=np.float32), ["", ""], 0.25) == [0, 1]
    assert distinct(np.eye(1, dtype=np.float32), [""], 1.0) == [0]
    assert distinct(np.ones((3, 2), np.float32), ["a", "b", "a"], 0.25) == [0, 1]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_what_is_left_out_is_near_a_higher_one_of_its_camera(share: float):
    points = np.random.default_rng(3).random((60, 2)).astype(np.float32)
    cameras = ["a", "b", "c"] * 20
    chosen = distinct(points, cameras, share)
    for camera in "abc":
        own = [i for i in range(60) if cameras[i] == camera]
        pairs = [np.linalg.norm(points[i] - points[j]) for i in own for j in own if i < j]
        limit = share * np.median(pairs)
        for i in own:
            higher = [np.linalg.norm(points[i] - points[j]) for j in own if j in chosen and j < i]
            assert (i in chosen) == (min(higher, default=np.inf) > limit)
