"""Windows: every frame covered, consecutive positions, no look ahead in the causal ones, and the way back to frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.videos.windows import (
    CausalWindow,
    FrameScores,
    causal_windows,
    frames_of_clips,
    gather,
    windows,
)

FRAMES = st.integers(1, 60)
LENGTHS = st.integers(1, 20)
STRIDES = st.integers(1, 20)


@st.composite
def settings_that_skip_nothing(draw: st.DrawFn) -> tuple[int, int, int]:
    """(frames, length, stride) with stride <= length."""
    length = draw(LENGTHS)
    return draw(FRAMES), length, draw(st.integers(1, length))


def test_windows_of_a_short_video_by_hand():
    assert windows(7, 3, 2).tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert windows(8, 3, 2).tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6], [5, 6, 7]]  # the tail has its own window
    assert windows(2, 4, 1).tolist() == [[0, 1, 1, 1]]
    assert windows(1, 1, 1).tolist() == [[0]]


@given(settings_that_skip_nothing())
def test_every_frame_is_in_a_window_and_every_window_has_the_length(setting: tuple[int, int, int]):
    frames, length, stride = setting
    positions = windows(frames, length, stride)
    assert positions.shape[1] == length
    assert set(positions.ravel().tolist()) == set(range(frames))


@given(settings_that_skip_nothing())
def test_windows_are_consecutive_frames_at_the_stride_and_the_last_ends_at_the_last_frame(
    setting: tuple[int, int, int],
):
    frames, length, stride = setting
    positions = windows(frames, length, stride)
    assert positions[-1, -1] == frames - 1
    if frames >= length:
        assert (np.diff(positions, axis=1) == 1).all()
        steps = np.diff(positions[:, 0])
        assert (steps[:-1] == stride).all() and (steps > 0).all() and (steps <= stride).all()
    else:
        assert positions.tolist() == [[*range(frames), *[frames - 1] * (length - frames)]]


@given(FRAMES, LENGTHS, STRIDES)
def test_causal_windows_never_look_past_the_frame_that_they_end_at(frames: int, length: int, stride: int):
    positions = causal_windows(frames, length, stride)
    ends = np.arange(0, frames, stride)
    assert positions.shape == (len(ends), length)
    assert (positions.max(axis=1) == ends).all() and (positions[:, -1] == ends).all()
    for row, end in zip(positions.tolist(), ends.tolist(), strict=True):
        assert row == [max(0, end - back) for back in reversed(range(length))]


@given(FRAMES, LENGTHS, STRIDES)
def test_the_windows_of_a_stream_are_the_causal_windows_and_end_when_their_last_frame_comes(
    frames: int, length: int, stride: int
):
    window = CausalWindow[int](length, stride)
    found = {t: ended for t in range(frames) if (ended := window.add(t)) is not None}
    expected = causal_windows(frames, length, stride)
    assert list(found) == expected[:, -1].tolist()
    assert list(found.values()) == expected.tolist()


@given(FRAMES, STRIDES)
def test_a_causal_frame_score_is_the_latest_window_s_that_has_ended(frames: int, stride: int):
    ends = causal_windows(frames, 4, stride)[:, -1]
    causal = FrameScores(frames, stride, causal=True)
    causal.add(ends[:, None], ends.astype(float))  # a window's score tells where it ends
    scores = causal.result()
    assert scores.dtype == np.float32
    assert scores.tolist() == [max(end for end in ends.tolist() if end <= t) for t in range(frames)]


@given(settings_that_skip_nothing(), st.integers(0, 2**32 - 1), st.integers(1, 7), st.booleans())
def test_the_frame_mean_is_the_mean_of_all_scores_that_a_frame_got(
    setting: tuple[int, int, int], seed: int, batch: int, whole_windows: bool
):
    frames, length, stride = setting
    positions = windows(frames, length, stride)
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=len(positions)) if whole_windows else rng.normal(size=positions.shape)
    mean = FrameScores(frames, stride, causal=False)
    for start in range(0, len(positions), batch):
        mean.add(positions[start : start + batch], scores[start : start + batch])
    got: list[list[float]] = [[] for _ in range(frames)]
    for i, row in enumerate(positions.tolist()):
        for j, t in enumerate(row):
            got[t].append(scores[i] if whole_windows else scores[i, j])
    expected = np.array([sum(values) / len(values) for values in got])
    assert mean.result().dtype == np.float32
    np.testing.assert_allclose(mean.result(), expected, rtol=1e-5, atol=1e-6)


def test_the_frame_mean_by_hand():
    mean = FrameScores(4, 1, causal=False)
    mean.add(np.array([[0, 1, 2], [1, 2, 3]]), np.array([1.0, 4.0]))
    assert mean.result().tolist() == [1.0, 2.5, 2.5, 4.0]


def test_a_frame_in_no_window_has_no_mean():
    mean = FrameScores(4, 1, causal=False)
    mean.add(np.array([[0, 1, 2]]), np.array([1.0]))
    with pytest.raises(ValueError, match="1 of 4 frames are in no window"):
        mean.result()


def test_a_stride_that_would_skip_frames_is_refused_but_not_for_causal_windows():
    with pytest.raises(ValueError, match="stride=4 would skip frames between windows of length=3"):
        windows(20, 3, 4)
    assert causal_windows(9, 3, 4)[:, -1].tolist() == [0, 4, 8]


@pytest.mark.parametrize("setting", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (5, -1, 1)])
@pytest.mark.parametrize("make", [windows, causal_windows])
def test_impossible_settings_are_refused(make, setting: tuple[int, int, int]):
    with pytest.raises(ValueError, match="must each be at least 1"):
        make(*setting)


@given(frames=FRAMES, length=LENGTHS, stride=STRIDES, causal=st.booleans())
def test_gathered_windows_hold_their_frames_and_no_more_than_a_window_is_held(frames, length, stride, causal):
    stride = min(stride, length)
    positions = (causal_windows if causal else windows)(frames, length, stride)
    alive: list[int] = []

    def stream():
        for t in range(frames):
            alive.append(t)
            yield np.array(t)

    seen = []
    for window in gather(stream(), positions):
        seen.append([int(frame) for frame in window])
        assert alive[-1] == max(seen[-1])  # nothing is read ahead
    assert seen == positions.tolist()


def test_a_stream_that_ends_too_early_is_an_error():
    with pytest.raises(ValueError, match="ended before frame 7"):
        list(gather((np.zeros(1) for _ in range(7)), windows(10, 4, 2)))


@given(st.integers(1, 40), st.integers(1, 10), st.integers(1, 10), st.integers(1, 5))
def test_scores_in_batches_are_the_mean_over_windows_and_causally_those_of_the_last_frames(
    frames: int, length: int, stride: int, batch: int
):
    stride = min(stride, length)
    for causal in (False, True):
        positions = (causal_windows if causal else windows)(frames, length, stride)
        values = np.random.default_rng(0).random(positions.shape)
        scores = FrameScores(frames, stride, causal)
        for start in range(0, len(positions), batch):
            scores.add(positions[start : start + batch], values[start : start + batch])
        if causal:
            expected = np.array([values[t // stride, -1] for t in range(frames)])
        else:
            expected = np.array([values[positions == t].mean() for t in range(frames)])
        assert scores.result().dtype == np.float32
        assert np.allclose(scores.result(), expected, atol=1e-6)


# --- which frames a clip stands for ----------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 3, 10, 23, 25, 28, 30])
def test_every_frame_has_the_clip_whose_middle_is_nearest_the_earlier_of_two(frames: int):
    positions = windows(frames, 10, 5)
    bounds = frames_of_clips(positions, frames, causal=False)
    middles = positions[:, 5]
    nearest = [int(np.argmin(np.abs(middles - t))) for t in range(frames)]
    assert np.repeat(np.arange(len(positions)), np.diff(bounds)).tolist() == nearest


def test_causally_a_frame_has_the_latest_clip_that_ends_by_it():
    bounds = frames_of_clips(causal_windows(12, 4, 5), 12, causal=True)
    assert bounds.tolist() == [0, 5, 10, 12]
