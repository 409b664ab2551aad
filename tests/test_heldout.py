"""Held-out footage: seeded, disjoint from what is fitted on, and never all there is."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.config import HeldoutConfig
from pixelplay.videos.heldout import hold_out
from pixelplay.videos.video import Video

CONFIG = HeldoutConfig(share=0.2, min_videos=8, seed=0)


def video(name: str, frames: int) -> Video:
    return Video(id=name, split="train", numbers=np.arange(frames) * 2 + 5, size=(8, 6), folder=Path(name))


def videos(*lengths: int) -> list[Video]:
    return [video(f"{i:02d}", length) for i, length in enumerate(lengths)]


def positions(parts: list[Video]) -> list[tuple[str, int]]:
    """(video, position in its cached arrays) of every frame."""
    return [(part.id, part.start + i) for part in parts for i in range(len(part))]


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)
CONFIGS = st.builds(
    HeldoutConfig,
    share=st.floats(0.01, 0.99),
    min_videos=st.integers(1, 10),
    seed=st.integers(0, 1000),
)


@given(LENGTHS, CONFIGS)
def test_every_frame_is_either_fitted_on_or_held_out_and_never_both(lengths: list[int], config: HeldoutConfig):
    footage = videos(*lengths)
    fit, held = hold_out(footage, config)
    assert sorted(positions(fit) + positions(held)) == sorted(positions(footage))
    assert len(set(positions(fit) + positions(held))) == sum(lengths)


@given(LENGTHS, CONFIGS)
def test_something_is_always_left_to_fit_on_and_held_out_where_two_frames_are(
    lengths: list[int], config: HeldoutConfig
):
    fit, held = hold_out(videos(*lengths), config)
    assert fit
    if any(length > 1 for length in lengths):
        assert held


@given(LENGTHS, CONFIGS)
def test_the_same_seed_holds_out_the_same_frames(lengths: list[int], config: HeldoutConfig):
    first, second = (hold_out(videos(*lengths), config) for _ in range(2))
    assert [positions(part) for part in first] == [positions(part) for part in second]


def test_other_seeds_hold_out_other_footage():
    for lengths in ([30] * 20, [200, 200]):
        held = {
            tuple(positions(hold_out(videos(*lengths), CONFIG.model_copy(update={"seed": s}))[1])) for s in range(5)
        }
        assert len(held) > 1


def test_whole_videos_are_held_out_from_min_videos_on():
    footage = videos(*range(10, 20))
    fit, held = hold_out(footage, CONFIG)
    assert (len(fit), len(held)) == (8, 2)  # a fifth of ten
    assert all(part in footage for part in fit + held)
    assert [part.id for part in fit] == sorted(part.id for part in fit)  # in the data set's order


def test_with_fewer_videos_one_block_of_each_is_held_out():
    fit, held = hold_out(videos(50, 100), CONFIG)
    assert [(part.id, len(part)) for part in held] == [("00", 10), ("01", 20)]
    for part in held:
        inside = set(range(part.start, part.start + len(part)))
        for other in (other for other in fit if other.id == part.id):
            assert not inside & set(range(other.start, other.start + len(other)))
            assert part.start in (other.start + len(other), other.start - len(part))  # they stand side by side


def test_a_block_keeps_its_frames_original_numbers():
    [block] = hold_out([video("a", 10)], CONFIG)[1]
    assert block.numbers.tolist() == [5 + 2 * (block.start + i) for i in range(2)]


def test_a_one_frame_video_is_fitted_on():
    fit, held = hold_out(videos(1), CONFIG)
    assert (positions(fit), held) == ([("00", 0)], [])
