"""Noisy frames of a clip: which are looked at instead, and what stands for those that are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.detectors.videopatchcore.clip_features import between, key_frame
from pixelplay.videos.windows import causal_windows, windows


@given(st.integers(1, 12), st.lists(st.booleans(), min_size=1, max_size=30), st.booleans())
def test_the_key_frame_is_the_clean_one_nearest_to_the_middle(length: int, clean: list[bool], causal: bool):
    positions = (causal_windows if causal else windows)(len(clean), length, 1)
    for clip in positions:
        found = key_frame(np.array(clean)[clip], causal)
        middle = length - 1 if causal else length // 2
        nearest = sorted(range(length), key=lambda i: (not clean[clip[i]], abs(i - middle), i))[0]
        assert found == nearest


def test_with_clean_frames_only_it_is_the_middle_one_and_causally_the_last():
    clean = np.ones(10, bool)
    assert [clip[key_frame(clean[clip], False)] for clip in windows(10, 4, 1)] == [2, 3, 4, 5, 6, 7, 8]
    assert [clip[key_frame(clean[clip], True)] for clip in causal_windows(10, 4, 3)] == [0, 3, 6, 9]


def test_a_clip_whose_frames_are_all_noisy_is_taken_as_it_is():
    noisy = np.zeros(6, bool)
    assert [clip[key_frame(noisy[clip], False)] for clip in windows(6, 4, 2)] == [2, 4]
    seen, shares = between(np.arange(4), noisy[:4])
    assert seen.tolist() == [0, 1, 2, 3]
    assert np.array_equal(shares, np.eye(4))


def test_a_noisy_frame_is_between_the_clean_ones_around_it_and_at_the_ends_as_the_nearest():
    clean = np.array([True, False, True, False, False, True, False])
    seen, shares = between(np.arange(1, 7), clean[1:7])
    assert seen.tolist() == [2, 5]
    assert shares == pytest.approx(np.array([[1, 0], [1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1], [0, 1]]))


@given(st.integers(1, 12), st.lists(st.booleans(), min_size=1, max_size=30))
def test_clean_frames_are_themselves_and_shares_sum_to_one(length: int, clean: list[bool]):
    for clip in windows(len(clean), length, 1):
        seen, shares = between(clip, np.array(clean)[clip])
        assert shares.sum(axis=1) == pytest.approx(np.ones(length))
        assert (shares >= 0).all()
        for row, position in zip(shares, clip, strict=True):
            if clean[position]:
                assert np.array_equal(row, (seen == position).astype(np.float32))
