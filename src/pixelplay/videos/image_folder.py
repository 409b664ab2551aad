"""A video as a folder of image files, one a frame; the pages of a TIFF are frames, too."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.frame_names import BY_POSITION, number_names
from pixelplay.videos.image_file import IMAGE_SUFFIXES, ImageBytes, ValueRange, decode, decode_deep, read_image
from pixelplay.videos.image_header import Data, tiff_pages
from pixelplay.videos.jpeg_damage import is_damaged
from pixelplay.videos.sources import Frame, Remark, natural_key

TIFF_SUFFIXES = {".tif", ".tiff"}
NO_RANGE = "more than 8 bits a value, and no range of values is known: the training footage has none of that kind"

Decoded = tuple[np.ndarray | None, np.ndarray | None, str | None, tuple[str, str] | None]  # the end of a `Frame`


@dataclass(frozen=True)
class ImageFolder:
    """Image files of one folder, ordered and numbered by `frame_names`; by position from 0 if a TIFF has pages."""

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
        names = [entry.name for entry in entries if _is_image(entry)]
        if not names:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise DataError(f"{folder}: no image among {len(entries)} files; frames are files of type {kinds}")
        require_utf8(folder, names)
        ignored = tuple(_ignored(entry) for entry in entries if not _is_image(entry))
        numbered = number_names(names, folder)
        pages = [(name, page) for name in numbered.names for page in _pages(folder / name)]
        if len(pages) > len(names):
            return cls._paged(folder, pages, len(names), ignored)
        remark = (folder.name, "no group of digits in the names increases from frame to frame", BY_POSITION)
        notes = (*ignored, remark) if numbered.by_position else ignored
        return cls(folder, numbered.names, numbered.numbers, notes=notes)

    @classmethod
    def of_pages(cls, path: Path) -> "ImageFolder | None":
        """The pages of one TIFF, numbered from 0; None if it has only one. Raises DataError as `scan`."""
        pages = [(path.name, page) for page in _pages(path)]
        if len(pages) == 1:
            return None
        require_utf8(path.parent, [path.name])
        return cls._paged(path.parent, pages, 1, ())

    @classmethod
    def _paged(
        cls, folder: Path, pages: list[tuple[str, int]], files: int, ignored: tuple[Remark, ...]
    ) -> "ImageFolder":
        names, at = zip(*pages, strict=True)
        several = f"{len(pages)} pages in {files} file{'s' if files > 1 else ''}"
        remark = (names[0] if files == 1 else folder.name, several, f"every page is a frame, {BY_POSITION}")
        return cls(folder, names, tuple(range(len(names))), at, notes=(*ignored, remark))

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
            image = self._image(at)
            if image.problem:
                decoded = _unreadable(image.problem)
            else:
                decoded = (self._deep if image.deep else self._plain)(image.data, gray, color)
            yield Frame(self.numbers[at], self._name(at), *decoded)

    def deep_values(self, at: int) -> np.ndarray | None:
        """The values of the frame at a position, (H, W) or (H, W, 3) RGB, if they are not 8-bit; else None."""
        image = self._image(at)
        return decode_deep(image.data) if image.deep and not image.problem else None

    def _image(self, at: int) -> ImageBytes:
        return read_image(self.folder / self.names[at], self.pages[at] if self.pages else 0)

    def _name(self, at: int) -> str:
        """The file's name; of a page, `<file>#<page>`, pages counted from 0."""
        name = self.names[at]
        return f"{name}#{at - self.names.index(name)}" if self.pages and self.pages[at] else name

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
    for name in [str(folder), *names]:
        try:
            name.encode()
        except UnicodeEncodeError:
            path = printable(str(folder if name == str(folder) else folder / name))
            raise DataError(f"{path}: the name is not UTF-8 (\\x stands for a byte that is not); rename it") from None


def printable(name: str) -> str:
    """The name with bytes that are not UTF-8 written as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_image(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and not entry.is_dir()


def _ignored(entry: os.DirEntry[str]) -> Remark:
    return printable(entry.name), "a folder among frames" if entry.is_dir() else "not an image", "ignored"


def _pages(path: Path) -> list[int]:
    """Where the pages of an image file are described, one for each; [0] for a file with one."""
    pages = tiff_pages(path) if path.suffix.lower() in TIFF_SUFFIXES and path.is_file() else []
    return pages if len(pages) > 1 else [0]
