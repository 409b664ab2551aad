"""Videos decoded into arrays: every frame resized and written as it comes, and what was found on the way."""

import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pixelplay.errors import FootageError, PixelPlayError
from pixelplay.videos.full_size import nearest
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.noise import noise_level
from pixelplay.videos.npy_writer import FrameWriter
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.sources import Frame

REPLACED = "replaced by its nearest readable neighbour"
SPACE_FOR = 256  # frames that there must be room for whenever as many have been decoded


def write_frames(
    raw: RawVideo, writers: list[FrameWriter], advance: Callable[[int], Any], folder: Path
) -> dict[str, Any]:
    """Decode, resize and write every frame; return the record of what was found.

    Raises FootageError where there is no readable frame, PixelPlayError where the disk of `folder` is too small.
    """
    color = any(not w.format.gray for w in writers)
    gray = any(w.format.gray for w in writers) or not color  # where no size is asked for, to see what can be read
    numbers: list[int] = []
    seconds: list[float | None] = []
    noise: list[float] = []  # of test frames, in the original size; nan where unreadable
    problems: list[tuple[int, str, str, str]] = []
    sizes: dict[tuple[int, int], list[tuple[int, str]]] = {}  # (width, height) -> the frames that have it
    last: list[np.ndarray] | None = None  # the newest readable frame in every format
    waiting = 0  # unreadable frames since then
    for frame in raw.source.read(gray, color):
        if writers and len(numbers) % SPACE_FOR == 0:  # how long a video file is, is known only at its end
            require_space(folder, bytes_needed(SPACE_FOR, [w.format for w in writers]), "paths.cache")
        numbers.append(frame.number)
        seconds.append(frame.seconds)
        advance(1)
        if frame.problem:
            problems.append((frame.number, frame.name, frame.problem, REPLACED))
            noise.append(math.nan)
            waiting += 1
            continue
        if frame.remark:
            problems.append((frame.number, frame.name, *frame.remark))
        height, width = next(image for image in (frame.gray, frame.color) if image is not None).shape[:2]
        sizes.setdefault((width, height), []).append((frame.number, frame.name))
        if raw.split != "train":  # normal footage is taken as it is
            noise.append(_noise_level(frame))
        images = [_resize(frame, w.format) for w in writers]
        _fill_gap(writers, last, images, waiting)
        for writer, image in zip(writers, images, strict=True):
            writer.append(image)
        last, waiting = images, 0
    if last is None:
        reasons = sorted({problem for _, _, problem, _ in problems}) or ["no frames"]
        raise FootageError(f"video {raw.id} ({raw.source.files()[0]}): no readable frame: {', '.join(reasons)}")
    _fill_gap(writers, last, None, waiting)
    size = max(sizes, key=lambda one: len(sizes[one]))  # the size of most frames
    problems += _of_other_size(sizes, size)
    problems += [(-1, *remark) for remark in raw.source.remarks(len(numbers))]
    times = _in_order(seconds)
    if times is None and None not in seconds:
        problem = "its timestamps run backwards, or are the same for several frames"
        problems.append((-1, raw.source.files()[0].name, problem, "its frames have numbers, but no times in seconds"))
    levels = _nearest_known(noise) if raw.split != "train" else None
    found = {"numbers": numbers, "seconds": times, "fps": raw.source.fps(), "size": size}
    return {**found, "noise": levels, "problems": sorted(problems)}


def _of_other_size(
    sizes: dict[tuple[int, int], list[tuple[int, str]]], usual: tuple[int, int]
) -> list[tuple[int, str, str, str]]:
    found = []
    for width, height in sizes.keys() - {usual}:
        problem = f"{width}x{height} pixels, most are {usual[0]}x{usual[1]}"
        found += [(number, name, problem, "resized like the others") for number, name in sizes[width, height]]
    return found


def _in_order(seconds: list[float | None]) -> list[float] | None:
    """Times to a microsecond; None where one is missing, or not after the one before."""
    times = [round(time, 6) for time in seconds if time is not None]
    usable = len(times) == len(seconds) and all(before < after for before, after in pairwise(times))
    return times if usable else None


def _noise_level(frame: Frame) -> float:
    if frame.gray is not None:
        return noise_level(frame.gray)
    assert frame.color is not None
    return noise_level(cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY))


def _nearest_known(levels: list[float]) -> list[float]:
    """Levels to two digits; where unknown, those of the neighbour that stands in for the frame."""
    values = np.array(levels)
    return values[nearest(~np.isnan(values))].round(2).tolist()


def _fill_gap(
    writers: list[FrameWriter], before: list[np.ndarray] | None, after: list[np.ndarray] | None, count: int
) -> None:
    """Write `count` stand-ins for unreadable frames: the first half is `before`, the second `after`."""
    for i in range(count):
        nearest = before if after is None or (before is not None and i < count - count // 2) else after
        assert nearest is not None
        for writer, image in zip(writers, nearest, strict=True):
            writer.append(image)


def _resize(frame: Frame, frame_format: FrameFormat) -> np.ndarray:
    image = frame.gray if frame_format.gray else frame.color
    assert image is not None
    return cv2.resize(image, (frame_format.width, frame_format.height), interpolation=cv2.INTER_AREA)


def require_space(folder: Path, needed: int, key: str) -> int:
    """Free bytes on the disk of `folder`; raises PixelPlayError when fewer than `needed` bytes are free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise PixelPlayError(
            f"{folder}: {needed / 2**20:,.0f} MB are needed, {free / 2**20:,.0f} MB free: make room or set {key}=FOLDER"
        )
    return free


def bytes_needed(frames: int, formats: list[FrameFormat]) -> int:
    """Size on disk of `frames` frames in these formats."""
    return frames * sum(f.height * f.width * (1 if f.gray else 3) for f in formats)
