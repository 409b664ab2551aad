"""Clips: their manifests and their frames.

A manifest has a clip per line, JSON `{scene, camera, frames, timestamps, start}`; a scene manifest has whole scenes. A
frame is the path of an image file, or `video.mp4#12`: the frame at position 12 of a video file.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.run.atomic import atomic
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.sources import VIDEO_SUFFIXES, Frame, require_file
from pixelplay.videos.video import video_file

SECOND = 1_000_000  # microseconds
LISTED_ERRORS = 5  # of a manifest, in one message
IN_VIDEO = re.compile(r"(?s)(.+)#(\d{1,9})")


@dataclass(frozen=True)
class Clip:
    """Frames of one camera in chronological order: a clip's, or a whole scene's."""

    scene: str
    camera: str
    frames: tuple[str, ...]
    timestamps: tuple[int, ...] | None  # microseconds, one per frame; None if unknown
    start: int | None = None  # microseconds, when its scene starts; None if unknown

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Times of its first and last frame from the start of its scene, such as its video; None if unknown."""
        if self.timestamps is None or self.start is None:
            return None
        return (self.timestamps[0] - self.start) / SECOND, (self.timestamps[-1] - self.start) / SECOND

    def as_json(self) -> str:
        return json.dumps(vars(self))

    @property
    def key(self) -> str:
        """Seeds the clip's masks: independent of the data set's folder and of the other clips."""
        return json.dumps([self.scene, self.camera, *Path(self.frames[0]).parts[-1:]])


def matching(key: str, patterns: list[str], names: Iterable[str]) -> set[str]:
    """The names that match a pattern of `mine.<key>`, all without patterns; raises DataError if one matches none."""
    found = set(names)
    chosen = {pattern: {name for name in found if fnmatchcase(name, pattern)} for pattern in patterns}
    for pattern, matched in chosen.items():
        if not matched:
            listed = ", ".join(sorted(found)[:20]) + (f", … ({len(found)} in all)" if len(found) > 20 else "")
            raise DataError(f"mine.{key}: nothing is called {pattern!r}; there are {listed or 'none'}")
    return set().union(*chosen.values()) if patterns else found


# --- manifests -------------------------------------------------------------------------------------------------------


def write_clips(path: Path, clips: Iterable[Clip]) -> int:
    """Write a manifest atomically, clip by clip; returns the number of clips."""
    count = 0
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for clip in clips:
            file.write(clip.as_json() + "\n")
            count += 1
    return count


def read_clips(path: Path, frames: int | None) -> Iterator[Clip]:
    """The clips of a manifest, line by line; each must have `frames` frames (None: at least one).

    Raises DataError with the number of the first invalid line, MissingArtifactError for a missing file.
    """
    for number, line in _lines(path):
        try:
            yield parse_clip(line, frames)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}") from None


def count_clips(path: Path, frames: int) -> int:
    """Number of clips; raises DataError that lists the invalid lines, MissingArtifactError for a missing file."""
    wrong, clips = [], 0
    for number, line in _lines(path):
        try:
            parse_clip(line, frames)
            clips += 1
        except ValueError as error:
            wrong.append(f"  line {number}: {error}")
    if wrong:
        more = f"\n  and {len(wrong) - LISTED_ERRORS} more" if len(wrong) > LISTED_ERRORS else ""
        raise DataError(f"{path}: {len(wrong)} invalid lines:\n" + "\n".join(wrong[:LISTED_ERRORS]) + more)
    if not clips:
        raise DataError(f"{path}: no clips in it")
    return clips


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and text of the lines that are not blank."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from ((number, line) for number, line in enumerate(file, start=1) if line.strip())
    except FileNotFoundError:
        raise MissingArtifactError(
            f"{path} is missing: run `python src/mine.py step=manifest mine.source=FOLDER`, or name a manifest with "
            "mine.manifest=FILE"
        ) from None


