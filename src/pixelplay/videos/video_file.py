"""A video as one video file."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import cv2

from pixelplay.errors import DataError
from pixelplay.videos.sources import Frame

VIDEO_SUFFIXES = {".avi", ".mp4", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv"}


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
