"""A video as a folder of image files, one a frame; the pages of a TIFF are frames, too.

Order: natural order of the names without their suffixes, case ignored (frame_2 before frame_10). A dot between two
groups of digits is a decimal point (1305031102.9 before 1305031103.1), where
  - what follows the dot has the same number of digits in every name, and what precedes it is not always the same; or
  - the numbers of digits differ, and none of several digits ends in 0: numbers printed without trailing zeros.
Otherwise it separates two whole numbers, as in shot1.9 and shot1.10.

Number: the last group of digits, counted from the end of the name, that every name has, that is no part of a decimal
number, strictly increases in the order above, and fits into int64. So constant camera numbers and dates do not matter
(0001_0001_0000_4 and 0001_0001_0001_4 are the frames 0 and 1). If there is none (decimal seconds, clock times, several
cameras, 23 digits, no digits), frames are numbered by position from 0, with a remark. Names with digits that differ
only in leading zeros, case or suffix are one frame twice: an error.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_file import (
    IMAGE_SUFFIXES,
    ImageBytes,
    ValueRange,
    decode,
    decode_deep,
    is_damaged,
    read_image,
)
from pixelplay.videos.image_header import Data, tiff_pages
from pixelplay.videos.sources import Frame, Remark, natural_key

TIFF_SUFFIXES = {".tif", ".tiff"}
BY_POSITION = "numbered by position from 0"
NO_RANGE = "more than 8 bits a value, and no range of values is known: the training footage has none of that kind"
# Exactly two groups of digits around one dot: 10.30 in cam_10.30.png, and nothing in 2024.01.05.png.
DECIMAL = r"(?<![\d.])\d+\.\d+(?![\d.])"

Decoded = tuple[np.ndarray | None, np.ndarray | None, str | None, tuple[str, str] | None]  # the end of a `Frame`


@dataclass(frozen=True)
class ImageFolder:
    """Image files of one folder, ordered and numbered by their names; by position from 0 if a TIFF has pages."""

    folder: Path
    names: tuple[str, ...]  # of each frame's file
    numbers: tuple[int, ...]
    # Of each frame, where its page is described in its TIFF; 0: the file has one page. Empty: all have.
    pages: tuple[int, ...] = ()
    levels: ValueRange | None = None  # of values that are not 8-bit; None: such images are not read
    notes: tuple[Remark, ...] = ()  # files that are no images; why frames are numbered by position

    @classmethod
    def scan(cls, folder: Path) -> "ImageFolder":
        """List `folder`; raises DataError if it holds no image, two images of one frame, or a name not in UTF-8.

        Hidden entries are ignored silently; folders and files that are no images, with a remark.
        """
        with os.scandir(folder) as listing:
            entries = sorted((e for e in listing if not e.name.startswith(".")), key=lambda e: natural_key(e.name))
        names: list[str] = []
        notes: list[Remark] = []
        for entry in entries:
            if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and not entry.is_dir():
                names.append(entry.name)
            else:
                kind = "a folder among frames" if entry.is_dir() else "not an image"
                notes.append((printable(entry.name), kind, "ignored"))
        if not names:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise DataError(f"{folder}: no image among {len(entries)} files; frames are files of type {kinds}")
        require_utf8(folder, names)
        numbered = number_names(names, folder)
        pages = [(name, page) for name in numbered.names for page in _pages(folder / name)]
        if len(pages) > len(names):
            return cls._paged(folder, pages, len(names), notes)
        if numbered.by_position:
            notes.append((folder.name, "no group of digits in the names increases from frame to frame", BY_POSITION))
        return cls(folder, numbered.names, numbered.numbers, notes=tuple(notes))

    @classmethod
    def of_pages(cls, path: Path) -> "ImageFolder | None":
        """The pages of one TIFF, numbered from 0; None if it has only one. Raises DataError as `scan`."""
        pages = [(path.name, page) for page in _pages(path)]
        if len(pages) == 1:
            return None
        require_utf8(path.parent, [path.name])
        return cls._paged(path.parent, pages, 1, [])

    @classmethod
    def _paged(cls, folder: Path, pages: list[tuple[str, int]], files: int, notes: list[Remark]) -> "ImageFolder":
        names, at = zip(*pages, strict=True)
        several = f"{len(pages)} pages in {files} file{'s' if files > 1 else ''}"
        remark = (names[0] if files == 1 else folder.name, several, f"every page is a frame, {BY_POSITION}")
        return cls(folder, names, tuple(range(len(names))), at, notes=(*notes, remark))

    def expected_frames(self) -> int:
        return len(self.names)

    def fps(self) -> float | None:
        return None

    def files(self) -> list[Path]:
        return [self.folder / name for name in dict.fromkeys(self.names)]

    def remarks(self, decoded: int) -> list[Remark]:
        return list(self.notes)

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        for at in range(start, len(self.names)):
            image, name = self._image(at), self.names[at]
            if image.problem:
                decoded = _unreadable(image.problem)
            else:
                decoded = (self._deep if image.deep else self._plain)(image.data, gray, color)
            if self.pages and self.pages[at]:
                name = f"{name}#{at - self.names.index(name)}"  # pages are counted from 0
            yield Frame(self.numbers[at], name, *decoded)

    def deep_values(self, at: int) -> np.ndarray | None:
        """The values of the frame at a position, (H, W) or (H, W, 3) RGB, if they are not 8-bit; else None."""
        image = self._image(at)
        return decode_deep(image.data) if image.deep and not image.problem else None

    def _image(self, at: int) -> ImageBytes:
        return read_image(self.folder / self.names[at], self.pages[at] if self.pages else 0)

    def _plain(self, data: Data, gray: bool, color: bool) -> Decoded:
        # Grey is decoded as grey: from a JPEG that is faster than colour, and not bit-equal to colour converted. So
        # a frame asked for in both is decoded twice, and a grey frame never depends on who else asked for colour.
        one = decode(data, cv2.IMREAD_GRAYSCALE) if gray else None
        three = decode(data, cv2.IMREAD_COLOR_RGB) if color else None
        if (gray and one is None) or (color and three is None):
            return _unreadable("cannot be decoded")
        image = three if one is None else one
        if isinstance(data, bytes) and image is not None and is_damaged(data, image):
            return _unreadable("damaged inside")
        remark = ("8 bits a value among frames of more", "its values are used as they are") if self.levels else None
        return one, three, None, remark

    def _deep(self, data: Data, gray: bool, color: bool) -> Decoded:
        """Of values that are not 8-bit, brought to 0 to 255 by the data set's range."""
        values = decode_deep(data) if self.levels else None
        if self.levels is None or values is None:
            return _unreadable("cannot be decoded" if self.levels else NO_RANGE)
        shown = self.levels.shown(values)
        one = shown if shown.ndim == 2 else cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)
        three = shown if shown.ndim == 3 else cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB)
        lost = int(values.size - np.isfinite(values).sum())
        remark = (f"{lost:,} values are NaN or infinite", "NaN shown as 0, infinity as 255") if lost else None
        return one if gray else None, three if color else None, None, remark


