"""Fusion: how members are combined, aligned by (video, frame), normalised and smoothed, in every split."""

import time
import timeit
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gmean, pmean, rankdata

from pixelplay.errors import ConfigError, DataError
from pixelplay.scores.combine import FUSIONS, combine
from pixelplay.scores.fuse import align, compose, fuse, member_of, process
from pixelplay.scores.settings import (
    CompositeConfig,
    CorruptedFramesConfig,
    FusionConfig,
    MemberConfig,
    NormaliseConfig,
    ObjectFusionConfig,
    SmoothConfig,
)
from pixelplay.scores.table import by_split

Row = tuple[str, str, int, float]  # split, video, frame, score


UNUSED = {"quantile": 0.999, "min_p": 0.001}  # by the methods of these tests


def member(
    weight: float = 1.0, normalise: str = "none", smooth: str = "none", window: int = 1, scope: str = "all"
) -> MemberConfig:
    return MemberConfig(
        weight=weight,
        normalise=NormaliseConfig(method=normalise, low=0.0, high=100.0, scope=scope, clip=None, **UNUSED),
        smooth=SmoothConfig(method=smooth, window=window, sigma=1.0, decay=0.5, polyorder=0),
    )


def fusion(
    default: MemberConfig, method: str = "weighted_mean", power: float = 1.0, **members: MemberConfig
) -> FusionConfig:
    return FusionConfig(
        method=method,
        bounds=None,
        select_members=False,
        power=power,
        corrupted_frames=CorruptedFramesConfig(noise_above=8.0, weight=1.0),
        external=[],
        default=default,
        external_default=default,
        objects=ObjectFusionConfig(streams={}, normalise=member().normalise, smooth=member().smooth, top=1, weight=1.0),
        composites={},
        members=members,
    )


def combined(method: str, scores: np.ndarray, weights: list[float], power: float = 1.0) -> np.ndarray:
    return combine(scores, np.array(weights), fusion(member(), method, power))


