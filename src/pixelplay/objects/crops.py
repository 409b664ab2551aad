"""Crops of objects from decoded frames, resized in batches by RoIAlign (He et al., ICCV 2017)."""

from collections.abc import Iterator

import torch

from pixelplay.errors import DataError


def crop_batches(
    frames: torch.Tensor, boxes: torch.Tensor, positions: torch.Tensor, size: int, batch: int
) -> Iterator[torch.Tensor]:
    """Crops float32 (<= batch, 3, size, size) in [0, 1], in the order of the boxes and channels.

    frames: uint8 (T, H, W, 3). boxes: (R, 4), x1, y1, x2, y2 in pixels; 0, 0, W, H is the whole frame. positions: int64
    (R,), the frame of each box. Smaller boxes are interpolated bilinearly; in larger ones each output pixel averages
    the pixels that it covers (no aliasing). At most `batch` frames and crops are in memory as floats at a time. Raises
    DataError for a box that is empty or leaves the frame.
    """
    _check(frames, boxes, positions)
    for start in range(0, len(boxes), batch):
        rows = slice(start, start + batch)
        yield _crop(frames, boxes[rows].float(), positions[rows], size)


def _crop(frames: torch.Tensor, boxes: torch.Tensor, positions: torch.Tensor, size: int) -> torch.Tensor:
    from torchvision.ops import roi_align  # importing torchvision takes seconds

    used, image = positions.unique(return_inverse=True)
    images = frames[used].permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    rois = torch.cat([image[:, None].to(boxes), boxes], dim=1)  # (R, 5)
    return roi_align(images, rois, size, sampling_ratio=-1, aligned=True)


def _check(frames: torch.Tensor, boxes: torch.Tensor, positions: torch.Tensor) -> None:
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise DataError(f"frames are {frames.dtype} {tuple(frames.shape)}, not uint8 (T, H, W, 3)")
    count, height, width = frames.shape[:3]
    x1, y1, x2, y2 = boxes.unbind(1)
    inside = (x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)  # false for NaN, too
    wrong = ~(inside & (x1 < x2) & (y1 < y2))
    if wrong.any():
        box = [round(value, 2) for value in boxes[wrong][0].tolist()]
        raise DataError(
            f"box x1, y1, x2, y2 = {box} is empty or leaves its frame of {width}x{height}: clip boxes to the frame and "
            "drop empty ones"
        )
    if len(positions) and not 0 <= int(positions.min()) <= int(positions.max()) < count:
        raise DataError(f"boxes name frames {int(positions.min())}..{int(positions.max())} of {count}")
