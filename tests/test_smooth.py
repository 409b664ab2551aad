"""Smoothing by frame number, against a direct O(T^2) computation and against scipy's own filters."""

import tracemalloc
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from pixelplay.config import SmoothConfig
from pixelplay.errors import DataError
from pixelplay.scores.smooth import SMOOTHERS, smooth


def config(method: str, window: int = 1, sigma: float = 1.0) -> SmoothConfig:
    return SmoothConfig(method=method, window=window, sigma=sigma)


def direct(scores: np.ndarray, frames: np.ndarray, settings_: SmoothConfig) -> np.ndarray:
    """Every weight of every pair of frames, without a grid."""
    lag = (frames[None, :] - frames[:, None]).astype(float)  # (T, T) how far column's frame lies after row's
    if settings_.method == "moving_average":
        before = settings_.window // 2
        weights = ((lag >= -before) & (lag < settings_.window - before)).astype(float)
    else:
        weights = np.exp(-(lag**2) / (2 * settings_.sigma**2)) * (np.abs(lag) <= int(4 * settings_.sigma + 0.5))
    return np.array([np.average(scores, weights=row) for row in weights])


GAPS = st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 9, 70, 10**12]), min_size=0, max_size=40)
CONFIGS = st.one_of(
    st.integers(1, 30).map(lambda window: config("moving_average", window=window)),
    st.floats(0.05, 12).map(lambda sigma: config("gaussian", sigma=sigma)),
)


@st.composite
def videos(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    frames = np.cumsum([draw(st.integers(0, 1000)), *draw(GAPS)])
    scores = draw(st.lists(st.floats(-100, 100), min_size=len(frames), max_size=len(frames)))
    return np.array(scores), frames


def test_every_method_of_the_config_has_its_function() -> None:
    assert set(SMOOTHERS) == set(get_args(SmoothConfig.model_fields["method"].annotation))


def test_moving_average_by_hand_with_a_missing_frame() -> None:
    # Frame 2 is missing, so frame 1 sees 0 and 1 only, and frame 3 itself alone.
    result = smooth(np.array([3.0, 6.0, 12.0]), np.array([0, 1, 3]), config("moving_average", window=3))
    assert result.tolist() == [4.5, 4.5, 12.0]


def test_an_even_window_looks_one_frame_further_back() -> None:
    result = smooth(np.array([0.0, 2.0, 6.0]), np.array([10, 11, 12]), config("moving_average", window=2))
    assert result.tolist() == [0.0, 1.0, 4.0]


def test_gaussian_by_hand_with_a_missing_frame() -> None:
    # Two frames apart at sigma 1: the neighbour weighs exp(-2).
    far = np.exp(-2.0)
    result = smooth(np.array([0.0, 1.0]), np.array([5, 7]), config("gaussian", sigma=1.0))
    np.testing.assert_allclose(result, [far / (1 + far), 1 / (1 + far)], atol=1e-15)


def test_gaussian_ends_at_four_sigma() -> None:
    scores = np.array([0.0, 1.0])
    assert smooth(scores, np.array([0, 9]), config("gaussian", sigma=2.0)).tolist() == [0.0, 1.0]
    assert smooth(scores, np.array([0, 8]), config("gaussian", sigma=2.0))[0] > 0


def test_none_changes_nothing() -> None:
    assert smooth(np.array([3.0, -1.0]), np.array([0, 1]), config("none")).tolist() == [3.0, -1.0]


@given(videos(), CONFIGS)
@settings(deadline=None)
def test_equals_the_direct_computation_and_stays_between_min_and_max(
    video: tuple[np.ndarray, np.ndarray], how: SmoothConfig
) -> None:
    scores, frames = video
    result = smooth(scores, frames, how)
    np.testing.assert_allclose(result, direct(scores, frames, how), rtol=1e-12, atol=1e-12)
    assert result.min() >= scores.min() and result.max() <= scores.max()


@given(videos(), CONFIGS, st.floats(-1e6, 1e6))
@settings(deadline=None)
def test_a_constant_stays_that_very_constant(
    video: tuple[np.ndarray, np.ndarray], how: SmoothConfig, value: float
) -> None:
    constant = np.full(len(video[1]), value)
    assert (smooth(constant, video[1], how) == constant).all()


@given(videos(), CONFIGS, st.integers(0, 10**9))
@settings(deadline=None)
def test_only_differences_of_frame_numbers_matter(
    video: tuple[np.ndarray, np.ndarray], how: SmoothConfig, start: int
) -> None:
    scores, frames = video
    assert (smooth(scores, frames + start, how) == smooth(scores, frames, how)).all()


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_moving_average_equals_scipy_where_neither_border_nor_gap_is_near(window: int) -> None:
    scores = np.random.default_rng(0).normal(size=200)
    result = smooth(scores, np.arange(200), config("moving_average", window=window))
    np.testing.assert_allclose(result[10:-10], uniform_filter1d(scores, window)[10:-10], atol=1e-12)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.7])
def test_gaussian_equals_scipy_where_neither_border_nor_gap_is_near(sigma: float) -> None:
    scores = np.random.default_rng(0).normal(size=200)
    result = smooth(scores, np.arange(200), config("gaussian", sigma=sigma))
    np.testing.assert_allclose(result[20:-20], gaussian_filter1d(scores, sigma)[20:-20], atol=1e-12)


def test_one_huge_score_leaves_no_trace_beyond_its_window() -> None:
    scores = np.full(50, 1e-3)
    scores[10] = 1e17
    result = smooth(scores, np.arange(50), config("moving_average", window=5))
    assert (result[13:] == 1e-3).all()


def test_memory_follows_the_reach_and_not_the_frame_numbers() -> None:
    frames = np.arange(1000, dtype=np.int64) * 10**4
    scores = np.linspace(0, 1, 1000)
    tracemalloc.start()
    result = smooth(scores, frames, config("gaussian", sigma=5.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (result == scores).all()
    assert peak < 2_000_000  # bytes


@pytest.mark.parametrize("how", [config("moving_average", window=10**9), config("gaussian", sigma=1e9)])
def test_a_reach_beyond_the_video_gives_its_mean(how: SmoothConfig) -> None:
    np.testing.assert_allclose(smooth(np.array([1.0, 2.0, 6.0]), np.array([3, 4, 9]), how), [3.0] * 3, atol=1e-9)


def test_no_frames_give_no_scores() -> None:
    assert smooth(np.empty(0), np.empty(0, dtype=int), config("gaussian")).shape == (0,)


@pytest.mark.parametrize(
    ("scores", "frames", "message"),
    [
        ([1.0, 2.0], [0], "alike"),
        ([1.0, 2.0], [0.0, 1.0], "integer"),
        ([1.0, 2.0], [4, 4], "4 comes after 4"),
        ([1.0, 2.0], [4, 3], "3 comes after 4"),
        ([1.0, np.nan], [4, 5], "first at frame 5"),
    ],
)
def test_wrong_inputs_are_refused(scores: list, frames: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        smooth(np.array(scores), np.array(frames), config("gaussian"))
