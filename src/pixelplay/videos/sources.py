"""Where a video's frames come from: a folder of image files or one video file.

A source yields its frames in order, once. What can't be read comes as a frame without an image and with the reason.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from pixelplay.errors import DataError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"}
VIDEO_SUFFIXES = {".avi", ".mp4", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv"}


class Frame(NamedTuple):
    """One frame as its source gives it: grey and colour are None where not asked for, or where unreadable."""

    number: int  # the frame's original number
    name: str
    gray: np.ndarray | None  # uint8 (H, W)
    color: np.ndarray | None  # uint8 (H, W, 3), RGB
    problem: str | None  # why there is no image


class Source(Protocol):
    def expected_frames(self) -> int:
        """How many frames there should be; for a video file, what its header says."""

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        """Decode every frame from position `start` on once, in order, in the forms asked for."""

    def files(self) -> list[Path]:
        """All files that are read."""

    def remarks(self, decoded: int) -> list[tuple[str, str, str]]:
        """(name, problem, treatment) of what is no single frame's fault; `decoded` frames have come out of `read`."""

    def as_json(self) -> dict[str, Any]:
        """What `source_from_json` makes the same source of."""


def natural_key(name: str) -> tuple[list[Any], str]:
    """Sort key by which frame_2 stands before frame_10; no two names have the same."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)], name


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


@dataclass(frozen=True)
class VideoFile:
    """One video file; its frames are numbered from 0."""

    path: Path

    def expected_frames(self) -> int:
        capture = self._open()
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        return max(frames, 0)

    def files(self) -> list[Path]:
        return [self.path]

    def remarks(self, decoded: int) -> list[tuple[str, str, str]]:
        expected = self.expected_frames()
        if decoded >= expected:
            return []
        problem = f"its header announces {expected} frames, {decoded} are in it"
        return [(self.path.name, problem, "used as it is; the last frame may be incomplete")]

    def as_json(self) -> dict[str, Any]:
        return {"path": str(self.path)}

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        capture = self._open()
        try:
            for _ in range(start):  # codecs find the exact frame only by going through those before it
                capture.grab()
            for number in count(start):
                ok, image = capture.read()  # (H, W, 3) BGR
                if not ok:
                    return
                yield Frame(
                    number,
                    f"{self.path.name}#{number}",
                    cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if gray else None,
                    cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if color else None,
                    None,
                )
        finally:
            capture.release()

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            size = self.path.stat().st_size if self.path.exists() else 0
            raise DataError(f"{self.path}: cannot be opened as a video ({size} bytes); replace or remove it")
        return capture


def source_from_json(value: dict[str, Any]) -> Source:
    """The source that `as_json` described."""
    if "path" in value:
        return VideoFile(Path(value["path"]))
    return ImageFolder(Path(value["folder"]), tuple(value["names"]), tuple(value["numbers"]))


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
