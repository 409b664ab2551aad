"""A video as a folder of image files, one a frame."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.sources import Frame, natural_key

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"}


@dataclass(frozen=True)
class ImageFolder:
    """Image files of one folder, in natural order; numbered by the last digits of their names."""

    folder: Path
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    ignored: tuple[str, ...] = field(default=())  # files that are no images

    @classmethod
    def scan(cls, folder: Path) -> "ImageFolder":
        """List `folder`; raises DataError when it holds no image, or two images of one frame number.

        Hidden files are passed over. Frames whose names carry no number are numbered by their position from 0.
        """
        files = (entry.name for entry in folder.iterdir() if not entry.is_dir())
        entries = sorted((name for name in files if not name.startswith(".")), key=natural_key)
        names = [name for name in entries if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        ignored = [name for name in entries if Path(name).suffix.lower() not in IMAGE_SUFFIXES]
        if not names:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise DataError(f"{folder}: no image among {len(entries)} files; frames are files of type {kinds}")
        found = [re.findall(r"\d+", Path(name).stem) for name in names]
        numbers = [int(digits[-1]) for digits in found] if all(found) else list(range(len(names)))
        order = sorted(range(len(names)), key=numbers.__getitem__)
        for before, after in pairwise(order):
            if numbers[before] == numbers[after]:
                raise DataError(
                    f"{folder}: {names[before]} and {names[after]} are both frame {numbers[after]}; "
                    "remove one of them, or number the frames apart"
                )
        return cls(folder, tuple(names[i] for i in order), tuple(numbers[i] for i in order), tuple(ignored))

    def expected_frames(self) -> int:
        return len(self.names)

    def fps(self) -> float | None:
        return None

    def files(self) -> list[Path]:
        return [self.folder / name for name in self.names]

    def remarks(self, decoded: int) -> list[tuple[str, str, str]]:
        return [(name, "not an image", "ignored") for name in self.ignored]

    def as_json(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "names": list(self.names), "numbers": list(self.numbers)}

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        # Grey is decoded as grey: from a JPEG that is faster than colour, and not bit-equal to colour converted. So
        # a frame asked for in both is decoded twice, and a grey frame never depends on who else asked for colour.
        for name, number in zip(self.names[start:], self.numbers[start:], strict=True):
            data, problem = _read_bytes(self.folder / name)
            gray_image = _decode(data, cv2.IMREAD_GRAYSCALE) if gray and not problem else None
            color_image = _decode(data, cv2.IMREAD_COLOR_RGB) if color and not problem else None
            if not problem and ((gray and gray_image is None) or (color and color_image is None)):
                problem = "cannot be decoded"
            if problem:
                gray_image = color_image = None
            yield Frame(number, name, gray_image, color_image, problem)


def _read_bytes(path: Path) -> tuple[bytes, str | None]:
    """The file's bytes, and what is wrong with them."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return b"", f"cannot be read ({error.strerror})"
    if not data:
        return data, "empty file"
    if is_truncated(data):
        return data, "truncated file"
    return data, None


def is_truncated(data: bytes) -> bool:
    """True when a JPEG, PNG or BMP ends too early: OpenCV would fill the rest with grey and say nothing.

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


def _decode(data: bytes, flag: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None
