"""The frame cache: every video decoded and resized once, into arrays that all processes memory-map.

One folder per video, with one .npy per working size and a record. A video is decoded again only if its files change.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from pixelplay.errors import FootageError
from pixelplay.run.artifacts import write_json
from pixelplay.run.atomic import atomic, remove, remove_leftovers
from pixelplay.run.digests import Digests
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.locks import turn
from pixelplay.videos.decoded import REPLACED, DecodedRecord, write_frames
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.npy_writer import FrameWriter, has_frames
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Originals, Video, format_name

log = logging.getLogger(__name__)

VERSION = 3  # of what a cached array holds; raise it when decoding or resizing changes


@dataclass(frozen=True)
class Problem:
    """A remark for the user on one frame or, with number -1, one video."""

    split: str
    video: str
    number: int
    name: str
    problem: str
    treatment: str


@dataclass(frozen=True)
class CachedVideo:
    video: Video
    problems: list[Problem]  # found when it was decoded


class UnreadableVideos(FootageError):
    """Some videos can't be read; the others are cached."""

    def __init__(self, errors: dict[int, FootageError], videos: list[RawVideo], readable: list[CachedVideo]):
        """errors: by position in `videos`; readable: the other videos."""
        reasons = "\n".join(str(error) for error in errors.values())
        head = f"{len(errors)} of {len(videos)} videos cannot be read:\n" if len(errors) > 1 else ""
        others = "\n(dataset.on_unreadable=skip goes on without such videos)" if readable else ""
        super().__init__(f"{head}{reasons}{others}")
        self.readable = readable
        self.problems = [
            Problem(videos[i].split, videos[i].id, -1, videos[i].source.files()[0].name, str(error), "left out")
            for i, error in errors.items()
        ]


def source_key(raw: RawVideo, digests: Digests) -> str:
    """Changes with names and contents of the video's files, not with times and places, and with its range of values."""
    levels = raw.source.levels if isinstance(raw.source, ImageFolder) else None
    return fingerprint(VERSION, raw.id, raw.split, _contents(raw.source.files(), digests), levels)


def truth_key(raw: RawVideo, digests: Digests) -> str:
    """Changes with places, names and contents of the video's label, mask and track files."""
    return fingerprint([(str(place), _contents(files, digests)) for place, files in _truth_files(raw)])


def read_contents(videos: list[RawVideo], digests: Digests) -> None:
    """Digest all files of the videos at once, in parallel, so that their keys are known."""
    parts = [files for raw in videos for files in (raw.source.files(), *(part for _, part in _truth_files(raw)))]
    digests.of(chain.from_iterable(parts))


def _truth_files(raw: RawVideo) -> list[tuple[Path, list[Path]]]:
    """Where the labels, masks and tracks of a video are, with the files of each."""
    places = [Path(truth.path) for truth in (raw.labels, raw.masks, raw.tracks) if truth is not None]
    return [(place, sorted(place.iterdir()) if place.is_dir() else [place]) for place in places]


def _contents(paths: list[Path], digests: Digests) -> list[tuple[str, str]]:
    return list(zip([path.name for path in paths], digests.of(paths), strict=True))


