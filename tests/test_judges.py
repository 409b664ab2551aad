"""Which members the two judges leave out of a fusion, by scores that are made for it."""

import numpy as np
import pandas as pd
import pytest

from pixelplay.ablation.judges import Verdict, between_videos, judge
from pixelplay.ablation.measure import Truth
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


STEADY, CROWDS = (0.0, 0.1, -0.1), (0.0, 5.0, 10.0)


def test_what_misses_the_planted_and_tells_videos_apart_is_left_out() -> None:
    found = verdicts(good=(3.0, STEADY), crowd=(-2.0, CROWDS))
    assert {name for name, one in found.items() if one.left_out} == {"crowd"}
    assert found["crowd"].gain > found["crowd"].error > 0
    assert found["crowd"].between > 0.9 and found["good"].between < 0.1
    assert np.isnan(found["good"].gain)  # the last one left
    assert "of the variance of its normal scores lies between 3 videos" in found["crowd"].told("ap")


@pytest.mark.parametrize(("signal", "levels"), [(-2.0, STEADY), (3.0, CROWDS), (-2.0, (7.0,))])
def test_one_judge_alone_leaves_nothing_out(signal: float, levels: tuple[float, ...]) -> None:
    found = verdicts(good=(3.0, STEADY), other=(signal, levels))
    assert not any(one.left_out for one in found.values())


def test_members_that_see_the_same_are_judged_again_once_one_is_gone() -> None:
    """Two of a kind outweigh what is right; the last useful member is never left out."""
    found = verdicts(good=(3.0, STEADY), crowd=(-1.0, CROWDS), like_it=(-1.0, CROWDS))
    assert {name for name, one in found.items() if one.left_out} == {"crowd", "like_it"}
    alone = verdicts(crowd=(-1.0, CROWDS))
    assert not alone["crowd"].left_out


def test_the_share_between_videos_by_hand() -> None:
    # Means 1 and 5 around 3: 4 frames at a distance of 2, 16 in all; within, 4 times 1.
    assert between_videos([np.array([0.0, 2.0]), np.array([4.0, 6.0])]) == (pytest.approx(0.8), 2)
    assert between_videos([np.ones(3), np.ones(2)]) == (0.0, 2)
    share, videos = between_videos([np.array([0.0, 2.0])])
    assert np.isnan(share) and videos == 1