def _unreadable(problem: str) -> Decoded:
    return None, None, problem, None


def require_utf8(folder: Path, names: list[str]) -> None:
    """Raise DataError for a name that is not UTF-8: neither tables nor JSON can hold it."""
    for path in (str(folder), *(str(folder / name) for name in names)):
        try:
            path.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{printable(path)}: the name is not UTF-8 (\\x stands for a byte that is not); rename it"
            ) from None


def printable(name: str) -> str:
    """The name with bytes that are not UTF-8 written as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _pages(path: Path) -> list[int]:
    """Where the pages of an image file are described, one for each; [0] for a file with one."""
    pages = tiff_pages(path) if path.suffix.lower() in TIFF_SUFFIXES and path.is_file() else []
    return pages if len(pages) > 1 else [0]


class NumberedNames(NamedTuple):
    names: tuple[str, ...]  # in order
    numbers: tuple[int, ...]  # strictly increasing
    by_position: bool  # no group of digits qualifies


def number_names(names: Sequence[str], where: Path) -> NumberedNames:
    """Order and numbers of the frames with these names; raises DataError, which names `where`, for a frame twice."""
    decimal = _has_decimals([Path(name).stem for name in names])
    keys = {name: _key(Path(name).stem, decimal) for name in names}
    ordered = sorted(names, key=lambda name: (keys[name], name))
    groups = [[part for part in keys[name] if not isinstance(part, str)] for name in ordered]  # of digits
    for i, (before, after) in enumerate(pairwise(ordered), start=1):
        if groups[i] and keys[before] == keys[after]:
            raise DataError(
                f"{where}: {before} and {after} are both frame {groups[i][-1]}; "
                "remove one of them, or number the frames apart"
            )
    for place in range(1, min(map(len, groups)) + 1):
        numbers = [group[-place] for group in groups]
        whole = all(isinstance(number, int) and number < 2**63 for number in numbers)
        if whole and all(before < after for before, after in pairwise(numbers)):
            return NumberedNames(tuple(ordered), tuple(map(int, numbers)), by_position=False)
    return NumberedNames(tuple(ordered), tuple(range(len(ordered))), by_position=True)


def _has_decimals(stems: list[str]) -> bool:
    """Whether a dot between digits is a decimal point in these names."""
    found = [number.split(".") for stem in stems for number in re.findall(DECIMAL, stem)]
    fractions = {fraction for _, fraction in found}
    if len({len(fraction) for fraction in fractions}) > 1:
        return not any(len(fraction) > 1 and fraction.endswith("0") for fraction in fractions)
    return len({whole for whole, _ in found}) > 1


def _key(stem: str, decimal: bool) -> list[str | int | Decimal]:
    """Sort key of a name: text and numbers in turn, text first."""
    parts = re.split(rf"({DECIMAL}|\d+)" if decimal else r"(\d+)", stem)
    numbers = (Decimal(part) if "." in part else int(part) for part in parts[1::2])
    return [next(numbers) if at % 2 else part.lower() for at, part in enumerate(parts)]
