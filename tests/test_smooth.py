"""Smoothing by frame number, against direct O(T^2) computations and against scipy's and pandas' own filters."""

import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d, median_filter, uniform_filter1d
from scipy.signal import savgol_filter

from pixelplay.errors import DataError
from pixelplay.scores import smooth as smoothers
from pixelplay.scores.settings import SmoothConfig
from pixelplay.scores.smooth import CAUSAL, SMOOTHERS, smooth


def config(method: str, window: int = 5, sigma: float = 1.0, decay: float = 0.5, polyorder: int = 2) -> SmoothConfig:
    return SmoothConfig(method=method, window=window, sigma=sigma, decay=decay, polyorder=polyorder)


def direct(scores: np.ndarray, frames: np.ndarray, how: SmoothConfig, counts: np.ndarray) -> np.ndarray:
    """Frame by frame, from the lag of every other frame, without a grid; `counts` where any in reach counts."""
    result = []
    for at, frame in enumerate(frames):
        lag = (frames - frame).astype(float)
        before = how.window // 2
        if how.method.startswith("causal_"):
            window = (lag > -how.window) & (lag <= 0)
        else:
            window = (lag >= -before) & (lag < how.window - before)
        bell = np.exp(-(lag**2) / (2 * how.sigma**2)) * (np.abs(lag) <= int(4 * how.sigma + 0.5))
        past = lag <= 0
        reached = {
            "moving_average": window,
            "causal_moving_average": window,
            "gaussian": bell,
            "causal_gaussian": bell * past,
            "ema": np.where(past, how.decay ** np.abs(lag), 0),
            "median": window,
            "causal_median": window,
            "savitzky_golay": window,
        }[how.method].astype(float)
        weights = counts * reached if (counts * reached).any() else reached
        if how.method.endswith("median"):
            result.append(weighted_median(scores, weights))
        elif how.method == "savitzky_golay":
            seen = weights > 0
            degree = min(how.polyorder, seen.sum() - 1)
            unit = lag[seen] / before  # polyfit squares the condition of its terms
            roots = np.sqrt(weights[seen])
            result.append(np.polyfit(unit, scores[seen] - scores[at], degree, w=roots)[-1] + scores[at])
        else:
            result.append(np.average(scores, weights=weights))
    return np.array(result)


def weighted_median(scores: np.ndarray, weights: np.ndarray) -> float:
    """The middle of the values at which as much weight lies below as above, from the definition."""
    half = weights.sum() / 2
    values = np.unique(scores[weights > 0])
    middle = [
        value
        for value in values
        if weights[scores < value].sum() <= half * (1 + 1e-9) and weights[scores > value].sum() <= half * (1 + 1e-9)
    ]
    return (middle[0] + middle[-1]) / 2


ALL = sorted(set(SMOOTHERS) - {"none"})
MEANS = sorted(set(ALL) - {"savitzky_golay"})  # their results lie between the extremes
GAPS = st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 9, 70, 10**12]), min_size=0, max_size=40)
PARTS = {
    "window": st.integers(1, 30),
    "sigma": st.floats(0.05, 12),
    "decay": st.floats(0.01, 0.99),
    "polyorder": st.integers(0, 3),
}


def configs(methods: list[str] = ALL) -> st.SearchStrategy[SmoothConfig]:
    parts = st.fixed_dictionaries({"method": st.sampled_from(methods), **PARTS})
    possible = parts.filter(lambda p: p["method"] != "savitzky_golay" or p["window"] > p["polyorder"] + 1)
    return possible.map(lambda p: config(**p))


