"""Where a video's frames come from: the contract of `image_folder` and `video_file`.

A source yields its frames in order, once. What can't be read comes as a frame without an image and with the reason.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np


class Frame(NamedTuple):
    """One frame as its source gives it: grey and colour are None where not asked for, or where unreadable."""

    number: int  # the frame's original number
    name: str
    gray: np.ndarray | None  # uint8 (H, W)
    color: np.ndarray | None  # uint8 (H, W, 3), RGB
    problem: str | None  # why there is no image
    remark: tuple[str, str] | None = None  # what is odd about an image that was read, and what was done about it


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
