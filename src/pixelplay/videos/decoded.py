"""Videos decoded into arrays: every frame resized and written as it comes, and a record of what was found."""

import math
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pixelplay.errors import FootageError, PixelPlayError
from pixelplay.videos.corruption import noise_level
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.npy_writer import FrameWriter
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.sources import Frame
from pixelplay.videos.video import nearest

REPLACED = "replaced by its nearest readable neighbour"
SPACE_FOR = 256  # frames for which there must be room whenever as many have been decoded

Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, lt=2**31)]


class DecodedRecord(BaseModel):
    """What was decoded and found, stored as `decoded.json` beside a video's cached arrays of T frames."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: str  # key of the files it was decoded from
    numbers: Annotated[list[Int64], Field(min_length=1)]  # T, strictly increasing
    size: tuple[Pixels, Pixels]  # width and height of the original frames
    noise: list[Annotated[Finite, Field(ge=0)]] | None  # T levels of test frames
    problems: list[tuple[Int64, str, str, str]]  # frame number, name, problem, treatment
    seconds: list[Finite] | None = None  # T
    fps: Finite | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> "DecodedRecord":
        if any(before >= after for before, after in pairwise(self.numbers)):
            raise ValueError("numbers do not increase")
        if any(values is not None and len(values) != len(self.numbers) for values in (self.noise, self.seconds)):
            raise ValueError("not one value for each frame")
        return self


def write_frames(
    raw: RawVideo, source: str, writers: list[FrameWriter], advance: Callable[[int], Any], folder: Path
) -> DecodedRecord:
    """Decode, resize and write every frame of the video with the key `source`; `advance(n)` is called after n frames.

    Raises FootageError if no frame is readable, PixelPlayError if the disk of `folder` is full.
    """
    color = any(not w.format.gray for w in writers)
    gray = any(w.format.gray for w in writers) or not color  # without formats, too: to see what is readable
    frames: list[Frame] = []  # without their pixels
    sizes: list[tuple[int, int] | None] = []  # width, height; None: unreadable
    noise: list[float] = []  # in the original size; nan: unreadable
    last: list[np.ndarray] | None = None  # the newest readable frame in every format
    waiting = 0  # unreadable frames since then
    for frame in raw.source.read(gray, color):
        if writers and len(frames) % SPACE_FOR == 0:  # a video file's length is known only at its end
            require_space(folder, bytes_needed(SPACE_FOR, [w.format for w in writers]), "paths.cache")
        frames.append(frame._replace(gray=None, color=None))
        advance(1)
        image = frame.color if frame.gray is None else frame.gray
        if image is None:
            sizes.append(None)
            noise.append(math.nan)
            waiting += 1
            continue
        sizes.append((image.shape[1], image.shape[0]))
        if raw.split != "train":  # training footage is used as it is
            noise.append(noise_level(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)))
        images = [_resize(frame, w.format) for w in writers]
        half = waiting // 2  # of a gap, each half gets its neighbour
        _append(writers, [last or images] * (waiting - half) + [images] * (half + 1))
        last, waiting = images, 0
    if last is None:
        reasons = sorted({frame.problem for frame in frames if frame.problem}) or ["no frames"]
        raise FootageError(f"video {raw.id} ({raw.source.files()[0]}): no readable frame: {', '.join(reasons)}")
    _append(writers, [last] * waiting)
    return _record(raw, source, frames, sizes, noise)


def _append(writers: list[FrameWriter], frames: list[list[np.ndarray]]) -> None:
    """Write frames, each in the formats of all writers."""
    for images in frames:
        for writer, image in zip(writers, images, strict=True):
            writer.append(image)


def _record(
    raw: RawVideo, source: str, frames: list[Frame], sizes: list[tuple[int, int] | None], noise: list[float]
) -> DecodedRecord:
    (size, _), *_ = Counter(size for size in sizes if size).most_common(1)
    problems = [(-1, *remark) for remark in raw.source.remarks(len(frames))]
    for frame, found in zip(frames, sizes, strict=True):
        if frame.problem:
            problems.append((frame.number, frame.name, frame.problem, REPLACED))
        if frame.remark:
            problems.append((frame.number, frame.name, *frame.remark))
        if found not in (None, size):
            problem = f"{found[0]}x{found[1]} pixels, most are {size[0]}x{size[1]}"
            problems.append((frame.number, frame.name, problem, "resized like the others"))
    known = [round(frame.seconds, 6) for frame in frames if frame.seconds is not None]
    in_order = all(before < after for before, after in pairwise(known))
    if len(known) == len(frames) and not in_order:
        problem = "its timestamps run backwards, or are the same for several frames"
        problems.append((-1, raw.source.files()[0].name, problem, "its frames have numbers, but no times in seconds"))
    levels = None
    if raw.split != "train":  # replaced frames: that of their stand-in
        levels = np.array(noise)[nearest(~np.isnan(noise))].round(2).tolist()
    return DecodedRecord(
        source=source,
        numbers=[frame.number for frame in frames],
        size=size,
        noise=levels,
        problems=sorted(problems),
        seconds=known if len(known) == len(frames) and in_order else None,
        fps=raw.source.fps(),
    )


def _resize(frame: Frame, frame_format: FrameFormat) -> np.ndarray:
    image = frame.gray if frame_format.gray else frame.color
    assert image is not None
    return resized(image, frame_format)


def resized(image: np.ndarray, frame_format: FrameFormat) -> np.ndarray:
    """A frame in a working size, uint8 (h, w) of grey ones or (h, w, 3)."""
    return cv2.resize(image, (frame_format.width, frame_format.height), interpolation=cv2.INTER_AREA)


def require_space(folder: Path, needed: int, key: str) -> int:
    """Free bytes on the disk of `folder`; raises PixelPlayError if fewer than `needed` bytes are free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise PixelPlayError(
            f"{folder}: {needed / 2**20:,.0f} MB are needed, {free / 2**20:,.0f} MB free: make room or set {key}=FOLDER"
        )
    return free


def bytes_needed(frames: int, formats: list[FrameFormat]) -> int:
    """Size on disk of `frames` frames in these formats."""
    return frames * sum(math.prod(f.shape) for f in formats)
