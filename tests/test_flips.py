"""Judging a video: each setting of `restore.flip`, and the vote of network and background by hand."""

from pathlib import Path

import numpy as np
import pytest
from tests.pipeline import cached_video
from tests.street import drawn, ground, restore_config, street, turned

from pixelplay.restoration.background import References, flip_evidence
from pixelplay.restoration.background import evidence as evidence_of
from pixelplay.restoration.flip_network import FlipNetwork, train
from pixelplay.restoration.restore import FrameJudge, judge, vote


def odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def voted(network: float, trust: float, background: float) -> float:
    [probability] = vote(np.array([network], np.float32), trust, np.array([background], np.float32))
    return float(probability)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> FlipNetwork:
    folder = tmp_path_factory.mktemp("flips")
    fit, heldout = (cached_video(folder, name, street(80, seed=seed)) for seed, name in enumerate(("fit", "held")))
    return train([fit], [heldout], restore_config(), folder / "network", seed=0)


def test_the_vote_is_the_mean_of_the_log_odds():
    assert odds(voted(0.9, 0.98, 0.3)) == pytest.approx((odds(0.9) + odds(0.3)) / 2, abs=1e-5)
    assert voted(0.5, 0.98, 0.5) == 0.5


def test_a_network_is_as_sure_as_it_may_be_trusted():
    assert odds(voted(1.0, 0.9, 0.5)) == pytest.approx(odds(0.9) / 2, abs=1e-5)
    assert odds(voted(0.0, 0.9, 0.5)) == pytest.approx(-odds(0.9) / 2, abs=1e-5)
    for trust in (0.5, 0.3):  # a judge by chance, or a worse one, has no say
        for network in (0.0, 0.7, 1.0):
            assert odds(voted(network, trust, 0.2)) == pytest.approx(odds(0.2) / 2, abs=1e-5)


def test_a_background_that_fits_has_the_last_word_and_one_that_does_not_leaves_it_to_the_network():
    def background(evidence: float) -> float:
        return float(1 / (1 + np.exp(10 * (evidence + 0.2))))

    for evidence in (0.9, 0.6, 0.3):
        assert voted(1.0, 0.98, background(evidence)) < 0.5
    for evidence in (-0.9, -0.7):
        assert voted(0.0, 0.98, background(evidence)) > 0.5
    for evidence in (-0.1, 0.0, 0.1):
        assert voted(1.0, 0.98, background(evidence)) > 0.5
        assert voted(0.0, 0.98, background(evidence)) < 0.5
        assert voted(0.7, 0.98, background(evidence)) < 0.5  # in doubt upright


@pytest.mark.parametrize("flip", ["network", "background", "both"])
def test_every_judge_finds_the_flipped_frames(network: FlipNetwork, tmp_path: Path, flip: str):
    flipped = drawn(150, 0.1)
    video = cached_video(tmp_path, "a", turned(street(150, seed=2), flipped), split="test")
    probability, judged = judge(video, network, [ground(0)], restore_config(flip=flip))
    assert np.array_equal(judged, flipped)
    assert probability.dtype == np.float32
    assert np.array_equal(judged, probability > 0.5)


def test_most_frames_may_be_flipped_where_training_footage_shows_the_scene(network: FlipNetwork, tmp_path: Path):
    flipped = drawn(100, 0.9)
    video = cached_video(tmp_path, "a", turned(street(100, seed=2), flipped))
    assert np.array_equal(judge(video, network, [ground(0)], restore_config(flip="both"))[1], flipped)


def test_uncorrupted_footage_is_left_alone(network: FlipNetwork, tmp_path: Path):
    for seed in range(3, 6):
        video = cached_video(tmp_path, f"{seed}", street(200, seed=seed))
        assert not judge(video, network, [ground(0)], restore_config(flip="both"))[1].any()


