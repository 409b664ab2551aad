"""A .npy file that grows item by item, for arrays whose length is known only at the end of a video."""

import math
import os
from pathlib import Path
from typing import IO, Self

import numpy as np

from pixelplay.videos.settings import FrameFormat


class NpyWriter:
    """Items of one shape and dtype; closing the file puts the final shape, [T, *shape], into its header."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike):
        self._path, self._shape, self._dtype = path, shape, np.dtype(dtype)
        self._count = 0

    def __enter__(self) -> Self:
        self._file: IO[bytes] = open(self._path, "wb")
        self._write_header()
        return self

    def append(self, item: np.ndarray) -> None:
        """Add one item, of the shape and dtype given."""
        self.extend(item[None])

    def extend(self, items: np.ndarray) -> None:
        """Add items (n, *shape); raises ValueError for another shape or dtype."""
        if items.shape[1:] != self._shape or items.dtype != self._dtype:
            raise ValueError(f"{self._path}: {items.dtype} {items.shape[1:]} among {self._dtype} {self._shape}")
        self._file.write(np.ascontiguousarray(items).data)
        self._count += len(items)

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._write_header()  # NumPy leaves room in a header for its first axis to grow
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


def is_npy(path: Path) -> bool:
    """Whether the file is a whole array, by its header and length."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):  # mapping more than there is fails
        return False
    return True


class FrameWriter(NpyWriter):
    """Frames of one format, uint8 [T, H, W] or [T, H, W, 3]."""

    def __init__(self, path: Path, frame_format: FrameFormat):
        self.format = frame_format
        super().__init__(path, frame_shape(frame_format), np.uint8)


def frame_shape(frame_format: FrameFormat) -> tuple[int, ...]:
    """(H, W), or (H, W, 3) of colour."""
    return (frame_format.height, frame_format.width, *(() if frame_format.gray else (3,)))


def frames_in(path: Path, frame_format: FrameFormat) -> int | None:
    """Number of frames of this format in a file of `FrameWriter`; None if it is missing, truncated, or something else.

    Only the header is read and compared with the file's size.
    """
    shape = frame_shape(frame_format)
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0(file) if version == (1, 0) else None
            size = os.fstat(file.fileno()).st_size - file.tell()
    except Exception:  # NumPy evaluates the header: a damaged one can raise anything
        return None
    if header is None or header[1] or header[2] != np.uint8 or header[0][1:] != shape or not header[0]:
        return None
    return header[0][0] if size == math.prod(header[0]) else None
