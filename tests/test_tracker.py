"""Tracks of small scenes by hand: who is who through crossings, gaps and other frame rates, and what is filled."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.test_boxes import rows, table

from pixelplay.cli import load_config
from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.objects.boxes import Boxes, is_saved, save
from pixelplay.objects.live import LiveTracks
from pixelplay.objects.tracker import Tracker, distinct, follow
from pixelplay.objects.tracks import Tracks, frame_times, lengths, tracks_of
from pixelplay.videos.video import Video

CONFIG = load_config(["experiment=sample"]).objects.tracks


def video(length: int, fps: float | None = None, **changed) -> Video:
    return replace(Video("v", "test", np.arange(length), (400, 100), Path(), fps=fps), **changed)


def walker(position: int, x: float, label: str = "person", confidence: float = 0.9, y: float = 10.0) -> tuple:
    """A box of 20 x 40 pixels whose left edge is at x."""
    return (position, x, y, x + 20, y + 40, label, confidence)


def column(tracks: Tracks, number: int) -> dict[int, float]:
    """By position: the left edge of a track's boxes."""
    return {int(t): round(float(box[0]), 3) for t, box, k in _boxes(tracks) if k == number}


def _boxes(tracks: Tracks):
    return zip(tracks.position, tracks.xyxy, tracks.track, strict=True)


# --- who is who -----------------------------------------------------------------------------------------------------


def test_two_walkers_who_cross_keep_their_tracks():
    """One walks right by 4 pixels a frame, one left, 6 pixels lower; in frame 20 they are one box.

    There 34 of 46 rows are common, 0.74: the second is hidden, and interpolated.
    """
    right, left = [20.0 + 4 * t for t in range(41)], [180.0 - 4 * t for t in range(41)]
    boxes = table(*[one for t in range(41) for one in (walker(t, right[t]), walker(t, left[t], y=16.0))])
    tracks = follow(boxes, video(41), CONFIG)
    assert column(tracks, 1) == dict(enumerate(right))
    assert column(tracks, 2) == dict(enumerate(left))
    assert list(zip(tracks.position[tracks.interpolated], tracks.track[tracks.interpolated], strict=True)) == [(20, 2)]


def test_a_gap_is_filled_in_a_straight_line_and_marked():
    """Seen until frame 9 and from 14 on; frames 10..13 lie a fifth, two, three and four of the way between."""
    seen = [t for t in range(20) if not 10 <= t < 14]
    boxes = table(*[walker(t, 10.0 + 2 * t, confidence=0.5 if t < 10 else 1.0) for t in seen])
    tracks = follow(boxes, video(20), CONFIG)
    assert tracks.track.tolist() == [1] * 20
    assert tracks.position.tolist() == list(range(20))
    np.testing.assert_allclose(tracks.xyxy[:, 0], 10.0 + 2 * np.arange(20), rtol=1e-6)
    np.testing.assert_allclose(tracks.xyxy[:, 2], 30.0 + 2 * np.arange(20), rtol=1e-6)
    assert np.flatnonzero(tracks.interpolated).tolist() == [10, 11, 12, 13]
    np.testing.assert_allclose(tracks.confidence[9:15], [0.5, 0.6, 0.7, 0.8, 0.9, 1.0], rtol=1e-6)
    assert tracks.box.tolist() == [*range(10), -1, -1, -1, -1, *range(10, 16)]


def test_rows_are_the_detected_boxes_themselves_not_what_the_tracker_expects():
    """Boxes that jitter: a filter's estimates would be smoother."""
    rng = np.random.default_rng(0)
    given_rows = [walker(t, 50.0 + 2 * t + float(rng.integers(-2, 3))) for t in range(15)]
    assert rows(follow(table(*given_rows), video(15), CONFIG)) == rows(table(*given_rows))


