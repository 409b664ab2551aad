"""Event metrics worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pixelplay.metrics.events import VideoEvents, event_metrics, latency_ap, runs


def video(labels: list[int], spans: list[tuple[int, int, int]], fps: float | None = 10.0) -> VideoEvents:
    seconds = None if fps is None else np.arange(len(labels)) / fps
    return VideoEvents(np.array(labels), seconds, np.array(spans, np.int64).reshape(-1, 3))


def test_runs_are_stretches_of_ones():
    assert runs(np.array([1, 1, 0, 0, 1, 0, 1])).tolist() == [[0, 1], [4, 4], [6, 6]]
    assert runs(np.zeros(3, int)).tolist() == [] and runs(np.ones(2, int)).tolist() == [[0, 1]]


def test_an_event_is_right_and_a_labelled_one_found_where_they_share_a_frame():
    # Two labelled events. The first is met by two events, the second by none; a third event lies in normal frames.
    one = video([0, 1, 1, 1, 1, 0, 0, 0, 1, 1], [(0, 1, 1), (3, 3, 5), (6, 6, 7)])
    found = event_metrics([one, video([0] * 6, [])])
    assert (found["events"], found["right"], found["labelled"], found["found"]) == (3, 2, 2, 1)
    assert (found["precision"], found["recall"]) == (pytest.approx(2 / 3), 0.5)
    assert found["f1"] == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5))
    # Normal frames: 4 of the first video, 0 5 6 7 of them in events, and 6 of the second: 10 at 0.1 s.
    assert (found["false_alarms"], found["normal_share"]) == (1, pytest.approx(4 / 10))
    assert found["normal_hours"] == pytest.approx(1.0 / 3600)
    assert found["false_alarms_per_hour"] == pytest.approx(3600)


def test_the_delay_is_to_the_first_alarm_and_never_negative():
    late = video([0, 0, 1, 1, 1, 1, 1, 1], [(3, 6, 7), (3, 5, 4)])  # alarms in frames 6 and 5, the event starts in 2
    early = video([0, 0, 1, 1], [(0, 1, 3)], fps=5.0)
    found = event_metrics([late, early])
    assert found["delay_frames"] == {"mean": 1.5, "median": 1.5}
    assert found["delay_seconds"] == {"mean": pytest.approx(0.15), "median": pytest.approx(0.15)}


def test_seconds_and_hours_are_not_made_up_where_a_frame_rate_is_unknown():
    found = event_metrics([video([0, 1], [(0, 0, 1)]), video([0, 1], [(1, 1, 1)], fps=None)])
    assert found["delay_frames"] == {"mean": 0.0, "median": 0.0}
    assert found["delay_seconds"] is found["false_alarms_per_hour"] is found["normal_hours"] is None


def test_what_there_is_nothing_of_is_none():
    found = event_metrics([video([0, 0], [])])
    assert (found["precision"], found["recall"], found["f1"], found["delay_frames"]) == (None,) * 4
    assert event_metrics([video([0, 1], [])])["recall"] == 0.0
    assert event_metrics([video([1, 1], [(0, 0, 0)])])["normal_share"] is None
    assert event_metrics([])["events"] == 0


def test_latency_ap_weighs_precision_by_how_early_an_event_is_found():
    # One event of four frames. At 9 it is found in its third frame, at 5 in its second, at 2 in its first.
    scores, labels = np.array([7.0, 2, 5, 9, 1, 0]), np.array([0, 1, 1, 1, 1, 0])
    # Precision at 9 is 1/1, at 5 it is 2/3 (9 7 5), at 2 it is 3/4. Earliness rises by 2/4, 1/4 and 1/4.
    assert latency_ap([(scores, labels)]) == pytest.approx(0.5 * 1 + 0.25 * 2 / 3 + 0.25 * 3 / 4)


def test_latency_ap_is_a_mean_over_events_whatever_their_lengths():
    # Event b, of two frames, is found at once by its first frame at 8, where precision is 2/3 (9 8.5 8).
    a = np.array([0.0, 9]), np.array([0, 1])
    b = np.array([8.0, 3, 8.5]), np.array([1, 1, 0])
    assert latency_ap([a, b]) == pytest.approx((1 + 2 / 3) / 2)


def test_latency_ap_of_perfect_scores_is_1_and_of_constant_ones_their_prevalence():
    labels = np.array([0, 1, 1, 0, 1])
    assert latency_ap([(labels.astype(float), labels)]) == 1.0
    assert latency_ap([(np.ones(5), labels)]) == pytest.approx(3 / 5) == average_precision_score(labels, np.ones(5))
    assert latency_ap([(np.ones(3), np.zeros(3, int))]) is None


def test_latency_ap_of_events_of_one_frame_is_ap():
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1, 0], 40)
    scores = rng.normal(size=120) + labels
    assert latency_ap([(scores, labels)]) == pytest.approx(average_precision_score(labels, scores))
