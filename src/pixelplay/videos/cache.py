"""The decode-once frame cache: every video decoded and resized once, into arrays that all processes memory-map.

One folder per video; in it one .npy per working size and a record of what was decoded. A video whose files have not
changed is not decoded again; a killed run goes on with the first video that it had not finished.
"""

import logging
import math
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pixelplay.artifacts import atomic, fingerprint, remove_leftovers, turn, write_json
from pixelplay.config import FrameFormat
from pixelplay.digests import Digests
from pixelplay.errors import DataError, PixelPlayError
from pixelplay.videos.cache_record import read_record
from pixelplay.videos.growing_npy import FrameWriter, frames_in
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.noise import noise_level
from pixelplay.videos.originals import Originals, nearest
from pixelplay.videos.sources import Frame
from pixelplay.videos.truth_files import FrameLabels
from pixelplay.videos.video import Video, format_name

log = logging.getLogger(__name__)

REPLACED = "replaced by its nearest readable neighbour"
VERSION = 2  # of what a cached array holds; raise it when decoding or resizing changes


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


def source_key(raw: RawVideo, digests: Digests) -> str:
    """Changes when any file of the video is added, removed, renamed or gets other contents; times and places of files
    do not matter.
    """
    return fingerprint(VERSION, raw.id, raw.split, _contents(raw.source.files(), digests))


def truth_key(raw: RawVideo, digests: Digests) -> str:
    """Changes when any label, mask or track file of the video is added, removed, moved or gets other contents."""
    return fingerprint([(str(place), _contents(files, digests)) for place, files in _truth_files(raw)])


def read_contents(videos: list[RawVideo], digests: Digests) -> None:
    """Have the contents of all files of the videos read together, so that their keys are at hand."""
    files = [raw.source.files() for raw in videos] + [part for raw in videos for _, part in _truth_files(raw)]
    digests.of(file for part in files for file in part)


def _truth_files(raw: RawVideo) -> list[tuple[Path, list[Path]]]:
    """The places that say what is anomalous in a video, labels, masks and tracks, with the files of each."""
    places = [raw.labels.path if raw.labels else None, Path(raw.masks.path) if raw.masks else None, raw.tracks]
    return [(p, sorted(p.iterdir()) if p.is_dir() else [p]) for p in places if p is not None]


def _contents(paths: list[Path], digests: Digests) -> list[tuple[str, str]]:
    return list(zip([path.name for path in paths], digests.of(paths), strict=True))


