"""Frame numbers that step by more than one are smoothed as frames are: gaps stay gaps, and jitter makes none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.test_smooth import config

from pixelplay.cli import load_config
from pixelplay.scores.fuse import process
from pixelplay.scores.settings import MemberConfig
from pixelplay.scores.smooth import SMOOTHERS, in_steps
from pixelplay.scores.table import VideoScores

NS = 33_366_700  # nanoseconds from frame to frame of 29.97 fps video
START = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("frames", "places"),
    [
        ([0, 10, 20, 30, 60, 70], [0, 1, 2, 3, 6, 7]),
        ([5, 6, 8, 9, 12], [5, 6, 8, 9, 12]),  # the usual step is 1: the numbers themselves
        ([7, 8, 9, 10**12], [7, 8, 9, 10**12]),
        ([0, 40, 79, 121, 240, 281], [0, 1, 2, 3, 6, 7]),  # jitter, and a gap of three
        ([0, 10, 12, 22, 32, 42], [0, 1, 2, 3, 4, 5]),  # never two on one place
        ([3], [3]),
        ([], []),
    ],
)
def test_places_are_counted_in_the_usual_step(frames: list[int], places: list[int]) -> None:
    assert in_steps(np.array(frames, np.int64)).tolist() == places


def test_nanoseconds_near_the_end_of_int64_do_not_overflow() -> None:
    largest = 2**63 - 1
    assert in_steps(np.array([0, largest // 2, largest - 1])).tolist() == [0, 1, 2]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(2, 10**9), st.integers(0, 10**17))
def test_places_strictly_increase_and_know_nothing_of_the_unit(gaps: list[int], step: int, start: int) -> None:
    usual = sorted(gaps)[(len(gaps) - 1) // 2]
    frames = np.cumsum([0, *gaps])
    places = in_steps(start + step * frames)
    assert (np.diff(places) >= 1).all()
    assert places.tolist() == in_steps(frames * step).tolist()
    if usual == 1:
        assert places.tolist() == frames.tolist()


def smoothed(frames: np.ndarray, scores: np.ndarray, method: str) -> np.ndarray:
    member: MemberConfig = load_config([]).fusion.default
    member = member.model_copy(
        update={
            "normalise": member.normalise.model_copy(update={"method": "none", "clip": None}),
            "smooth": config(method, window=5, sigma=2.0, decay=0.8, polyorder=1),
        }
    )
    return process({"test": {"a": VideoScores(frames, scores)}}, member)["test"]["a"].scores


@pytest.mark.parametrize("method", sorted(SMOOTHERS))
def test_timestamps_and_every_tenth_frame_are_smoothed_exactly_as_frames(method: str) -> None:
    rng = np.random.default_rng(0)
    numbers = np.delete(np.arange(60), [20, 21, 22, 41])  # with gaps
    scores = rng.normal(size=len(numbers))
    expected = smoothed(numbers, scores, method)
    jitter = rng.integers(-NS // 5, NS // 5, len(numbers))
    for frames in (10 * numbers, START + NS * numbers, START + NS * numbers + jitter):
        np.testing.assert_array_equal(smoothed(frames, scores, method), expected)
    assert method == "none" or not np.allclose(expected, scores)
