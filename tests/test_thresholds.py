"""Thresholds from normal scores alone, and what they are worth: closed forms, refitted tails, counted alarms."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto

from pixelplay.errors import ConfigError, DataError
from pixelplay.events import alarms, thresholds
from pixelplay.events.adaptive import adaptive
from pixelplay.events.alarms import LabelledScores
from pixelplay.events.settings import AdaptiveConfig, EvtConfig, ThresholdsConfig
from pixelplay.events.thresholds import Threshold, constant_threshold, fixed, percentile
from pixelplay.metrics.settings import BootstrapConfig
from pixelplay.report.thresholds import fitted_tail, write_threshold_fit
from pixelplay.scores.normalise import normalise
from pixelplay.scores.settings import NormaliseConfig
from pixelplay.settings import validate

EVT = EvtConfig(tail=0.1, false_alarm_rate=0.01)
ADAPTIVE = AdaptiveConfig(window=4, n_sigma=2.0)
SETTINGS = ThresholdsConfig(confidence=0.95, evt=EVT, percentile=95.0, fixed={"ped2": 1.5}, adaptive=ADAPTIVE)
BOOTSTRAP = BootstrapConfig(n_bootstrap=500, level=0.95, seed=0)


def alarm_rates(normal: list, test: list, dataset: str, config: ThresholdsConfig) -> dict:
    return alarms.alarm_rates(normal, test, dataset, config, BOOTSTRAP)


def evt(normal: np.ndarray, config: EvtConfig, confidence: float = 0.95) -> Threshold:
    """The threshold of scores in one piece."""
    return thresholds.evt([normal], config, confidence)


# --- generalised Pareto tail --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape, scale", [(-0.3, 2.0), (0.0, 1.0), (0.3, 0.5)])
def test_the_tail_of_a_generalised_pareto_distribution_is_found_again(shape: float, scale: float):
    # Excesses over any start u are generalised Pareto again: same shape, scale + shape u.
    normal = genpareto.rvs(shape, scale=scale, size=40_000, random_state=1)
    found = evt(normal, EVT)
    start = found.parameters["start"]
    assert found.parameters["shape"] == pytest.approx(shape, abs=0.06)
    assert found.parameters["scale"] == pytest.approx(scale + shape * start, rel=0.06)
    quantile = genpareto.isf(0.01, shape, scale=scale)
    assert found.parameters["estimate"] == pytest.approx(quantile, rel=0.03)
    assert found.parameters["estimate"] < found.value < 1.1 * quantile
    assert found.parameters["tail"] == 0.1
    assert found.parameters["clusters"] == pytest.approx(4000, rel=0.1)  # scores that follow nothing are as many peaks


def test_the_fit_is_the_likeliest_and_the_estimate_its_quantile():
    normal = np.random.default_rng(3).gamma(2.0, size=2000)
    found = evt(normal, EVT)
    fit = found.parameters
    excess = normal[normal > np.quantile(normal, 0.9)] - np.quantile(normal, 0.9)

    def likelihood(shape: float, scale: float) -> float:
        return float(genpareto.logpdf(excess, shape, scale=scale).sum())

    best = likelihood(fit["shape"], fit["scale"])
    around = [(fit["shape"] + a, fit["scale"] * b) for a in (-0.03, 0, 0.03) for b in (0.96, 1, 1.04) if a or b != 1]
    assert all(likelihood(*beside) < best for beside in around)
    above = 200 / 2000 * (1 + fit["shape"] * (fit["estimate"] - fit["start"]) / fit["scale"]) ** (-1 / fit["shape"])
    assert above == pytest.approx(0.01)
    assert np.mean(normal > fit["estimate"]) == pytest.approx(0.01, abs=0.003)


def test_a_threshold_can_lie_beyond_all_scores_that_were_seen():
    normal = np.random.default_rng(0).exponential(size=500)
    assert evt(normal, EvtConfig(tail=0.1, false_alarm_rate=1e-6)).value > normal.max() + 1


def test_scaled_and_shifted_scores_have_a_scaled_and_shifted_threshold():
    normal = np.random.default_rng(0).gamma(2.0, size=1000)
    assert evt(5 + 100 * normal, EVT).value == pytest.approx(5 + 100 * evt(normal, EVT).value, rel=1e-4)


def test_where_ties_leave_less_than_the_risk_above_it_the_start_is_the_threshold():
    normal = np.concatenate([np.zeros(2000), np.full(300, 3.0), np.linspace(4, 5, 15)])  # 15 of 2315 are above 3
    normal = np.random.default_rng(0).permutation(normal)
    found = evt(normal, EVT)
    assert (found.parameters["estimate"], found.parameters["start"]) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("normal", "message"),
    [
        (np.array([]), "no scores of held-out normal footage"),
        (np.array([0.0, np.nan]), "1 of 2 normal scores are not finite, the first at 1"),
    ],
)
def test_no_scores_and_scores_that_are_not_finite_are_refused(normal: np.ndarray, message: str):
    with pytest.raises(DataError, match=message):
        evt(normal, EVT)


def test_a_risk_outside_the_tail_is_refused():
    with pytest.raises(ConfigError, match=r"false_alarm_rate=0\.2 is above tail=0\.1"):
        validate(EvtConfig, {"tail": 0.1, "false_alarm_rate": 0.2})


# --- percentile, fixed, adaptive ------------------------------------------------------------------------------------


def test_percentile_is_linear_between_scores():
    assert percentile([np.array([0.0, 10.0, 20.0])], 95.0, 0.95).value == pytest.approx(19.0)


def test_fixed_is_a_number_of_deviations_of_calibrated_scores():
    normal = np.random.default_rng(1).gamma(2.0, size=300)
    found = fixed(normal, 1.5)
    others = {"scope": "all", "clip": None, "quantile": 0.999, "min_p": 0.001}
    settings = NormaliseConfig(method="calibrated", low=1.0, high=99.0, **others)
    assert normalise(np.array([found.value]), normal, settings)[0] == pytest.approx(1.5, abs=1e-12)
    by_hand = fixed(np.array([1.0, 2.0, 3.0, 4.0, 9.0]), 2.0)  # median 3, MAD 1
    assert by_hand.value == pytest.approx(3 + 2 * 1.4826)
    assert by_hand.parameters == {"centre": 3.0, "scale": pytest.approx(1.4826), "deviations": 2.0}


def test_fixed_without_spread_goes_by_the_standard_deviation_then_by_one():
    assert fixed(np.array([0.0, 0, 0, 4]), 1.0).value == pytest.approx(np.sqrt(3))
    assert fixed(np.full(5, 2.0), 1.5).value == 3.5


def test_adaptive_by_hand():
    # The window starts as the quantiles at 1/8, 3/8, 5/8 and 7/8 of 0..8: 1 3 5 7, mean 4, deviation sqrt(5).
    normal = np.arange(9.0)
    limits = adaptive(np.array([4.0, 100.0, 6.0]), normal, ADAPTIVE)
    assert limits[0] == pytest.approx(4 + 2 * np.sqrt(5))
    second = np.array([4.0, 3, 5, 7])  # the lowest has left
    assert limits[1] == pytest.approx(second.mean() + 2 * second.std())
    assert limits[2] == limits[1]  # 100 was an alarm, and has not come in


def test_adaptive_follows_a_slow_drift_and_keeps_up_a_long_alarm():
    normal = np.random.default_rng(0).normal(size=500)
    slow = AdaptiveConfig(window=50, n_sigma=3.0)
    drift = np.random.default_rng(1).normal(size=600) + np.linspace(0, 6, 600)
    assert (drift > adaptive(drift, normal, slow)).mean() < 0.02
    jump = np.concatenate([np.zeros(20), np.full(400, 20.0)])
    assert (jump > adaptive(jump, normal, slow)).tolist() == [False] * 20 + [True] * 400


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.integers(1, 29))
@settings(deadline=None, max_examples=50)
def test_adaptive_knows_nothing_of_later_frames(scores: list[float], frame: int):
    normal = np.linspace(-1, 1, 20)
    frame = min(frame, len(scores) - 1)
    changed = [*scores[:frame], *(score + 3 for score in scores[frame:])]
    whole, other = (adaptive(np.array(s), normal, ADAPTIVE) for s in (scores, changed))
    assert np.array_equal(whole[: frame + 1], other[: frame + 1])


# --- what they are worth --------------------------------------------------------------------------------------------


def labelled(scores: list[float], labels: list[int]) -> LabelledScores:
    return LabelledScores(np.array(scores), np.array(labels))


def test_rates_of_a_threshold_by_hand():
    normal = [np.arange(0.0, 50.0), np.arange(50.0, 101.0)]  # the 95th percentile of 0..100 is 95
    test = [labelled([95, 95.5, 10], [1, 1, 0]), labelled([99, 200, 3, 4], [0, 1, 0, 1])]
    found = alarm_rates(normal, test, "ped2", SETTINGS)["percentile"]
    assert found["value"] == pytest.approx(95.0)
    # Alarms: 95.5 (right), 99 (wrong), 200 (right); 95 is not above. Four frames are anomalous.
    assert (found["precision"], found["recall"]) == (pytest.approx(2 / 3), 0.5)
    assert found["f1"] == pytest.approx(4 / 7)


def test_false_alarms_are_counted_on_videos_that_the_threshold_does_not_come_from():
    # Each video's threshold is that of the other: all of the high one is above it, nothing of the low one.
    normal = [np.arange(40.0), 100 + np.arange(10.0)]
    found = alarm_rates(normal, [labelled([0, 1], [0, 1])], "ped2", SETTINGS)
    assert found["percentile"]["false_alarms"] == pytest.approx(10 / 50)
    assert found["fixed"]["false_alarms"] == pytest.approx(10 / 50)


def test_one_normal_video_is_judged_half_by_half():
    found = alarm_rates([np.arange(100.0)], [labelled([0, 1], [0, 1])], "ped2", SETTINGS)
    assert found["percentile"]["false_alarms"] == 0.5  # the later half lies above the earlier one


def test_many_normal_videos_are_judged_in_five_groups():
    normal = [np.full(10, float(i % 5)) + np.linspace(0, 0.1, 10) for i in range(10)]
    found = alarm_rates(normal, [labelled([0, 1], [0, 1])], "ped2", SETTINGS)
    assert found["percentile"]["false_alarms"] == pytest.approx(0.2)  # the two at 4 are in one group, above the rest


def test_a_method_without_a_threshold_says_why_and_the_others_go_on():
    found = alarm_rates([np.arange(40.0), np.arange(9.0)], [labelled([0, 1], [0, 1])], "sample", SETTINGS)
    assert found["evt"]["value"] == 39.0  # too little for a tail: the greatest score
    assert found["fixed"] == {"reason": "events.thresholds.fixed names none for data set 'sample'"}
    assert found["percentile"].keys() == found["adaptive"].keys() | {"value", "expected"}
    none = alarm_rates([], [labelled([0, 1], [0, 1])], "ped2", SETTINGS)
    assert set(none) == {"evt", "percentile", "fixed", "adaptive"}
    assert all(entry == {"reason": "there is no held-out normal footage"} for entry in none.values())


def test_a_normal_video_too_short_to_be_halved_is_a_reason():
    found = alarm_rates([np.array([1.0])], [labelled([0, 1], [0, 1])], "ped2", SETTINGS)
    assert all("reason" in entry for entry in found.values())


def test_the_fixed_threshold_is_the_data_sets_own():
    two = SETTINGS.model_copy(update={"fixed": {"ped2": 1.5, "avenue": 2.5}})
    normal = np.array([1.0, 2.0, 3.0, 4.0, 9.0])
    values = [constant_threshold("fixed", [normal], name, two).value for name in ("ped2", "avenue")]
    assert values == pytest.approx([3 + 1.5 * 1.4826, 3 + 2.5 * 1.4826])


# --- the picture ----------------------------------------------------------------------------------------------------


def test_a_picture_of_the_fit_is_written_whatever_there_is_to_show(tmp_path: Path):
    normal = [np.random.default_rng(0).gamma(2.0, size=400)] * 2
    test = [labelled([0, 1], [0, 1])]
    for name, found in {
        "all $x^": alarm_rates(normal, test, "ped2", SETTINGS),  # no formula, whatever it looks like
        "none": alarm_rates([], test, "ped2", SETTINGS),
    }.items():
        write_threshold_fit(tmp_path / f"{len(name)}.png", np.concatenate(normal), found, name)
        image = cv2.imread(str(tmp_path / f"{len(name)}.png"))
        assert image.shape[:2] == (440, 770)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4.png", "7.png"]


def test_the_fitted_tail_starts_at_its_share_and_has_the_risk_at_the_threshold():
    normal = np.random.default_rng(0).gamma(2.0, size=400)
    found = evt(normal, EVT).as_dict()
    scores, above = fitted_tail(found, float(normal.max()))
    assert (scores[0], above[0]) == (found["parameters"]["start"], pytest.approx(0.1))
    assert np.interp(found["parameters"]["estimate"], scores, above) == pytest.approx(0.01, rel=0.01)
    assert np.interp(found["value"], scores, above) < 0.01