def table(stream: str, rows: list[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["split", "video", "frame", "score"]).assign(stream=stream)
    return frame.astype({"score": np.float32})


def rows_of(result: pd.DataFrame, stream: str, split: str = "test") -> list[tuple[str, int, float]]:
    chosen = result[(result["stream"] == stream) & (result["split"] == split)]
    return list(zip(chosen["video"], chosen["frame"], chosen["score"], strict=True))


A = table("a", [("test", "02", 4, 1.0), ("test", "02", 5, 2.0), ("test", "01", 9, 5.0)])
B = table("b", [("test", "01", 9, 10.0), ("test", "02", 5, 20.0), ("test", "02", 4, 40.0)])  # the same rows, shuffled

MEMBERS = np.array([[0.0, 0.2, 0.9, 0.5], [0.4, 0.2, 0.1, 1.0]])
METHODS = sorted(FUSIONS)
WEIGHTS = st.lists(st.just(0.0) | st.floats(0.01, 100), min_size=3, max_size=3).filter(any)
SEEDS = st.integers(0, 2**32 - 1)


# --- combining ------------------------------------------------------------------------------------------------------


def test_weights_are_divided_by_their_sum() -> None:
    members = np.array([[0.0, 4.0], [8.0, 0.0]])
    np.testing.assert_allclose(combined("weighted_mean", members, [3.0, 1.0]), [2.0, 3.0])
    np.testing.assert_allclose(combined("weighted_mean", members, [1e308, 1e308]), [4.0, 2.0])


def test_maximum_by_hand() -> None:
    assert combined("maximum", MEMBERS, [3.0, 1.0]).tolist() == [0.4, 0.2, 0.9, 1.0]


def test_product_by_hand() -> None:
    # Shares 3/4 and 1/4; whoever says 0 decides.
    expected = [0.0, 0.2, 0.9**0.75 * 0.1**0.25, 0.5**0.75]
    np.testing.assert_allclose(combined("product", MEMBERS, [3.0, 1.0]), expected, rtol=1e-12)


def test_power_mean_by_hand() -> None:
    # sqrt((3 x^2 + y^2) / 4)
    expected = np.sqrt([0.16 / 4, 0.04, (3 * 0.81 + 0.01) / 4, (3 * 0.25 + 1) / 4])
    np.testing.assert_allclose(combined("power_mean", MEMBERS, [3.0, 1.0], power=2.0), expected, rtol=1e-12)


def test_rank_mean_by_hand() -> None:
    # Ranks of four, less a half, by four: of the first 1 2 4 3, of the second 3 2 1 4.
    first, second = (np.array(ranks) / 8 for ranks in ([1, 3, 7, 5], [5, 3, 1, 7]))
    np.testing.assert_allclose(combined("rank_mean", MEMBERS, [3.0, 1.0]), 0.75 * first + 0.25 * second)


def test_rank_mean_ranks_among_the_reference() -> None:
    reference = np.array([[1.0, 2.0, 3.0, 4.0]])
    result = combine(np.array([[0.0, 2.5, 9.0]]), np.array([1.0]), fusion(member(), "rank_mean"), reference)
    assert result.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("method", ["product", "power_mean"])
def test_scores_below_zero_count_as_zero_where_a_power_would_turn_them_round(method: str) -> None:
    scores = np.array([[-3.0, -3.0, 0.5], [-2.0, 1.0, 0.5]])
    result = combined(method, scores, [1.0, 1.0], power=2.0)
    np.testing.assert_allclose(result, [0.0, 0.0 if method == "product" else np.sqrt(0.5), 0.5])


def test_a_power_mean_of_huge_and_of_tiny_scores_keeps_their_size() -> None:
    result = combined("power_mean", np.array([[1e200, 1e-200], [1e200, 1e-200]]), [1.0, 1.0], power=9.0)
    np.testing.assert_allclose(result, [1e200, 1e-200], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_member_of_weight_zero_takes_no_part(method: str) -> None:
    outvoted = np.vstack([MEMBERS, [-1e9, 0.0, 1e9, 5.0]])
    alone = combined(method, MEMBERS, [2.0, 1.0], power=3.0)
    np.testing.assert_array_equal(combined(method, outvoted, [2.0, 1.0, 0.0], power=3.0), alone)


@pytest.mark.parametrize("method", METHODS)
def test_impossible_weights_are_an_error(method: str) -> None:
    for weights, message in (
        ([0.0, 0.0], "all fusion weights are 0"),
        ([1.0], "2 fused streams need as many weights"),
        *(([1.0, bad], "finite and at least 0") for bad in (-1.0, np.inf, np.nan)),
    ):
        with pytest.raises(ConfigError, match=message):
            combined(method, MEMBERS, weights)


@given(WEIGHTS, SEEDS, st.sampled_from(METHODS), st.floats(0.1, 20))
@settings(deadline=None)
def test_a_fusion_lies_between_its_members(weights: list[float], seed: int, method: str, power: float) -> None:
    members = np.random.default_rng(seed).random(size=(3, 10))
    fused = combined(method, members, weights, power)
    part = members[np.array(weights) > 0]
    if method == "rank_mean":
        part = rankdata(part, axis=1) / 10 - 0.05
    assert (fused >= part.min(axis=0) - 1e-12).all() and (fused <= part.max(axis=0) + 1e-12).all()


@given(WEIGHTS, SEEDS, st.floats(0.1, 20))
@settings(deadline=None)
def test_means_equal_numpy_s_and_scipy_s(weights: list[float], seed: int, power: float) -> None:
    members = np.random.default_rng(seed).random(size=(3, 10)) + 0.01
    column = np.array(weights)[:, None] * np.ones(10)
    expected = {
        "weighted_mean": np.average(members, axis=0, weights=weights),
        "power_mean": pmean(members, power, axis=0, weights=column),
        "product": gmean(members, axis=0, weights=column),
        "rank_mean": np.average(rankdata(members, axis=1) / 10 - 0.05, axis=0, weights=weights),
    }
    for method, scores in expected.items():
        np.testing.assert_allclose(combined(method, members, weights, power), scores, rtol=1e-9, atol=1e-12)


@given(WEIGHTS, SEEDS, st.sampled_from(METHODS), st.permutations(range(3)))
@settings(deadline=None)
def test_the_order_of_members_does_not_matter(weights: list[float], seed: int, method: str, order: list[int]) -> None:
    members = np.random.default_rng(seed).random(size=(3, 10))
    fused = combined(method, members, weights, power=3.0)
    shuffled = combined(method, members[order], [weights[m] for m in order], power=3.0)
    np.testing.assert_allclose(shuffled, fused, rtol=1e-12, atol=1e-12)


@given(WEIGHTS, SEEDS, st.sampled_from(METHODS), st.integers(0, 2), st.integers(0, 9))
@settings(deadline=None)
def test_a_higher_score_never_lowers_the_fusion(
    weights: list[float], seed: int, method: str, m: int, frame: int
) -> None:
    members = np.random.default_rng(seed).random(size=(3, 10))
    higher = members.copy()
    higher[m, frame] += 0.3
    before, after = (combined(method, scores, weights, power=3.0)[frame] for scores in (members, higher))
    assert after >= before - 1e-12


# --- one stream -----------------------------------------------------------------------------------------------------


def processed(rows: list[Row], how: MemberConfig, **kwargs: object) -> dict[str, dict[str, list[float]]]:
    splits = process(by_split(table("a", rows)), how, **kwargs)
    return {split: {video: one.scores.tolist() for video, one in videos.items()} for split, videos in splits.items()}


def test_process_normalises_over_all_videos_then_smooths_within_each() -> None:
    rows = [("test", "1", 2, 4.0), ("test", "1", 1, 0.0), ("test", "2", 3, 8.0), ("test", "2", 4, 8.0)]
    splits = process(by_split(table("a", rows)), member(normalise="minmax", smooth="moving_average", window=3))
    # Over both videos 0..8 goes to 0..1; video 1 then averages 0 and 1/2, and nothing of video 2 leaks into it.
    one, two = splits["test"]["1"], splits["test"]["2"]
    assert (one.frames.tolist(), two.frames.tolist()) == ([1, 2], [3, 4])
    assert (one.scores.tolist(), two.scores.tolist()) == ([0.25, 0.25], [1.0, 1.0])
    assert one.scores.dtype == np.float64


def test_with_scope_video_each_video_has_its_own_scale() -> None:
    rows = [("test", "1", 1, 0.0), ("test", "1", 2, 4.0), ("test", "2", 1, 4.0), ("test", "2", 2, 8.0)]
    result = processed(rows, member(normalise="minmax", scope="video"))
    assert result == {"test": {"1": [0.0, 1.0], "2": [0.0, 1.0]}}
    assert processed(rows, member(normalise="minmax")) == {"test": {"1": [0.0, 0.5], "2": [0.5, 1.0]}}


NORMAL = [("calibration", "t", at, float(at)) for at in range(5)]  # median 2, MAD 1
PLANTED = [("pseudo", "p", 0, 0.0), ("pseudo", "p", 1, 10.0), ("pseudo", "p", 2, 4.0)]
TEST = [("test", "1", 0, 2.0), ("test", "1", 1, 4.0)]


def test_every_split_is_calibrated_by_the_held_out_scores() -> None:
    result = processed([*TEST, *NORMAL, *PLANTED], member(normalise="calibrated"))
    for split, scores in {"test": [0, 2], "calibration": [-2, -1, 0, 1, 2], "pseudo": [-2, 8, 2]}.items():
        (found,) = result[split].values()
        np.testing.assert_allclose(np.array(found) * 1.4826, scores, atol=1e-12)


def test_held_out_scores_are_put_on_the_scale_of_the_test_set_and_planted_ones_on_their_own() -> None:
    result = processed([*TEST, *NORMAL, *PLANTED], member(normalise="minmax"))
    assert result == {
        "test": {"1": [0.0, 1.0]},
        "calibration": {"t": [-1.0, -0.5, 0.0, 0.5, 1.0]},
        "pseudo": {"p": [0.0, 1.0, 0.4]},
    }


def test_weights_reach_the_frames_of_their_video_and_split() -> None:
    rows = [(split, "1", at, score) for split in ("test", "calibration") for at, score in enumerate((1.0, 7.0, 3.0))]
    rows += [("test", "2", 0, 5.0)]
    how = member(smooth="moving_average", window=3)
    weights = {"test": {"1": np.array([1.0, 0.0, 1.0])}}
    result = processed(rows, how, weights=weights)
    assert result == {"test": {"1": [1.0, 2.0, 3.0], "2": [5.0]}, "calibration": {"1": [4.0, 11 / 3, 5.0]}}


@pytest.mark.parametrize("scope", ["all", "video"])
def test_process_refuses_a_stream_without_test_rows_and_one_without_what_it_is_calibrated_by(scope: str) -> None:
    with pytest.raises(DataError, match="no scores of split=test"):
        process(by_split(table("a", NORMAL)), member())
    with pytest.raises(DataError, match="needs scores of held-out normal footage"):
        process(by_split(table("a", TEST)), member(normalise="calibrated_z", scope=scope))


# --- all of them ----------------------------------------------------------------------------------------------------


def test_fuse_aligns_members_by_video_and_frame_and_keeps_the_first_ones_order() -> None:
    result = fuse({"a": A, "b": B}, fusion(member(), b=member(weight=3.0)))
    assert list(result.columns) == ["split", "video", "frame", "stream", "score"]
    assert result["stream"].tolist() == ["a"] * 3 + ["b"] * 3 + ["fused"] * 3
    for stream, scores in {"a": [1, 2, 5], "b": [40, 20, 10], "fused": [30.25, 15.5, 8.75]}.items():
        places = [("02", 4), ("02", 5), ("01", 9)]
        assert rows_of(result, stream) == [(*place, score) for place, score in zip(places, scores, strict=True)]


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


def test_an_external_member_is_processed_by_its_own_default(tmp_path: Path) -> None:
    (tmp_path / "b.csv").touch()
    config = fusion(member()).model_copy(
        update={"external": [tmp_path / "b.csv"], "external_default": member(weight=0.25, normalise="minmax")}
    )
    result = fuse({"a": A, "b": B}, config)
    assert [score for *_, score in rows_of(result, "b")] == [1.0, pytest.approx(1 / 3), 0.0]
    np.testing.assert_allclose([score for *_, score in rows_of(result, "fused")], [1.0, (2 + 1 / 12) / 1.25, 4.0])


def held_out(stream: str, scores: list[float], split: str = "calibration") -> pd.DataFrame:
    # The video has a test video's name: they are two.
    return table(stream, [(split, "02", at, score) for at, score in enumerate(scores)])


def test_held_out_and_planted_frames_are_fused_like_test_frames_where_every_member_has_them() -> None:
    streams = {
        "a": pd.concat([A, held_out("a", [1.0, 9.0]), held_out("a", [2.0], "pseudo")]),
        "b": pd.concat([B, held_out("b", [3.0, 5.0])]),
    }
    result = fuse(streams, fusion(member()))
    assert rows_of(result, "fused", "calibration") == [("02", 0, 2.0), ("02", 1, 7.0)]
    assert [score for *_, score in rows_of(result, "fused")] == [20.5, 11.0, 7.5]
    assert rows_of(result, "a", "pseudo") == [("02", 0, 2.0)]
    assert rows_of(result, "fused", "pseudo") == []


def test_held_out_frames_are_ranked_among_the_test_frames_and_planted_ones_among_themselves() -> None:
    streams = {"a": pd.concat([A, held_out("a", [1.5, 9.0]), held_out("a", [70.0, 80.0], "pseudo")])}
    result = fuse(streams, fusion(member(), "rank_mean"))
    assert [score for *_, score in rows_of(result, "fused", "calibration")] == [pytest.approx(1 / 3), 1.0]
    assert [score for *_, score in rows_of(result, "fused", "pseudo")] == [0.25, 0.75]


def test_combining_aligned_members_gives_what_fuse_gives() -> None:
    streams = {"a": A, "b": B}
    config = fusion(member(normalise="minmax", smooth="moving_average", window=3), "power_mean", power=3.0)
    members = align({stream: process(by_split(rows), config.default) for stream, rows in streams.items()})["test"]
    assert members.streams == ["a", "b"]
    assert members.index.tolist() == [("02", 4), ("02", 5), ("01", 9)]
    scores = combine(members.scores, np.array([1.0, 1.0]), config)
    assert scores.tolist() == [score for *_, score in rows_of(fuse(streams, config), "fused")]
    cut = {video: (one.frames.tolist(), one.scores.tolist()) for video, one in members.by_video(scores).items()}
    assert cut == {"02": ([4, 5], scores[:2].tolist()), "01": ([9], scores[2:].tolist())}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"rank_mean"}))
