"""Held-out footage: seeded, of three roles that share nothing, with a gap to what is fitted on, never all there is."""

from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pixelplay.errors import DataError
from pixelplay.videos.index import ROLES, Heldout, Index, hold_out
from pixelplay.videos.settings import HeldoutConfig
from pixelplay.videos.video import Video

CONFIG = HeldoutConfig(share=0.2, min_videos=8, gap=16, seed=0)


def video(name: str, frames: int) -> Video:
    return Video(id=name, split="train", numbers=np.arange(frames) * 2 + 5, size=(8, 6), folder=Path(name))


def videos(*lengths: int) -> list[Video]:
    return [video(f"{i:02d}", length) for i, length in enumerate(lengths)]


def positions(parts: list[Video]) -> list[tuple[str, int]]:
    """(video, position in its cached arrays) of every frame."""
    return [(part.id, part.start + i) for part in parts for i in range(len(part))]


def roles(heldout: Heldout) -> dict[str, list[Video]]:
    return {role: getattr(heldout, role) for role in ROLES}


LENGTHS = st.lists(st.integers(1, 90), min_size=1, max_size=12)
CONFIGS = st.builds(
    HeldoutConfig,
    share=st.floats(0.01, 0.5),
    min_videos=st.integers(1, 10),
    gap=st.integers(0, 20),
    seed=st.integers(0, 1000),
)


def held_out(lengths: list[int], config: HeldoutConfig) -> tuple[list[Video], Heldout]:
    try:
        return hold_out(videos(*lengths), config)
    except DataError:
        assume(False)
        raise


@given(LENGTHS, CONFIGS)
def test_every_role_has_footage_no_two_share_a_frame_and_something_is_left_to_fit_on(
    lengths: list[int], config: HeldoutConfig
):
    fit, held = held_out(lengths, config)
    parts = [positions(fit), *(positions(of_role) for of_role in roles(held).values())]
    assert all(parts)
    assert len(set().union(*parts)) == sum(map(len, parts))  # no frame twice
    assert set().union(*parts) <= set(positions(videos(*lengths)))


@given(LENGTHS, CONFIGS)
def test_footage_of_one_video_that_is_put_to_two_uses_has_a_gap_between_them(lengths: list[int], config: HeldoutConfig):
    fit, held = held_out(lengths, config)
    uses = {"fit": fit, **roles(held)}
    for one, other in combinations(uses, 2):
        for a in uses[one]:
            for b in (b for b in uses[other] if b.id == a.id):
                first, second = sorted([a, b], key=lambda part: part.start)
                assert second.start - (first.start + len(first)) >= config.gap


@given(LENGTHS, CONFIGS)
def test_the_same_seed_holds_out_the_same_frames(lengths: list[int], config: HeldoutConfig):
    first, second = (held_out(lengths, config) for _ in range(2))
    for one, other in zip([first[0], *roles(first[1]).values()], [second[0], *roles(second[1]).values()], strict=True):
        assert [positions([part]) for part in one] == [positions([part]) for part in other]


def test_other_seeds_hold_out_other_footage():
    for lengths in ([30] * 20, [200, 200]):
        held = {
            tuple(positions(list(hold_out(videos(*lengths), CONFIG.model_copy(update={"seed": s}))[1])))
            for s in range(5)
        }
        assert len(held) > 1


def test_whole_videos_are_held_out_from_min_videos_on_and_calibration_gets_the_most():
    footage = videos(*range(10, 30))
    fit, held = hold_out(footage, CONFIG)
    assert (len(fit), len(held.calibration), len(held.planting), len(held.validation)) == (16, 2, 1, 1)
    assert all(part in footage for part in (*fit, *held))
    assert [part.id for part in fit] == sorted(part.id for part in fit)  # in the data set's order


def test_with_few_whole_videos_each_role_still_has_one():
    fit, held = hold_out(videos(*[50] * 8), CONFIG)  # a fifth of eight is less than three
    assert [len(of_role) for of_role in roles(held).values()] == [1, 1, 1]
    assert len(fit) == 5


def test_with_fewer_videos_one_block_of_each_is_held_out_at_an_end_and_has_one_role():
    fit, held = hold_out(videos(50, 100, 150, 200), CONFIG)
    blocks = {part.id: part for part in held}
    assert {name: len(part) for name, part in blocks.items()} == {"00": 10, "01": 20, "02": 30, "03": 40}
    assert [len(of_role) for of_role in roles(held).values()] == [2, 1, 1]
    for rest in fit:
        block, length = blocks[rest.id], len(rest) + len(blocks[rest.id]) + 16
        assert length == {"00": 50, "01": 100, "02": 150, "03": 200}[rest.id]  # nothing but the gap is lost
        assert block.start in (0, length - len(block))


def test_of_a_single_video_one_block_is_divided_among_the_roles():
    fit, held = hold_out(videos(200), CONFIG)
    parts = sorted(held, key=lambda part: part.start)
    assert [len(part) for part in parts] == [14, 13, 13]  # a fifth of 200
    assert [b.start - a.start - len(a) for a, b in pairwise(parts)] == [16, 16]
    assert sum(map(len, fit)) == 200 - 40 - 3 * 16


def test_a_block_keeps_its_frames_original_numbers():
    _, held = hold_out([video("a", 100)], CONFIG)
    for block in held:
        assert block.numbers.tolist() == [5 + 2 * (block.start + i) for i in range(len(block))]


def test_a_video_that_is_too_short_is_fitted_on_whole():
    fit, held = hold_out(videos(10, 100, 100, 100), CONFIG)
    assert positions([fit[0]]) == [("00", i) for i in range(10)]
    assert "00" not in {part.id for part in held}


def test_footage_too_short_to_hold_anything_out_is_refused_with_the_settings_that_help():
    for lengths in ([1], [16, 16], [60]):
        with pytest.raises(DataError, match=r"longest of \d+ frames.*dataset\.heldout\.gap=16.*lower dataset\.heldout"):
            hold_out(videos(*lengths), CONFIG)


def split_of(*footage: Video) -> Index:
    return Index("folder", "", "", CONFIG, list(footage), [])


def test_every_role_has_footage_of_each_camera_told_apart_by_size_and_frame_rate():
    door, yard = (replace(video(name, 200), fps=fps) for name, fps in (("door", 29.97), ("yard", 15.0)))
    index = split_of(door, yard, replace(video("phone", 200), size=(6, 8), fps=29.97))
    for of_role in roles(index.held).values():
        assert [part.id for part in of_role] == ["door", "yard", "phone"]
    assert {part.id for part in index.fit} == {"door", "yard", "phone"}
    alike = split_of(*(replace(video(name, 200), fps=29.97) for name in "abc"))  # of one camera, as far as is known
    assert [len(of_role) for of_role in roles(alike.held).values()] == [1, 1, 1]


def test_of_a_camera_with_too_little_footage_nothing_is_held_out():
    short = replace(video("phone", 20), size=(6, 8))
    index = split_of(video("door", 200), short)
    assert index.fit[-1] is short
    assert {part.id for part in index.held} == {"door"}


def test_where_each_camera_has_too_little_footage_it_is_held_out_as_if_of_one():
    sizes = [(8, 6), (6, 8), (9, 9)]
    index = split_of(*(replace(video(f"{i}", 40), size=size) for i, size in enumerate(sizes)))
    assert all(len(of_role) == 1 for of_role in roles(index.held).values())
