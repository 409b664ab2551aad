"""Finds JPEGs that are damaged inside: OpenCV silently fills what is missing with grey.

An exact check decodes a second time, which nearly doubles the cost of reading. So it is made only after a cheap sign:
  - a corner has the grey of blocks without data: the data end too early (a truncated file closed with an end marker, a
    marker in the middle of the data, or damage in which the decoder consumed too much), or
  - there is a run of zero bytes in the image data, as lost disk sectors and interrupted copies leave.
The checks count blocks, so no intact file is called damaged. Not found are: damage that leaves the number of blocks
right or data over, without a run of zeros (often single flipped bits); lost later passes of a progressive JPEG; damage
between restart markers in the middle of the picture; missing data in a CMYK JPEG.
"""

import io
import re

import numpy as np

from pixelplay.videos.image_header import JpegFrame, jpeg_frame

SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # any marker but those of restarts
FILLER = b"\x55" * 4096  # decodes to something else than grey, and holds no marker
ZEROS = bytes(32)
BLOCK = 8


def is_damaged(data: bytes, image: np.ndarray) -> bool:
    """Whether an image file of any format, not truncated, is a JPEG with damage that can be found cheaply.

    `image` is what OpenCV decoded, uint8 (H, W) or (H, W, 3) RGB.
    """
    if not data.startswith(b"\xff\xd8"):
        return False
    grey = _has_grey_corner(image)
    frame = jpeg_frame(data) if grey or ZEROS in data else None
    scan = data.find(b"\xff\xda", frame.at) if frame else -1
    if frame is None or scan < 0 or min(frame.width, frame.height) < BLOCK:
        return False
    start = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")  # behind the scan's header
    found = SCAN_END.search(data, start)
    end = found.start() if found else len(data)
    if grey and _ends_early(data, end):
        return True
    return data.find(ZEROS, start, end) >= 0 and _has_more(data, frame, start, end)


def _has_grey_corner(image: np.ndarray) -> bool:
    """Whether 8x8 pixels in a corner are grey like blocks without data; rotated pictures end in any corner."""
    for row, rows in ((-1, slice(-BLOCK, None)), (0, slice(BLOCK))):
        for column, columns in ((-1, slice(-BLOCK, None)), (0, slice(BLOCK))):
            # Nearly always one pixel decides; colours of neighbouring blocks may reach into a corner.
            if image.ndim == 2 and 126 < image[row, column] < 130:
                luma = image[rows, columns]
            elif image.ndim == 3 and 68 < image[row, column, 0] < 188:
                luma = image[rows, columns] @ np.array([0.299, 0.587, 0.114])
            else:
                continue
            if (np.abs(luma - 128.0) <= 1.5).all():
                return True
    return False


def _ends_early(data: bytes, end: int) -> bool:
    """Whether bytes inserted before the first scan's end change the picture: then blocks are missing."""
    plain, more = _reduced(data), _reduced(data[:end] + FILLER + data[end:])
    return plain is not None and more is not None and (not plain.size or not np.array_equal(plain, more))


def _has_more(data: bytes, frame: JpegFrame, start: int, end: int) -> bool:
    """Whether there are data for blocks below the picture: it is decoded with a further row of blocks.

    Zeros before the end marker are padding. The row's first blocks may be made of the last byte's unused bits: four
    at most, as many as blocks that are coded together.
    """
    rows = -(-frame.height // frame.mcu_height) + 1
    height = min(rows * frame.mcu_height, 65535).to_bytes(2, "big")
    header = data[: frame.at + 5] + height + data[frame.at + 7 : start]
    higher = header + data[start:end].rstrip(b"\0") + data[end:]
    picture = _reduced(higher)
    return picture is not None and (not picture.size or bool((picture[-1, 4:] != 128).any()))


def _reduced(data: bytes) -> np.ndarray | None:
    """The picture by libjpeg, one grey value for each 8x8 pixels; (0, 0) if the data make no sense.

    None if Pillow does not know the kind of JPEG. OpenCV would print a warning for each of these altered files.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
    except (OSError, ValueError):
        return None
    image.draft("L", (1, 1))  # to an eighth, the smallest scale
    try:
        return np.asarray(image)
    except OSError:
        return np.empty((0, 0), np.uint8)
