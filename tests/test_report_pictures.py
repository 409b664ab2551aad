"""Pictures of the report and its annotated clips: what is drawn where, in which colour, worked out by hand."""

import base64
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.test_report_charts import scored

from pixelplay.drawing.annotate import Drawing, annotated, readable, write_clip, write_image
from pixelplay.explain.clips import (
    ANOMALOUS,
    CURVE_HEIGHT,
    FLIPPED,
    NOISY,
    Painter,
    curve_of,
    make_footer,
    title,
)
from pixelplay.explain.gallery import HEAT, colors_of, frame_picture, heat_picture
from pixelplay.explain.scored_boxes import COLORS, NO_BOXES, Span, object_drawing, object_spans
from pixelplay.report.manifest import image_uri
from pixelplay.report.timelines import Scale

GRAY = np.full((40, 80, 3), 100, np.uint8)
HIGHEST = tuple(round(255 * c) for c in COLORS(1.0)[:3])


def objects(*rows: tuple) -> pd.DataFrame:
    """From rows (split, frame, x1, stream, score): boxes of ten pixels, video `a`."""
    return pd.DataFrame(
        [
            {"split": split, "video": "a", "frame": frame, "track": -1, "x1": x1, "y1": 5.0, "x2": x1 + 10, "y2": 15.0}
            | {"class": "person", "stream": stream, "score": np.float32(score)}
            for split, frame, x1, stream, score in rows
        ]
    )


# --- single pictures ------------------------------------------------------------------------------------------------


def test_a_frame_keeps_its_shape_and_its_boxes_their_places():
    drawing = Drawing(np.array([[20, 10, 60, 30]]), [""], [(255, 0, 0)])
    picture = frame_picture(GRAY, 160, drawing)
    assert picture.shape == (80, 160, 3)
    assert picture[40, 40].tolist() == [255, 0, 0]  # left edge, at twice the pixels
    assert picture[20, 80].tolist() == [255, 0, 0]  # top edge
    assert picture[40, 80].tolist() == [100, 100, 100]  # inside
    assert (picture[:16, :30] == 100).all()  # no title is written
    assert (frame_picture(GRAY, 40, NO_BOXES) == 100).all()


def test_captions_are_in_their_boxes_colours_on_black_and_stay_in_the_picture():
    boxes = np.array([[2, 1, 30, 20], [40, 30, 75, 38]])
    picture = annotated(GRAY, Drawing(boxes, ["person 1.5", ""], [(255, 0, 0), (0, 255, 0)]), "", 640)
    red, green = ((picture == color).all(axis=2) for color in ((255, 0, 0), (0, 255, 0)))
    assert not red[:, 400:].any() and not green[:, :300].any()
    text = (picture[..., 0] > 110) & (picture[..., 1] < 60) & ~red  # antialiased letters
    assert text.sum() > 20
    rows, columns = np.nonzero((picture == 0).all(axis=2))
    assert len(rows) > 300 and rows.max() < 160 and columns.max() < 240


def test_dark_captions_are_lightened():
    assert readable((255, 0, 0)) == (255, 0, 0)  # 0.299 x 255 = 76
    assert readable((75, 3, 161)) == (165, 129, 208)  # 42.5
    assert readable((0, 0, 0)) == (127, 127, 127)


def test_a_heat_map_is_dark_without_error_and_brightest_at_the_full_one():
    errors = np.zeros((4, 8), np.float32)
    errors[:2, :4], errors[2:, :4] = 0.5, 7.0
    picture = heat_picture(GRAY, errors, 0.5, 80).astype(int)
    brightest = np.array([round(255 * c) for c in HEAT(1.0)[:3]])
    assert np.abs(picture[5, 5] - brightest).max() <= 1  # full
    assert np.abs(picture[35, 5] - brightest).max() <= 1  # and more
    assert (picture[:, 60:] == 50).all()  # the frame, faded


def test_a_heat_map_without_any_error_is_the_faded_frame():
    assert (heat_picture(GRAY, np.zeros((4, 8), np.float32), 0.0, 80) == 50).all()


def test_a_data_uri_is_the_picture_itself(tmp_path: Path):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (60, 90, 3), np.uint8), (0, 0), 6)
    write_image(tmp_path / "a.jpg", image)
    head, _, data = image_uri(tmp_path / "a.jpg", "explain").partition(",")
    assert head == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data, validate=True), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decoded.astype(int) - image).mean() < 3


def test_the_bar_of_colours_goes_from_the_place_asked_for_to_the_end():
    assert colors_of(HEAT, count=3)[0] == "#000004"
    colors = colors_of(COLORS, 0.5, 3)
    assert len(colors) == 3
    assert tuple(int(colors[-1][i : i + 2], 16) for i in (1, 3, 5)) == HIGHEST


# --- boxes by score -------------------------------------------------------------------------------------------------


def test_colours_span_from_a_normal_object_to_the_highest_of_the_test():
    table = objects(
        *(("calibration", 1, 0, "v/s", score) for score in (1, 2, 9)),
        *(("test", 1, 0, "v/s", score) for score in (3, 8)),
        ("test", 1, 0, "v/t", 5),
        ("test", 1, 0, "v/t", 7),
        ("test", 1, 0, "v/t", np.inf),
        ("calibration", 1, 0, "v/only-normal", 5),
    )
    assert object_spans(table) == {"v/s": Span(2, 8), "v/t": Span(6, 7)}


