"""Optical flow inside the boxes of tracks: known movements in pixels per second, and histograms by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.footage import followed

from pixelplay.cli import load_config
from pixelplay.objects.flow import PRESETS, flow_in_boxes, histograms
from pixelplay.objects.settings import FlowConfig
from pixelplay.objects.tracks import Tracks, frame_times
from pixelplay.videos.video import Video

SIDE = 48  # of the moving square


class Frames:
    def __init__(self, frames: Sequence[np.ndarray]):
        self._frames = frames

    def frames(self) -> Iterator[np.ndarray]:
        return iter(self._frames)


def config(**changes: Any) -> FlowConfig:
    return load_config(["objects=default"]).objects.flow.model_copy(update=changes)


def texture(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth enough to be followed to parts of a pixel."""
    grey = cv2.GaussianBlur(np.random.default_rng(seed).normal(128, 400, (height, width)), (0, 0), 3)
    return np.clip(grey, 0, 255).astype(np.uint8)


def moving(step: tuple[int, int], count: int = 4, enlarge: int = 1, size: tuple[int, int] = (240, 160)) -> Video:
    """A textured square that moves by `step`, pixels in x and y, from frame to frame of a still ground."""
    width, height = size
    ground, square = texture(height, width, 0), texture(SIDE, SIDE, 1)
    frames = []
    for t in range(count):
        frame, (x, y) = ground.copy(), place(step, t)
        frame[y : y + SIDE, x : x + SIDE] = square
        frame = frame.repeat(enlarge, 0).repeat(enlarge, 1)
        frames.append(np.repeat(frame[..., None], 3, axis=2))
    originals: Any = Frames(frames)
    return Video("v", "test", np.arange(count), (width * enlarge, height * enlarge), Path(), originals=originals)


def place(step: tuple[int, int], t: int) -> tuple[int, int]:
    return 80 + step[0] * t, 56 + step[1] * t


def boxes(step: tuple[int, int], count: int = 4, enlarge: int = 1) -> Tracks:
    """The inside of the square, where nothing is covered or uncovered, and a still corner of the ground."""
    rows = []
    for t in range(count):
        x, y = place(step, t)
        rows += [(t, 1, x + 8, y + 8, x + SIDE - 8, y + SIDE - 8), (t, 2, 2, 2, 30, 30)]
    tracks = followed(*rows)
    return replace(tracks, xyxy=tracks.xyxy * enlarge)


def measured(video: Video, tracks: Tracks, fps: float = 25.0, **changes: Any) -> np.ndarray:
    told: list[int] = []
    parts = list(flow_in_boxes(video, tracks, frame_times(video, fps), config(**changes), told.append))
    assert sum(told) == len(parts) == len(video)
    return np.concatenate(parts)


# --- speeds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "direction"),
    [((3, 0), 0), ((3, 3), 1), ((0, 3), 2), ((-3, 3), 3), ((-3, 0), 4), ((-3, -3), 5), ((0, -3), 6), ((3, -3), 7)],
)
def test_a_square_has_its_speed_in_its_direction_and_the_ground_has_none(step: tuple[int, int], direction: int):
    """y grows downwards, so the bins go clockwise as seen."""
    found = measured(moving(step), boxes(step))
    speed = 25 * np.hypot(*step)  # pixels per second
    square, ground = found[2::2], found[3::2]
    np.testing.assert_allclose(square[:, 0], speed, rtol=0.05)
    np.testing.assert_allclose(square[:, 1 + direction], speed, rtol=0.1)
    np.testing.assert_allclose(square[:, 1:].sum(axis=1), square[:, 0], rtol=1e-5)
    assert ground.max() < 0.02 * speed


def test_of_the_first_frame_nothing_is_known():
    found = measured(moving((2, 0)), boxes((2, 0)))
    assert np.isnan(found[:2]).all() and np.isfinite(found[2:]).all()
    assert found.shape == (8, 9) and found.dtype == np.float32


def test_speeds_are_per_second_whatever_the_frame_rate():
    """4 pixels per frame at 5 frames per second are as fast as 4/5 per frame at 25: the video's own rate decides."""
    slow, tracks = moving((4, 0)), boxes((4, 0))
    np.testing.assert_allclose(measured(replace(slow, fps=5.0), tracks)[2::2, 0], 20, rtol=0.05)
    np.testing.assert_allclose(measured(slow, tracks, fps=5.0)[2::2, 0], 20, rtol=0.05)
    np.testing.assert_allclose(measured(replace(slow, fps=25.0), tracks, fps=5.0)[2::2, 0], 100, rtol=0.05)


