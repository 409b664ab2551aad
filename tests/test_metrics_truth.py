"""Regions and tracks from masks: connected components, their boxes, and what goes on as what."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelplay.metrics.boxes import boxes_of, components, link, overlapping
from pixelplay.metrics.settings import LinkConfig


def linked(*rows: tuple[int, float], iou: float = 0.3, gap: int = 0) -> list[int]:
    """Tracks of 10 x 10 boxes, rows of frame and x."""
    frame = np.array([row[0] for row in rows], np.int64)
    xyxy = np.array([[row[1], 0, row[1] + 10, 10] for row in rows], float).reshape(-1, 4)
    return link(frame, xyxy, LinkConfig(iou=iou, max_gap=gap)).tolist()


def test_pixels_that_touch_at_a_corner_are_one_region():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]], bool)
    regions = components(mask)
    assert regions.tolist() == [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 0, 3]]
    assert boxes_of(regions).tolist() == [[0, 0, 2, 2], [3, 0, 4, 1], [3, 2, 4, 3]]


def test_an_empty_mask_has_no_region():
    regions = components(np.zeros((3, 4), bool))
    assert not regions.any()
    assert boxes_of(regions).shape == (0, 4)


def test_boxes_that_overlap_from_frame_to_frame_are_one_track_numbered_by_its_first_row():
    assert linked((0, 50), (0, 0), (1, 2), (1, 51), (2, 4)) == [0, 1, 1, 0, 1]
    assert linked((1, 2), (0, 50), (0, 0)) == [0, 1, 0]  # rows in any order


def test_too_little_overlap_ends_a_track():
    # Boxes 10 wide that moved by d overlap with (10 - d) / (10 + d): 5 gives 1/3, 6 gives 1/4.
    assert linked((0, 0), (1, 5)) == [0, 0]
    assert linked((0, 0), (1, 6)) == [0, 1]


def test_each_box_goes_on_once_and_as_the_one_it_overlaps_most():
    assert linked((0, 0), (1, 3), (1, 1)) == [0, 1, 0]  # one becomes two
    assert linked((0, 3), (0, 1), (1, 0)) == [0, 1, 1]  # two become one


def test_who_loses_the_best_takes_what_is_left():
    # 0 and 2 both overlap 1 most: the nearer one, 0, takes it, and 2 takes 4, its second choice.
    assert linked((0, 0), (0, 2), (1, 1), (1, 5)) == [0, 1, 0, 1]
    assert linked((0, 0), (0, 4), (1, 1), (1, 8)) == [0, 1, 0, 1]


def test_equal_overlaps_go_to_the_lower_rows():
    assert linked((0, 5), (1, 3), (1, 7)) == [0, 0, 1]
    assert linked((0, 3), (0, 7), (1, 5)) == [0, 1, 0]


def test_a_track_may_be_missing_for_as_many_frames_as_allowed():
    rows = (0, 0), (3, 1), (4, 2)
    assert linked(*rows, gap=1) == [0, 1, 1]
    assert linked(*rows, gap=2) == [0, 0, 0]


def test_a_track_that_goes_on_is_not_taken_over_the_gap():
    # The box of frame 0 goes on in frame 1, so the one in frame 2 that overlaps it as well is that one's.
    assert linked((0, 0), (1, 4), (2, 0), gap=2) == [0, 0, 0]
    assert linked((0, 0), (1, 1), (2, 40), (2, 2), gap=2) == [0, 0, 1, 0]


def test_nothing_has_no_tracks():
    assert linked() == []


def greedily(frame: np.ndarray, xyxy: np.ndarray, config: LinkConfig) -> list[int]:
    """Link by link: of all pairs that are left and as many frames apart, the one with the highest overlap."""
    track = list(range(len(frame)))
    has_next, has_last = set(), set()
    for step in range(1, config.max_gap + 2):
        pairs = sorted(
            (-iou, end, start)
            for end, start, iou in zip(*overlapping(frame + step, xyxy, frame, xyxy, config.iou), strict=True)
        )
        for _, end, start in pairs:
            if end not in has_next and start not in has_last:
                has_next.add(end)
                has_last.add(start)
                track = [track[end] if t == track[start] else t for t in track]
    number = {t: i for i, t in enumerate(dict.fromkeys(track))}
    return [number[t] for t in track]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
@settings(deadline=None, max_examples=80)
def test_links_are_those_taken_one_by_one_by_falling_overlap(seed: int, gap: int):
    rng = np.random.default_rng(seed)
    number = int(rng.integers(0, 20))
    low = rng.integers(0, 8, (number, 2)).astype(float)
    xyxy, frame = np.concatenate([low, low + rng.integers(4, 8, (number, 2))], axis=1), rng.integers(0, 5, number)
    config = LinkConfig(iou=0.2, max_gap=gap)
    assert link(frame, xyxy, config).tolist() == greedily(frame, xyxy, config)


def test_masks_to_tracks():
    masks = np.zeros((3, 8, 20), bool)
    for t in range(3):
        masks[t, 1:5, 2 + t : 6 + t] = True
        masks[t, 4:8, 14 - t : 18 - t] = True
    parts = [boxes_of(components(mask)) for mask in masks]
    frame = np.repeat(np.arange(3), [len(part) for part in parts])
    assert link(frame, np.concatenate(parts), LinkConfig(iou=0.3, max_gap=0)).tolist() == [0, 1] * 3
    assert np.concatenate(parts)[:2].tolist() == [[2, 1, 6, 5], [14, 4, 18, 8]]


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_masks_of_bytes_are_masks(dtype: type):
    assert components(np.array([[0, 1], [0, 1]], dtype)).max() == 1