def test_a_box_has_the_colour_of_its_highest_stream_and_the_highest_is_drawn_last():
    rows = objects(
        ("test", 1, 0, "v/s", 4), ("test", 1, 0, "v/t", 0), ("test", 1, 30, "v/s", 2), ("test", 1, 30, "v/t", 10)
    )
    drawing = object_drawing(rows, {"v/s": Span(2, 6), "v/t": Span(0, 10)})
    assert drawing.xyxy.tolist() == [[0, 5, 10, 15], [30, 5, 40, 15]]  # 0.5 of s, then 1.0 of t
    assert drawing.colors[1] == HIGHEST
    assert drawing.captions == ["person 4", "person 10"]
    middle = tuple(round(255 * c) for c in COLORS(0.6)[:3])  # half way from 0.2 to 1
    assert drawing.colors[0] == middle


def test_only_the_highest_boxes_say_what_they_are():
    rows = objects(*(("test", 1, 15.0 * i, "v", i) for i in range(5)))
    assert object_drawing(rows, {"v": Span(0, 4)}).captions == ["", "", "", "person 3", "person 4"]


def test_boxes_name_the_tracks_that_they_are_of():
    rows = objects(*(("test", 1, 15.0 * i, "v", i) for i in range(4))).assign(track=[4, -1, 12, 7])
    assert object_drawing(rows, {"v": Span(0, 4)}).captions == ["4", "", "person 12: 2", "person 7: 3"]


@pytest.mark.parametrize("span", [{}, {"v": Span(3, 3)}, {"v": Span(0, np.inf)}])
def test_scores_without_a_usable_span_are_drawn_as_normal_ones(span: dict):
    drawing = object_drawing(objects(("test", 1, 0, "v", 3)), span)
    assert drawing.colors == [tuple(round(255 * c) for c in COLORS(0.2)[:3])]


# --- clips ----------------------------------------------------------------------------------------------------------

VIDEO = scored([1, 2, 3, 4, 9], [0, 1, 4, 1, 0], labels=[0, 0, 1, 0, 0], flipped=(0,), noisy=(4,))
SCALE = Scale.of([VIDEO])


def test_the_title_says_what_is_known_of_the_frame():
    assert title(VIDEO, 0) == "a frame 1: 0.000, labelled normal, flipped (corrected)"
    assert title(VIDEO, 2) == "a frame 3: 4.000, labelled anomalous"
    assert title(scored([7], [1.5], noisy=(0,)), 0) == "a frame 7: 1.500, noisy"
    assert title(replace(VIDEO, seconds=np.array([0, 0.04, 0.08, 0.12, 0.32])), 4).startswith("a frame 9 at 0.32 s: ")


def test_the_footer_has_the_curve_over_frame_numbers_and_a_strip_for_each_mark():
    footer = make_footer(curve_of(VIDEO, SCALE), 101)
    assert footer.columns.tolist() == [4, 16, 27, 38, 96]  # 4 + (n - 1) / 8 x 92
    assert footer.rows[2] < footer.rows[1] < footer.rows[0]
    assert footer.rows[0] == footer.rows[4] == CURVE_HEIGHT - 4
    assert footer.image[CURVE_HEIGHT + 2, 27].tolist() == list(ANOMALOUS)
    assert footer.image[CURVE_HEIGHT + 8, 4].tolist() == list(FLIPPED)
    assert footer.image[CURVE_HEIGHT + 14, 96].tolist() == list(NOISY)
    assert footer.image[CURVE_HEIGHT + 2, 16].tolist() not in (list(ANOMALOUS), list(FLIPPED), list(NOISY))


def test_the_cursor_stands_at_the_frame_and_only_what_has_passed_is_bright():
    footer = make_footer(curve_of(VIDEO, SCALE), 101)
    early, late = footer.at(0).astype(int), footer.at(4).astype(int)
    assert (early[:, 4] == 255).all() and (late[:, 96] == 255).all()
    before = slice(20, CURVE_HEIGHT), slice(28, 90)
    assert (late[before] > 150).all(axis=2).sum() > (early[before] > 150).all(axis=2).sum()
    assert (footer.at(0) == early).all()  # drawing one frame leaves the others as they are


def test_a_clip_has_every_frame_with_its_boxes_above_the_footer(tmp_path: Path):
    frames = [np.full((48, 64, 3), 10 * t, np.uint8) for t in range(5)]
    box = Drawing(np.array([[10, 20, 30, 40]]), [""], [(0, 255, 0)])
    painter = Painter(curve_of(VIDEO, SCALE))
    pictures = [painter.picture(t, frame, box if t == 2 else NO_BOXES, "") for t, frame in enumerate(frames)]
    assert {picture.shape for picture in pictures} == {(480 + CURVE_HEIGHT + 3 * 6 + 4, 640, 3)}
    assert pictures[2][300, 100].tolist() == [0, 255, 0]  # the left edge at ten times the pixels
    assert pictures[1][300, 100].tolist() == [10, 10, 10]
    write_clip(tmp_path / "clips/a.mp4", pictures, 25)
    capture = cv2.VideoCapture(str(tmp_path / "clips/a.mp4"))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 5
    assert capture.get(cv2.CAP_PROP_FPS) == 25
    capture.release()


def test_a_clip_of_a_video_of_one_frame_without_labels_can_be_made():
    one = scored([5], [1.0])
    picture = Painter(curve_of(one, Scale.of([one]))).picture(0, GRAY, NO_BOXES, "a")
    assert picture.shape == (320 + CURVE_HEIGHT + 2 * 6 + 4, 640, 3)
