"""RBDC and TBDC: values worked out by hand, and those of the definition applied anew at every threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.areas import area_directly

from pixelplay.errors import DataError
from pixelplay.metrics import boxes
from pixelplay.metrics.boxes import Detections, Regions, overlapping
from pixelplay.metrics.regions import region_curve, region_metrics
from pixelplay.metrics.settings import RegionConfig

PAPERS = RegionConfig(iou=0.1, track_share=0.1)


def box(x: float, y: float = 0.0, side: float = 10.0) -> list[float]:
    return [x, y, x + side, y + side]


def regions(*rows: tuple[int, int, list[float]]) -> Regions:
    """Rows of track, frame, box."""
    track, frame, xyxy = ([row[i] for row in rows] for i in range(3))
    return Regions(np.array(frame, np.int64), np.array(xyxy, float).reshape(-1, 4), np.array(track, np.int64))


def detections(*rows: tuple[float, int, list[float]]) -> Detections:
    """Rows of score, frame, box."""
    score, frame, xyxy = ([row[i] for row in rows] for i in range(3))
    return Detections(
        np.array(frame, np.int64),
        np.array(xyxy, float).reshape(-1, 4),
        np.array(score, float),
        np.arange(len(rows)),
    )


def measured(found: Detections, truth: Regions, frames: int, config: RegionConfig = PAPERS) -> tuple[float, float]:
    metrics = region_metrics(found, truth, frames, config)
    return metrics["rbdc"], metrics["tbdc"]


# --- by hand --------------------------------------------------------------------------------------------------------


def test_the_ground_truth_as_detections_scores_one():
    truth = regions((0, 0, box(0)), (0, 1, box(5)), (1, 1, box(50)))
    found = Detections(truth.frame, truth.xyxy, np.array([3.0, 1.0, 2.0]), truth.track)
    expected = {"rbdc": 1.0, "tbdc": 1.0, "regions": 3, "tracks": 2, "detections": 3, "frames": 4}
    assert region_metrics(found, truth, 4, PAPERS) == expected


def test_areas_by_hand_with_a_false_positive_before_between_and_after():
    # Four frames. By falling score: false | region of track 0 | false | region of track 1 | false. So RBDR and TBDR are
    # 0 up to 1/4 false positives per frame, 1/2 up to 2/4, 1 up to 3/4, and held at 1 up to 1.
    truth = regions((0, 0, box(0)), (1, 2, box(0)))
    found = detections((9, 1, box(0)), (8, 0, box(0)), (7, 0, box(80)), (6, 2, box(0)), (5, 3, box(0)))
    assert measured(found, truth, 4) == (0.25 * 0.5 + 0.5 * 1, 0.25 * 0.5 + 0.5 * 1)


def test_false_alarms_in_a_video_that_is_normal_throughout_cost():
    # Frames 0 and 1 have an anomaly each; 2 and 3 are another video, without any: three false alarms per frame there
    # come first, 6/4 per frame, so that nothing is found below one.
    truth = regions((0, 0, box(0)), (1, 1, box(0)))
    right = [(8.0, 0, box(0)), (8.0, 1, box(0))]
    false = [(9.0, frame, box(20.0 * i)) for frame in (2, 3) for i in range(3)]
    assert measured(detections(*right), truth, 2) == (1.0, 1.0)
    assert measured(detections(*right, *false), truth, 4) == (0.0, 0.0)


def test_a_detection_that_only_hits_found_regions_again_is_neither_right_nor_wrong():
    truth = regions((0, 0, box(0)), (0, 1, box(0)))
    once = detections((9, 0, box(0)))
    again = detections((9, 0, box(0)), (8, 0, box(1)), (7, 0, box(2)))
    assert measured(once, truth, 2) == measured(again, truth, 2) == (0.5, 1.0)


def test_one_detection_may_find_two_regions_that_it_overlaps():
    truth = regions((0, 0, box(0)), (1, 0, box(10)))
    assert measured(detections((1, 0, [0, 0, 20, 10])), truth, 1) == (1.0, 1.0)


def test_regions_are_found_in_their_own_frame_only():
    truth = regions((0, 0, box(0)))
    assert measured(detections((2, 1, box(0)), (1, 0, box(0))), truth, 2) == (0.5, 0.5)


def test_the_least_overlap_that_counts_is_one_tenth():
    truth = regions((0, 0, [0, 0, 10, 10]))
    just, short = detections((1, 0, [0, 0, 10, 1])), detections((1, 0, [0, 0, 9.9, 1]))  # IoU 0.1 and 0.099
    assert measured(just, truth, 1) == (1.0, 1.0)
    assert measured(short, truth, 1) == (0.0, 0.0)


@pytest.mark.parametrize("length, needed", [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (30, 3), (70, 7)])
def test_a_track_is_found_with_a_tenth_of_its_regions(length: int, needed: int):
    truth = regions(*((0, frame, box(0)) for frame in range(length)))
    enough = detections(*((1.0 + frame, frame, box(0)) for frame in range(needed)))
    assert measured(enough, truth, length) == (pytest.approx(needed / length), 1.0)
    if needed > 1:
        assert measured(enough[np.arange(needed - 1)], truth, length)[1] == 0.0


def test_a_share_that_floating_point_rounds_up_asks_for_no_region_more():
    assert 0.55 * 100 > 55
    truth = regions(*((0, frame, box(0)) for frame in range(100)))
    config = RegionConfig(iou=0.1, track_share=0.55)
    for count, found in ((54, 0.0), (55, 1.0)):
        some = detections(*((1.0, frame, box(0)) for frame in range(count)))
        assert measured(some, truth, 100, config)[1] == found


def test_beyond_one_false_positive_a_frame_nothing_counts():
    truth = regions((0, 0, box(0)), (1, 1, box(0)))
    false = [(9.0 - i, 0, box(100 + 20 * i)) for i in range(3)]
    late = detections(*false, (1, 0, box(0)), (1, 1, box(0)))
    assert measured(late, truth, 2) == (0.0, 0.0)  # found at 3 false positives in 2 frames
    assert measured(late, truth, 3) == (0.0, 0.0)  # at 1 exactly, where the area ends
    assert measured(late, truth, 4) == (0.25, 0.25)


def test_equal_scores_enter_together_on_a_straight_line():
    # One region and one false positive at once, in one of two frames: from (0, 0) to (1/2, 1/2), then flat.
    truth = regions((0, 0, box(0)), (1, 1, box(0)))
    found = detections((1, 0, box(0)), (1, 0, box(50)))
    assert measured(found, truth, 2) == (0.5 * 0.5 / 2 + 0.5 * 0.5, 0.5 * 0.5 / 2 + 0.5 * 0.5)
    # The group passes 1 on its way from (0, 0) to (2, 1): the line is cut at (1, 1/2).
    many = detections((1, 0, box(0)), *((1, 0, box(50 + 20 * i)) for i in range(2)))
    assert measured(many, regions((0, 0, box(0))), 1) == (0.25, 0.25)


def test_without_detections_both_are_zero():
    assert measured(detections(), regions((0, 0, box(0))), 1) == (0.0, 0.0)


def test_the_curve_has_a_point_for_each_distinct_score():
    truth = regions((0, 0, box(0)), (1, 1, box(0)))
    curve = region_curve(detections((3, 0, box(0)), (2, 1, box(50)), (2, 1, box(0))), truth, 2, PAPERS)
    assert curve.fpr.tolist() == [0, 0, 0.5]
    assert curve.rbdr.tolist() == [0, 0.5, 1]
    assert curve.tbdr.tolist() == [0, 0.5, 1]


# --- the definition, anew at every threshold --------------------------------------------------------------------------


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0.0) * max(height, 0.0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def directly(found: Detections, truth: Regions, frames: int, config: RegionConfig) -> tuple[float, float]:
    """For every threshold, all detections at or above it against all regions: quadratic, and nothing is kept."""
    tracks = sorted(set(truth.track.tolist()))
    rbdr, tbdr = [(0.0, 0.0)], [(0.0, 0.0)]
    for threshold in sorted(set(found.score.tolist()), reverse=True):
        false, seen = 0, set()
        for d in np.flatnonzero(found.score >= threshold):
            hits = [
                r
                for r in range(len(truth))
                if truth.frame[r] == found.frame[d]
                and intersection_over_union(found.xyxy[d], truth.xyxy[r]) >= config.iou
            ]
            seen.update(hits)
            false += not hits
        shares = [np.mean([r in seen for r in np.flatnonzero(truth.track == track)]) for track in tracks]
        rbdr.append((false / frames, len(seen) / len(truth)))
        tbdr.append((false / frames, sum(share >= config.track_share for share in shares) / len(tracks)))
    return area_directly(rbdr, 1.0), area_directly(tbdr, 1.0)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Detections, Regions, int, RegionConfig]:
    """Few frames, few places and few scores, so that overlaps, repeated hits and ties are common."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames, count, number = int(rng.integers(1, 5)), int(rng.integers(1, 12)), int(rng.integers(0, 25))

    def boxes(n: int) -> np.ndarray:
        low = rng.integers(0, 12, (n, 2)).astype(float)
        return np.concatenate([low, low + rng.integers(1, 9, (n, 2))], axis=1)

    truth = Regions(rng.integers(0, frames, count), boxes(count), rng.integers(0, 4, count))
    score = rng.integers(0, draw(st.sampled_from([1, 4, 1000])), number).astype(float)
    found = Detections(rng.integers(0, frames, number), boxes(number), score, np.arange(number))
    config = RegionConfig(iou=draw(st.sampled_from([0.1, 0.25, 0.5])), track_share=draw(st.sampled_from([0.1, 0.5])))
    return found, truth, frames, config


