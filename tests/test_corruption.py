"""The corruption of test frames: rates, noise levels and flips that can be checked by hand."""

import numpy as np
import pytest

from pixelplay.videos.corruption import KINDS, corrupt, draw_kinds
from pixelplay.videos.settings import CorruptionConfig

CONFIG = CorruptionConfig(flip=0.10, heavy=0.24, light=0.15, missing=0.02, heavy_sd=23.0, light_sd=17.25)


def test_rates_are_within_five_standard_errors_of_the_configured_shares():
    count = 20_000
    kinds = draw_kinds(count, CONFIG, np.random.default_rng(1))
    assert kinds.shape == (count,)
    shares = {"none": 0.49, "flip": 0.10, "heavy": 0.24, "light": 0.15, "missing": 0.02}
    for kind, share in shares.items():
        assert abs(np.mean(kinds == kind) - share) < 5 * np.sqrt(share * (1 - share) / count), kind


def test_neighbouring_frames_are_corrupted_independently():
    flipped = draw_kinds(40_000, CONFIG, np.random.default_rng(2)) == "flip"
    both = np.mean(flipped[1:] & flipped[:-1])
    assert abs(both - 0.01) < 5 * np.sqrt(0.01 * 0.99 / 40_000)


def test_shares_of_zero_and_one_leave_nothing_to_chance():
    clean = CONFIG.model_copy(update=dict.fromkeys(("flip", "heavy", "light", "missing"), 0.0))
    assert set(draw_kinds(500, clean, np.random.default_rng(0))) == {"none"}
    gone = clean.model_copy(update={"missing": 1.0})
    assert set(draw_kinds(500, gone, np.random.default_rng(0))) == {"missing"}
    assert draw_kinds(0, CONFIG, np.random.default_rng(0)).shape == (0,)


def test_flip_exchanges_top_and_bottom_and_leaves_the_input_alone():
    frame = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)
    flipped = corrupt(frame, "flip", CONFIG, np.random.default_rng(0))
    assert flipped.tolist() == [[5, 6], [3, 4], [1, 2]]
    assert frame.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(("kind", "sd"), [("heavy", 23.0), ("light", 17.25)])
@pytest.mark.parametrize("shape", [(200, 300), (200, 300, 3)])
def test_noise_has_the_configured_deviation_and_no_mean(kind: str, sd: float, shape: tuple[int, ...]):
    frame = np.full(shape, 128, np.uint8)  # more than five deviations from either end: nothing is clipped
    noise = corrupt(frame, kind, CONFIG, np.random.default_rng(3)).astype(np.float64) - 128
    error = sd / np.sqrt(noise.size)
    assert noise.shape == shape
    assert abs(noise.mean()) < 5 * error
    assert abs(noise.std() - np.sqrt(sd**2 + 1 / 12)) < 5 * error  # rounding adds a variance of 1/12


def test_noise_is_drawn_anew_for_each_channel_and_each_frame():
    rng, frame = np.random.default_rng(4), np.full((100, 100, 3), 128, np.uint8)
    first, second = (corrupt(frame, "heavy", CONFIG, rng).astype(np.float64) for _ in range(2))
    assert abs(np.corrcoef(first[..., 0].ravel(), first[..., 1].ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


def test_noise_is_clipped_instead_of_wrapping_round():
    black = corrupt(np.zeros((100, 100), np.uint8), "heavy", CONFIG, np.random.default_rng(5))
    white = corrupt(np.full((100, 100), 255, np.uint8), "heavy", CONFIG, np.random.default_rng(5))
    assert black.max() < 128 < white.min()
    assert 0.4 < np.mean(black == 0) < 0.6


def test_none_returns_the_frame_and_the_same_generator_state_the_same_noise():
    frame = np.random.default_rng(6).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(corrupt(frame, "none", CONFIG, np.random.default_rng(7)), frame)
    once, again, other = (corrupt(frame, "light", CONFIG, np.random.default_rng(seed)) for seed in (8, 8, 9))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_unknown_kinds_missing_ones_and_wrong_arrays_are_refused():
    frame, rng = np.zeros((4, 4), np.uint8), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"'blur' is unknown.*none, flip, heavy, light"):
        corrupt(frame, "blur", CONFIG, rng)
    with pytest.raises(ValueError, match="missing"):
        corrupt(frame, "missing", CONFIG, rng)
    with pytest.raises(ValueError, match="float64"):
        corrupt(np.zeros((4, 4)), "none", CONFIG, rng)
    assert KINDS == ("none", "flip", "heavy", "light", "missing")
