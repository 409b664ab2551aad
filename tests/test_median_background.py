"""The median background: which frames it is made of, and what it is of an even number of them."""

import numpy as np

from pixelplay.videos.background import evenly_spaced, median_frame


def constant(*values: int) -> np.ndarray:
    """Frames of 2x3 pixels, one grey level each."""
    return np.repeat(np.array(values, np.uint8), 6).reshape(-1, 2, 3)


def test_positions_are_evenly_spaced_with_both_ends():
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spaced(3, 200).tolist() == [0, 1, 2]
    assert evenly_spaced(5, 1).tolist() == [0]


def test_of_an_even_number_the_middle_two_are_averaged_or_the_lower_is_taken():
    frames = constant(1, 2, 5, 250)
    before = frames.copy()
    mean, lower = median_frame(frames, 4), median_frame(frames, 4, method="lower")
    assert (mean == 3.5).all() and mean.shape == (2, 3)
    assert (lower == 2).all() and lower.dtype == np.uint8
    assert np.array_equal(frames, before)
    assert np.array_equal(median_frame(constant(1, 9, 5), 200), constant(5)[0])


def test_flipped_frames_are_turned_first():
    frames = np.array([[[1], [9]], [[9], [1]], [[9], [1]]], np.uint8)
    assert median_frame(frames, 3, np.array([False, True, True])).tolist() == [[1], [9]]


def test_colour_frames_have_a_median_of_each_channel():
    frames = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), np.uint8)
    assert np.array_equal(median_frame(frames, 7), np.median(frames, axis=0))
    assert np.array_equal(median_frame(frames, 7, method="lower"), np.sort(frames, axis=0)[3])
