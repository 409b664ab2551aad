"""Footage that is nearly a line: pictures of it stay small, and every stage runs in little memory."""

import resource
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.own_process import in_own_process

from pixelplay.cli import load_config
from pixelplay.drawing.annotate import TALLEST, Drawing, annotated, enlargement, picture_size, resized, write_clip
from pixelplay.drawing.panels import PICTURE_WIDTH, WIDTH, View, draw_panels, in_shape_of
from pixelplay.explain.gallery import frame_picture
from pixelplay.explain.nearest_figure import draw_rows
from pixelplay.stages import prepare
from pixelplay.synthetic.pseudo.cutouts import foreign_patch

NO_BOXES = Drawing(np.empty((0, 4)), [], [])
GIB = 2**30


@pytest.mark.parametrize(
    ("size", "width", "picture", "factor"),
    [
        ((640, 360), 320, (320, 180), 1),
        ((160, 90), 640, (640, 360), 4),
        ((90, 160), 640, (640, 1138), 7),  # a portrait is as wide as before
        ((20, 4000), 320, (6, 1280), 1),
        ((1, 4000), 640, (1, 2560), 1),
        ((4000, 20), 320, (320, 2), 1),
        ((4000, 1), 320, (320, 1), 1),
        ((1, 1), 320, (320, 320), 320),
    ],
)
def test_pictures_of_long_frames_are_bounded(size: tuple[int, int], width: int, picture: tuple, factor: int) -> None:
    assert picture_size(size, width) == picture
    assert enlargement(size, width) == factor
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    assert resized(frame, width).shape == (*picture[::-1], 3)
    assert annotated(frame, NO_BOXES, "a title", width).shape == (size[1] * factor, size[0] * factor, 3)
    assert in_shape_of(size, np.zeros((8, 8), np.uint8)).shape[0] <= TALLEST * PICTURE_WIDTH


def test_boxes_are_scaled_like_the_frame_that_is_narrower_than_asked_for() -> None:
    frame = np.zeros((4000, 100, 3), np.uint8)
    box = Drawing(np.array([[0.0, 1000.0, 100.0, 2000.0]]), [""], [(255, 0, 0)])
    picture = frame_picture(frame, 100, box)  # at a tenth
    rows = np.flatnonzero(picture[..., 0].any(axis=1))
    assert picture.shape == (400, 10, 3)
    assert (rows[0], rows[-1]) == (100, 199)


def test_figures_of_long_frames_are_no_larger_than_a_few_pages() -> None:
    tall, wide = np.zeros((4000, 1, 3), np.uint8), np.zeros((1, 4000, 3), np.uint8)
    assert draw_panels([[View(tall, "tall")]], "heading").get_size_inches()[1] < (TALLEST + 1) * WIDTH
    assert draw_rows([[View(wide, "wide"), View(tall, "tall")]], "heading").get_size_inches()[0] < 20


@pytest.mark.parametrize("shape", [(4000, 1), (1, 400), (1, 1), (3, 5)])
def test_a_clip_of_frames_of_one_pixel_can_be_written_and_read(shape: tuple[int, int], tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", [np.full((*shape, 3), 90, np.uint8)] * 3, 25.0)
    capture = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    assert sum(capture.read()[0] for _ in range(4)) == 3


@pytest.mark.filterwarnings("error")
def test_a_patch_of_one_pixel_is_grey_and_no_division_by_zero() -> None:
    patch = foreign_patch(np.full((2, 40, 1, 3), 60, np.uint8), 1, np.random.default_rng(0))
    assert patch.tolist() == [[[128, 128, 128]]]


def write_line(folder: Path, width: int, height: int) -> None:
    """A data set of frames of this size, in which something long moves along the line."""
    rng = np.random.default_rng(0)
    for video in ("train/0", "train/1", "train/2", "test/0"):
        (folder / video).mkdir(parents=True)
        for t in range(24):
            frame = np.full((height, width), 60, np.uint8) + rng.integers(0, 4, (height, width), dtype=np.uint8)
            at = (max(width, height) - 500) * t // 24
            frame[tuple(slice(at, at + 500) if side == 4000 else slice(None) for side in (height, width))] = 200
            cv2.imwrite(str(folder / video / f"{t:03d}.png"), frame)


@in_own_process
def test_footage_that_is_a_line_is_prepared_in_little_memory(tmp_path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (8 * GIB, 8 * GIB))  # importing torch takes 4
    for width, height in ((20, 4000), (1, 4000), (4000, 1)):
        folder = tmp_path / f"{width}x{height}"
        write_line(folder / "data", width, height)
        paths = [f"paths.{name}={folder / name}" for name in ("outputs", "checkpoints", "submissions", "cache")]
        run = ["experiment=folder", f"dataset.root={folder / 'data'}", "detector=[conv_ae_tiny]", "pseudo=tiny"]
        prepare.run(load_config([*run, "restore=tiny", "workers=1", "device=cpu", *paths]))
        sheet = cv2.imread(str(folder / "outputs/folder/restoration_doubtful.png"))
        assert sheet is not None and max(sheet.shape) < 20_000
