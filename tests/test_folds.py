"""How training footage is divided among folds, each of which is compared with memories of the others."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tracked import tracks_at

from pixelplay.cli import load_config
from pixelplay.detectors.folds import GAP, Piece, pieces_of, rows_apart
from pixelplay.detectors.registry import check_settings
from pixelplay.errors import ConfigError
from pixelplay.videos.video import Video


def test_enough_videos_are_taken_whole_and_in_turn() -> None:
    assert pieces_of([5, 6, 7], 2) == [[Piece(0, 0, 5), Piece(2, 0, 7)], [Piece(1, 0, 6)]]


def test_fewer_videos_than_folds_are_cut_into_equal_blocks() -> None:
    assert pieces_of([10], 5) == [[Piece(0, 2 * i, 2 * i + 2)] for i in range(5)]
    assert pieces_of([4, 6], 3) == [
        [Piece(0, 0, 2), Piece(1, 3, 6)],
        [Piece(0, 2, 4)],
        [Piece(1, 0, 3)],
    ]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(2, 8))
def test_every_frame_is_in_one_piece(lengths: list[int], folds: int) -> None:
    frames = [(p.video, at) for p in chain.from_iterable(pieces_of(lengths, folds)) for at in range(p.start, p.stop)]
    assert sorted(frames) == [(video, at) for video, length in enumerate(lengths) for at in range(length)]


@pytest.mark.parametrize(("lengths", "folds", "there"), [([1], 5, 1), ([1, 1], 5, 2), ([100], 2, 2), ([9] * 9, 5, 5)])
def test_there_are_no_more_folds_than_frames_allow(lengths: list[int], folds: int, there: int) -> None:
    assert len(pieces_of(lengths, folds)) == there


# --- rows of tracks ---------------------------------------------------------------------------------------------------


def video(length: int) -> Video:
    return Video("v", "train", np.arange(length), (64, 48), Path())


def test_with_whole_videos_as_folds_the_others_are_the_rest() -> None:
    videos, tracks = (
        [video(5), video(6), video(7)],
        [tracks_at({1: [0, 4], 2: [3]}), tracks_at({}), tracks_at({1: [6]})],
    )
    first, second = rows_apart(videos, tracks, 2)
    assert [mask.tolist() for mask in first[0]] == [[True] * 3, [], [True]]
    assert [mask.tolist() for mask in first[1]] == [[False] * 3, [], [False]]
    assert [mask.tolist() for mask in second[0]] == [[False] * 3, [], [False]]
    assert [mask.tolist() for mask in second[1]] == [[True] * 3, [], [True]]


def test_a_track_across_a_block_s_border_and_what_is_near_it_belong_to_neither() -> None:
    """One video of 200 frames in two blocks. Track 1 crosses the border, 2 and 4 end GAP frames before and after it,
    3 and 5 a frame later and earlier, 6 is far from it in the first block alone.
    """
    assert GAP == 25
    frames = {1: [10, 99, 100, 190], 2: [74], 3: [75], 4: [125], 5: [124], 6: [0, 20]}
    tracks = tracks_at(frames)
    at = list(zip(tracks.position.tolist(), tracks.track.tolist(), strict=True))

    def rows(mask: np.ndarray) -> list[tuple[int, int]]:
        return [row for row, chosen in zip(at, mask, strict=True) if chosen]

    [(one, apart_from_one), (other, apart_from_other)] = (
        (inside[0], apart[0]) for inside, apart in rows_apart([video(200)], [tracks], 2)
    )
    assert rows(one) == [(0, 6), (10, 1), (20, 6), (74, 2), (75, 3), (99, 1)]
    assert rows(apart_from_one) == [(125, 4)]
    assert rows(other) == [(100, 1), (124, 5), (125, 4), (190, 1)]
    assert rows(apart_from_other) == [(0, 6), (20, 6), (74, 2)]


def test_several_blocks_of_a_fold_in_one_video_are_all_left_out_of_the_rest() -> None:
    """Two videos in three folds: four blocks; the first fold has the first block of one and the last of the other."""
    tracks = [tracks_at({t + 1: [t] for t in range(0, 200, 20)}) for _ in range(2)]
    inside, apart = rows_apart([video(200), video(200)], tracks, 3)[0]
    assert [tracks[i].position[mask].tolist() for i, mask in enumerate(inside)] == [
        [0, 20, 40, 60, 80],
        [100, 120, 140, 160, 180],
    ]
    assert [tracks[i].position[mask].tolist() for i, mask in enumerate(apart)] == [
        [140, 160, 180],
        [0, 20, 40, 60],
    ]


@pytest.mark.parametrize(("lengths", "folds"), [([9, 9], 0), ([9, 9], 1), ([1], 5)])
def test_fewer_than_two_folds_are_none(lengths: list[int], folds: int) -> None:
    assert rows_apart([video(length) for length in lengths], [tracks_at({1: [0]})] * len(lengths), folds) == []


@given(st.lists(st.integers(1, 90), min_size=1, max_size=4), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_every_row_is_in_one_fold_and_no_track_is_on_both_sides(lengths: list[int], folds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracks = [
        tracks_at({k: np.flatnonzero(rng.random(length) < 0.2).tolist() for k in range(1, 4)}) for length in lengths
    ]
    parted = rows_apart([video(length) for length in lengths], tracks, folds)
    for number, one in enumerate(tracks):
        if parted:
            assert (np.sum([inside[number] for inside, _ in parted], axis=0) == 1).all()
        for inside, apart in parted:
            assert not set(one.track[inside[number]]) & set(one.track[apart[number]])
            near = np.abs(one.position[apart[number]][:, None] - one.position[inside[number]])
            assert (near >= GAP).all()


def test_one_fold_is_refused_before_any_work_since_it_would_calibrate_nothing() -> None:
    names = "object_appearance,object_class,object_motion,object_place,videopatchcore"
    configs = load_config(["experiment=tiny", f"detector=[{names}]"]).detectors
    assert list(configs) == names.split(",")
    for name, config in configs.items():
        one = config.model_copy(update={"training": config.training | {"folds": 1}})
        with pytest.raises(ConfigError, match=rf"{name}\.training\.folds.*one fold leaves nothing to compare it with"):
            check_settings({name: one})
