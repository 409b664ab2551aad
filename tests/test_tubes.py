"""Which boxes become tubes, and how they are cut: numbers by hand, and properties of any box in any image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.test_boxes import rows, table

from pixelplay.cli import load_config
from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tubes import is_selected, select, squares, tubes

DEFAULT = load_config(["objects=default"]).objects.tubes


def settings(**changes: object) -> TubeConfig:
    return DEFAULT.model_copy(update=changes)


def square(*box: float, size: tuple[int, int] = (100, 80), enlarge: float = 1.0) -> list[int]:
    return squares(np.array([box], np.float32), size, enlarge)[0].tolist()


# --- selection ------------------------------------------------------------------------------------------------------


def test_classes_confidence_and_size_are_asked_for():
    boxes = table(
        (0, 0, 0, 20, 40, "person", 0.25),
        (0, 0, 0, 20, 40, "person", 0.24),  # not sure enough
        (0, 0, 0, 20, 40, "kite", 0.9),  # not asked for
        (1, 0, 0, 9, 3, "car", 0.9),  # too small
        (1, 0, 0, 10, 3, "car", 0.9),
        (2, 0, 0, 5, 30, "motion", 0.6),
    )
    assert is_selected(boxes, settings()).tolist() == [True, False, False, False, True, True]
    assert [row[0] for row in rows(select(boxes, settings(classes=["kite"])))] == [0]


def test_a_moving_blob_that_is_a_detected_object_does_not_count_twice():
    """IoU of 0..20 x 0..40 with 2..22 x 0..40: 18 / 22; with 12..32: 8 / 32."""
    boxes = table(
        (3, 0, 0, 20, 40, "person", 0.9),
        (3, 2, 0, 22, 40, "motion", 0.7),
        (3, 12, 0, 32, 40, "motion", 0.7),
        (4, 2, 0, 22, 40, "motion", 0.7),  # another frame
    )
    assert is_selected(boxes, settings()).tolist() == [True, False, True, True]
    assert is_selected(boxes, settings(iou=0.2)).tolist() == [True, False, False, True]


@pytest.mark.parametrize("other", [("person", 0.1), ("kite", 0.9)])
def test_an_object_that_does_not_count_itself_hides_no_moving_blob(other: tuple[str, float]):
    boxes = table((0, 0, 0, 20, 40, *other), (0, 0, 0, 20, 40, "motion", 0.7))
    assert is_selected(boxes, settings()).tolist() == [False, True]


def test_two_detected_objects_may_overlap():
    boxes = table((0, 0, 0, 20, 40, "person", 0.9), (0, 0, 0, 20, 41, "bicycle", 0.9))
    assert is_selected(boxes, settings()).tolist() == [True, True]


def test_nothing_selected_of_nothing():
    assert len(select(table(), settings())) == 0


# --- squares --------------------------------------------------------------------------------------------------------


def test_squares_by_hand():
    assert square(40, 20, 50, 40) == [35, 20, 55, 40]  # 10 x 20 around (45, 30): a side of 20
    assert square(40, 20, 60, 30) == [40, 15, 60, 35]
    assert square(40, 20, 50, 40, enlarge=1.5) == [30, 15, 60, 45]
    assert square(40.5, 20.5, 50.5, 40.5) == [36, 21, 56, 41]  # half a pixel, rounded up
    assert square(0, 0, 10, 40) == [0, 0, 25, 40]  # clipped at the left: -15 to 25
    assert square(95, 70, 100, 80) == [93, 70, 100, 80]  # and at the right: 92.5 to 102.5
    assert square(0, 0, 100, 80) == [0, 0, 100, 80]  # 100 x 100 around (50, 40) in an image of 80 rows
    assert squares(np.empty((0, 4), np.float32), (100, 80), 1.2).shape == (0, 4)


@st.composite
def boxes_in_images(draw: st.DrawFn) -> tuple[tuple[int, int], np.ndarray]:
    size = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    edges = []
    for side in size:
        low = draw(st.integers(0, 100 * side - 1)) / 100
        edges.append((low, draw(st.integers(round(100 * low) + 1, 100 * side)) / 100))
    return size, np.array([[edges[0][0], edges[1][0], edges[0][1], edges[1][1]]], np.float32)


@given(boxes_in_images(), st.floats(1, 3))
def test_any_square_lies_in_the_image_and_holds_its_box(case, enlarge: float):
    (width, height), box = case
    x1, y1, x2, y2 = squares(box, (width, height), enlarge)[0]
    assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    assert x1 <= box[0, 0] + 1 and y1 <= box[0, 1] + 1 and x2 >= box[0, 2] - 1 and y2 >= box[0, 3] - 1
    side = np.ceil(np.float64((box[:, 2:] - box[:, :2]).max()) * enlarge).clip(1)
    assert x2 - x1 <= side and y2 - y1 <= side
    if x1 > 0 and x2 < width:
        assert x2 - x1 == side
    if y1 > 0 and y2 < height:
        assert y2 - y1 == side


@given(boxes_in_images(), st.floats(0.1, 3))
def test_many_boxes_are_squared_as_each_alone(case, enlarge: float):
    size, box = case
    several = np.concatenate([box, box * 0.5, box])
    together = squares(several, size, enlarge)
    assert np.array_equal(together, np.concatenate([squares(one[None], size, enlarge) for one in several]))


# --- tubes of clips -------------------------------------------------------------------------------------------------

BOXES = table(
    (0, 10, 10, 20, 30, "person", 0.9),
    (3, 40, 20, 50, 40, "person", 0.9),
    (3, 60, 20, 80, 40, "car", 0.9),
    (9, 0, 0, 10, 10, "person", 0.9),
)


def test_a_tube_is_the_box_of_a_clip_s_key_frame():
    none = tubes(BOXES, np.array([2, 4, 6, 7]), (100, 80), settings())
    assert len(none) == 0 and none.square.shape == (0, 4)
    found = tubes(BOXES, np.arange(2, 9), (100, 80), settings(enlarge=1.0))
    assert found.clip.tolist() == [1, 1]
    assert found.box.tolist() == [1, 2]
    assert found.square.tolist() == [[35, 20, 55, 40], [60, 20, 80, 40]]


@given(st.lists(st.integers(0, 29), min_size=1), st.lists(st.integers(0, 29), max_size=40))
def test_tubes_are_those_that_a_loop_finds(keys: list[int], at: list[int]):
    boxes = table(*[(t, i, i, i + 5, i + 9, "person", 0.9) for i, t in enumerate(at)])
    found = tubes(boxes, np.array(keys), (100, 80), settings())
    expected = [(c, b) for c, key in enumerate(keys) for b in range(len(boxes)) if boxes.position[b] == key]
    assert list(zip(found.clip.tolist(), found.box.tolist(), strict=True)) == expected
    assert np.array_equal(found.square, squares(boxes.xyxy, (100, 80), settings().enlarge)[found.box])
