"""The contract of the scores table, and its arrays by video."""

import numpy as np
import pandas as pd
import pytest

from pixelplay.errors import DataError
from pixelplay.scores.table import by_split, check, to_table


def table(**changes: list) -> pd.DataFrame:
    columns = {
        "split": ["test", "test", "test", "calibration"],
        "video": ["02", "01", "02", "02"],
        "frame": [7, 939, 5, 5],
        "stream": ["conv_ae"] * 4,
        "score": np.array([0.5, 0.25, 0.75, 1.0], dtype=np.float32),
    }
    return pd.DataFrame(columns | changes)


def test_a_good_table_passes_with_str_and_with_object_columns() -> None:
    check(table())
    check(table().astype({"video": object, "stream": object, "split": object}))


def test_the_same_frame_in_another_split_or_stream_is_no_duplicate() -> None:
    check(table(frame=[7, 939, 5, 5], stream=["a", "a", "a", "b"]))


@pytest.mark.parametrize("column", ["split", "video", "frame", "stream", "score"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(DataError, match=rf"missing column\(s\) {column};"):
        check(table().drop(columns=column))


def test_a_duplicated_row_is_named() -> None:
    with pytest.raises(DataError, match=r"'conv_ae', video '02', frame 7 .*more than once"):
        check(table(frame=[7, 939, 7, 7]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_named_with_stream_video_and_frame(bad: float) -> None:
    with pytest.raises(DataError, match=r"stream 'conv_ae', video '01', frame 939 .*not finite"):
        check(table(score=[0.5, bad, 0.75, 1.0]))


def test_all_scores_nan_is_an_error() -> None:
    with pytest.raises(DataError, match="score"):
        check(table(score=[np.nan] * 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": ["test", "test", "train", "test"]}, "split other than test, calibration, pseudo"),
        ({"video": [2, 1, 2, 2]}, "'video' must be str, not int64"),
        ({"video": ["02", None, "02", "02"]}, "'video' has 1 empty"),
        ({"frame": [7.0, 939.0, 5.5, 5.0]}, "'frame' must be integer"),
        ({"frame": [7, 939, -5, 5]}, "frame -5 .*negative"),
        ({"score": ["0.1", "0.2", "0.3", "0.4"]}, "'score' must be floating point"),
    ],
)
def test_wrong_values_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(table(**changes))


def test_by_split_keeps_the_order_of_videos_and_sorts_frames() -> None:
    videos = by_split(table())["test"]
    assert list(videos) == ["02", "01"]
    assert videos["02"].frames.tolist() == [5, 7]
    assert videos["02"].scores.tolist() == [0.75, 0.5]
    assert videos["02"].frames.dtype == np.int64 and videos["02"].scores.dtype == np.float32
    assert "pseudo" not in by_split(table())


def test_by_split_has_the_splits_that_have_rows_in_a_fixed_order_and_to_table_takes_them_back() -> None:
    shuffled = table(split=["calibration", "test", "calibration", "test"])
    splits = by_split(shuffled)
    assert {split: list(videos) for split, videos in splits.items()} == {"test": ["01", "02"], "calibration": ["02"]}
    assert list(splits) == ["test", "calibration"]
    assert splits["calibration"]["02"].frames.tolist() == [5, 7]
    again = to_table("conv_ae", splits)
    check(again)
    assert list(again.columns) == ["split", "video", "frame", "stream", "score"]
    rows = list(zip(again["split"], again["video"], again["frame"], again["score"], strict=True))
    assert rows == [
        ("test", "01", 939, 0.25),
        ("test", "02", 5, 1.0),
        ("calibration", "02", 5, 0.75),
        ("calibration", "02", 7, 0.5),
    ]


def test_by_split_refuses_two_streams_and_a_table_that_is_none() -> None:
    with pytest.raises(DataError, match="expected the rows of one stream; the table has 2: a, b"):
        by_split(table(stream=["a", "a", "b", "a"]))
    with pytest.raises(DataError, match="more than once"):
        by_split(table(frame=[7, 939, 7, 7]))
    assert by_split(table().iloc[:0]) == {}