@st.composite
def videos(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    frames = np.cumsum([draw(st.integers(0, 1000)), *draw(GAPS)])
    scores = draw(st.lists(st.floats(-100, 100), min_size=len(frames), max_size=len(frames)))
    return np.array(scores), frames


@st.composite
def weighted_videos(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, frames = draw(videos())
    weights = draw(st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=len(frames), max_size=len(frames)))
    return scores, frames, np.array(weights)


def test_causal_methods_are_smoothers() -> None:
    assert set(SMOOTHERS) > CAUSAL


def test_moving_average_by_hand_with_a_missing_frame() -> None:
    # Frame 2 is missing, so frame 1 sees 0 and 1 only, and frame 3 itself alone.
    result = smooth(np.array([3.0, 6.0, 12.0]), np.array([0, 1, 3]), config("moving_average", window=3))
    assert result.tolist() == [4.5, 4.5, 12.0]


def test_an_even_window_looks_one_frame_further_back() -> None:
    scores, frames = np.array([0.0, 2.0, 6.0]), np.array([10, 11, 12])
    assert smooth(scores, frames, config("moving_average", window=2)).tolist() == [0.0, 1.0, 4.0]
    assert smooth(scores, frames, config("median", window=2)).tolist() == [0.0, 1.0, 4.0]


def test_gaussian_by_hand_with_a_missing_frame() -> None:
    # Two frames apart at sigma 1: the neighbour weighs exp(-2).
    far = np.exp(-2.0)
    result = smooth(np.array([0.0, 1.0]), np.array([5, 7]), config("gaussian", sigma=1.0))
    np.testing.assert_allclose(result, [far / (1 + far), 1 / (1 + far)], atol=1e-15)
    causal = smooth(np.array([0.0, 1.0]), np.array([5, 7]), config("causal_gaussian", sigma=1.0))
    np.testing.assert_allclose(causal, [0, 1 / (1 + far)], atol=1e-15)


def test_gaussian_ends_at_four_sigma() -> None:
    scores = np.array([0.0, 1.0])
    assert smooth(scores, np.array([0, 9]), config("gaussian", sigma=2.0)).tolist() == [0.0, 1.0]
    assert smooth(scores, np.array([0, 8]), config("gaussian", sigma=2.0))[0] > 0


def test_ema_by_hand_with_a_missing_frame() -> None:
    # Decay 1/2: frame 1 weighs 1/2 beside 1, and at frame 3 frames 0, 1 and 3 weigh 1/8, 1/4 and 1.
    result = smooth(np.array([4.0, 1.0, 10.0]), np.array([0, 1, 3]), config("ema", decay=0.5))
    np.testing.assert_allclose(result, [4, (2 + 1) / 1.5, (0.5 + 0.25 + 10) / 1.375], rtol=1e-15)


def test_median_by_hand_with_a_missing_frame_and_an_outlier() -> None:
    # Frame 3 is missing: frame 1 sees 0, 1 and 2, frame 4 sees 2, 4, 5 and 6.
    scores, frames = np.array([1.0, 90.0, 2.0, 5.0, 3.0, 4.0]), np.array([0, 1, 2, 4, 5, 6])
    result = smooth(scores, frames, config("median", window=5))
    assert result.tolist() == [2.0, 2.0, 3.5, 3.5, 4.0, 4.0]
    causal = smooth(scores, frames, config("causal_median", window=3))
    assert causal.tolist() == [1.0, 45.5, 2.0, 3.5, 4.0, 4.0]


def test_causal_moving_average_by_hand() -> None:
    result = smooth(np.array([3.0, 6.0, 12.0]), np.array([0, 1, 3]), config("causal_moving_average", window=3))
    assert result.tolist() == [3.0, 4.5, 9.0]


def test_savitzky_golay_gives_a_parabola_back_across_gaps_and_ends() -> None:
    frames = np.array([3, 4, 5, 6, 8, 9, 10, 14, 15, 16, 17])
    parabola = 0.5 * frames**2 - 4 * frames + 1.0
    result = smooth(parabola, frames, config("savitzky_golay", window=7, polyorder=2))
    np.testing.assert_allclose(result, parabola, atol=1e-9)


def test_savitzky_golay_can_overshoot_where_a_mean_can_not() -> None:
    scores = np.array([0.0, 0, 0, 1, 1, 1, 0, 0, 0])
    assert smooth(scores, np.arange(9), config("savitzky_golay", window=5, polyorder=2)).max() > 1.05


def test_none_changes_nothing() -> None:
    assert smooth(np.array([3.0, -1.0]), np.array([0, 1]), config("none"), np.zeros(2)).tolist() == [3.0, -1.0]


@given(weighted_videos(), configs())
@settings(deadline=None, max_examples=300)
def test_equals_the_direct_computation(video: tuple[np.ndarray, np.ndarray, np.ndarray], how: SmoothConfig) -> None:
    scores, frames, weights = video
    result = smooth(scores, frames, how, weights)
    np.testing.assert_allclose(result, direct(scores, frames, how, weights), rtol=1e-9, atol=1e-7)


@given(videos(), configs(MEANS))
@settings(deadline=None)
def test_means_and_medians_stay_between_the_extremes(video: tuple[np.ndarray, np.ndarray], how: SmoothConfig) -> None:
    result = smooth(*video, how)
    assert result.min() >= video[0].min() and result.max() <= video[0].max()


@given(weighted_videos(), configs(), st.floats(-1e6, 1e6))
@settings(deadline=None)
def test_a_constant_stays_that_very_constant(
    video: tuple[np.ndarray, np.ndarray, np.ndarray], how: SmoothConfig, value: float
) -> None:
    _, frames, weights = video
    constant = np.full(len(frames), value)
    assert (smooth(constant, frames, how, weights) == constant).all()


@given(videos(), configs(), st.integers(0, 10**9))
@settings(deadline=None)
def test_only_differences_of_frame_numbers_matter(
    video: tuple[np.ndarray, np.ndarray], how: SmoothConfig, start: int
) -> None:
    scores, frames = video
    assert (smooth(scores, frames + start, how) == smooth(scores, frames, how)).all()


@given(weighted_videos(), configs(sorted(CAUSAL - {"none"})), st.data())
@settings(deadline=None, max_examples=200)
def test_causal_methods_never_look_ahead(
    video: tuple[np.ndarray, np.ndarray, np.ndarray], how: SmoothConfig, data: st.DataObject
) -> None:
    scores, frames, weights = video
    seen = data.draw(st.integers(1, len(frames)))
    whole = smooth(scores, frames, how, weights)
    assert (smooth(scores[:seen], frames[:seen], how, weights[:seen]) == whole[:seen]).all()


@pytest.mark.parametrize("method", sorted(CAUSAL))
def test_not_even_the_rounding_of_a_causal_method_depends_on_what_follows(method: str) -> None:
    scores = np.array([0.1] * 7 + [5.0])  # the mean of three times 0.1 is 0.10000000000000002
    for window in range(1, 8):
        assert smooth(scores, np.arange(8), config(method, window=window, decay=0.7))[:7].tolist() == [0.1] * 7
    # Nor where a gap has cut the past off: 0.3 * 2.03283059e-56 / 0.3 is not quite the score.
    scores, frames = np.array([0.0, 1.0, 2.03283059e-56, 1.0]), np.array([0, 1, 11, 12])
    weights = np.array([0.0, 0.0, 0.3, 0.0])
    whole, seen = (smooth(scores[:n], frames[:n], config(method), weights[:n]) for n in (4, 3))
    assert whole[:3].tolist() == seen.tolist()


@pytest.mark.parametrize("method", sorted(set(ALL) - CAUSAL))
def test_the_other_methods_do_look_ahead(method: str) -> None:
    scores = np.array([0.0, 0.0, 2.0, 8.0, 8.0, 8.0])
    whole = smooth(scores, np.arange(6), config(method, window=5))
    assert whole[2] != smooth(scores[:3], np.arange(3), config(method, window=5))[2]


@given(weighted_videos(), configs(sorted(set(MEANS) - {"median", "causal_median"})))
@settings(deadline=None)
def test_equal_weights_are_no_weights_whatever_they_are(
    video: tuple[np.ndarray, np.ndarray, np.ndarray], how: SmoothConfig
) -> None:
    scores, frames, _ = video
    plain = smooth(scores, frames, how)
    for weight in (0.0, 0.3):
        result = smooth(scores, frames, how, np.full(len(scores), weight))
        np.testing.assert_allclose(result, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ALL)
def test_a_frame_without_weight_is_filled_from_its_neighbours(method: str) -> None:
    scores, weights = np.full(21, 2.0), np.ones(21)
    scores[10], weights[10] = 500.0, 0.0
    result = smooth(scores, np.arange(21), config(method, window=5), weights)
    np.testing.assert_allclose(result, 2.0, atol=1e-9)


def test_weights_by_hand() -> None:
    scores, frames = np.array([1.0, 9.0, 2.0]), np.arange(3)
    result = smooth(scores, frames, config("moving_average", window=3), np.array([1.0, 0.25, 1.0]))
    np.testing.assert_allclose(result, [(1 + 2.25) / 1.25, (1 + 2.25 + 2) / 2.25, (2.25 + 2) / 1.25])
    # Of the weights 0.4, 1 and 0.4 the half is 0.9, which lies within the middle score's.
    assert smooth(np.array([1.0, 5.0, 9.0]), frames, config("median", window=5), np.array([0.4, 1, 0.4]))[1] == 5.0
    # 0.5, 0.5 and 1: as much below 9 as from there on, so the middle of 5 and 9.
    assert smooth(np.array([1.0, 5.0, 9.0]), frames, config("median", window=5), np.array([0.5, 0.5, 1]))[1] == 7.0


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


@pytest.mark.parametrize("window", [1, 3, 9])
def test_median_equals_scipy_where_no_border_is_near(window: int) -> None:
    scores = np.random.default_rng(0).normal(size=200)
    result = smooth(scores, np.arange(200), config("median", window=window))
    assert (result[10:-10] == median_filter(scores, window)[10:-10]).all()


@pytest.mark.parametrize(("window", "polyorder"), [(5, 2), (11, 3), (9, 0), (15, 5)])
def test_savitzky_golay_equals_scipy_where_no_border_is_near(window: int, polyorder: int) -> None:
    scores = np.random.default_rng(0).normal(size=200)
    result = smooth(scores, np.arange(200), config("savitzky_golay", window=window, polyorder=polyorder))
    np.testing.assert_allclose(result[10:-10], savgol_filter(scores, window, polyorder)[10:-10], atol=1e-10)


@pytest.mark.parametrize("decay", [0.1, 0.9, 0.999])
def test_ema_equals_pandas_gaps_included(decay: float) -> None:
    rng = np.random.default_rng(0)
    frames = np.flatnonzero(rng.random(300) < 0.7)
    scores = rng.normal(size=len(frames))
    dense = pd.Series(scores, index=frames).reindex(range(frames[0], frames[-1] + 1))
    expected = dense.ewm(alpha=1 - decay, adjust=True, ignore_na=False).mean()[frames]
    np.testing.assert_allclose(smooth(scores, frames, config("ema", decay=decay)), expected, rtol=1e-10)


def test_far_from_its_start_ema_is_the_recursion_of_the_source_document() -> None:
    scores = np.random.default_rng(0).normal(size=400)
    result = smooth(scores, np.arange(400), config("ema", decay=0.9))
    np.testing.assert_allclose(result[300:], 0.9 * result[299:-1] + 0.1 * scores[300:], atol=1e-12)


@pytest.mark.parametrize("method", ["moving_average", "causal_moving_average", "median", "savitzky_golay"])
def test_one_huge_score_leaves_no_trace_beyond_its_window(method: str) -> None:
    scores = np.full(50, 1e-3)
    scores[10] = 1e17
    result = smooth(scores, np.arange(50), config(method, window=5))
    assert (result[15:] == 1e-3).all() and (result[:8] == 1e-3).all()


@pytest.mark.parametrize("method", ["median", "savitzky_golay"])
def test_windows_are_made_of_few_frames_at_a_time_which_changes_nothing(method: str, monkeypatch) -> None:
    scores, frames = np.random.default_rng(0).normal(size=300), np.arange(300)
    whole = smooth(scores, frames, config(method, window=31))
    sizes, windows = [], smoothers._windows

    def noted(*given: object) -> Iterator[tuple[np.ndarray, ...]]:
        for rows, at, inside in windows(*given):
            sizes.append(at.size)
            yield rows, at, inside

    monkeypatch.setattr(smoothers, "_windows", noted)
    monkeypatch.setattr(smoothers, "CHUNK", 1000)
    np.testing.assert_array_equal(smooth(scores, frames, config(method, window=31)), whole)
    assert max(sizes) <= 1000 < sum(sizes)


@pytest.mark.parametrize("method", ALL)
def test_a_competition_s_worth_of_frames_is_smoothed_in_a_moment(method: str) -> None:
    scores, frames = np.random.default_rng(0).normal(size=12_000), np.arange(12_000)
    start = time.process_time()
    smooth(scores, frames, config(method, window=15, sigma=5.0))
    assert time.process_time() - start < 2.0  # seconds; it takes a fraction of that


@pytest.mark.parametrize(
    "how",
    [config("moving_average", window=10_000), config("gaussian", sigma=1e4), config("ema", decay=1 - 1e-12)],
)
def test_a_reach_beyond_the_video_gives_its_mean(how: SmoothConfig) -> None:
    result = smooth(np.array([1.0, 2.0, 6.0]), np.array([3, 4, 9]), how)
    assert result[-1] == pytest.approx(3.0, abs=1e-6)
    assert how.method == "ema" or result == pytest.approx([3.0] * 3, abs=1e-6)


def test_a_window_beyond_the_video_gives_its_median() -> None:
    result = smooth(np.array([1.0, 2.0, 6.0]), np.array([3, 4, 9]), config("median", window=10_000))
    assert result.tolist() == [2.0] * 3


@pytest.mark.parametrize("method", sorted(SMOOTHERS))
def test_one_frame_keeps_its_score_and_none_gives_none(method: str) -> None:
    assert smooth(np.array([0.1]), np.array([7]), config(method)).tolist() == [0.1]
    assert smooth(np.empty(0), np.empty(0, dtype=int), config(method)).shape == (0,)


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


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0], "alike"), ([1.0, 1.5], "not in .0, 1., the first at frame 5: 1.5"), ([np.nan, 1.0], "frame 4: nan")],
)
def test_wrong_weights_are_refused(weights: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        smooth(np.array([1.0, 2.0]), np.array([4, 5]), config("gaussian"), np.array(weights))