def test_the_same_movement_at_5_and_at_25_frames_per_second_has_the_same_speed():
    fast, slow = moving((1, 0), count=11), moving((5, 0), count=3)  # 25 pixels per second
    at_25 = measured(replace(fast, fps=25.0), boxes((1, 0), count=11))
    at_5 = measured(replace(slow, fps=5.0), boxes((5, 0), count=3))
    np.testing.assert_allclose(at_25[2::2, 0], 25, rtol=0.1)  # of one pixel
    np.testing.assert_allclose(at_5[2::2, 0], 25, rtol=0.05)


def test_frames_that_are_missing_count_in_the_time_between():
    video = replace(moving((6, 0), count=3), numbers=np.array([4, 5, 8]))  # the second step took three times as long
    np.testing.assert_allclose(measured(video, boxes((6, 0), count=3))[2::2, 0], [150, 50], rtol=0.05)


def test_timestamps_decide_where_there_are_any():
    video = replace(moving((4, 0), count=3), seconds=np.array([0.0, 0.1, 0.5]), fps=25.0)
    np.testing.assert_allclose(measured(video, boxes((4, 0), count=3))[2::2, 0], [40, 10], rtol=0.05)


def test_large_frames_are_reduced_and_have_the_speeds_of_the_full_size():
    """Frames of 960 x 640 pixels, measured at 240 x 160: the square moves by 12 pixels of theirs a frame."""
    small = measured(moving((3, 0)), boxes((3, 0)))
    large = measured(moving((3, 0), enlarge=4), boxes((3, 0), enlarge=4), longest_side=240)
    np.testing.assert_allclose(large[2::2, 0], 4 * 75, rtol=0.05)
    np.testing.assert_allclose(large[2:], 4 * small[2:], rtol=0.01, atol=0.5)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [(4, 4), (8, 200), (82, 16), (85, 28), (1, 1), (2000, 4)])
def test_small_and_flat_frames_are_measured_too(preset: str, size: tuple[int, int]):
    """OpenCV refuses the smallest, and for some flat ones its faster presets end the process."""
    width, height = size
    originals: Any = Frames([np.repeat(texture(height, width, seed)[..., None], 3, axis=2) for seed in range(2)])
    video = Video("v", "test", np.arange(2), size, Path(), originals=originals)
    tracks = followed((0, 1, 0, 0, *size), (1, 1, 0, 0, *size))
    assert np.isfinite(measured(video, tracks, preset=preset)[1]).all()


def test_frames_without_boxes_have_no_rows_and_the_next_frame_s_flow_is_from_them():
    step = (3, 0)
    tracks = boxes(step)[np.array([0, 1, 4, 5])]  # of frames 0 and 2
    found = measured(moving(step), tracks)
    np.testing.assert_array_equal(found[2:], measured(moving(step), boxes(step))[4:6])


# --- histograms -------------------------------------------------------------------------------------------------------


def test_parts_by_direction_by_hand():
    """Of 2 x 3 vectors: 5 to the right and down, 2 to the right, 4 to the left, 1 up, and two of none."""
    field = np.zeros((2, 3, 2), np.float32)
    field[0] = [[3, 4], [2, 0], [-4, 0]]
    field[1, 0] = [0, -1]
    everything, first_column, none = histograms(field, np.array([[0, 0, 3, 2], [0, 0, 1, 2], [1, 1, 3, 2]]), 4)
    np.testing.assert_allclose(everything, [12 / 6, 2 / 6, 5 / 6, 4 / 6, 1 / 6], rtol=1e-6)  # 53 degrees are down
    np.testing.assert_allclose(first_column, [3, 0, 2.5, 0, 0.5], rtol=1e-6)
    assert not none.any()


def test_pixels_that_a_box_touches_count_and_at_least_one_of_the_frame():
    field = np.zeros((4, 4, 2), np.float32)
    field[..., 0] = np.arange(4)  # speed is x
    rows = [[0.5, 0, 1.5, 4], [1.0, 0, 2.0, 4], [2.2, 1.1, 2.2, 1.1], [-9, -9, -5, -5], [7, 7, 9, 9], [-3, 0, 9, 4]]
    found = histograms(field, np.array(rows), 2)[:, 0]
    assert found.tolist() == [0.5, 1, 2, 0, 3, 1.5]
    assert histograms(field, np.empty((0, 4)), 2).shape == (0, 3)
