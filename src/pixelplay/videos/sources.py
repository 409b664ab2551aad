"""Where a video's frames come from: the contract of `image_folder` and `video_file`.

A source yields its frames in order, once. A frame that can't be read comes without an image and with the reason.
"""

import os.path
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from pixelplay.errors import FootageError

VIDEO_SUFFIXES = {
    *(".avi", ".mp4", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv"),
    *(".ts", ".mts", ".m2ts", ".flv", ".3gp"),
}
Remark = tuple[str, str, str]  # name of the file, problem, treatment


class Frame(NamedTuple):
    """One frame; `gray` and `color` are None where not asked for, or where unreadable."""

    number: int  # the frame's original number
    name: str
    gray: np.ndarray | None  # uint8 (H, W)
    color: np.ndarray | None  # uint8 (H, W, 3), RGB
    problem: str | None  # why there is no image
    remark: tuple[str, str] | None = None  # problem and treatment of an image that was read
    seconds: float | None = None  # since the source's first frame, by timestamps; None without timestamps


class Source(Protocol):
    """Implemented by dataclasses, which `source_from_json` restores from their fields."""

    def expected_frames(self) -> int: ...  # about how many; of a video file, what its header says
    def fps(self) -> float | None: ...  # on average where the rate varies; None where unknown
    def files(self) -> list[Path]: ...  # all that are read
    def remarks(self, decoded: int) -> list[Remark]: ...  # on a source of which `read` has yielded `decoded` frames

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        """Decode every frame from position `start` on once, in order, in the forms asked for; numbers increase."""
        ...


def natural_key(name: str) -> tuple[list[Any], str]:
    """Sort key that puts frame_2 before frame_10; unique for each name."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)], name


def require_file(path: Path) -> Path:
    """The absolute path of a regular file, or of a link to one; raises FootageError for anything else.

    Opening a FIFO would wait forever, and a relative path can be a URL (`http:`) to whatever opens it.
    """
    path = path.absolute()
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        why = "a link to nothing" if os.path.islink(path) else getattr(error, "strerror", None) or error
        raise FootageError(f"{path}: cannot be read ({why}); replace or remove it") from None
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise FootageError(f"{path}: not a regular file but {kind}; replace or remove it")
    return path
