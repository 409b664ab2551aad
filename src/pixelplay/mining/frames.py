"""The frames of clips, decoded where they are scored: image files and positions in video files."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.mining.clips import Clip
from pixelplay.videos.footage import video_file
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.sources import VIDEO_SUFFIXES, Frame, require_file

IN_VIDEO = re.compile(r"(?s)(.+)#(\d{1,9})")


class ClipReader:
    """Reads one clip after the other. What a clip has in common with the one before is decoded once, and a video is
    read on from where it stands: clips in the order of the manifest cost one pass over each video.
    """

    def __init__(self, root: Path | None):
        """root: where relative paths start; None: the working directory."""
        self._root = root or Path()
        self._held: dict[str, np.ndarray] = {}  # frames of the last clip
        self._video: tuple[Path, Iterator[Frame]] | None = None
        self._next = 0  # position of the video's next frame

    def read(self, clip: Clip) -> np.ndarray:
        """uint8 (frames, H, W, 3) RGB. Raises DataError that names the frame which can't be read or differs in size."""
        images: dict[str, np.ndarray] = {}
        for name in clip.frames:
            if name not in images:
                images[name] = self._held[name] if name in self._held else self._decode(name)
        self._held = images
        first = images[clip.frames[0]].shape
        odd = next((name for name, image in images.items() if image.shape != first), None)
        if odd is not None:
            raise DataError(f"{odd}: {_size(images[odd].shape)}, but {clip.frames[0]} has {_size(first)}")
        return np.stack([images[name] for name in clip.frames])

    def _decode(self, name: str) -> np.ndarray:
        found = IN_VIDEO.fullmatch(name)
        if found and Path(found[1]).suffix.lower() in VIDEO_SUFFIXES:
            return self._at(self._root / found[1], int(found[2]))
        path = self._root / name
        if path.exists():  # reading a FIFO would never end; what is missing is reported as the manifest names it
            require_file(path)
        (frame,) = ImageFolder(path.parent, (path.name,), (0,)).read(gray=False, color=True)
        if frame.color is None:
            raise DataError(f"{name}: {frame.problem}")
        return frame.color

    def _at(self, path: Path, position: int) -> np.ndarray:
        if self._video is None or self._video[0] != path or position < self._next:
            self._video, self._next = (path, video_file(path).read(gray=False, color=True, start=position)), position
        for frame in self._video[1]:
            self._next += 1
            if self._next > position:
                if frame.color is None:
                    raise DataError(f"{frame.name}: {frame.problem}")
                return frame.color
        video, at = self._video[0], self._next
        self._video = None
        raise DataError(f"{video}#{position}: the video ends before, or can't be decoded beyond frame {at}")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"
