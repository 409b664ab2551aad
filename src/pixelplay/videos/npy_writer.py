"""A .npy file that grows item by item, for arrays whose length is known only at the end of a video."""

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


class FrameWriter(NpyWriter):
    """Frames of one format, uint8 [T, H, W] or [T, H, W, 3]."""

    def __init__(self, path: Path, frame_format: FrameFormat):
        self.format = frame_format
        super().__init__(path, frame_format.shape, np.uint8)


def is_npy(path: Path) -> bool:
    """Whether the file is a whole array, by its header and length."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):  # mapping more than there is fails
        return False
    return True


def open_frames(path: Path, frame_format: FrameFormat) -> np.ndarray | None:
    """What `FrameWriter` wrote, memory-mapped; None if it is missing, damaged, or of another format."""
    try:
        frames = np.lib.format.open_memmap(path, mode="r")
        whole = frames.offset + frames.nbytes == path.stat().st_size
    except Exception:  # NumPy evaluates the header: a damaged one can raise anything
        return None
    fits = frames.dtype == np.uint8 and frames.shape[1:] == frame_format.shape and frames.flags.c_contiguous
    return frames if whole and fits else None


def has_frames(path: Path, frame_format: FrameFormat, count: int) -> bool:
    """Whether the file holds this number of frames of this format."""
    frames = open_frames(path, frame_format)
    return frames is not None and len(frames) == count