@pytest.mark.parametrize(("away", "number"), [(29, 1), (30, 2)])
def test_who_returns_within_the_time_is_the_same_and_later_another(away: int, number: int):
    """`lost` is 1.2 s: at 25 fps, 30 frames from one box to the next."""
    boxes = table(*[walker(t, 100.0) for t in (*range(10), *range(10 + away, 20 + away))])
    tracks = follow(boxes, video(20 + away), CONFIG)
    assert tracks.track[-1] == number
    assert tracks.interpolated.sum() == (away if number == 1 else 0)


def test_a_gap_is_filled_up_to_its_longest_time_and_stays_open_beyond():
    boxes = table(*[walker(t, 100.0) for t in (*range(10), *range(15, 25), *range(31, 40))])
    tracks = follow(boxes, video(40), CONFIG.model_copy(update={"fill": 6 / 25}))
    assert set(tracks.track.tolist()) == {1}
    assert tracks.position[tracks.interpolated].tolist() == [10, 11, 12, 13, 14]  # of 6 steps; the next has 7


def test_an_object_of_one_frame_is_a_track_and_a_doubtful_one_is_not():
    boxes = table(walker(3, 100.0), walker(3, 300.0, confidence=0.2))
    tracks = follow(boxes, video(9), CONFIG)
    assert rows(tracks) == [walker(3, 100.0)]
    assert (tracks.track.tolist(), tracks.box.tolist(), tracks.interpolated.tolist()) == ([1], [0], [False])


def test_doubtful_boxes_go_on_with_a_track_that_a_sure_one_began():
    boxes = table(*[walker(t, 50.0 + 2 * t, confidence=0.9 if t < 3 else 0.06) for t in range(10)])
    assert follow(boxes, video(10), CONFIG).track.tolist() == [1] * 10


def test_a_box_as_sure_as_the_threshold_begins_a_track():
    changed = CONFIG.model_copy(update={"begin": 0.7, "high": 0.6})  # float32's 0.7 is less than 0.7
    sure, doubtful = (follow(table(walker(0, 9.0, confidence=one)), video(1), changed) for one in (0.7, 0.69))
    assert (len(sure), len(doubtful)) == (1, 0)


def test_a_moving_blob_begins_a_track_whatever_its_contrast():
    changed = CONFIG.model_copy(update={"begin": 0.9, "high": 0.9})
    boxes = table(*[walker(t, 50.0 + t, "motion", 0.55) for t in range(5)])
    tracks = follow(boxes, video(5), changed)
    assert tracks.track.tolist() == [1] * 5
    assert tracks.confidence.tolist() == boxes.confidence.tolist()


@pytest.mark.parametrize("length", [1, 7])
def test_an_empty_video_has_no_tracks(length: int):
    tracks = follow(Boxes.none(), video(length), CONFIG)
    assert len(tracks) == 0
    assert (tracks.xyxy.shape, lengths(tracks, np.arange(length)).shape) == ((0, 4), (0,))


def test_ids_count_from_1_in_each_video_in_the_order_in_which_tracks_begin():
    late, brief = [walker(t, 300.0) for t in range(2, 8)], [walker(1, 200.0)]
    boxes = table(*[walker(t, 10.0) for t in range(8)], *brief, *late)
    for _ in range(2):
        tracks = follow(boxes, video(8), CONFIG)
        assert [column(tracks, number)[start] for number, start in ((1, 0), (2, 1), (3, 2))] == [10.0, 200.0, 300.0]
        assert set(tracks.track.tolist()) == {1, 2, 3}


# --- classes --------------------------------------------------------------------------------------------------------


def test_one_tracker_follows_all_classes_and_the_surer_class_wins():
    """bicycle: 3 x 0.5 = 1.5; person: 2 x 0.9 = 1.8."""
    labels = [("bicycle", 0.5), ("person", 0.9), ("bicycle", 0.5), ("person", 0.9), ("bicycle", 0.5)]
    boxes = table(*[walker(t, 50.0 + t, *one) for t, one in enumerate(labels)])
    tracks = follow(boxes, video(5), CONFIG)
    assert (tracks.track.tolist(), tracks.label.tolist()) == ([1] * 5, ["person"] * 5)