class FrameCache:
    """Cached videos below `folder`, each in `<split>/<video>/`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.digests = Digests(folder / "digests")

    def holds(self, raw: RawVideo, formats: list[FrameFormat]) -> bool:
        """Whether the video need not be decoded (again) to have all of `formats`."""
        record = self._record(raw)
        return record is not None and not self._missing(raw, record, formats)

    def find(self, raw: RawVideo, formats: list[FrameFormat]) -> CachedVideo | None:
        """The cached video, or None where it must be decoded (again) to have all of `formats`."""
        record = self._record(raw)
        if record is None or self._missing(raw, record, formats):
            return None
        return _cached(raw, self._folder(raw), record, raw.labels.read() if raw.labels else None)

    def _record(self, raw: RawVideo) -> dict[str, Any] | None:
        """What was decoded from the source as it is now; None if it was never decoded or has changed since."""
        record = read_record(self._folder(raw) / "decoded.json")
        return record if record is not None and record["source"] == source_key(raw, self.digests) else None

    def _missing(self, raw: RawVideo, record: dict[str, Any], formats: list[FrameFormat]) -> list[FrameFormat]:
        """Formats in which there is no array, or one that is damaged or has not just the frames of the record."""
        paths = [(self._folder(raw) / f"{format_name(f)}.npy", f) for f in formats]
        return [f for path, f in paths if frames_in(path, f) != len(record["numbers"])]

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
        read_contents(videos, self.digests)
        stopped = threading.Event()

        def count(frames: int) -> None:
            if stopped.is_set():
                raise CancelledError
            advance(frames)

        def one(raw: RawVideo) -> CachedVideo:
            cached = self.find(raw, formats)
            if cached is None:
                with turn(self._folder(raw), f"cached video {raw.id}", waiting=lambda: count(0)):
                    cached = self.find(raw, formats) or self._decode(
                        raw, formats, count
                    )  # another run may have done it
            _check_share(raw, cached, max_unreadable)  # of cached videos, too: another run's limit may have been higher
            return cached

        # Longest first, so that no thread is left with a long video at the end. OpenCV decodes outside the GIL.
        order = sorted(range(len(videos)), key=lambda i: -videos[i].source.expected_frames())
        with ThreadPoolExecutor(workers) as pool:
            jobs = {i: pool.submit(one, videos[i]) for i in order}
            try:
                for job in as_completed(jobs.values()):
                    job.result()
            except BaseException:  # an error in one video, or the user's interrupt, stops the others at once
                stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
        return [jobs[i].result() for i in range(len(videos))]

    def _folder(self, raw: RawVideo) -> Path:
        return self.folder / raw.split / raw.id

    def _decode(self, raw: RawVideo, formats: list[FrameFormat], advance: Callable[[int], Any]) -> CachedVideo:
        folder = self._folder(raw)
        labels = raw.labels.read() if raw.labels else None  # a bad label file is better known before the long decode
        known = self._record(raw)
        if known is None:  # what is there belongs to other files
            for path in [folder / "decoded.json", *folder.glob("*.npy"), *folder.glob("objects-*.parquet")]:
                path.unlink(missing_ok=True)
            for restored in folder.glob("restored-*"):
                shutil.rmtree(restored, ignore_errors=True)
        source = source_key(
            raw, self.digests
        )  # before decoding, so that a file that changes meanwhile is decoded again next time
        missing = self._missing(raw, known, formats) if known else formats
        for path in [folder / f"{format_name(f)}.npy" for f in missing]:
            if path.exists():
                log.warning(f"{path} is damaged: decoded again")
        with ExitStack() as stack:
            paths = [stack.enter_context(atomic(folder / f"{format_name(f)}.npy")) for f in missing]
            writers = [stack.enter_context(FrameWriter(p, f)) for p, f in zip(paths, missing, strict=True)]
            record = _write_frames(raw, writers, advance)
        record["source"] = source
        write_json(folder / "decoded.json", record)
        return _cached(raw, folder, record, labels)


def _cached(raw: RawVideo, folder: Path, record: dict[str, Any], labels: FrameLabels | None) -> CachedVideo:
    numbers = np.array(record["numbers"], np.int64)
    replaced = [number for number, _, _, treatment in record["problems"] if treatment == REPLACED]
    size = (record["size"][0], record["size"][1])
    video = Video(
        id=raw.id,
        split=raw.split,
        numbers=numbers,
        size=size,
        folder=folder,
        key=record["source"],
        originals=Originals.of(raw.source, size, ~np.isin(numbers, replaced)),
        labels=labels.at(numbers) if labels else None,
        noise=np.array(record["noise"], np.float32) if record["noise"] else None,
        masks=raw.masks,
        tracks=raw.tracks,
    )
    return CachedVideo(video, [Problem(raw.split, raw.id, *row) for row in record["problems"]])


def _write_frames(raw: RawVideo, writers: list[FrameWriter], advance: Callable[[int], Any]) -> dict[str, Any]:
    """Decode, resize and write every frame; return the record of what was found."""
    color = any(not w.format.gray for w in writers)
    gray = any(w.format.gray for w in writers) or not color  # where no size is asked for, to see what can be read
    numbers: list[int] = []
    noise: list[float] = []  # of test frames, in the original size; nan where unreadable
    problems: list[tuple[int, str, str, str]] = []
    sizes: dict[tuple[int, int], list[tuple[int, str]]] = {}  # (width, height) -> the frames that have it
    last: list[np.ndarray] | None = None  # the newest readable frame in every format
    waiting = 0  # unreadable frames since then
    for frame in raw.source.read(gray, color):
        numbers.append(frame.number)
        advance(1)
        if frame.problem:
            problems.append((frame.number, frame.name, frame.problem, REPLACED))
            noise.append(math.nan)
            waiting += 1
            continue
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
        raise DataError(f"video {raw.id} ({raw.source.files()[0]}): no readable frame: {', '.join(reasons)}")
    _fill_gap(writers, last, None, waiting)
    size = max(sizes, key=lambda one: len(sizes[one]))  # the size of most frames
    for width, height in sizes.keys() - {size}:
        problem = f"{width}x{height} pixels, most are {size[0]}x{size[1]}"
        problems += [(number, name, problem, "resized like the others") for number, name in sizes[width, height]]
    problems += [(-1, *remark) for remark in raw.source.remarks(len(numbers))]
    levels = _nearest_known(noise) if raw.split != "train" else None
    return {"numbers": numbers, "size": size, "noise": levels, "problems": sorted(problems)}


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


def _check_share(raw: RawVideo, cached: CachedVideo, limit: float) -> None:
    total = max(len(cached.video), raw.source.expected_frames())
    replaced = [p for p in cached.problems if p.treatment == REPLACED]
    lost = len(replaced) + total - len(cached.video)
    if lost > limit * total:
        example = f", for instance {replaced[0].name}: {replaced[0].problem}" if replaced else ""
        raise DataError(
            f"video {raw.id} ({raw.source.files()[0].parent}): {lost} of {total} frames cannot be read{example}. "
            f"At most dataset.max_unreadable={limit:g} of a video may be; mend the files or raise the limit"
        )


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
