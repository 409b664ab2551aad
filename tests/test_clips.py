"""Clips from the frame cache, and the order in which training sees them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline import cached_video

from pixelplay.errors import DataError
from pixelplay.training.clips import Clips, OrderedBatches, ShuffledBatches, as_input, loader
from pixelplay.videos.settings import FrameFormat

FORMAT = FrameFormat(height=8, width=10, gray=True)


def random_frames(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 10), dtype=np.uint8)


def test_clips_are_slices_of_each_video_and_the_tail_is_covered(tmp_path: Path):
    first, second, short = random_frames(9, 1), random_frames(6, 2), random_frames(3, 3)
    videos = [cached_video(tmp_path, str(i), frames) for i, frames in enumerate((first, second, short))]
    clips = Clips(videos, FORMAT, length=4, stride=2)
    expected = [
        *(first[start : start + 4] for start in (0, 2, 4, 5)),
        *(second[start : start + 4] for start in (0, 2)),
        short[[0, 1, 2, 2]],  # shorter than a clip: its last frame fills it up
    ]
    assert len(clips) == 7
    batch = clips[[6, 0, 3, 5]]
    assert batch.dtype == torch.uint8
    assert np.array_equal(batch.numpy(), np.stack([expected[i] for i in (6, 0, 3, 5)]))
    assert np.array_equal(clips[list(range(7))].numpy(), np.stack(expected))


def test_a_block_of_a_video_gives_clips_of_that_block_alone(tmp_path: Path):
    frames = random_frames(20, 4)
    clips = Clips([cached_video(tmp_path, "v", frames).block(5, 12)], FORMAT, length=4, stride=3)
    assert np.array_equal(clips[[0, 1]].numpy(), np.stack([frames[5:9], frames[8:12]]))


def test_clips_of_no_videos_are_refused():
    with pytest.raises(DataError, match="no normal footage"):
        Clips([], FORMAT, length=4, stride=2)


def test_frames_become_float32_between_0_and_1():
    values = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    assert as_input(values, torch.contiguous_format).dtype == torch.float32
    assert as_input(values, torch.contiguous_format).flatten().tolist() == pytest.approx([0, 0.2, 1])


@given(count=st.integers(1, 60), batch_size=st.integers(1, 20), seed=st.integers(0, 99), epoch=st.integers(0, 99))
def test_every_window_comes_once_an_epoch_in_an_order_that_depends_on_seed_and_epoch_alone(
    count, batch_size, seed, epoch
):
    batches = ShuffledBatches(count, batch_size, seed)
    batches.set_epoch(epoch)
    drawn = list(batches)
    assert Counter(i for batch in drawn for i in batch) == Counter(range(count))
    assert [len(batch) for batch in drawn[:-1]] == [batch_size] * (len(batches) - 1)
    assert len(drawn) == len(batches)
    later = ShuffledBatches(count, batch_size, seed)
    for earlier_epoch in range(3):  # a process that has been through other epochs
        later.set_epoch(earlier_epoch)
        list(later)
    later.set_epoch(epoch)
    assert list(later) == drawn == list(later)


def test_another_epoch_and_another_seed_give_another_order():
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = ShuffledBatches(50, 8, seed)
        batches.set_epoch(epoch)
        return list(batches)

    orders = [order(0, 0), order(0, 1), order(1, 0), order(1, 1)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])
    assert all([i for batch in o for i in batch] != list(range(50)) for o in orders)


def test_the_order_is_that_of_the_epoch_at_the_first_batch():
    """A resumed run asks for the iterator first and tells the epoch then."""
    asked_early, told_first = ShuffledBatches(50, 8, 0), ShuffledBatches(50, 8, 0)
    iterator = iter(asked_early)
    for batches in (asked_early, told_first):
        batches.set_epoch(3)
    assert list(iterator) == list(told_first)


def test_ordered_batches_go_from_the_first_window_to_the_last():
    assert list(OrderedBatches(7, 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(OrderedBatches(7, 3)) == 3


def test_the_loader_hands_out_the_batches_as_they_are(tmp_path: Path):
    frames = random_frames(10, 5)
    clips = Clips([cached_video(tmp_path, "v", frames)], FORMAT, length=4, stride=2)
    batches = list(loader(clips, OrderedBatches(len(clips), 3), torch.device("cpu")))
    assert [batch.shape for batch in batches] == [(3, 4, 8, 10), (1, 4, 8, 10)]
    assert np.array_equal(batches[1][0].numpy(), frames[6:10])