def test_suppression_across_classes_by_hand():
    """Of 20 x 40 pixels: 2 to the side 18/22 = 0.82 in common, 4 to the side 16/24 = 0.67, with the limit at 0.7."""
    near, far = walker(0, 12.0, "motion", 0.8), walker(0, 14.0, "car", 0.7)
    boxes = table(near, walker(0, 10.0, "person", 0.9), far, walker(1, 10.0, "person", 0.1))
    assert distinct(boxes, 0.7).tolist() == [False, True, True, True]
    twice = table(walker(0, 10.0, "person"), walker(0, 10.0, "car"))
    assert distinct(twice, 0.7).tolist() == [True, False]  # equally sure: the first
    chain = table(walker(0, 10.0), walker(0, 12.0, confidence=0.8), walker(0, 14.0, confidence=0.7))
    assert distinct(chain, 0.7).tolist() == [True, False, True]  # what is suppressed suppresses nothing


def test_boxes_of_two_methods_are_one_track_and_box_is_the_row_among_all():
    boxes = table(*[one for t in range(4) for one in (walker(t, 50.0), walker(t, 50.0, "motion", 0.8))])
    tracks = follow(boxes, video(4), CONFIG)
    assert (tracks.track.tolist(), tracks.box.tolist(), set(tracks.label)) == ([1] * 4, [0, 2, 4, 6], {"person"})


# --- time -----------------------------------------------------------------------------------------------------------


def scene(fps: int) -> Boxes:
    """Eight seconds: two walkers who cross, 20 pixels a second, and one who is away for 0.6 s and, later, for 2 s."""
    found = []
    for t in range(8 * fps + 1):
        now = t / fps
        found += [walker(t, 20 + 20 * now), walker(t, 180 - 20 * now, y=16.0)]
        if not (1.4 < now < 2.0 or 4.0 < now < 6.0):
            found.append(walker(t, 300 + 4 * now, y=30.0))
    return table(*found)


