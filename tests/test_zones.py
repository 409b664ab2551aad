"""Zones: who stands where, whether that raises an alarm, and for how long; by hand."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError
from pixelplay.evaluation.zoned import COLUMNS, Zoned
from pixelplay.events.event import EventTrack
from pixelplay.events.machine import Instant, Stretch
from pixelplay.events.tracks import ScoredTrack
from pixelplay.events.zones import ZoneConfig, counting, dwell_times, read_zones, standing, zones_of
from pixelplay.settings import validate

SQUARE = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]  # the left half
VIDEO = SimpleNamespace(id="01", size=(200, 100))


def zone(name: str = "left", points: list = SQUARE, unit: str = "shares", **values: object) -> ZoneConfig:
    return validate(ZoneConfig, {"name": name, "points": points, "unit": unit, **values})


def track(xs: list[float], scores: list[float] | None = None, number: int = 3, first: int = 0) -> ScoredTrack:
    """Stands at height 90 of the frame and at `xs`, a frame each, 10 frames per second."""
    frames = np.arange(first, first + len(xs))
    xyxy = np.array([[x - 5, 70, x + 5, 90] for x in xs], np.float64)
    return ScoredTrack(number, "person", frames, frames / 10, np.array(scores or [1.0] * len(xs)), xyxy)


def stretch(start: int, end: int) -> Stretch:
    return Stretch(Instant(start, start / 10), Instant(end, end / 10), Instant(start, start / 10), 5.0, 1.0)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_an_object_stands_at_the_middle_of_the_lower_edge_of_its_box():
    assert standing(np.array([[10, 20, 30, 80], [0, 0, 5, 5]])).tolist() == [[20, 80], [2.5, 5]]


def test_pixels_and_shares_of_the_frame_are_the_same_zone_and_its_edge_is_in_it():
    pixels = [[0, 0], [100, 0], [100, 100], [0, 100]]
    points = np.array([[0, 0], [100, 100], [99.9, 50], [100.1, 50], [50, 100.1]])
    for one in (zone(), zone(points=pixels, unit="pixels")):
        (found,) = zones_of([one], "01", (200, 100))
        assert found.inside(points).tolist() == [True, True, True, False, False]


def test_what_is_in_a_zone_agrees_with_its_filled_polygon():
    points = [[10, 10], [90, 20], [50, 50], [80, 90], [20, 80]]  # not convex
    (found,) = zones_of([zone(points=points, unit="pixels")], "01", (100, 100))
    filled = cv2.fillPoly(np.zeros((100, 100), np.uint8), [np.array(points, np.int32)], 1)
    eroded, dilated = cv2.erode(filled, np.ones((3, 3))), cv2.dilate(filled, np.ones((3, 3)))
    y, x = np.mgrid[:100, :100]
    inside = found.inside(np.stack([x.ravel(), y.ravel()], axis=1).astype(float)).reshape(100, 100)
    assert (inside >= (eroded > 0)).all() and (inside <= (dilated > 0)).all()


def test_alarms_count_in_some_zones_but_not_where_another_forbids_them():
    here = zone("here", alarms=True)
    strip = [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]
    points = np.array([[20, 20], [20, 80], [180, 20], [180, 80]])  # left above, left below, right above, right below
    for zones, expected in (
        ([], [True, True, True, True]),
        ([zone("only measured")], [True, True, True, True]),
        ([here], [True, True, False, False]),
        ([zone("not here", strip, alarms=False)], [True, False, True, False]),
        ([here, zone("not here", strip, alarms=False)], [True, False, False, False]),
        ([here, zone("nor here", strip, alarms=True)], [True, True, False, True]),
    ):
        assert counting(points, zones_of(zones, "01", (200, 100))).tolist() == expected


def test_zones_are_for_the_videos_that_their_patterns_name():
    one = zone(videos=["north/*", "01"])
    assert [one.is_for(name) for name in ("north/a", "01", "south/a", "1")] == [True, True, False, False]
    assert zones_of([one], "south/a", (200, 100)) == []


def test_time_in_a_zone_is_that_between_frames_in_it_all_visits_together():
    seconds = np.array([0.0, 0.1, 0.2, 0.5, 0.6, 0.8])
    inside = np.array([False, True, True, False, True, True])
    assert dwell_times(seconds, inside) == pytest.approx([0, 0, 0.1, 0.1, 0.1, 0.3])
    assert dwell_times(seconds[:1], inside[:1]).tolist() == [0]


def test_scores_of_a_track_count_only_where_alarms_do():
    counted = Zoned([zone(alarms=False)], None).counted(VIDEO, track([90, 110, 120], [9, 2, 3]))
    assert counted.scores.tolist() == [-np.inf, 2, 3]
    same = track([1.0])
    assert Zoned([], None).counted(VIDEO, same) is same


def test_an_event_of_frames_counts_by_where_its_highest_object_is_then_and_without_objects_always():
    zoned = Zoned([zone(alarms=False)], None)
    tracks = [track([50] * 10, [5.0] * 10, 1), track([150] * 10, [1, 1, 1, 9, 1, 1, 1, 1, 1, 1], 2)]
    counted = [zoned.counted(VIDEO, one) for one in tracks]
    assert not zoned.ignores(stretch(0, 3), tracks, counted)  # the 9 is outside the zone
    assert zoned.ignores(stretch(4, 9), tracks, counted)
    assert not zoned.ignores(stretch(20, 30), tracks, counted)
    assert not zoned.ignores(stretch(0, 3), [], [])


def test_an_event_touches_the_zones_that_paths_of_its_tracks_go_through():
    zones = [zone("right", [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]), zone(), zone("top", [[0, 0], [1, 0], [1, 0.1]])]
    path = EventTrack(track=1, label="person", score=1, box=None, path=[(0, 10.0, 90.0), (1, 150.0, 90.0)])
    assert Zoned(zones, None).touched(VIDEO, [path]) == ["right", "left"]
    assert Zoned(zones, None).touched(VIDEO, []) == []


def test_dwell_has_a_row_for_each_frame_of_an_object_in_a_zone():
    table = Zoned([zone()], None).dwell(VIDEO, [track([90, 110, 80, 70]), track([150, 160], number=4)])
    assert list(table) == list(COLUMNS)
    assert table["frame"].tolist() == [0, 2, 3]
    assert table["seconds"].tolist() == pytest.approx([0, 0, 0.1])
    assert set(table["track"]) == {3} and set(table["zone"]) == {"left"}
    assert len(Zoned([zone()], None).dwell(VIDEO, [])) == 0


def test_an_object_stays_too_long_from_when_its_time_in_the_zone_is_above_the_threshold():
    walker = track([50] * 8 + [150] * 4 + [50] * 2)  # 0.7 s, then 0.1 s
    (stay,) = Zoned([zone()], 0.45).stays(VIDEO, [walker, track([150] * 20, number=4)])
    assert (stay.zone, stay.number, stay.track.track) == ("left", 1, 3)
    assert (stay.stretch.start.frame, stay.stretch.end.frame, stay.stretch.peak.frame) == (5, 13, 13)
    assert (stay.stretch.score, stay.stretch.threshold) == (pytest.approx(0.8), 0.45)
    assert list(Zoned([zone()], 0.85).stays(VIDEO, [walker])) == []
    assert list(Zoned([zone()], None).stays(VIDEO, [walker])) == []
    assert list(Zoned([zone(alarms=False)], 0.45).stays(VIDEO, [walker])) == []


ZONE = "zones: [{name: left, points: [[0, 0], [1, 0], [1, 1]], unit: shares"


def test_a_file_of_zones_is_read_as_it_stands(tmp_path: Path):
    path = written(tmp_path / "z.yaml", ZONE + ", alarms: false, videos: ['0*']}]")
    assert read_zones(path) == [zone(points=[[0, 0], [1, 0], [1, 1]], alarms=False, videos=["0*"])]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ZONE + ", colour: red}]", r"zones\.0\.colour: unknown key"),
        ("zones: [{name: a, points: [[0, 0], [2, 0], [1, 1]], unit: shares}]", "shares of the frame are at most 1"),
        ("zones: [{name: a, points: [[0, 0], [1, 1], [0.5, 0.5]], unit: shares}]", "lie on a line"),
        ("zones: [{name: a, points: [[0, 0], [1, 1]], unit: shares}]", "at least 3"),
        (ZONE + "}, {name: left, points: [[0, 0], [1, 0], [1, 1]], unit: shares}]", "two zones are called 'left'"),
        ("zones: []", "at least 1"),
        ("- a", "must have the keys of zones"),
        ("zones: !!python/object/apply:os.system ['true']", "not the YAML of zones"),
        ("a: &a [1]\nzones: *a", "anchors"),
    ],
)
def test_a_file_of_zones_that_is_wrong_is_refused_with_its_name_before_any_work(
    text: str, problem: str, tmp_path: Path
):
    path = written(tmp_path / "z.yaml", text)
    with pytest.raises(ConfigError, match=problem) as refused:
        load_config(["experiment=tiny", f"events.zones={path}"])
    assert f"events.zones={path}: " in str(refused.value)


def test_zones_without_objects_and_a_time_limit_without_zones_are_refused(tmp_path: Path):
    path = written(tmp_path / "z.yaml", ZONE + "}]")
    with pytest.raises(ConfigError, match="no detector of this run scores such"):
        Zoned.of(load_config(["experiment=tiny", "detector=[conv_ae_tiny]", f"events.zones={path}"]))
    with pytest.raises(ConfigError, match=r"set events\.zones=FILE, too"):
        load_config(["experiment=tiny", "events.dwell_above=10.0"])
