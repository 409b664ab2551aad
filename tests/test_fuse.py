"""Fusion: weights, alignment by (video, frame), and the order of normalising and smoothing."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelplay.config import FusionConfig, MemberConfig, NormaliseConfig, SmoothConfig
from pixelplay.errors import ConfigError, DataError
from pixelplay.scores.fuse import FUSIONS, fuse, process, weighted_mean

Row = tuple[str, str, int, float]  # split, video, frame, score


def member(weight: float = 1.0, normalise: str = "none", smooth: str = "none", window: int = 1) -> MemberConfig:
    return MemberConfig(
        weight=weight,
        normalise=NormaliseConfig(method=normalise, low=0.0, high=100.0),
        smooth=SmoothConfig(method=smooth, window=window, sigma=1.0),
    )


def fusion(default: MemberConfig, **members: MemberConfig) -> FusionConfig:
    return FusionConfig(method="weighted_mean", default=default, members=members)


def table(stream: str, rows: list[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["split", "video", "frame", "score"]).assign(stream=stream)
    return frame.astype({"score": np.float32})


A = table("a", [("test", "02", 4, 1.0), ("test", "02", 5, 2.0), ("test", "01", 9, 5.0)])
B = table("b", [("test", "01", 9, 10.0), ("test", "02", 5, 20.0), ("test", "02", 4, 40.0)])  # the same rows, shuffled


def test_every_method_of_the_config_has_its_function() -> None:
    assert set(FUSIONS) == set(get_args(FusionConfig.model_fields["method"].annotation))


def test_weights_are_divided_by_their_sum() -> None:
    members = np.array([[0.0, 4.0], [8.0, 0.0]])
    np.testing.assert_allclose(weighted_mean(members, np.array([3.0, 1.0])), [2.0, 3.0])
    np.testing.assert_allclose(weighted_mean(members, np.array([1e308, 1e308])), [4.0, 2.0])


def test_all_weights_zero_is_an_error() -> None:
    with pytest.raises(ConfigError, match="all fusion weights are 0"):
        weighted_mean(np.ones((2, 3)), np.zeros(2))


@pytest.mark.parametrize("weight", [-1.0, np.inf, np.nan])
def test_impossible_weights_are_an_error(weight: float) -> None:
    with pytest.raises(ConfigError, match="finite and at least 0"):
        weighted_mean(np.ones((2, 3)), np.array([1.0, weight]))


@given(st.lists(st.just(0.0) | st.floats(0.01, 100), min_size=3, max_size=3).filter(any), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_a_weighted_mean_lies_between_its_members(weights: list[float], seed: int) -> None:
    members = np.random.default_rng(seed).normal(size=(3, 10))
    fused = weighted_mean(members, np.array(weights))
    np.testing.assert_allclose(fused, np.average(members, axis=0, weights=weights), rtol=1e-9, atol=1e-12)
    assert (fused >= members.min(axis=0) - 1e-12).all() and (fused <= members.max(axis=0) + 1e-12).all()


def test_fuse_aligns_members_by_video_and_frame_and_keeps_the_first_ones_order() -> None:
    result = fuse({"a": A, "b": B}, fusion(member(), b=member(weight=3.0)))
    assert list(result.columns) == ["video", "frame", "stream", "score"]
    assert result["stream"].tolist() == ["a"] * 3 + ["b"] * 3 + ["fused"] * 3
    for stream, scores in {"a": [1, 2, 5], "b": [40, 20, 10], "fused": [30.25, 15.5, 8.75]}.items():
        rows = result[result["stream"] == stream]
        assert list(zip(rows["video"], rows["frame"], strict=True)) == [("02", 4), ("02", 5), ("01", 9)]
        assert rows["score"].tolist() == scores


def test_each_member_is_normalised_on_its_own() -> None:
    result = fuse({"a": A, "b": B}, fusion(member(normalise="minmax")))
    # a: 0, 1/4, 1; b: 1, 1/3, 0; their means.
    np.testing.assert_allclose(result.loc[result["stream"] == "fused", "score"], [0.5, 7 / 24, 0.5])


def test_a_stream_with_a_slash_is_configured_by_its_whole_name() -> None:
    streams = {name: table(name, [("test", "1", 0, 2.0)]) for name in ("ae", "ae/mean")}
    result = fuse(streams, fusion(member(weight=0.0), **{"ae/mean": member(weight=1.0)}))
    assert result["score"].tolist() == [2.0, 2.0, 2.0]


def test_one_member_alone_is_the_fused_stream() -> None:
    result = fuse({"a": A}, fusion(member(weight=0.3)))
    assert result.loc[result["stream"] == "fused", "score"].tolist() == [1.0, 2.0, 5.0]


def test_process_normalises_over_all_videos_then_smooths_within_each() -> None:
    rows = [("test", "1", 2, 4.0), ("test", "1", 1, 0.0), ("test", "2", 3, 8.0), ("test", "2", 4, 8.0)]
    result = process(table("a", rows), member(normalise="minmax", smooth="moving_average", window=3))
    # Over both videos 0..8 goes to 0..1; video 1 then averages 0 and 1/2, and nothing of video 2 leaks into it.
    assert result["frame"].tolist() == [1, 2, 3, 4]
    assert result["score"].tolist() == [0.25, 0.25, 1.0, 1.0]
    assert result["score"].dtype == np.float64


def test_process_calibrates_on_the_calibration_rows_only() -> None:
    normal = [("calibration", "t", at, float(at)) for at in range(5)]  # median 2, MAD 1
    planted = [("pseudo", "t", at, 1000.0) for at in range(5)]
    result = process(table("a", [("test", "1", 0, 2 + 1.4826), *normal, *planted]), member(normalise="calibrated"))
    assert result["score"].tolist() == pytest.approx([1.0], abs=1e-6)  # float32 scores
    assert result["video"].tolist() == ["1"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (B[B["frame"] != 5], "stream 'b' has no score for video '02', frame 5, which stream 'a' has"),
        (table("b", [*[("test", "02", at, 1.0) for at in (4, 5, 6)], ("test", "01", 9, 1.0)]), "stream 'a' .*frame 6"),
        (A, "table of stream 'b' has rows of a"),
        (B.assign(split="calibration"), "no scores of split=test"),
        (B.assign(score=np.float32("nan")), "score"),
    ],
)
def test_members_that_do_not_match_are_refused(other: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fuse({"a": A, "b": other}, fusion(member()))


def test_a_configured_member_without_scores_is_named() -> None:
    with pytest.raises(ConfigError, match=r"fusion\.members\.aa: no such stream; did you mean 'a'\?"):
        fuse({"a": A}, fusion(member(), aa=member()))


def test_nothing_to_fuse_and_a_stream_called_fused_are_refused() -> None:
    with pytest.raises(DataError, match="no scores to fuse"):
        fuse({}, fusion(member()))
    with pytest.raises(DataError, match="'fused'"):
        fuse({"fused": table("fused", [("test", "1", 0, 1.0)])}, fusion(member()))


def test_process_refuses_two_streams() -> None:
    with pytest.raises(DataError, match="has 2: a, b"):
        process(pd.concat([A, B]), member())
