"""Tables of boxes: order, clipping, overlap by hand, and what a file gives back."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline import cached_video, walking_square

from pixelplay.errors import MissingArtifactError, PixelPlayError
from pixelplay.objects.boxes import Boxes, boxes_of, clip, iou, is_saved, join, load, save


def table(*rows: tuple) -> Boxes:
    """From rows (position, x1, y1, x2, y2, class, confidence)."""
    columns = list(zip(*rows, strict=True)) or [[]] * 7
    return Boxes.of(np.array(columns[0]), np.array(columns[1:5]).T, columns[5], np.array(columns[6]))


def rows(boxes: Boxes) -> list[tuple]:
    values = zip(boxes.position, boxes.xyxy, boxes.label, boxes.confidence, strict=True)
    return [(int(p), *xyxy.tolist(), str(c), round(float(sure), 4)) for p, xyxy, c, sure in values]


PERSON = (2, 1.5, 2.0, 30.0, 40.0, "person", 0.9)
CAR = (0, 0.0, 0.0, 10.0, 5.0, "car", 0.5)
BLOB = (2, 3.0, 3.0, 4.0, 9.0, "motion", 0.6)


def test_boxes_are_ordered_by_frame_and_keep_their_order_within():
    assert rows(table(PERSON, CAR, BLOB)) == [CAR, PERSON, BLOB]
    assert rows(join([table(BLOB), table(PERSON, CAR)])) == [CAR, BLOB, PERSON]


def test_a_block_counts_its_frames_from_0():
    boxes = table(CAR, PERSON, BLOB)
    assert rows(boxes.block(1, 3)) == [(1, *PERSON[1:]), (1, *BLOB[1:])]
    assert rows(boxes.block(0, 2)) == [CAR]
    assert len(boxes.block(3, 9)) == 0


@pytest.mark.parametrize("given_rows", [[], [CAR], [CAR, PERSON, BLOB]])
def test_a_file_gives_back_what_was_saved_with_the_same_bytes_each_time(tmp_path: Path, given_rows: list[tuple]):
    boxes = table(*given_rows)
    for folder in ("1", "2"):
        save(boxes, tmp_path / folder / "a")
    assert (tmp_path / "1/a").read_bytes() == (tmp_path / "2/a").read_bytes()
    assert is_saved(tmp_path / "1/a")
    again = load(tmp_path / "1/a")
    assert rows(again) == given_rows
    assert (again.position.dtype, again.xyxy.dtype, again.confidence.dtype) == (np.int64, np.float32, np.float32)
    assert again.xyxy.shape == (len(given_rows), 4)


DAMAGES = {
    "cut": lambda path, other: path.write_bytes(path.read_bytes()[:-1]),
    "half": lambda path, other: path.write_bytes(path.read_bytes()[:200]),
    "empty": lambda path, other: path.write_bytes(b""),
    "text": lambda path, other: path.write_bytes(b"\x93" * 500),
    "another video's": lambda path, other: shutil.copy(other, path),
    "not ours": lambda path, other: pd.DataFrame({"position": [1]}).to_parquet(path),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_or_foreign_table_is_not_saved_and_is_removed_by_its_reader(tmp_path: Path, name: str):
    for file in ("one", "other"):
        save(table(CAR), tmp_path / file)
    DAMAGES[name](tmp_path / "one", tmp_path / "other")
    assert not is_saved(tmp_path / "one")
    with pytest.raises(PixelPlayError, match=r"one is damaged.*src/detect\.py"):
        load(tmp_path / "one")
    assert not (tmp_path / "one").exists()
    assert is_saved(tmp_path / "other")


def test_a_missing_file_is_told_with_what_to_do(tmp_path: Path):
    assert not is_saved(tmp_path / "none")
    with pytest.raises(MissingArtifactError, match=r"none is missing: run `python src/detect\.py`"):
        load(tmp_path / "none")


def test_clipping_by_hand():
    outside = [(1, -5.0, -5.0, 5.0, 5.0, "a", 1.0), (1, 90.0, 40.0, 120.0, 60.0, "b", 1.0)]
    nothing = [
        (1, 100.0, 0.0, 120.0, 9.0, "c", 1.0),
        (1, 5.0, 5.0, 5.0, 9.0, "d", 1.0),
        (1, 9.0, 5.0, 4.0, 9.0, "e", 1.0),
    ]
    unknown = [(1, np.nan, 0.0, 5.0, 9.0, "f", 1.0), (1, 0.0, 0.0, 5.0, 9.0, "g", np.nan)]
    found = clip(table(*outside, *nothing, *unknown), (100, 50))
    assert rows(found) == [(1, 0.0, 0.0, 5.0, 5.0, "a", 1.0), (1, 90.0, 40.0, 100.0, 50.0, "b", 1.0)]


def test_overlap_by_hand():
    """Of 4x4 = 16 pixels: 2x2 common with the second, 16 + 16 - 4; the third is a quarter of it; the fourth apart."""
    first = np.array([[0, 0, 4, 4.0]])
    others = np.array([[2, 2, 6, 6], [1, 1, 3, 3], [4, 0, 8, 4], [0, 0, 4, 4.0]])
    np.testing.assert_allclose(iou(first, others), [[4 / 28, 4 / 16, 0, 1]])
    assert iou(first[:0], others).shape == (0, 4)


corner = st.floats(0, 50, width=32)


@given(st.lists(st.tuples(corner, corner, st.floats(1, 9), st.floats(1, 9)), min_size=1, max_size=6))
def test_overlap_is_symmetric_within_0_and_1_and_1_with_oneself(given_boxes: list[tuple]):
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in given_boxes])
    values = iou(boxes, boxes)
    np.testing.assert_allclose(values, values.T)
    np.testing.assert_allclose(np.diag(values), 1)
    assert values.min() >= 0 and values.max() <= 1 + 1e-9


def test_boxes_of_a_video_are_those_of_all_its_tables_and_a_block_has_its_own(tmp_path: Path):
    save(table(CAR, PERSON), tmp_path / "yolo")
    save(table(BLOB), tmp_path / "motion")
    video = cached_video(tmp_path, "v", walking_square(5, seed=0))
    with pytest.raises(MissingArtifactError, match="video v: no objects were looked for"):
        boxes_of(video)
    video = replace(video, objects=(tmp_path / "yolo", tmp_path / "motion"))
    assert rows(boxes_of(video)) == [CAR, PERSON, BLOB]
    assert rows(boxes_of(video.block(1, 5).block(1, 3))) == [(0, *PERSON[1:]), (0, *BLOB[1:])]
