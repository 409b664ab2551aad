"""Scores of several streams fused per object, worked out by hand."""

import logging
import re

import numpy as np
import pandas as pd
import pytest

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError, DataError
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.settings import ObjectFusionConfig

A, B = "videopatchcore/spatial", "temporal_mae/reconstruction"
NORMAL = [("calibration", "n", frame, 1) for frame in range(5)]


def settings(*overrides: str) -> ObjectFusionConfig:
    """Weights 1 and 3, unsmoothed, calibrated from the smallest normal score to the largest."""
    plain = [f"fusion.objects.streams={{{A}:1.0,{B}:3.0}}", "fusion.objects.smooth.method=none"]
    return load_config(
        [*plain, "fusion.objects.normalise.quantile=1.0", "fusion.objects.top=1", *overrides]
    ).fusion.objects


def rows(stream: str, scores: dict[tuple[str, str, int, int], float]) -> pd.DataFrame:
    """An object table: scores by split, video, frame and track."""
    table = pd.DataFrame(
        [(*key, score) for key, score in scores.items()], columns=["split", "video", "frame", "track", "score"]
    )
    table[["x1", "y1", "x2", "y2"]] = np.add(table[["track"] * 4].to_numpy(float), [0, 0, 5, 9])
    return table.assign(stream=stream, **{"class": "person"})


def normal(*scores: float) -> dict[tuple[str, str, int, int], float]:
    return dict(zip(NORMAL, scores, strict=True))


def test_streams_are_calibrated_on_normal_objects_and_averaged_by_weight_per_object():
    test = [("test", "a", 0, 1), ("test", "a", 0, 2), ("test", "a", 1, 1)]
    first = rows(A, {**normal(0, 1, 2, 3, 10), **dict(zip(test, [5.0, 20.0, -1.0], strict=True))})
    second = rows(B, {**normal(1, 1, 1, 1, 3), **dict(zip(test, [2.0, 1.0, 3.0], strict=True))})
    found = fuse_objects({A: first, B: second.sample(frac=1, random_state=0)}, settings())
    own = found[found["split"] == "test"].set_index(["frame", "track"])["score"]
    assert own.to_dict() == pytest.approx(
        {(0, 1): (0.5 + 3 * 0.5) / 4, (0, 2): (1 + 3 * 0) / 4, (1, 1): (0 + 3 * 1) / 4}
    )
    assert set(found["stream"]) == {"objects"}
    assert found[["x1", "y1", "x2", "y2"]].iloc[-1].tolist() == [2, 2, 7, 11], "boxes stay those of the track"


def test_of_normal_objects_those_that_all_streams_have_are_summed_and_each_scale_is_of_all_of_a_stream_s_own():
    """The first stream has scores of training footage, too: its scale goes to 20, the second's to 3."""
    test, folds = ("test", "a", 0, 1), {("calibration", "m", 0, 1): 20.0, ("calibration", "n", 7, 2): 0.0}
    first = rows(A, {**folds, **normal(4, 1, 2, 3, 10), test: 5.0})
    second = rows(B, {**normal(1, 1, 1, 1, 3), ("calibration", "n", 7, 3): 1.0, test: 2.0})
    found = fuse_objects({A: first, B: second}, settings()).set_index(["split", "video", "frame", "track"])["score"]
    assert found.to_dict() == pytest.approx(
        {
            test: (5 / 20 + 3 * 0.5) / 4,
            ("calibration", "n", 0, 1): 4 / 20 / 4,
            ("calibration", "n", 1, 1): 1 / 20 / 4,
            ("calibration", "n", 2, 1): 2 / 20 / 4,
            ("calibration", "n", 3, 1): 3 / 20 / 4,
            ("calibration", "n", 4, 1): (10 / 20 + 3) / 4,
        }
    )
    back = fuse_objects({B: second, A: first}, settings()).set_index(["split", "video", "frame", "track"])["score"]
    assert back.to_dict() == pytest.approx(found.to_dict())
    with_folds = rows(B, {**folds, **normal(1, 1, 1, 1, 3), test: 2.0})
    assert len(fuse_objects({A: first, B: with_folds}, settings())) == len(first)


