"""How training footage is divided among folds, each of which is compared with memories of the others."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.detectors.folds import Piece, pieces_of


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