def test_in_scenes_that_the_network_has_never_seen_the_vote_follows_the_background(
    network: FlipNetwork, tmp_path: Path
):
    misled = 0
    for scene in range(1, 9):
        flipped = drawn(60, 0.1, seed=scene)
        video = cached_video(tmp_path, f"{scene}", turned(street(60, scene), flipped))
        alone = judge(video, network, [ground(0)], restore_config(flip="network"))[1]
        misled += int((alone != flipped).sum())
        assert np.array_equal(judge(video, network, [ground(0)], restore_config(flip="both"))[1], flipped)
    assert misled > 60  # or this test would show nothing


def test_each_setting_asks_its_own_judge(network: FlipNetwork, tmp_path: Path):
    video = cached_video(tmp_path, "a", street(30, scene=3))
    frames = street(30, scene=3)
    alone = judge(video, network, [], restore_config(flip="network"))[0]
    background = judge(video, None, [], restore_config(flip="background"))[0]
    both = judge(video, network, [], restore_config(flip="both"))[0]
    assert np.array_equal(alone, network.probability(frames))
    assert np.array_equal(background, flip_evidence(frames))
    assert np.array_equal(both, vote(alone, min(network.heldout.overall, 0.98), background))
    assert not judge(video, None, [], restore_config(flip="none"))[0].any()


def test_the_threshold_decides_what_is_flipped(network: FlipNetwork, tmp_path: Path):
    video = cached_video(tmp_path, "a", turned(street(40), drawn(40, 0.25)))
    for threshold, count in ((0.0, 40), (0.5, 10), (1.0, 0)):
        assert judge(video, network, [], restore_config(flip="both", threshold=threshold))[1].sum() == count


def test_a_judge_that_is_missing_is_named(tmp_path: Path):
    video = cached_video(tmp_path, "a", street(3))
    for flip in ("network", "both"):
        with pytest.raises(ValueError, match=f"flip={flip} needs a trained flip network"):
            judge(video, None, [], restore_config(flip=flip))


def test_causally_each_frame_is_judged_alone_and_by_what_training_footage_shows(network: FlipNetwork, tmp_path: Path):
    flipped = drawn(60, 0.5)
    frames = turned(street(60, seed=2), flipped)
    video = cached_video(tmp_path, "a", frames)
    others = [ground(1), ground(0), ground(2)]
    for flip in ("network", "background", "both"):
        config = restore_config(flip=flip)
        probability, judged = judge(video, network, others, config, causal=True)
        assert np.array_equal(judged, flipped) and probability.dtype == np.float32
        alone = FrameJudge(network, others, config)
        assert [alone.probability(frame) for frame in frames] == probability.tolist()
        half, _ = judge(cached_video(tmp_path, "b", frames[:30]), network, others, config, causal=True)
        assert np.array_equal(half, probability[:30])


def test_causally_the_background_says_nothing_where_no_training_footage_shows_the_scene(tmp_path: Path):
    """P = sigmoid(-10 (0 + 0.2)) = 0.119, though the footage itself would tell."""
    flipped = drawn(40, 0.2)
    video = cached_video(tmp_path, "a", turned(street(40, scene=3), flipped))
    config = restore_config(flip="background")
    assert np.array_equal(judge(video, None, [ground(0)], config)[1], flipped)
    for others in ([], [ground(0)], [np.full_like(ground(0), 90)]):
        probability, judged = judge(video, None, others, config, causal=True)
        np.testing.assert_allclose(probability, 1 / (1 + np.exp(2)), rtol=1e-6)
        assert not judged.any()


def test_causally_the_evidence_is_that_of_the_best_background(tmp_path: Path):
    frames = street(20, seed=4)
    known = [ground(0), ground(0) * 0.5 + 50]
    found = np.log(1 / References(known).flip_evidence(frames) - 1) / 10 - 0.2
    np.testing.assert_allclose(found, np.maximum(*[evidence_of(frames, one) for one in known]), atol=1e-4)
