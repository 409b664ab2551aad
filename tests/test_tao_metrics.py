"""The reference solution's object metrics: pairs and tracks counted by hand, and pairs by trying every pairing."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.test_region_metrics import regions

from pixelplay.errors import ConfigError
from pixelplay.metrics.boxes import Detections, overlapping
from pixelplay.metrics.regions import rates, tao_metrics
from pixelplay.metrics.settings import TaoConfig
from pixelplay.settings import validate

SOURCE = TaoConfig(iou=0.2, matches=3, window=5)


def rates_of(precision: float | None, recall: float | None, f1: float | None) -> dict[str, float | None]:
    return {"precision": precision, "recall": recall, "f1": f1}


def at(x: float, width: float = 10) -> list[float]:
    return [x, 0, x + width, 10]


def reported(*rows: tuple[int, int, list[float]]) -> Detections:
    """Rows of track, frame, box."""
    one = regions(*rows)
    return Detections(one.frame, one.xyxy, np.ones(len(one)), one.track)


def walk(track: int, frames: list[int], x: float = 0) -> list[tuple[int, int, list[float]]]:
    return [(track, frame, at(x)) for frame in frames]


def test_regions_by_hand():
    # Frame 0: one of two regions is found, by one of two boxes. Frame 1: nothing is there. Frame 2: nothing is found.
    true = regions((0, 0, at(0)), (1, 0, at(50)), (0, 2, at(0)))
    found = tao_metrics(reported((0, 0, at(0)), (1, 0, at(90)), (2, 1, at(0))), true, SOURCE)
    assert found["tao_region"] == rates_of(precision=1 / 3, recall=1 / 3, f1=pytest.approx(1 / 3))


def test_a_region_is_found_once_and_a_box_finds_one():
    two_on_one = tao_metrics(reported((0, 0, at(0)), (1, 0, at(1))), regions((0, 0, at(0))), SOURCE)
    assert two_on_one["tao_region"] == rates_of(precision=0.5, recall=1.0, f1=pytest.approx(2 / 3))
    one_on_two = tao_metrics(reported((0, 0, at(0, 20))), regions((0, 0, at(0)), (1, 0, at(10))), SOURCE)
    assert one_on_two["tao_region"] == rates_of(precision=1.0, recall=0.5, f1=pytest.approx(2 / 3))


def test_pairing_finds_the_most_pairs_whatever_the_order():
    # The first box overlaps both regions, the second only the first region: taken in turn, one would be left over.
    true = regions((0, 0, at(0)), (1, 0, at(10)))
    boxes = [(0, 0, at(3, 12)), (1, 0, at(0))]
    for order in permutations(boxes):
        assert tao_metrics(reported(*order), true, SOURCE)["tao_region"] == rates_of(1.0, 1.0, 1.0)


def test_the_least_overlap_that_counts():
    true = regions((0, 0, [0, 0, 10, 10]))
    assert tao_metrics(reported((0, 0, [0, 0, 10, 2])), true, SOURCE)["tao_region"]["recall"] == 1.0  # IoU 0.2
    assert tao_metrics(reported((0, 0, [0, 0, 10, 1.9])), true, SOURCE)["tao_region"]["recall"] == 0.0


@pytest.mark.parametrize(
    ("frames", "matched"),
    [
        ([0, 1, 2], True),
        ([0, 2, 4], True),  # three of the five frames 0..4
        ([0, 2, 5], False),  # three of six
        ([0, 1, 6, 7], False),
        ([0, 6, 7, 8], True),
        ([3, 4], False),
    ],
)
def test_a_track_matches_with_three_of_five_frames_in_a_row(frames: list[int], matched: bool):
    found = tao_metrics(reported(*walk(7, frames)), regions(*walk(3, list(range(10)))), SOURCE)
    assert found["tao_track"] == (rates_of(1.0, 1.0, 1.0) if matched else rates_of(0.0, 0.0, 0.0))


def test_tracks_by_hand():
    # Tracks 0 and 1 are there. 4 and 5 are pieces of 0, 6 follows 1 for two frames only, 8 follows nothing.
    true = regions(*walk(0, list(range(12))), *walk(1, list(range(12)), x=50))
    boxes = [*walk(4, [0, 1, 2]), *walk(5, [8, 9, 10]), *walk(6, [0, 1], x=50), *walk(8, [0, 1, 2, 3], x=90)]
    found = tao_metrics(reported(*boxes), true, SOURCE)
    assert found["tao_track"] == rates_of(precision=2 / 4, recall=1 / 2, f1=0.5)


def test_frames_of_different_tracks_do_not_add_up_and_one_frame_counts_once():
    true = regions(*walk(0, [0, 1, 2]))
    three = reported((1, 0, at(0)), (2, 1, at(0)), (3, 2, at(0)))
    assert tao_metrics(three, true, SOURCE)["tao_track"]["recall"] == 0.0
    two = regions(*walk(0, [0, 1]), *walk(1, [2, 3]))
    assert tao_metrics(reported(*walk(5, [0, 1, 2, 3])), two, SOURCE)["tao_track"]["recall"] == 0.0
    twice = reported((1, 0, at(0)), (1, 0, at(1)), (1, 1, at(0)))  # a track with two boxes in a frame
    assert tao_metrics(twice, true, SOURCE)["tao_track"]["recall"] == 0.0


def test_nothing_reported_has_no_precision_and_finds_nothing():
    found = tao_metrics(reported(), regions(*walk(0, [0, 1, 2])), SOURCE)
    assert found["tao_region"] == found["tao_track"] == rates_of(None, 0.0, 0.0)


def test_rates_of_empty_sets():
    assert rates(0, 0, 0, 0) == rates_of(None, None, None)
    assert rates(0, 5, 0, 0) == rates_of(0.0, None, 0.0)
    assert rates(0, 5, 0, 5) == rates_of(0.0, 0.0, 0.0)
    assert rates(1, 2, 3, 4) == rates_of(0.5, 0.75, pytest.approx(0.6))


def test_the_names_say_that_they_are_the_source_documents():
    values = tao_metrics(reported((0, 0, at(0))), regions((0, 0, at(0))), SOURCE)
    assert values == {
        "tao_region": {"precision": 1.0, "recall": 1.0, "f1": 1.0},
        "tao_track": {"precision": 0.0, "recall": 0.0, "f1": 0.0},  # one frame is no track
    }


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_no_other_pairing_has_more_pairs(seed: int):
    rng = np.random.default_rng(seed)

    def scattered() -> list[tuple[int, int, list[float]]]:
        places = rng.integers(0, 25, int(rng.integers(1, 5)))
        return [(i, int(rng.integers(0, 2)), at(float(x))) for i, x in enumerate(places)]

    true, boxes = regions(*scattered()), reported(*scattered())
    one, other, _ = overlapping(boxes.frame, boxes.xyxy, true.frame, true.xyxy, SOURCE.iou)
    allowed = set(zip(one.tolist(), other.tolist(), strict=True))
    slots = [*range(len(true)), *[-1] * len(boxes)]
    most = max(sum((i, r) in allowed for i, r in enumerate(p)) for p in permutations(slots, len(boxes)))
    found = tao_metrics(boxes, true, SOURCE)["tao_region"]
    assert found["precision"] == pytest.approx(most / len(boxes))
    assert found["recall"] == pytest.approx(most / len(true))


def test_more_matches_than_frames_are_refused():
    with pytest.raises(ConfigError, match="matches=6 of window=5 frames can never be reached"):
        validate(TaoConfig, {"iou": 0.2, "matches": 6, "window": 5})