@given(scenes(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_agrees_with_the_definition_and_the_order_of_rows_has_no_influence(scene, random):
    found, truth, frames, config = scene
    expected = directly(found, truth, frames, config)
    assert measured(found, truth, frames, config) == pytest.approx(expected, abs=1e-12)
    order = np.array(random.sample(range(len(found)), len(found)), np.int64)
    assert measured(found[order], truth, frames, config) == pytest.approx(expected, abs=1e-12)


def test_comparing_boxes_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    low = rng.integers(0, 30, (200, 2)).astype(float)
    xyxy, frame = np.concatenate([low, low + 9], axis=1), rng.integers(0, 5, 200)
    whole = overlapping(frame, xyxy, frame[::2], xyxy[::2], 0.1)
    assert len(whole[0]) > 500
    monkeypatch.setattr(boxes, "BLOCK", 64)
    for one, other in zip(whole, overlapping(frame, xyxy, frame[::2], xyxy[::2], 0.1), strict=True):
        assert np.array_equal(one, other)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(np.nan, 0, box(0))], "1 detections have no finite score, the first is detection 0"),
        ([(1, 0, box(0)), (np.inf, 0, box(0))], "the first is detection 1"),
        ([(1, 0, [0, 0, 0, 5])], r"no boxes, the first is detection 0 of frame 0.*x1 < x2"),
        ([(1, 0, [0, 5, 5, 0])], "no boxes"),
        ([(1, 0, [0, 0, np.nan, 5])], "no boxes"),
        ([(1, 2, box(0))], r"detection 0 is in frame 2; frames are 0\.\.1"),
        ([(1, -1, box(0))], "detection 0 is in frame -1"),
    ],
)
def test_detections_that_cannot_be_are_refused(rows: list, message: str):
    with pytest.raises(DataError, match=message):
        measured(detections(*rows), regions((0, 0, box(0))), 2)


def test_truth_that_cannot_be_is_refused():
    with pytest.raises(DataError, match="no anomalous region"):
        measured(detections((1, 0, box(0))), regions(), 1)
    with pytest.raises(DataError, match="ground-truth region 0 is in frame 1"):
        measured(detections(), regions((0, 1, box(0))), 1)
    with pytest.raises(DataError, match=r"ground-truth regions are no boxes"):
        regions((0, 0, [3, 0, 2, 5]))
    with pytest.raises(DataError, match=r"must be \(N,\), \(N, 4\) and \(N,\)"):
        Regions(np.zeros(2, int), np.zeros((1, 4)), np.zeros(2, int))
    with pytest.raises(DataError, match="1 scores for 2 detections"):
        Detections(np.zeros(2, int), np.array([box(0)] * 2), np.zeros(1), np.zeros(2, int))
