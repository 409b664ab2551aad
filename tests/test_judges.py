"""Which members the two judges leave out of a fusion, by scores that are made for it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from pixelplay.ablation.judges import Verdict, judge
from pixelplay.ablation.measure import Truth
from pixelplay.ablation.object_judges import judge_objects
from pixelplay.ablation.stability import FEWEST, stability
from pixelplay.ablation.variants import named
from pixelplay.cli import load_config
from pixelplay.scores.table import VideoScores as Of
from pixelplay.scores.table import to_table

CLIPS, T = 8, 20
OPTIONS = ["experiment=tiny", "fusion.default.normalise.method=none", "fusion.default.smooth.method=none"]
TRUTH = Truth.of([(f"clip{i}", np.arange(T), (np.arange(T) >= 12).astype(int)) for i in range(CLIPS)])


def table(stream: str, signal: float, seed: int, levels: tuple[float, ...]) -> pd.DataFrame:
    """Planted frames stand out by `signal` times the noise; normal videos lie at these levels."""
    rng = np.random.default_rng(seed)
    planted = {f"clip{i}": Of(np.arange(T), signal * (np.arange(T) >= 12) + rng.normal(size=T)) for i in range(CLIPS)}
    normal = {f"normal{i}": Of(np.arange(T), level + rng.normal(size=T)) for i, level in enumerate(levels)}
    return to_table(
        stream, {"test": {"t": Of(np.arange(T), rng.normal(size=T))}, "calibration": normal, "pseudo": planted}
    )


def verdicts(**members: tuple[float, tuple[float, ...]]) -> dict[str, Verdict]:
    config = load_config(OPTIONS)
    streams = {s: table(s, signal, seed, levels) for seed, (s, (signal, levels)) in enumerate(members.items())}
    found = judge(streams, TRUTH, named(config.fusion, list(members)), config.ablate, {})
    assert [one.member for one in found] == list(members)
    return {one.member: one for one in found}


STEADY, CROWDS = (0.0, 0.1, -0.1, 0.1, 0.0), (0.0, 3.0, 6.0, 9.0, 12.0)


def test_what_misses_the_planted_and_tells_videos_apart_is_left_out() -> None:
    found = verdicts(good=(3.0, STEADY), crowd=(-2.0, CROWDS))
    assert {name for name, one in found.items() if one.left_out} == {"crowd"}
    assert found["crowd"].gain > found["crowd"].error > 0
    assert found["crowd"].stability.share < 0.4 and found["good"].stability.share > 0.6
    assert np.isnan(found["good"].gain)  # the last one left
    assert "of the normal footage, in effect (5 videos)" in found["crowd"].told("ap")


@pytest.mark.parametrize(("signal", "levels"), [(-2.0, STEADY), (3.0, CROWDS), (-2.0, (0.0, 9.0))])
def test_one_judge_alone_leaves_nothing_out(signal: float, levels: tuple[float, ...]) -> None:
    found = verdicts(good=(3.0, STEADY), other=(signal, levels))
    assert not any(one.left_out for one in found.values())


def test_members_that_see_the_same_are_judged_again_once_one_is_gone() -> None:
    """Two of a kind outweigh what is right; the last useful member is never left out."""
    found = verdicts(good=(3.0, STEADY), crowd=(-1.0, CROWDS), like_it=(-1.0, CROWDS))
    assert {name for name, one in found.items() if one.left_out} == {"crowd", "like_it"}
    alone = verdicts(crowd=(-1.0, CROWDS))
    assert not alone["crowd"].left_out


def videos(*alarms: tuple[int, int], frames: int = 40) -> list[np.ndarray]:
    """Scores 1 on so many frames in the first and second half of each video, in the middle of each, and 0 elsewhere."""
    found = []
    for first, second in alarms:
        one = np.zeros(frames)
        one[5 : 5 + first] = one[frames // 2 + 5 : frames // 2 + 5 + second] = 1
        found.append(one)
    return found


@pytest.mark.parametrize(
    ("alarms", "share"),
    [
        ([(8, 8)] * 6, 1),  # every rate is the same
        ([(12, 12)] * 3 + [(0, 0)] * 3, 1 / 2),  # half of the videos have rates of 2 r, the others of 0: d = 1
        ([(15, 15)] * 2 + [(0, 0)] * 4, 1 / 3),  # 3 r and 0: d = (2 * 4 + 4 * 1) / 6 = 2
        ([(12, 0), (0, 12)] * 3, 1),  # a burst in one half of each, where chance put it: d = -1 counts as 0
        ([(12, 8)] * 3 + [(0, 4)] * 3, 3 / 4),  # r = 0.3; a: 0.6 and 0, b: 0.4 and 0.2; d = 1 * 1/3 = (-1) * (-1/3)
        (
            [(6, 6)] * 3 + [(0, 0)] * 3,
            3 / 5,
        ),  # 15 % of all: at the 80 % quantile, 0, all are alarms; d = (0 + 1 + 1) / 3
    ],
)
def test_stability_by_hand(alarms: list[tuple[int, int]], share: float) -> None:
    assert stability(videos(*alarms)) == (pytest.approx(share), 6)


def test_too_few_videos_are_not_judged_and_single_frames_are_none() -> None:
    share, count = stability([np.arange(9.0)] * (FEWEST - 1))
    assert np.isnan(share) and count == FEWEST - 1
    assert stability([*[np.arange(9.0)] * FEWEST, np.array([1.0])]) == (1.0, FEWEST)
    assert stability([np.ones(4)] * FEWEST) == (1.0, FEWEST)
    assert np.isnan(stability([]).share)


def test_videos_count_by_their_frames() -> None:
    """One video of three times the length with all alarms is half of the footage: r = 0.2, a = b = 0.4; d = 1."""
    short, long = np.zeros(20), np.tile(np.repeat([1.0, 0.0], [4, 6]), 12)
    assert len(long) == 6 * len(short)
    assert stability([long, *[short] * 6]) == (pytest.approx(0.5), 7)


# --- object streams -------------------------------------------------------------------------------------------------

SUMMED = ["fusion.objects.top=1", "+fusion.objects.streams={a:1.0,b:1.0}", "fusion.objects.smooth.method=none"]
NORMAL = {f"normal{i}": np.arange(T) for i in range(6)}


def objects(stream: str, planted: float, levels: tuple[float, ...], seed: int) -> pd.DataFrame:
    """One object in every frame: anomalous ones stand out by `planted`, normal videos lie at these levels."""
    rng = np.random.default_rng(seed)
    rows = [
        ("pseudo", f"clip{i}", t, float(planted * (t >= 12) + rng.normal())) for i in range(CLIPS) for t in range(T)
    ]
    rows += [
        ("calibration", v, t, level + rng.normal()) for v, level in zip(NORMAL, levels, strict=True) for t in range(T)
    ]
    table = pd.DataFrame(rows, columns=["split", "video", "frame", "score"]).assign(stream=stream, track=1)
    return table.assign(**{"class": "person", "x1": 0.0, "y1": 0.0, "x2": 5.0, "y2": 9.0})


def object_verdicts(crowd: float, levels: tuple[float, ...]) -> dict[str, Verdict]:
    config = load_config([*OPTIONS, *SUMMED])
    tables = {"a": objects("a", 3.0, (0.0,) * 6, 0), "b": objects("b", crowd, levels, 1)}
    normal = {stream: list(NORMAL.items()) for stream in tables}
    found = judge_objects(tables, TRUTH, normal, config.fusion.objects, config.ablate)
    return {one.member: one for one in found}


CROWDED = (0.0, 0.0, 0.0, 0.0, 0.0, 9.0)


def test_an_object_stream_that_both_judges_reject_is_left_out() -> None:
    found = object_verdicts(-2.0, CROWDED)
    assert {name: one.left_out for name, one in found.items()} == {"a": False, "b": True}
    assert found["b"].gain > 2 * found["b"].error > 0
    assert found["b"].stability.share < 0.5 and found["b"].stability.videos == 6
    assert found["b"].told("ap").startswith("b: without it the AP on pseudo-anomalies is +")


@pytest.mark.parametrize(("crowd", "levels"), [(-2.0, (0.0,) * 6), (3.0, CROWDED)])
def test_an_object_stream_that_one_judge_rejects_is_kept(crowd: float, levels: tuple[float, ...]) -> None:
    assert not any(one.left_out for one in object_verdicts(crowd, levels).values())


def test_the_gain_without_an_object_stream_is_that_of_the_frames_of_what_is_left() -> None:
    """With one object in each frame, the sum of two streams is the mean of their calibrated scores."""
    config = load_config([*OPTIONS, *SUMMED])
    tables = {"a": objects("a", 1.0, (0.0,) * 6, 0), "b": objects("b", 0.5, (0.0,) * 6, 1)}
    normal = {stream: list(NORMAL.items()) for stream in tables}
    found = judge_objects(tables, TRUTH, normal, config.fusion.objects, config.ablate)
    ap = []
    scaled = {}
    for stream, table in tables.items():
        held = table[table["split"] == "calibration"]["score"].to_numpy()
        own = table[table["split"] == "pseudo"]["score"].to_numpy()
        scaled[stream] = np.clip((own - held.min()) / (np.quantile(held, 0.999) - held.min()), 0, 1)
    for scores in (scaled["a"] + scaled["b"], scaled["b"], scaled["a"]):
        ap.append(average_precision_score(TRUTH.labels, scores))
    assert [one.gain for one in found] == pytest.approx([ap[1] - ap[0], ap[2] - ap[0]])


def test_without_normal_footage_no_object_stream_is_rejected() -> None:
    config = load_config([*OPTIONS, *SUMMED])
    tables = {"a": objects("a", 3.0, (0.0,) * 6, 0), "b": objects("b", -2.0, CROWDED, 1)}
    found = judge_objects(tables, TRUTH, {"a": [], "b": []}, config.fusion.objects, config.ablate)
    assert not any(one.left_out for one in found)
    assert "0 normal video(s) are too few" in found[1].told("ap")
