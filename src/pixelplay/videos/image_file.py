"""One image file, or one page of a TIFF: checked, then decoded."""

import stat
import struct
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pixelplay.videos.image_header import MAX_BYTES, MAX_PIXELS, Data, at_page, read_header

# Whatever OpenCV reads; what a file is decoded as depends on its bytes, not on its name.
IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jp2"),
    *(".pbm", ".pgm", ".ppm"),
}


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
    header = read_header(data)
    problem = None
    if not len(data):
        problem = "empty file"
    elif isinstance(data, bytes) and is_truncated(data):
        problem = "truncated file"
    elif header is None:
        problem = "cannot be decoded"
    elif header.width * header.height > MAX_PIXELS:
        problem = f"{header.width}x{header.height} pixels, at most {MAX_PIXELS:,} are decoded"
    return ImageBytes(data, header is not None and header.deep, problem)


def is_truncated(data: bytes) -> bool:
    """Whether a JPEG, PNG or BMP ends too early: OpenCV would silently fill the rest with grey.

    A JPEG's end marker must follow its last start of scan (an embedded thumbnail has an end marker of its own).
    """
    if data[:2] == b"\xff\xd8":
        if data.endswith(b"\xff\xd9"):  # nearly always, and without a search through the whole file
            return False
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    if data[:4] == b"\x89PNG":
        return b"IEND\xae\x42\x60\x82" not in data  # the last chunk's name and checksum
    if data[:2] == b"BM":
        return len(data) < int.from_bytes(data[2:6], "little")
    return False


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
