"""Crops: pixel for pixel, colours in order, larger boxes without aliasing, and boxes that can't be cut."""

import pytest
import torch
from torch.nn import functional as F

from pixelplay.errors import DataError
from pixelplay.objects.crops import crop_batches, tube_rows


def crops(frames: torch.Tensor, boxes: list[list[float]], size: int, positions: list[int] | None = None):
    rows = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    where = torch.tensor(positions if positions is not None else [0] * len(rows), dtype=torch.int64)
    return torch.cat(list(crop_batches(frames, rows, where, size, batch=64)))


def noise_frames(count: int = 1, height: int = 48, width: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def as_images(frames: torch.Tensor) -> torch.Tensor:
    return frames.permute(0, 3, 1, 2).float() / 255


def test_a_box_of_the_crop_s_size_gives_its_pixels():
    frames = noise_frames()
    found = crops(frames, [[8, 4, 24, 20]], 16)
    torch.testing.assert_close(found, as_images(frames)[:, :, 4:20, 8:24])


def test_red_green_and_blue_stay_the_first_second_and_third_channel():
    frames = torch.zeros(1, 16, 48, 3, dtype=torch.uint8)
    for channel in range(3):
        frames[0, :, 16 * channel : 16 * (channel + 1), channel] = 255
    found = crops(frames, [[18, 2, 30, 14], [2, 2, 14, 14], [34, 2, 46, 14]], 8)  # green, red, blue
    expected = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]).view(3, 3, 1, 1).expand(3, 3, 8, 8)
    torch.testing.assert_close(found, expected)


def test_a_smaller_box_is_interpolated_bilinearly():
    frames = noise_frames(height=8, width=8)
    expected = F.interpolate(as_images(frames), size=(32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(crops(frames, [[0, 0, 8, 8]], 32), expected)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_larger_box_is_averaged_over_all_its_pixels(factor):
    frames = noise_frames()
    box = [4, 4, 4 + 8 * factor, 4 + 8 * factor]
    expected = F.avg_pool2d(as_images(frames)[:, :, 4 : box[3], 4 : box[2]], factor)
    torch.testing.assert_close(crops(frames, [box], 8), expected)


def test_a_box_that_is_not_square_fills_the_crop():
    frames = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    frames[0, 8:16] = 255  # the lower half of rows 0 to 15, across the frame
    found = crops(frames, [[0, 0, 32, 16]], 16)
    assert found.shape == (1, 3, 16, 16)
    torch.testing.assert_close(found[0, :, 8:], torch.ones(3, 8, 16))
    torch.testing.assert_close(found[0, :, :8], torch.zeros(3, 8, 16))


def test_boxes_at_the_frame_s_border_have_no_dark_rim():
    frames = torch.full((1, 30, 40, 3), 100, dtype=torch.uint8)
    found = crops(frames, [[0, 0, 7.3, 7.3], [29.1, 20.2, 40, 30], [0, 0, 40, 30]], 24)
    torch.testing.assert_close(found, torch.full((3, 3, 24, 24), 100 / 255))


def test_tubes_are_every_box_in_every_frame_tube_by_tube():
    """Frame t has level 10 t in its left half and 10 t + 100 in its right half."""
    frames = (torch.arange(3) * 10).view(3, 1, 1, 1).repeat(1, 8, 16, 3)
    frames[:, :, 8:] += 100
    boxes, positions = tube_rows(torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8]]), 3)
    assert positions.tolist() == [0, 1, 2, 0, 1, 2]
    found = torch.cat(list(crop_batches(frames.to(torch.uint8), boxes, positions, 4, batch=4)))
    levels = (found[:, 0, 1, 1] * 255).round().int().tolist()  # away from the border between the halves
    assert levels == [0, 10, 20, 100, 110, 120]


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_batches_change_no_crop_and_none_is_larger_than_asked_for(batch):
    frames = noise_frames(3)
    boxes = torch.tensor([[i, i, i + 9.5, i + 12.25] for i in range(7)])
    positions = torch.tensor([2, 0, 1, 1, 2, 0, 2])
    parts = list(crop_batches(frames, boxes, positions, 6, batch))
    assert max(map(len, parts)) <= batch
    alone = [crops(frames, [box.tolist()], 6, [int(p)]) for box, p in zip(boxes, positions, strict=True)]
    torch.testing.assert_close(torch.cat(parts), torch.cat(alone))


def test_no_boxes_give_no_batches():
    assert list(crop_batches(noise_frames(), torch.empty(0, 4), torch.empty(0, dtype=torch.int64), 8, 4)) == []


@pytest.mark.parametrize(
    "box", [[5, 5, 5, 9], [5, 9, 9, 5], [-1, 0, 8, 8], [0, 0, 65, 8], [0, 0, 8, 49], [0, 0, float("nan"), 8]]
)
def test_boxes_that_are_empty_or_leave_the_frame_are_refused(box):
    with pytest.raises(DataError, match=r"is empty or leaves its frame of 64x48"):
        crops(noise_frames(), [[0, 0, 8, 8], box], 8)


def test_frames_that_there_are_not_are_refused():
    with pytest.raises(DataError, match=r"boxes name frames 0\.\.3 of 3"):
        crops(noise_frames(3), [[0, 0, 8, 8]] * 2, 8, [0, 3])


def test_frames_of_another_kind_are_refused():
    with pytest.raises(DataError, match=r"torch\.float32 \(1, 3, 48, 64\), not uint8 \(T, H, W, 3\)"):
        crops(as_images(noise_frames()), [[0, 0, 8, 8]], 8)
