"""Denoisers: nearer to the clean frame than the noisy one is, in grey and in colour, and nothing else changed."""

import cv2
import numpy as np
import pytest

from pixelplay.errors import ConfigError
from pixelplay.videos.corruption import GRAY_SHARE, METHODS, denoise, noise_level


def clean(channels: int) -> np.ndarray:
    """A smooth scene with a few sharp-edged figures, uint8 (90, 120) or (90, 120, 3)."""
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.uniform(70, 190, (6, 8, channels)), (120, 90), interpolation=cv2.INTER_CUBIC)
    frame = frame.reshape(90, 120, channels)
    for left in (10, 45, 80):
        frame[30:75, left : left + 18] = rng.uniform(60, 200, channels)
    frame = np.clip(np.rint(frame), 0, 255).astype(np.uint8)
    return frame[..., 0] if channels == 1 else frame


def noisy(frame: np.ndarray, sd: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sd, frame.shape)
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize("sd", [11.5, 17.25, 23.0])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("method", "left"), [("median", 0.5), ("bilateral", 0.33), ("nlmeans", 0.37)])
def test_half_of_the_noise_goes_by_a_median_and_two_thirds_by_the_others(
    method: str, left: float, channels: int, sd: float
):
    frame = clean(channels)
    worse = noisy(frame, sd)
    level = sd * (GRAY_SHARE if channels == 3 else 1.0)
    assert error(denoise(worse, method, level), frame) < left * error(worse, frame)


def test_the_strength_follows_the_level():
    worse = noisy(clean(1), 5.0)
    for method in ("bilateral", "nlmeans"):
        assert error(denoise(worse, method, 2.0), worse) < error(denoise(worse, method, 20.0), worse)


def test_the_median_is_wider_from_a_level_of_20_on():
    frame = np.zeros((9, 9), np.uint8)
    frame[3:6, 3:6] = 100  # 9 pixels of light: all that a window of 3x3 sees in the middle, few of one of 5x5
    assert denoise(frame, "median", 19.9)[4, 4] == 100
    assert denoise(frame, "median", 20.0)[4, 4] == 0


def test_the_grey_frame_has_this_share_of_the_channels_noise():
    frame = noisy(np.full((300, 400, 3), 128, np.uint8), 20.0)
    assert noise_level(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) == pytest.approx(20.0 * GRAY_SHARE, rel=0.03)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_dtype_and_the_frame_itself_stay(method: str, channels: int):
    frame = noisy(clean(channels), 15.0)
    before = frame.copy()
    result = denoise(frame, method, 15.0)
    assert (result.shape, result.dtype) == (frame.shape, np.uint8)
    assert np.array_equal(frame, before)
    assert np.array_equal(result, frame) == (method == "none")
    assert np.array_equal(denoise(frame, method, 0.0), frame)
    assert np.array_equal(denoise(frame, method, 15.0), result)


@pytest.mark.parametrize("method", METHODS)
def test_grey_footage_read_as_colour_is_denoised_as_grey(method: str):
    gray = noisy(clean(1), 15.0)
    color = denoise(np.repeat(gray[..., None], 3, axis=2), method, 15.0)
    assert np.array_equal(color, np.repeat(denoise(gray, method, 15.0)[..., None], 3, axis=2))


def test_flipping_and_denoising_change_places():
    frame = noisy(clean(1), 15.0)
    for method in METHODS:
        upright, turned = denoise(frame, method, 15.0), denoise(np.ascontiguousarray(frame[::-1]), method, 15.0)
        assert np.abs(turned[::-1].astype(int) - upright).max() <= 1


def test_unknown_methods_and_impossible_input_are_refused():
    frame = clean(1)
    with pytest.raises(ConfigError, match=r"restore\.denoise\.method='mean'.*bilateral, median, nlmeans, none"):
        denoise(frame, "mean", 10.0)
    for level in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="noise level"):
            denoise(frame, "median", level)
    for bad in (frame.astype(np.float32), frame[0], frame[..., None], np.zeros((8, 8, 4), np.uint8)):
        with pytest.raises(ValueError, match="must be uint8"):
            denoise(bad, "median", 10.0)
