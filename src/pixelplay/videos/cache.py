"""The decode-once frame cache: every video decoded and resized once, into arrays that all processes memory-map.

One folder per video; in it one .npy per working size and a record of what was decoded. A video whose files have not
changed is not decoded again; a killed run goes on with the first video that it had not finished.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from pixelplay.artifacts import atomic, fingerprint, remove_leftovers, write_json
from pixelplay.config import FrameFormat
from pixelplay.errors import DataError, PixelPlayError
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.sources import Frame, VideoFile
from pixelplay.videos.video import Video, format_name

VERSION = 1  # of what a cached array holds; raise it when decoding or resizing changes


@dataclass(frozen=True)
class Problem:
    """Something about one frame (or, with number -1, one video) that the user should know."""

    split: str
    video: str
    number: int
    name: str
    problem: str
    treatment: str


@dataclass(frozen=True)
class CachedVideo:
    """A decoded video and what was found in it."""

    video: Video
    problems: list[Problem]


def source_key(raw: RawVideo) -> str:
    """Changes when any file of the video is added, removed, renamed, resized or written again."""
    stats = [(path.name, stat.st_size, stat.st_mtime_ns) for path in raw.source.files() for stat in [path.stat()]]
    return fingerprint(VERSION, raw.id, raw.split, stats)


class FrameCache:
    """Cached videos below `folder`, each in `<split>/<video>/`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def find(self, raw: RawVideo, formats: list[FrameFormat]) -> CachedVideo | None:
        """The cached video, or None where it must be decoded (again) to have all of `formats`."""
        record = self._record(raw)
        if record is None or self._missing(raw, formats):
            return None
        return _cached(raw, self._folder(raw), record)

    def _record(self, raw: RawVideo) -> dict[str, Any] | None:
        """What was decoded from the source as it is now; None if it was never decoded or has changed since."""
        try:
            record = json.loads((self._folder(raw) / "decoded.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            return None
        return record if record["source"] == source_key(raw) else None

    def _missing(self, raw: RawVideo, formats: list[FrameFormat]) -> list[FrameFormat]:
        return [f for f in formats if not (self._folder(raw) / f"{format_name(f)}.npy").is_file()]

    def fill(
        self,
        videos: list[RawVideo],
        formats: list[FrameFormat],
        max_unreadable: float,
        workers: int,
        advance: Callable[[int], Any] = lambda frames: None,
    ) -> list[CachedVideo]:
        """Decode what is not cached yet, several videos at a time; `advance` is told of frames as they are decoded.

        An unreadable frame is replaced by its nearest readable neighbour (the earlier of two); more than
        `max_unreadable` of a video's frames raise DataError, as does a video without a readable frame.
        """
        remove_leftovers(self.folder)

        def one(raw: RawVideo) -> CachedVideo:
            return self.find(raw, formats) or self._decode(raw, formats, max_unreadable, advance)

        # Longest first, so that no thread is left with a long video at the end. OpenCV decodes outside the GIL.
        order = sorted(range(len(videos)), key=lambda i: -videos[i].source.expected_frames())
        done: dict[int, CachedVideo] = {}
        with ThreadPoolExecutor(workers) as pool:
            jobs = {i: pool.submit(one, videos[i]) for i in order}
            try:
                for i in order:
                    done[i] = jobs[i].result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return [done[i] for i in range(len(videos))]

    def _folder(self, raw: RawVideo) -> Path:
        return self.folder / raw.split / raw.id

    def _decode(
        self, raw: RawVideo, formats: list[FrameFormat], max_unreadable: float, advance: Callable[[int], Any]
    ) -> CachedVideo:
        folder = self._folder(raw)
        if self._record(raw) is None:  # what is there belongs to other files
            shutil.rmtree(folder, ignore_errors=True)
        missing = self._missing(raw, formats)
        with ExitStack() as stack:
            paths = [stack.enter_context(atomic(folder / f"{format_name(f)}.npy")) for f in missing]
            writers = [stack.enter_context(_NpyWriter(p, f)) for p, f in zip(paths, missing, strict=True)]
            record = _write_frames(raw, writers, advance)
            _check_share(raw, record, max_unreadable)
        record["source"] = source_key(raw)
        write_json(folder / "decoded.json", record)
        return _cached(raw, folder, record)


def _cached(raw: RawVideo, folder: Path, record: dict[str, Any]) -> CachedVideo:
    numbers = np.array(record["numbers"], np.int64)
    video = Video(
        id=raw.id,
        split=raw.split,
        numbers=numbers,
        size=(record["size"][0], record["size"][1]),
        folder=folder,
        labels=raw.labels.at(numbers) if raw.labels else None,
        masks=raw.masks,
        tracks=raw.tracks,
    )
    return CachedVideo(video, [Problem(raw.split, raw.id, *row) for row in record["problems"]])


def _write_frames(raw: RawVideo, writers: list["_NpyWriter"], advance: Callable[[int], Any]) -> dict[str, Any]:
    """Decode, resize and write every frame; return the record of what was found."""
    gray, color = any(w.format.gray for w in writers), any(not w.format.gray for w in writers)
    numbers: list[int] = []
    problems: list[tuple[int, str, str, str]] = []
    size: tuple[int, int] | None = None
    last: list[np.ndarray] | None = None  # the newest readable frame in every format
    waiting = 0  # unreadable frames since then
    for frame in raw.source.read(gray, color):
        numbers.append(frame.number)
        advance(1)
        if frame.problem:
            problems.append((frame.number, frame.name, frame.problem, "replaced by its nearest readable neighbour"))
            waiting += 1
            continue
        shape = next(image for image in (frame.gray, frame.color) if image is not None).shape
        size = size or (shape[1], shape[0])
        if (shape[1], shape[0]) != size:
            problem = f"{shape[1]}x{shape[0]} pixels, others {size[0]}x{size[1]}"
            problems.append((frame.number, frame.name, problem, "resized like the others"))
        images = [_resize(frame, w.format) for w in writers]
        _fill_gap(writers, last, images, waiting)
        for writer, image in zip(writers, images, strict=True):
            writer.append(image)
        last, waiting = images, 0
    if last is None:
        reasons = sorted({problem for _, _, problem, _ in problems}) or ["no frames"]
        raise DataError(f"video {raw.id} ({raw.source.files()[0]}): no readable frame: {', '.join(reasons)}")
    _fill_gap(writers, last, None, waiting)
    problems.extend(_source_problems(raw, len(numbers)))
    return {"numbers": numbers, "size": size, "problems": problems}


def _source_problems(raw: RawVideo, decoded: int) -> Iterator[tuple[int, str, str, str]]:
    if isinstance(raw.source, VideoFile):
        expected = raw.source.expected_frames()
        if decoded < expected:
            yield -1, raw.source.path.name, f"its header announces {expected} frames, {decoded} are in it", "used as it is"
    else:
        for name in getattr(raw.source, "ignored", ()):
            yield -1, name, "not an image", "ignored"


def _fill_gap(
    writers: list["_NpyWriter"], before: list[np.ndarray] | None, after: list[np.ndarray] | None, count: int
) -> None:
    """Write `count` stand-ins for unreadable frames: the first half is `before`, the second `after`."""
    for i in range(count):
        nearest = before if after is None or (before is not None and i < count - count // 2) else after
        assert nearest is not None
        for writer, image in zip(writers, nearest, strict=True):
            writer.append(image)


def _check_share(raw: RawVideo, record: dict[str, Any], limit: float) -> None:
    total = max(len(record["numbers"]), raw.source.expected_frames())
    bad = [p for p in record["problems"] if p[3].startswith("replaced")]
    lost = len(bad) + total - len(record["numbers"])
    if lost > limit * total:
        example = f", for instance {bad[0][1]}: {bad[0][2]}" if bad else ""
        raise DataError(
            f"video {raw.id} ({raw.source.files()[0].parent}): {lost} of {total} frames cannot be read{example}. "
            f"At most dataset.max_unreadable={limit:g} of a video may be; mend the files or raise the limit"
        )


def _resize(frame: Frame, frame_format: FrameFormat) -> np.ndarray:
    image = frame.gray if frame_format.gray else frame.color
    assert image is not None
    return cv2.resize(image, (frame_format.width, frame_format.height), interpolation=cv2.INTER_AREA)


class _NpyWriter:
    """A .npy file that grows frame by frame; its header gets the final shape when it is closed."""

    def __init__(self, path: Path, frame_format: FrameFormat):
        self.format = frame_format
        self._shape = (frame_format.height, frame_format.width, *(() if frame_format.gray else (3,)))
        self._count = 0
        self._path = path

    def __enter__(self) -> "_NpyWriter":
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