def test_a_scene_at_5_and_at_25_frames_per_second_has_the_same_tracks():
    slow, fast = (follow(scene(fps), video(8 * fps + 1, fps=float(fps)), CONFIG) for fps in (5, 25))
    common = fast[fast.position % 5 == 0]
    assert (common.position // 5).tolist() == slow.position.tolist()
    assert common.track.tolist() == slow.track.tolist()
    assert set(slow.track.tolist()) == {1, 2, 3, 4}
    np.testing.assert_allclose(common.xyxy, slow.xyxy, rtol=1e-5)
    assert common.interpolated.tolist() == slow.interpolated.tolist()
    assert (slow.position[slow.interpolated] / 5).tolist() == [1.6, 1.8, 4.0]  # away, and hidden where they cross


def test_missing_frames_are_time_that_passes():
    """Of 25 frames every fifth is there: as at 5 fps. Once a whole 1.4 s are missing: nobody is known after that."""
    boxes = table(*[walker(t, 100.0 + 8 * t) for t in range(12)])
    sparse = video(12, numbers=np.arange(12) * 5)
    assert follow(boxes, sparse, CONFIG).track.tolist() == [1] * 12
    broken = video(12, numbers=np.r_[np.arange(6), np.arange(6) + 40])
    still = table(*[walker(t, 100.0) for t in range(12)])
    assert follow(still, broken, CONFIG).track.tolist() == [1] * 6 + [2] * 6
    assert follow(still, video(12), CONFIG).track.tolist() == [1] * 12


def test_a_filled_box_lies_where_it_was_at_its_time():
    """Frames 0, 1, 2, 6 and 10: at 6 half of the time from 2 to 10 has passed, as much as of the way."""
    numbers = np.array([0, 1, 2, 6, 10, 11])
    boxes = table(*[walker(t, 100.0 + float(n)) for t, n in enumerate(numbers) if n != 6])
    tracks = follow(boxes, video(6, numbers=numbers), CONFIG)
    assert column(tracks, 1) == {t: 100.0 + n for t, n in enumerate(numbers.tolist())}
    assert np.flatnonzero(tracks.interpolated).tolist() == [3]


def test_times_are_timestamps_else_the_videos_rate_else_the_configured_one():
    numbers = np.array([10, 11, 15])
    assert frame_times(video(3, numbers=numbers), 5.0).tolist() == [2.0, 2.2, 3.0]
    assert frame_times(video(3, numbers=numbers, fps=10.0), 5.0).tolist() == [1.0, 1.1, 1.5]
    stamps = np.array([0.0, 0.1, 0.7])
    assert frame_times(video(3, numbers=numbers, fps=10.0, seconds=stamps), 5.0).tolist() == stamps.tolist()


def test_lengths_are_seconds_from_the_first_to_the_last_box():
    boxes = table(*[walker(t, 10.0) for t in range(6)], *[walker(t, 200.0) for t in range(2, 5)], walker(4, 300.0))
    tracks = follow(boxes, video(6), CONFIG)
    found = lengths(tracks, frame_times(video(6), 10.0))
    assert dict(zip(tracks.track.tolist(), found.round(6).tolist(), strict=True)) == {1: 0.5, 2: 0.2, 3: 0.0}


# --- any boxes ------------------------------------------------------------------------------------------------------

corner = st.integers(0, 60)
one_box = st.tuples(st.integers(0, 12), corner, corner, st.integers(4, 30), st.sampled_from([0.05, 0.3, 0.7, 1.0]))


@settings(deadline=None, max_examples=60)
@given(st.lists(one_box, max_size=60))
def test_of_any_boxes_a_track_has_one_box_in_a_frame_and_detected_rows_are_boxes(given_boxes: list[tuple]):
    boxes = table(*[(t, x, y, x + side, y + side, "person", sure) for t, x, y, side, sure in given_boxes])
    tracks = follow(boxes, video(13), CONFIG)
    again = follow(boxes, video(13), CONFIG)
    assert all((getattr(tracks, name) == getattr(again, name)).all() for name in ("track", "box", "xyxy", "position"))
    pairs = list(zip(tracks.position.tolist(), tracks.track.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) and pairs == sorted(pairs)
    assert sorted(set(tracks.track.tolist())) == list(range(1, int(tracks.track.max(initial=0)) + 1))
    detected = tracks[~tracks.interpolated]
    for name in ("xyxy", "position"):
        assert (getattr(boxes, name)[detected.box] == getattr(detected, name)).all()
    assert len(set(detected.box.tolist())) == len(detected)
    assert (tracks.box[tracks.interpolated] == -1).all()
    sure = np.flatnonzero(distinct(boxes, CONFIG.iou) & (boxes.confidence >= CONFIG.begin))
    assert set(sure.tolist()) <= set(detected.box.tolist())  # none of them is lost


# --- frame by frame -------------------------------------------------------------------------------------------------


def test_a_track_is_known_at_its_first_box_and_ends_when_it_was_not_seen_for_too_long():
    """`lost` is 1.2 s: at 5 fps, 6 frames after its last box a track may go on, and after 7 it may not."""
    tracker, found = Tracker(CONFIG.model_copy(update={"lost": 1.2}), count(11)), []
    for t in range(14):
        seen = [walker(0, 100.0)] if t in (0, 1, 2, 8) else []
        brief = [walker(0, 300.0)] if t == 1 else []
        found.append(tracker.step(table(*seen, *brief), t / 5))
    assert [one.track.tolist() for one in found[:4]] == [[11], [11, 12], [11], []]
    assert found[8].track.tolist() == [11]
    assert {t: one.ended for t, one in enumerate(found) if one.ended} == {2: (12,)}
    later = [tracker.step(table(), t / 5).ended for t in range(14, 17)]
    assert later == [(), (11,), ()]
    assert tracker.step(table(walker(0, 100.0)), 20.0).track.tolist() == [13]


def test_classes_so_far_and_rows_to_crop_by_hand():
    """bicycle .5, person .4, person .4: the second is still a bicycle's, 0.5 to 0.4. Every second row of clean frames
    is cropped; frame 3 is noisy, and in frame 5, which is clean, the track's row lies in a gap that is filled.
    """
    crops = load_config(["experiment=sample"]).objects.features.model_copy(update={"every": 2, "noise_above": 8.0})
    live, found = LiveTracks(CONFIG, crops), []
    boxes = {0: ("bicycle", 0.5), 1: ("person", 0.4), 2: ("person", 0.4), 3: ("person", 0.4), 4: ("car", 0.3)}
    boxes |= {6: ("person", 0.4), 7: ("person", 0.4)}
    for t in range(8):
        given = [walker(t, 100.0, *boxes[t])] if t in boxes else []
        found.append(live.step(table(*given), t, t / 25, 20.0 if t == 3 else 1.0))
    assert [str(one.tracks.label[0]) for one in found if len(one.tracks)] == ["bicycle"] * 2 + ["person"] * 5
    assert [str(one.labels[0]) for one in found if len(one.tracks)] == [label for label, _ in boxes.values()]
    # rows in clean frames: 0, 1, 2, 4, 5 (in the gap), 6, 7, numbered from 0
    assert [t for t, one in enumerate(found) if one.cropped.any()] == [0, 2, 7]
    assert [one.tracks.box.tolist() for one in found] == [[0], [1], [2], [3], [4], [], [5], [6]]


# --- tables ---------------------------------------------------------------------------------------------------------


def test_a_table_gives_back_what_was_saved_and_a_held_out_block_has_its_rows(tmp_path: Path):
    boxes = table(*[walker(t, 10.0) for t in range(8) if t != 5], *[walker(t, 200.0) for t in range(6, 8)])
    tracks = follow(boxes, video(8), CONFIG)
    save(tracks, tmp_path / "tracks")
    assert is_saved(tmp_path / "tracks")
    whole = replace(video(8), tracks=tmp_path / "tracks")
    for name in ("position", "xyxy", "label", "confidence", "track", "interpolated", "box"):
        saved, given_values = getattr(tracks_of(whole), name), getattr(tracks, name)
        assert saved.tolist() == given_values.tolist() and saved.dtype == given_values.dtype, name
    held = tracks_of(whole.block(4, 8).block(1, 3))  # frames 5 and 6
    assert held.position.tolist() == [0, 1, 1]
    assert (held.track.tolist(), held.interpolated.tolist()) == ([1, 1, 2], [True, False, False])
    assert held.box.tolist() == [-1, 5, 6]  # rows among all boxes of the whole video
    assert lengths(held, frame_times(whole.block(5, 7), 25.0)).round(6).tolist() == [0.04, 0.04, 0.0]


def test_an_empty_table_gives_back_its_types(tmp_path: Path):
    save(follow(Boxes.none(), video(3), CONFIG), tmp_path / "none")
    tracks = tracks_of(replace(video(3), tracks=tmp_path / "none"))
    kinds = [getattr(tracks, name).dtype for name in ("position", "track", "interpolated", "box")]
    assert kinds == [np.int64, np.int64, np.bool_, np.int64]
    assert tracks.xyxy.shape == (0, 4)


def test_a_table_that_is_missing_damaged_or_of_boxes_is_told_with_what_to_do(tmp_path: Path):
    with pytest.raises(MissingArtifactError, match=r"video v: no objects were followed: .* tracks=True in its Spec"):
        tracks_of(video(3))
    path = tmp_path / "tracks"
    with pytest.raises(MissingArtifactError, match=r"tracks is missing: run `python src/extract\.py`"):
        tracks_of(replace(video(3), tracks=path))
    save(table(walker(0, 5.0)), path)
    with pytest.raises(DamagedArtifactError, match=r"not a table of tracks.*run `python src/extract\.py`"):
        tracks_of(replace(video(3), tracks=path))
    assert not path.exists()