class FrameCache:
    """Cached videos below `folder`, each in `<split>/<video>/`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.digests = Digests(folder / "digests")

    def find(self, raw: RawVideo, formats: list[FrameFormat]) -> CachedVideo | None:
        """The cached video; None if it must be decoded (again) to have all of `formats`."""
        record, missing = self._known(raw, formats)
        return None if record is None or missing else self._cached(raw, record)

    def fill(
        self,
        videos: list[RawVideo],
        formats: list[FrameFormat],
        max_unreadable: float,
        workers: int,
        advance: Callable[[int], Any] = lambda frames: None,
    ) -> list[CachedVideo]:
        """Decode what is not cached yet, several videos at a time; `advance(n)` is called after n frames.

        An unreadable frame is replaced by its nearest readable neighbour. Raises UnreadableVideos, once all others are
        decoded, for videos without a readable frame, or with a share of unreadable ones above `max_unreadable`.
        """
        remove_leftovers(self.folder)
        read_contents(videos, self.digests)
        stopped = threading.Event()

        def count(frames: int) -> None:
            if stopped.is_set():
                raise CancelledError
            advance(frames)

        # Longest first, so that no thread ends with a long video. OpenCV decodes outside the GIL.
        order = sorted(range(len(videos)), key=lambda i: -videos[i].source.expected_frames())
        with ThreadPoolExecutor(workers) as pool:
            jobs = {i: pool.submit(self._one, videos[i], formats, max_unreadable, count) for i in order}
            try:
                for job in as_completed(jobs.values()):
                    job.result()
            except BaseException:  # a full disk or the user's interrupt stops the other videos at once
                stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
        ended = [jobs[i].result() for i in range(len(videos))]
        readable = [one for one in ended if isinstance(one, CachedVideo)]
        if errors := {i: one for i, one in enumerate(ended) if isinstance(one, FootageError)}:
            raise UnreadableVideos(errors, videos, readable)
        return readable

    def _one(
        self, raw: RawVideo, formats: list[FrameFormat], max_unreadable: float, count: Callable[[int], Any]
    ) -> CachedVideo | FootageError:
        """The video, or what makes it unreadable."""
        try:
            cached = self.find(raw, formats)
            if cached is None:
                with turn(self._folder(raw), f"cached video {raw.id}", waiting=lambda: count(0)):
                    # another run may have decoded it meanwhile
                    cached = self.find(raw, formats) or self._decode(raw, formats, count)
        except FootageError as error:
            return error
        total, bad = len(cached.video), [p for p in cached.problems if p.treatment == REPLACED]
        if len(bad) <= max_unreadable * total:  # looked at in cached videos, too: another run's limit may be higher
            return cached
        return FootageError(
            f"video {raw.id} ({raw.source.files()[0].parent}): {len(bad)} of {total} frames cannot be read, for "
            f"instance {bad[0].name}: {bad[0].problem}. At most dataset.max_unreadable={max_unreadable:g} of a video "
            "may be; repair the files or raise the limit"
        )

    def _folder(self, raw: RawVideo) -> Path:
        return self.folder / raw.split / raw.id

    def _array(self, raw: RawVideo, frame_format: FrameFormat) -> Path:
        return self._folder(raw) / f"{format_name(frame_format)}.npy"

    def _known(self, raw: RawVideo, formats: list[FrameFormat]) -> tuple[DecodedRecord | None, list[FrameFormat]]:
        """What was decoded from the source as it is now, if anything, and the formats that are missing or damaged."""
        try:
            record = DecodedRecord.model_validate_json((self._folder(raw) / "decoded.json").read_bytes())
        except (OSError, ValidationError):
            return None, formats
        if record.source != source_key(raw, self.digests):
            return None, formats
        return record, [f for f in formats if not has_frames(self._array(raw, f), f, len(record.numbers))]

    def _decode(self, raw: RawVideo, formats: list[FrameFormat], advance: Callable[[int], Any]) -> CachedVideo:
        folder, (known, missing) = self._folder(raw), self._known(raw, formats)
        if known is None:  # what is there belongs to other files
            for pattern in ("decoded.json", "*.npy", "objects-*.parquet", "restored-*"):
                for path in list(folder.glob(pattern)):
                    remove(path)
        source = source_key(raw, self.digests)  # before decoding: a file that changes meanwhile is decoded next time
        paths = [self._array(raw, f) for f in missing]
        for path in paths:
            if path.exists():
                log.warning(f"{path} is damaged: decoded again")
        with ExitStack() as stack:
            parts = [stack.enter_context(atomic(path)) for path in paths]
            writers = [stack.enter_context(FrameWriter(part, f)) for part, f in zip(parts, missing, strict=True)]
            record = write_frames(raw, source, writers, advance, folder)
        write_json(folder / "decoded.json", record.model_dump(mode="json"))
        return self._cached(raw, record)

    def _cached(self, raw: RawVideo, record: DecodedRecord) -> CachedVideo:
        numbers = np.array(record.numbers, np.int64)
        replaced = [number for number, _, _, treatment in record.problems if treatment == REPLACED]
        video = Video(
            id=raw.id,
            split=raw.split,
            numbers=numbers,
            size=record.size,
            seconds=np.array(record.seconds, np.float64) if record.seconds is not None else None,
            fps=record.fps,
            folder=self._folder(raw),
            key=record.source,
            originals=Originals.of(raw.source, record.size, ~np.isin(numbers, replaced)),
            noise=np.array(record.noise, np.float32) if record.noise else None,
        )
        return CachedVideo(video, [Problem(raw.split, raw.id, *row) for row in record.problems])