def test_a_search_can_combine_in_milliseconds(method: str) -> None:
    scores, weights = np.random.default_rng(0).random((8, 12_000)), np.ones(8)
    config = fusion(member(), method, power=4.0)
    took = timeit.repeat(lambda: combine(scores, weights, config), repeat=20, number=1, timer=time.process_time)
    assert min(took) < 0.05  # seconds


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (B[B["frame"] != 5], "stream 'b' has no score for video '02', frame 5, which stream 'a' has .split test, 1 su"),
        (B[B["video"] != "02"], "stream 'b' has no score for video '02', frame 4, .*2 such row"),
        (table("b", [*[("test", "02", at, 1.0) for at in (4, 5, 6)], ("test", "01", 9, 1.0)]), "stream 'a' .*frame 6"),
        (A, "table of stream 'b' has rows of a"),
        (B.assign(split="calibration"), "no scores of split=test"),
        (B.assign(score=np.float32("nan")), "score"),
    ],
)
def test_members_that_do_not_match_are_refused(other: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fuse({"a": A, "b": other}, fusion(member()))


def test_of_held_out_frames_those_that_every_member_has_are_fused_and_each_member_keeps_its_own() -> None:
    streams = {"a": pd.concat([A, held_out("a", [1.0, 2.0])]), "b": pd.concat([B, held_out("b", [4.0])])}
    result = fuse(streams, fusion(member()))
    assert rows_of(result, "fused", "calibration") == [("02", 0, 2.5)]
    assert rows_of(result, "a", "calibration") == [("02", 0, 1.0), ("02", 1, 2.0)]
    none = fuse({**streams, "b": pd.concat([B, held_out("b", [4.0]).assign(video="03")])}, fusion(member()))
    assert rows_of(none, "fused", "calibration") == []


def test_a_configured_member_without_scores_is_named() -> None:
    with pytest.raises(ConfigError, match=r"fusion\.members\.aa: no such stream; did you mean 'a'\?"):
        fuse({"a": A}, fusion(member(), aa=member()))


def test_nothing_to_fuse_and_a_stream_called_fused_are_refused() -> None:
    with pytest.raises(DataError, match="no scores to fuse"):
        fuse({}, fusion(member()))
    with pytest.raises(DataError, match="'fused'"):
        fuse({"fused": table("fused", [("test", "1", 0, 1.0)])}, fusion(member()))


# --- composites -----------------------------------------------------------------------------------------------------


def composed_of_two() -> FusionConfig:
    """Stream a made of a/x and a/y: min-max, then (0.75 x^2 + 0.25 y^2)^(1/2)."""
    parts = {"a/x": member(weight=3.0, normalise="minmax"), "a/y": member(weight=1.0, normalise="minmax")}
    composite = CompositeConfig(method="power_mean", power=2.0, streams=parts)
    smoothed = member(smooth="moving_average", window=3)
    return fusion(smoothed).model_copy(update={"composites": {"a": composite}})


def part(stream: str, scores: list[float]) -> pd.DataFrame:
    return table(stream, [("test", "01", frame, score) for frame, score in enumerate(scores)])


def test_a_composite_is_made_of_its_parts_in_place_of_what_the_detector_scored() -> None:
    tables = {"a": part("a", [9.0, 9.0, 9.0]), "a/x": part("a/x", [1.0, 3.0, 5.0]), "a/y": part("a/y", [4.0, 2.0, 4.0])}
    made = compose(tables, composed_of_two())
    assert list(made) == ["a"] and set(made["a"]["stream"]) == {"a"}
    wanted = [np.sqrt(0.25), np.sqrt(0.75 * 0.25), 1.0]  # x: 0, 0.5, 1; y: 1, 0, 1
    np.testing.assert_allclose(made["a"]["score"], wanted)


def test_a_composite_is_not_smoothed_again_and_its_parts_are_processed_as_parts() -> None:
    config = composed_of_two()
    assert member_of("a", config).smooth.method == "none"
    assert member_of("a/x", config) == config.composites["a"].streams["a/x"]
    assert member_of("b", config).smooth.method == "moving_average"
    own = member(weight=7.0)
    assert member_of("a", config.model_copy(update={"members": {"a": own}})) == own


def test_a_composite_of_a_detector_that_is_not_there_is_left_out_and_one_without_its_parts_refused() -> None:
    assert compose({"b": part("b", [1.0])}, composed_of_two()) == {}
    with pytest.raises(ConfigError, match=r"fusion\.composites\.a\.streams\.a/y: no such stream; did you mean 'a/x'\?"):
        compose({"a": part("a", [1.0]), "a/x": part("a/x", [1.0])}, composed_of_two())


def test_a_z_of_several_members_is_bounded_where_they_are_combined_and_nowhere_else() -> None:
    z = member(normalise="robust_z")  # of 1, 2, 3, 4 and 100: median 3, MAD 1
    values = [1.0, 2.0, 3.0, 4.0, 100.0]
    rows = [("test", "1", at, score) for at, score in enumerate(values)]
    config = fusion(z, b=member()).model_copy(update={"bounds": [-1.0, 4.0]})
    result = fuse({"a": table("a", rows), "b": table("b", rows)}, config)
    of_a = [score for *_, score in rows_of(result, "a")]
    assert of_a[-1] == pytest.approx(97 / 1.4826)
    expected = (np.clip(of_a, -1, 4) + values) / 2  # b is no z
    np.testing.assert_allclose([score for *_, score in rows_of(result, "fused")], expected)
    alone = fuse({"a": table("a", rows)}, config.model_copy(update={"members": {}}))
    assert [score for *_, score in rows_of(alone, "fused")] == of_a
