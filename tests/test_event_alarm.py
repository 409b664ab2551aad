"""A stream's alarm from held-out normal scores: its levels, budgets per hour, how rare a score is."""

import numpy as np
import pytest

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError
from pixelplay.events.alarm import NormalScores, StreamAlarm
from pixelplay.events.settings import EventsConfig

LOOSE = [np.random.default_rng(i).exponential(size=2000) for i in range(10)]  # scores that follow nothing
HOURS = 20_000 / 25 / 3600


def settings(*overrides: str) -> EventsConfig:
    return load_config(list(overrides)).events


def alarm(*overrides: str, videos: list | None = None, budget: float | None = None, **changes: object) -> StreamAlarm:
    normal = NormalScores("fused", LOOSE if videos is None else videos, **{"hours": HOURS, **changes})
    return StreamAlarm.of(normal, settings(*overrides), "ped2", budget)


def test_events_end_half_the_way_from_the_usual_score_to_the_threshold():
    found = alarm("events.method=percentile", videos=[np.arange(0.0, 50.0), np.arange(50.0, 101.0)]).alarm
    assert (found.threshold, found.end_threshold) == (pytest.approx(95.0), pytest.approx((50 + 95) / 2))
    found = alarm("events.method=percentile", "events.hysteresis=1", videos=[np.arange(101.0)]).alarm
    assert found.end_threshold == found.threshold


def test_a_budget_per_hour_is_a_share_of_frames_that_as_many_alarms_have():
    # 90,000 frames an hour that follow nothing: 9 alarms an hour are one frame in 10,000.
    found = alarm(budget=9.0)
    assert found.alarm.expected == pytest.approx(1e-4, rel=0.15)
    assert found.alarm.parameters["estimate"] == pytest.approx(np.log(1e4), rel=0.1)
    assert found.alarm.expected_per_hour == pytest.approx(9.0)
    assert found.alarm.threshold > alarm(budget=90.0).alarm.threshold


def test_frames_that_are_high_together_are_one_alarm():
    # Each score stays for five frames: a budget of 9 an hour allows five times as many frames above the threshold.
    together = alarm(videos=[np.repeat(one, 5) for one in LOOSE], hours=5 * HOURS, budget=9.0).alarm
    assert together.parameters["risk"] == pytest.approx(5 * alarm(budget=9.0).alarm.parameters["risk"], rel=0.1)


def test_a_budget_needs_a_frame_rate_and_evt():
    with pytest.raises(ConfigError, match=r"events\.false_alarms_per_hour=2: the frame rate of the normal footage is"):
        alarm(budget=2.0, hours=None)
    with pytest.raises(ConfigError, match="false_alarms_per_hour=2 needs method=evt"):
        settings("events.false_alarms_per_hour=2.0", "events.method=fixed")
    assert alarm(hours=None).alarm.expected_per_hour is None


def test_fixed_thresholds_are_by_data_set_and_one_that_has_none_is_refused():
    found = alarm("events.method=fixed", videos=[np.array([1.0, 2, 3, 4, 9])]).alarm
    assert found.threshold == pytest.approx(3 + 1.5 * 1.4826) and found.expected is not None
    with pytest.raises(ConfigError, match=r"\+events\.thresholds\.fixed\.mine=2\.0"):
        StreamAlarm.of(NormalScores("fused", LOOSE, None), settings("events.method=fixed"), "mine", None)


def test_of_an_adaptive_threshold_the_first_is_stored_and_tracks_keep_it():
    found = alarm(
        "events.method=adaptive", "events.thresholds.adaptive={window:4,n_sigma:2.0}", videos=[np.arange(9.0)]
    )
    assert found.alarm.threshold == pytest.approx(4 + 2 * np.sqrt(5)) and found.alarm.expected is None
    assert found.limit(follows=False).at(0.0).start == found.alarm.threshold
    limit = found.limit()
    limit.at(4.0)
    assert limit.at(0.0).start != found.alarm.threshold


def test_rarity_is_of_the_fitted_tail_or_of_the_scores_seen_and_else_not_known():
    found = alarm()
    assert found.probability(np.log(1000)) == pytest.approx(1e-3, rel=0.3)
    assert found.probability(np.log(2)) == pytest.approx(0.5, rel=0.05), "below the tail"
    few = alarm(videos=[np.arange(10.0), np.arange(10.0)])
    assert few.probability(8.0) == pytest.approx(0.2) and few.probability(9.5) is None


def test_severity_counts_in_distances_of_the_threshold():
    found = alarm("events.method=percentile", videos=[np.arange(101.0)])
    assert found.severity(95.0, 95.0) == 1.0 and found.severity(140.0, 95.0) == 2.0
