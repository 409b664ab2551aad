"""The noise estimate: known noise found again on textured scenes, and little where there is none."""

import cv2
import numpy as np
import pytest

from pixelplay.videos.corruption import noise_after_resize, noise_level
from pixelplay.videos.settings import FrameFormat


def scene(height: int = 180, width: int = 320, seed: int = 0) -> np.ndarray:
    """A street as a camera sees it: ground with texture, a wall with bricks, figures with sharp edges, 60 to 190."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (height, width)), (0, 0), 3) + np.linspace(170, 90, height)[:, None]
    ground[: height // 3, ::12] -= 25
    ground[: height // 3 : 8] -= 25
    for _ in range(12):
        top, left = rng.integers(height // 4, height - 40), rng.integers(0, width - 20)
        ground[top : top + 36, left : left + 14] = rng.integers(70, 180)
    return np.clip(ground, 60, 190)


def noisy(clean: np.ndarray, sd: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sd, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sd", [5.0, 11.5, 15.4, 17.25, 23.0])
def test_known_noise_is_found_within_a_tenth(sd: float):
    for seed in range(3):
        assert noise_level(noisy(scene(seed=seed), sd, seed + 10)) == pytest.approx(sd, rel=0.1)


def test_a_clean_scene_kept_as_jpeg_has_little():
    for seed in range(3):
        _, data = cv2.imencode(".jpg", noisy(scene(seed=seed), 0), [cv2.IMWRITE_JPEG_QUALITY, 85])
        assert noise_level(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)) < 2.5


def test_plain_ramps_and_flipping_add_nothing():
    ramp = np.add.outer(np.arange(100), np.arange(120)).astype(np.uint8)
    assert noise_level(ramp) == 0  # the filter's answer to any plane is exactly 0
    frame = noisy(scene(), 15.0)
    assert noise_level(np.ascontiguousarray(frame[::-1])) == pytest.approx(noise_level(frame), rel=0.03)


def test_the_filter_is_immerkaers():
    """One white pixel at a sampled place: its answer, 4 x 255, is the only one that is not 0 among the samples."""
    frame = np.full((3, 3), 100, np.uint8)
    frame[1, 1] = 110
    assert noise_level(frame) == pytest.approx(4 * 10 / (6 * 0.6745))
    frame = np.full((3, 3), 100, np.uint8)
    frame[0, 1] = 110
    assert noise_level(frame) == pytest.approx(2 * 10 / (6 * 0.6745))
    frame = np.full((3, 3), 100, np.uint8)
    frame[2, 0] = 110
    assert noise_level(frame) == pytest.approx(10 / (6 * 0.6745))


def test_black_bars_do_not_hide_the_noise():
    bars = noisy(scene(), 15.0)
    bars[:60] = 0
    bars[-60:] = 255  # two thirds of the frame
    assert noise_level(bars) == pytest.approx(15.0, rel=0.1)
    assert noise_level(np.zeros((50, 60), np.uint8)) == 0


def test_other_arrays_are_refused():
    with pytest.raises(ValueError, match=r"float32 of shape \(8, 8\)"):
        noise_level(np.zeros((8, 8), np.float32))
    with pytest.raises(ValueError, match=r"uint8 of shape \(8, 8, 3\)"):
        noise_level(np.zeros((8, 8, 3), np.uint8))


def test_noise_after_resize_by_hand():
    small = FrameFormat(height=64, width=64, gray=True)
    assert noise_after_resize(23.0, (640, 360), small) == pytest.approx(23.0 / 7.5)  # 56.25 pixels become one
    assert noise_after_resize(23.0, (64, 64), small) == 23.0
    assert noise_after_resize(23.0, (32, 32), small) == 23.0  # enlarged: as before, never more


def test_noise_after_resize_is_what_area_averaging_leaves():
    full = np.random.default_rng(0).normal(128, 20, (360, 640)).astype(np.float32)
    for height, width in ((64, 64), (90, 160), (128, 128)):
        small = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
        expected = noise_after_resize(20.0, (640, 360), FrameFormat(height=height, width=width, gray=True))
        # Where a pixel's edge cuts through another, the two share it, and the mean of unequal parts keeps less noise
        # than the count of pixels says: up to a quarter less at 2.8 pixels a side.
        assert 0.75 * expected < small.std() < 1.1 * expected
