"""A .npy file that grows frame by frame, for videos whose length is known only when they have been decoded."""

from pathlib import Path
from typing import IO

import numpy as np

from pixelplay.config import FrameFormat


class NpyWriter:
    """Frames of one format, uint8 [T, H, W] or [T, H, W, 3]; closing the file puts the final shape into its header."""

    def __init__(self, path: Path, frame_format: FrameFormat):
        self.format = frame_format
        self._shape = (frame_format.height, frame_format.width, *(() if frame_format.gray else (3,)))
        self._count = 0
        self._path = path

    def __enter__(self) -> "NpyWriter":
        self._file: IO[bytes] = open(self._path, "wb")
        self._write_header()
        return self

    def append(self, image: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(image).data)
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._write_header()  # NumPy leaves room in a header for its first axis to grow
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)
