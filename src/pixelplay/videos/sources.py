"""Where a video's frames come from: the contract of `image_folder` and `video_file`.

A source yields its frames in order, once. What can't be read comes as a frame without an image and with the reason.
"""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from pixelplay import requirements
from pixelplay.errors import FootageError

VIDEO_SUFFIXES = {
    *(".avi", ".mp4", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv"),
    *(".ts", ".mts", ".m2ts", ".flv", ".3gp"),
}


class Frame(NamedTuple):
    """One frame as its source gives it: grey and colour are None where not asked for, or where unreadable."""

    number: int  # the frame's original number
    name: str
    gray: np.ndarray | None  # uint8 (H, W)
    color: np.ndarray | None  # uint8 (H, W, 3), RGB
    problem: str | None  # why there is no image
    remark: tuple[str, str] | None = None  # what is odd about an image that was read, and what was done about it
    seconds: float | None = None  # since the source's first frame, by timestamps; None where there are none


class Source(Protocol):
    def expected_frames(self) -> int:
        """About how many frames there are, for order and progress; for a video file, what its header says."""

    def fps(self) -> float | None:
        """Frames per second, on average where the rate varies; None where it is not known."""

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        """Decode every frame from position `start` on once, in order, in the forms asked for; numbers increase."""

    def files(self) -> list[Path]:
        """All files that are read."""

    def remarks(self, decoded: int) -> list[tuple[str, str, str]]:
        """(name, problem, treatment) of what is no single frame's fault; `decoded` frames have come out of `read`."""

    def as_json(self) -> dict[str, Any]:
        """What `source_from_json` makes the same source of."""


def natural_key(name: str) -> tuple[list[Any], str]:
    """Sort key by which frame_2 stands before frame_10; no two names have the same."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)], name


def video_file(path: Path) -> Source:
    """A video file as a source; raises MissingPackageError where what decodes it is not installed."""
    requirements.require(["video"])
    from pixelplay.videos.video_file import VideoFile  # here, since footage of frames needs no PyAV

    return VideoFile(path)


def require_file(path: Path) -> Path:
    """The absolute path of a regular file, or of a link to one; raises FootageError for anything else.

    A FIFO would be waited for without end, and a relative path can be an address (`http:`) to whoever opens it.
    """
    path = path.absolute()
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise FootageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
        raise FootageError(f"{path}: not a file but {kinds.get(stat.S_IFMT(mode), 'a device')}; replace or remove it")
    return path
