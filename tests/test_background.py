"""Flips found by the background alone: numbers by hand, and the videos that are hard for it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline import cached_video
from tests.street import SIDE, SMALL, drawn, ground, street, turned

from pixelplay.restoration.background import backgrounds, evidence, flip_evidence

BACKGROUND = np.array([[10, 20], [30, 60]], np.float32)  # its mirror image differs by 20, 40, 20, 40


def found(frames: np.ndarray, references: list[np.ndarray] | None = None) -> np.ndarray:
    return flip_evidence(frames, references or []) > 0.5


def test_the_background_is_upright_and_its_mirror_image_is_not():
    frames = np.stack([BACKGROUND, BACKGROUND[::-1]]).astype(np.uint8)
    assert evidence(frames, BACKGROUND).tolist() == [1.0, -1.0]


def test_evidence_by_hand():
    """d(b, b'): the differences -20, -40, 20, 40 have median 0, so 120. The frame is b but for the 60, which is 20.
    d(f, b): 0, 0, 0, -40 is 40. d(f, b'): -20, -40, 20, 0 has median -10, so 10 + 30 + 30 + 10 = 80.
    """
    frame = np.array([[[10, 20], [30, 20]]], np.uint8)
    assert evidence(frame, BACKGROUND)[0] == pytest.approx((80 - 40) / 120)


def test_a_change_of_brightness_does_not_matter():
    frames = np.stack([BACKGROUND + change for change in (0, 50, 190)]).astype(np.uint8)
    assert evidence(frames, BACKGROUND).tolist() == [1.0, 1.0, 1.0]


def test_who_hides_half_of_the_view_halves_the_evidence():
    """Columns of 0 above and 100 below; the right half of the frame is hidden behind a grey that is neither."""
    background = np.repeat([[0.0], [100.0]], 8, axis=1).astype(np.float32)
    frame = background.copy()
    frame[:, 4:] = 50
    assert evidence(frame[None].astype(np.uint8), background)[0] == pytest.approx(0.5)


@given(st.integers(0, 2**32 - 1))
def test_evidence_is_between_minus_one_and_one_and_changes_its_sign_with_a_flip(seed: int):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (3, 6, 5), dtype=np.uint8)
    background = rng.integers(0, 256, (6, 5)).astype(np.float32)
    values = evidence(frames, background)
    assert np.abs(values).max() <= 1 + 1e-6
    np.testing.assert_allclose(evidence(frames[:, ::-1], background), -values, atol=1e-5)


def test_probabilities_by_hand():
    """Three frames alike, so that the background is the frame: evidence 1 is sigmoid(-10 (1 + 0.2))."""
    frames = np.repeat(BACKGROUND[None], 3, axis=0).astype(np.uint8)
    probability = flip_evidence(frames)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(12)), rtol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.45])
def test_fewer_than_half_of_the_frames_are_found_without_a_reference(share: float):
    for scene in range(3):
        flipped = drawn(150, share, seed=scene)
        assert np.array_equal(found(turned(street(150, scene), flipped)), flipped)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7, 1.0])
def test_any_share_is_found_with_training_footage_of_the_scene(share: float):
    for scene in range(3):
        flipped = drawn(150, share, seed=scene)
        reference = np.median(street(100, scene, seed=1), axis=0)
        assert np.array_equal(found(turned(street(150, scene), flipped), [reference]), flipped)


def test_without_a_reference_what_most_frames_show_is_taken_to_be_upright():
    flipped = drawn(150, 0.7)
    assert np.array_equal(found(turned(street(150), flipped)), ~flipped)


def test_the_reference_of_the_same_scene_is_chosen_among_others():
    flipped = drawn(100, 0.8)
    references = [ground(scene) for scene in (5, 6, 0, 7)]
    assert np.array_equal(found(turned(street(100), flipped), references), flipped)


def test_references_of_other_scenes_change_nothing():
    for scene in range(4):
        flipped = drawn(100, 0.45, seed=scene)
        others = [ground(other) for other in range(4, 12)]
        frames = turned(street(100, scene), flipped)
        assert np.array_equal(flip_evidence(frames, others), flip_evidence(frames))
        assert np.array_equal(found(frames, others), flipped)


def test_a_scene_that_is_its_own_mirror_image_is_left_alone():
    half = ground(1)[: SIDE // 2]
    mirror = np.concatenate([half, half[::-1]])
    exact = np.repeat(mirror[None], 50, axis=0).astype(np.uint8)
    assert flip_evidence(exact).max() < 0.2  # sigmoid(-2) is 0.12
    walked = street(150, 1).astype(float) - ground(1) + mirror  # the figure, the light and the noise of footage
    assert not found(np.clip(walked, 0, 255).astype(np.uint8)).any()


def test_a_camera_that_moves_is_left_alone():
    rng = np.random.default_rng(0)
    for _ in range(5):
        wide = np.kron(rng.integers(40, 200, (SIDE // 4, 100)), np.ones((4, 4))).astype(np.uint8)
        pan = np.stack([wide[:, 3 * t : 3 * t + SIDE] for t in range(120)])
        assert not found(pan).any()
        assert not found(pan, [ground(0), ground(1)]).any()


def test_videos_of_one_and_two_frames():
    frames = street(2)
    assert found(frames[:1]).tolist() == [False]
    assert found(frames[:1, ::-1], [ground(0)]).tolist() == [True]
    assert found(turned(frames, np.array([True, False]))).tolist() == [False, False]  # either may be the flipped one
    assert found(turned(frames, np.array([True, False])), [ground(0)]).tolist() == [True, False]


def test_a_long_memory_mapped_video_is_judged_frame_by_frame_alike(tmp_path: Path):
    flipped = drawn(700, 0.1)
    np.save(tmp_path / "frames.npy", turned(street(700), flipped))
    frames = np.load(tmp_path / "frames.npy", mmap_mode="r")
    assert np.array_equal(found(frames), flipped)
    np.testing.assert_array_equal(
        evidence(frames, ground(0))[[0, 255, 256, 699]], evidence(frames[[0, 255, 256, 699]], ground(0))
    )


def test_backgrounds_are_medians_of_each_video(tmp_path: Path):
    videos = [cached_video(tmp_path, name, street(9, scene)) for scene, name in enumerate(("a", "b"))]
    for scene, background in enumerate(backgrounds(videos, SMALL)):
        assert background.dtype == np.float32
        assert np.array_equal(background, np.median(street(9, scene), axis=0))