def test_a_stream_outside_the_run_leaves_the_scale_of_the_others():
    table = rows(A, {**normal(0, 1, 2, 3, 10), ("test", "a", 0, 1): 5.0})
    found = fuse_objects({A: table}, settings())
    assert found["score"].tolist()[-1] == pytest.approx(0.5)


def test_scores_are_smoothed_along_a_track_by_frame_number_and_not_across_tracks_or_videos():
    test = {("test", "a", frame, 1): score for frame, score in [(0, 0.0), (1, 9.0), (5, 6.0)]}
    test |= {("test", "a", 0, 2): 0.0, ("test", "a", 1, 2): 0.0, ("test", "b", 2, 1): 3.0}
    table = rows(A, {**normal(0, 1, 2, 3, 9), **test})
    moving = ["fusion.objects.smooth.method=moving_average", "fusion.objects.smooth.window=3"]
    found = fuse_objects({A: table}, settings(*moving))
    own = found[found["split"] == "test"].set_index(["video", "frame", "track"])["score"]
    expected = {
        ("a", 0, 1): 0.5,
        ("a", 1, 1): 0.5,
        ("a", 5, 1): 2 / 3,
        ("a", 0, 2): 0.0,
        ("a", 1, 2): 0.0,
        ("b", 2, 1): 1 / 3,
    }
    assert own.to_dict() == pytest.approx(expected)


def test_a_frame_has_the_mean_of_its_highest_objects_and_0_where_it_has_none():
    objects = rows("objects", {("test", "a", 0, k): score for k, score in [(1, 0.2), (2, 0.8), (3, 0.6)]})
    videos = [("test", "a", np.array([0, 4])), ("pseudo", "a", np.array([0]))]
    highest = frame_scores(objects, videos, settings())
    assert highest[["split", "frame", "score"]].to_numpy().tolist() == [
        ["test", 0, 0.8],
        ["test", 4, 0.0],
        ["pseudo", 0, 0.0],
    ]
    assert frame_scores(objects, videos, settings("fusion.objects.top=2"))["score"].tolist() == pytest.approx(
        [0.7, 0, 0]
    )
    assert frame_scores(objects, videos, settings("fusion.objects.top=4"))["score"].tolist() == pytest.approx(
        [0.4, 0, 0]
    )


def test_streams_that_score_other_rows_are_refused_by_name():
    first = rows(A, {**normal(0, 1, 2, 3, 4), ("test", "a", 0, 1): 1.0})
    other = rows(B, {**normal(0, 1, 2, 3, 4), ("test", "a", 7, 2): 1.0})
    with pytest.raises(
        DataError, match=re.escape(f"{B} has no score for video a (split test), frame 0, track 1, which {A} has")
    ):
        fuse_objects({A: first, B: other}, settings())
    with pytest.raises(DataError, match="two scores of track 1"):
        fuse_objects({A: pd.concat([first, first.tail(1)])}, settings())
    with pytest.raises(DataError, match="an object has no track"):
        fuse_objects({A: first.assign(track=-1)}, settings())


def test_without_normal_objects_the_scale_is_that_of_all_objects_and_a_warning_says_so(
    caplog: pytest.LogCaptureFixture,
):
    table = rows(A, {("test", "a", 0, 1): 2.0, ("test", "a", 0, 2): 4.0})
    with caplog.at_level(logging.WARNING):
        assert fuse_objects({A: table}, settings())["score"].tolist() == [0.0, 1.0]
    assert f"{A}: no object in held-out normal footage" in caplog.text


def test_footage_without_any_object_gives_no_rows_and_frames_of_0():
    none = rows(A, normal(1, 2, 3, 4, 5)).head(0)
    found = fuse_objects({A: none, B: none.assign(stream=B)}, settings())
    assert found.empty
    assert frame_scores(found, [("test", "a", np.arange(3))], settings())["score"].tolist() == [0, 0, 0]


def test_a_scale_for_each_video_is_refused():
    with pytest.raises(ConfigError, match=r"fusion\.objects.*normalise\.scope: objects of all videos are on one scale"):
        load_config(["+fusion.objects.normalise.scope=video"])
    assert load_config(["fusion.default.normalise.scope=video"]).fusion.objects.normalise.scope == "all"
