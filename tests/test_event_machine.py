"""The event machine frame by frame: hysteresis, merging, minimum duration, missing frames; all by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelplay.events.adaptive import AdaptiveLimit, adaptive
from pixelplay.events.machine import EventMachine, Levels, Stretch, stretches
from pixelplay.events.settings import AdaptiveConfig, DurationConfig
from pixelplay.events.tracks import ScoredTrack, merge

START, END = 10.0, 5.0
SPACING = 0.1  # seconds: ten frames per second


def found(
    scores: list[float], min_duration: float = 0.0, merge_gap: float = 0.0, frames: list[int] | None = None
) -> list[tuple[int, int, int]]:
    """First, last and peak frame of each event."""
    numbers = np.arange(len(scores)) if frames is None else np.array(frames)
    config = DurationConfig(min_duration=min_duration, merge_gap=merge_gap)
    limit = Levels(START, END)
    events = stretches(numbers, numbers * SPACING, np.array(scores, float), limit, config, SPACING)
    return [(one.start.frame, one.end.frame, one.peak.frame) for one in events]


def test_an_event_starts_above_the_threshold_and_ends_below_the_lower_one():
    assert found([0, 7, 11, 12, 7, 5, 4, 7, 0]) == [(2, 5, 3)]  # 7 starts nothing; 5 is not below the end
    assert found([10.0, 9, 0]) == [], "the threshold itself is no alarm"
    assert found([0, 11, 6, 11]) == [(1, 3, 1)], "of equal peaks the first; an event may reach the last frame"


def test_after_an_interruption_scores_must_rise_above_the_start_again():
    # Between two events there are three low frames, 0.3 s. A 7 in the gap belongs to none, and prolongs nothing.
    scores = [11, 0, 7, 0, 11, 0, 0]
    assert found(scores, merge_gap=0.2) == [(0, 0, 0), (4, 4, 4)]
    assert found(scores, merge_gap=0.3) == [(0, 4, 0)]


def test_what_is_shorter_than_the_minimum_after_merging_is_no_event():
    assert found([0, 11, 6, 0, 0], min_duration=0.3) == []
    assert found([0, 11, 6, 6, 0], min_duration=0.3) == [(1, 3, 1)]  # three frames last 0.3 s
    assert found([11, 0, 11, 0, 0], min_duration=0.3, merge_gap=0.1) == [(0, 2, 0)]
    assert found([11], min_duration=0.1) == [(0, 0, 0)], "a frame lasts as long as to the next"


def test_missing_frames_count_as_time_and_a_long_hole_ends_an_event():
    assert found([11, 7, 7], frames=[0, 1, 4], merge_gap=0.2) == [(0, 4, 0)]  # frames 2 and 3 are missing
    assert found([11, 7, 7], frames=[0, 1, 4], merge_gap=0.1) == [(0, 1, 0)]
    assert found([11, 7, 12], frames=[0, 1, 4], merge_gap=0.1) == [(0, 1, 0), (4, 4, 4)]


def test_it_says_that_an_event_has_started_once_it_has_lasted_and_that_it_has_ended_once_the_gap_is_over():
    config = DurationConfig(min_duration=0.2, merge_gap=0.1)
    machine = EventMachine(Levels(START, END), config, SPACING)
    told = []
    for frame, score in enumerate([11, 12, 13, 0, 0, 0]):
        change = machine.step(frame, frame * SPACING, score)
        told += [(frame, kind, one.end.frame) for kind, one in (("on", change.started), ("off", change.ended)) if one]
    assert told == [(1, "on", 1), (5, "off", 2)]  # a high frame 4 would have joined it
    assert machine.finish() is None
    machine.step(9, 0.9, 11.0)
    assert machine.finish() is None, "too short so far"
    machine.step(10, 1.0, 11.0)
    assert machine.step(11, 1.1, 20.0).started is not None
    last = machine.finish()
    assert isinstance(last, Stretch) and (last.start.frame, last.peak.frame, last.score) == (10, 11, 20.0)


@given(st.lists(st.floats(0, 20), max_size=40), st.floats(0, 0.5), st.floats(0, 0.5))
@settings(deadline=None, max_examples=100)
def test_events_are_apart_long_enough_and_hold_every_score_above_the_threshold(
    scores: list[float], least: float, gap: float
):
    events = found(scores, least, gap)
    for first, last, peak in events:
        assert (last - first + 1) * SPACING >= least - SPACING / 2 - 1e-9
        assert scores[first] > START and scores[last] >= END and scores[peak] == max(scores[first : last + 1])
    for (_, last, _), (first, _, _) in pairwise(events):
        assert (first - last - 1) * SPACING > gap
    inside = {frame for first, last, _ in events for frame in range(first, last + 1)}
    if least == 0:
        assert {i for i, score in enumerate(scores) if score > START} <= inside


def test_an_adaptive_threshold_follows_the_video_and_its_end_lies_between_the_mean_and_it():
    config, normal = AdaptiveConfig(window=4, n_sigma=2.0), np.arange(9.0)
    scores = np.array([4.0, 100.0, 6.0])
    limit = AdaptiveLimit(normal, config, hysteresis=0.25)
    levels = [limit.at(score) for score in scores.tolist()]
    assert [one.start for one in levels] == pytest.approx(adaptive(scores, normal, config).tolist())
    assert levels[0].end == pytest.approx(4 + 0.25 * 2 * np.sqrt(5))  # the window is 1 3 5 7: see test_thresholds


# --- tracks -----------------------------------------------------------------------------------------------------------


def track(number: int, scores: list[float], first: int = 0) -> ScoredTrack:
    frames = np.arange(first, first + len(scores))
    return ScoredTrack(number, "person", frames, frames * SPACING, np.array(scores), np.zeros((len(scores), 4)))


def test_a_track_gives_one_event_from_its_first_high_score_to_its_last():
    limit = Levels(START, END)
    one = track(1, [0, 11, 0, 0, 0, 12, 6, 4]).event(limit, SPACING)
    assert one is not None and (one.start.frame, one.end.frame, one.score) == (1, 6, 12.0)
    assert track(1, [9, 10]).event(limit, SPACING) is None
    assert track(1, [9, 10]).lasts(DurationConfig(min_duration=0.2, merge_gap=0), SPACING)
    assert not track(1, [9]).lasts(DurationConfig(min_duration=0.2, merge_gap=0), SPACING)


def test_tracks_join_the_frame_events_that_they_overlap_and_join_these():
    limit = Levels(START, END)
    scores = [11.0, 0, 0, 0, 11, 0, 0, 0, 0, 11]
    frames = stretches(
        np.arange(10), np.arange(10.0), np.array(scores), limit, DurationConfig(min_duration=0, merge_gap=0), 1
    )
    of = {n: track(n, [11.0] * length, first) for n, first, length in ((1, 0, 5), (2, 6, 2), (3, 7, 1), (4, 9, 1))}
    events = [(one, one.event(limit, SPACING)) for one in of.values()]
    groups = merge(frames, [(one, stretch) for one, stretch in events if stretch])
    parts = sorted(([s.start.frame for s in g.frames], [t.track for t, _ in g.tracks]) for g in groups)
    assert parts == [([], [2]), ([], [3]), ([0, 4], [1]), ([9], [4])]  # 2 and 3 overlap each other alone