def parse_clip(line: str, frames: int | None) -> Clip:
    """The clip in a line of a manifest; raises ValueError that says why the line is invalid."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__}, not an object with the key frames")
    for key in ("scene", "camera"):
        if not isinstance(value.get(key, ""), str | None):
            raise ValueError(f"{key} is {json.dumps(value[key]):.60}: must be text")
    names = _frames(value)
    if frames is not None and len(names) != frames:
        raise ValueError(f"{len(names)} frames; a clip has exactly {frames} (mine.frames)")
    times, start = _timestamps(value, len(names)), value.get("start")
    if type(start) not in (int, float, type(None)) or (start is not None and times is not None and start > times[0]):
        raise ValueError(f"start is {json.dumps(start):.60}: must be a number, and not after the first of timestamps")
    return Clip(value.get("scene") or "", value.get("camera") or "", names, times, start)


def _frames(value: dict[str, Any]) -> tuple[str, ...]:
    keys = [key for key in ("frames", "frame_paths") if value.get(key) is not None]
    if len(keys) != 1:
        raise ValueError(f"{' and '.join(keys) or 'neither frames nor frame_paths'}: a clip has one of the two")
    names = value[keys[0]]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{keys[0]} is {json.dumps(names):.60}: must be a list of paths")
    if any("\0" in name for name in names):
        raise ValueError(f"{keys[0]} has a path with a zero byte")
    return tuple(names)


def _timestamps(value: dict[str, Any], count: int) -> tuple[int, ...] | None:
    times = value.get("timestamps")
    if times is None:
        return None
    if not isinstance(times, list) or not all(type(time) in (int, float) for time in times):
        raise ValueError(f"timestamps is {json.dumps(times):.60}: must be a list of numbers")
    if len(times) != count:
        raise ValueError(f"{len(times)} timestamps for {count} frames")
    back = next((i for i in range(1, count) if not times[i - 1] <= times[i]), None)
    if back is not None:
        raise ValueError(f"timestamps are not in order: {times[back]} after {times[back - 1]}")
    return tuple(times)


# --- frames ----------------------------------------------------------------------------------------------------------


class ClipReader:
    """Reads clips one after the other.

    Frames shared with the previous clip are decoded once, and an open video is read on from its position: clips in
    the order of the manifest take one pass over each video.
    """

    def __init__(self, root: Path | None):
        """root: where relative paths start; None: the working directory."""
        self._root = root or Path()
        self._held: dict[str, np.ndarray] = {}  # frames of the last clip
        self._video: tuple[Path, Iterator[Frame]] | None = None
        self._next = 0  # position of the video's next frame

    def read(self, clip: Clip) -> np.ndarray:
        """uint8 (frames, H, W, 3) RGB. Raises DataError that names the unreadable frame, or the one of another size."""
        images: dict[str, np.ndarray] = {}
        for name in clip.frames:
            if name not in images:
                images[name] = self._held[name] if name in self._held else self._decode(name)
        self._held = images
        height, width, _ = images[clip.frames[0]].shape
        for name, image in images.items():
            if image.shape != (height, width, 3):
                size = f"{image.shape[1]}x{image.shape[0]} pixels"
                raise DataError(f"{name}: {size}, but {clip.frames[0]} has {width}x{height} pixels")
        return np.stack([images[name] for name in clip.frames])

    def _decode(self, name: str) -> np.ndarray:
        found = IN_VIDEO.fullmatch(name)
        if found and Path(found[1]).suffix.lower() in VIDEO_SUFFIXES:
            return self._at(self._root / found[1], int(found[2]))
        path = self._root / name
        if path.exists():  # reading a FIFO would never end; a missing file is reported by its name in the manifest
            require_file(path)
        (frame,) = ImageFolder(path.parent, (path.name,), (0,)).read(gray=False, color=True)
        return _color(frame, name)

    def _at(self, path: Path, position: int) -> np.ndarray:
        if self._video is None or self._video[0] != path or position < self._next:
            self._video, self._next = (path, video_file(path).read(gray=False, color=True, start=position)), position
        for frame in self._video[1]:
            self._next += 1
            if self._next > position:
                return _color(frame, frame.name)
        self._video = None
        raise DataError(f"{path}#{position}: the video ends before, or can't be decoded beyond frame {self._next}")


def _color(frame: Frame, name: str) -> np.ndarray:
    if frame.color is None:
        raise DataError(f"{name}: {frame.problem}")
    return frame.color
