"""One image file, or one page of a TIFF: checked, then decoded.

OpenCV silently fills what is missing in an image with grey. Truncated files are told by their bytes. To find a JPEG
that is damaged inside, it is decoded a second time, at nearly the cost of reading, so only after a cheap sign:
  - a corner has the grey of blocks without data: the data end too early (a truncated file closed with an end marker, a
    marker in the middle of the data, or damage in which the decoder consumed too much), or
  - there is a run of zero bytes in the image data, as lost disk sectors and interrupted copies leave.
The checks count blocks, so no intact file is called damaged. Not found are: damage that leaves the number of blocks
right or data over, without a run of zeros (often single flipped bits); lost later passes of a progressive JPEG; damage
between restart markers in the middle of the picture; missing data in a CMYK JPEG.
"""

import io
import re
import stat
import struct
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pixelplay.videos.image_header import MAX_BYTES, MAX_PIXELS, Data, JpegFrame, at_page, jpeg_frame, read_header

# Whatever OpenCV reads; what a file is decoded as depends on its bytes, not on its name.
IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jp2"),
    *(".pbm", ".pgm", ".ppm"),
}
SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # any marker of a JPEG but those of restarts
FILLER = b"\x55" * 4096  # decodes to something else than grey, and holds no marker
ZEROS = bytes(32)
BLOCK = 8


class ImageBytes(NamedTuple):
    data: Data  # encoded
    deep: bool  # values are of another kind than 8-bit unsigned integers
    problem: str | None  # why it is not decoded


class ValueRange(NamedTuple):
    """Values of more than 8 bits that are shown as 0 to 255, linearly; others are clipped. A data set has one range, so
    that a temperature is the same grey level in all of its videos.
    """

    low: float
    high: float

    def shown(self, image: np.ndarray) -> np.ndarray:
        """uint8 of the shape of `image`; NaN and minus infinity are 0, infinity is 255."""
        known = np.nan_to_num(image.astype(np.float64), nan=self.low, posinf=self.high, neginf=self.low)
        scaled = (known - self.low) * (255 / (self.high - self.low))
        return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def read_image(path: Path, page: int) -> ImageBytes:
    """An image's bytes, and what is wrong with them: nothing is decoded, and special files are not opened.

    `page` is the offset of the page's directory in a TIFF of several pages, which is mapped, not read; else 0.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO waits forever, and a device may have no end
            return ImageBytes(b"", False, "not a regular file")
        if page:
            return _checked(at_page(np.memmap(path, np.uint8, "c"), page))
        if status.st_size > MAX_BYTES:
            return ImageBytes(b"", False, f"file of {status.st_size:,} bytes, at most {MAX_BYTES:,} are read")
        return _checked(path.read_bytes())
    except OSError as error:
        return ImageBytes(b"", False, f"cannot be read ({error.strerror})")
    except (ValueError, KeyError, struct.error):  # a TIFF that has changed since it was listed
        return ImageBytes(b"", False, "cannot be decoded")


def _checked(data: Data) -> ImageBytes:
    header, problem = read_header(data), None
    if not len(data):
        problem = "empty file"
    elif isinstance(data, bytes) and is_truncated(data):
        problem = "truncated file"
    elif header is None:
        problem = "cannot be decoded"
    elif header.width * header.height > MAX_PIXELS:
        problem = f"{header.width}x{header.height} pixels, at most {MAX_PIXELS:,} are decoded"
    return ImageBytes(data, header is not None and header.deep, problem)


def decode(data: Data, flags: int) -> np.ndarray | None:
    """The decoded image; None if OpenCV can't decode it."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def decode_deep(data: Data) -> np.ndarray | None:
    """An image with its stored values, (H, W) or (H, W, 3) RGB; None if OpenCV can't decode it."""
    image = decode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    return image if image is None or image.ndim == 2 else np.ascontiguousarray(image[..., ::-1])


def is_truncated(data: bytes) -> bool:
    """Whether a JPEG, PNG or BMP ends too early."""
    if data[:2] == b"\xff\xd8":
        # The end marker, nearly always at the end, follows the last start of scan: a thumbnail has one of its own.
        return not data.endswith(b"\xff\xd9") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    if data[:4] == b"\x89PNG":
        return b"IEND\xae\x42\x60\x82" not in data  # the last chunk's name and checksum
    return data[:2] == b"BM" and len(data) < int.from_bytes(data[2:6], "little")


def is_damaged(data: bytes, image: np.ndarray) -> bool:
    """Whether a file that OpenCV decoded as `image`, uint8 (H, W) or (H, W, 3), is a JPEG with damage as above."""
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
    first, last = (0, slice(BLOCK)), (-1, slice(-BLOCK, None))
    for (row, rows), (column, columns) in product((last, first), repeat=2):
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
    picture = _reduced(header + data[start:end].rstrip(b"\0") + data[end:])
    return picture is not None and (not picture.size or bool((picture[-1, 4:] != 128).any()))


def _reduced(data: bytes) -> np.ndarray | None:
    """The picture by libjpeg, one grey value for each 8x8 pixels; (0, 0) if the data make no sense, None if Pillow does
    not know the kind of JPEG. OpenCV would print a warning for each of these altered files.
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
