"""The decode-once frame cache: every video decoded and resized once, into arrays that all processes memory-map.

One folder per video; in it one .npy per working size and a record of what was decoded. A video whose files have not
changed is not decoded again; a killed run goes on with the first video that it had not finished.
"""

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pixelplay.errors import FootageError
from pixelplay.run.artifacts import write_json
from pixelplay.run.atomic import atomic, remove_leftovers
from pixelplay.run.digests import Digests
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.locks import turn
from pixelplay.videos.cache_record import read_record
from pixelplay.videos.decoded import REPLACED, write_frames
from pixelplay.videos.full_size import Originals
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.npy_writer import FrameWriter, frames_in
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video, format_name

log = logging.getLogger(__name__)

LEFT_OUT = "left out"
VERSION = 3  # of what a cached array holds; raise it when decoding or resizing changes


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


class UnreadableVideos(FootageError):
    """Some videos can't be read; the others are in the cache."""

    def __init__(self, errors: dict[int, FootageError], videos: list[RawVideo], readable: list[CachedVideo]):
        """errors: by position in `videos`; readable: the other videos."""
        reasons = "\n".join(str(error) for error in errors.values())
        head = f"{len(errors)} of {len(videos)} videos cannot be read:\n" if len(errors) > 1 else ""
        super().__init__(f"{head}{reasons}\n(dataset.on_unreadable=skip goes on without such videos)")
        self.readable = readable
        self.problems = [
            Problem(videos[i].split, videos[i].id, -1, videos[i].source.files()[0].name, str(error), LEFT_OUT)
            for i, error in errors.items()
        ]


def source_key(raw: RawVideo, digests: Digests) -> str:
    """Changes when any file of the video is added, removed, renamed or gets other contents; times and places of files
    do not matter. And with the range of values that is shown as 0 to 255, where that of its data set is set.
    """
    levels = raw.source.levels if isinstance(raw.source, ImageFolder) else None
    return fingerprint(VERSION, raw.id, raw.split, _contents(raw.source.files(), digests), levels)


def truth_key(raw: RawVideo, digests: Digests) -> str:
    """Changes when any label, mask or track file of the video is added, removed, moved or gets other contents."""
    return fingerprint([(str(place), _contents(files, digests)) for place, files in _truth_files(raw)])


def read_contents(videos: list[RawVideo], digests: Digests) -> None:
    """Have the contents of all files of the videos read together, so that their keys are at hand."""
    files = [raw.source.files() for raw in videos] + [part for raw in videos for _, part in _truth_files(raw)]
    digests.of(file for part in files for file in part)


def _truth_files(raw: RawVideo) -> list[tuple[Path, list[Path]]]:
    """The places that say what is anomalous in a video, labels, masks and tracks, with the files of each."""
    masks, tracks = Path(raw.masks.path) if raw.masks else None, raw.tracks.path if raw.tracks else None
    places = [raw.labels.path if raw.labels else None, masks, tracks]
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
        return _cached(raw, self._folder(raw), record)

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

        An unreadable frame is replaced by its nearest readable neighbour (the earlier of two). Raises UnreadableVideos,
        once all others are decoded, where files can't be opened, have no readable frame, or more than `max_unreadable`
        of unreadable ones.
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
                    if not isinstance(job.exception(), FootageError):
                        job.result()
            except BaseException:  # a full disk, for instance, or the user's interrupt stops the others at once
                stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
        ended = [(i, jobs[i].exception()) for i in range(len(videos))]
        readable = [jobs[i].result() for i, error in ended if error is None]
        if errors := {i: error for i, error in ended if isinstance(error, FootageError)}:
            raise UnreadableVideos(errors, videos, readable)
        return readable

    def _folder(self, raw: RawVideo) -> Path:
        return self.folder / raw.split / raw.id

    def _decode(self, raw: RawVideo, formats: list[FrameFormat], advance: Callable[[int], Any]) -> CachedVideo:
        folder = self._folder(raw)
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
            record = write_frames(raw, writers, advance, folder)
        record["source"] = source
        write_json(folder / "decoded.json", record)
        return _cached(raw, folder, record)


def _cached(raw: RawVideo, folder: Path, record: dict[str, Any]) -> CachedVideo:
    numbers = np.array(record["numbers"], np.int64)
    replaced = [number for number, _, _, treatment in record["problems"] if treatment == REPLACED]
    size = (record["size"][0], record["size"][1])
    video = Video(
        id=raw.id,
        split=raw.split,
        numbers=numbers,
        size=size,
        seconds=np.array(record["seconds"], np.float64) if record["seconds"] is not None else None,
        fps=record["fps"],
        folder=folder,
        key=record["source"],
        originals=Originals.of(raw.source, size, ~np.isin(numbers, replaced)),
        noise=np.array(record["noise"], np.float32) if record["noise"] else None,
    )
    return CachedVideo(video, [Problem(raw.split, raw.id, *row) for row in record["problems"]])


def _check_share(raw: RawVideo, cached: CachedVideo, limit: float) -> None:
    total = len(cached.video)
    replaced = [p for p in cached.problems if p.treatment == REPLACED]
    if len(replaced) > limit * total:
        raise FootageError(
            f"video {raw.id} ({raw.source.files()[0].parent}): {len(replaced)} of {total} frames cannot be read, for "
            f"instance {replaced[0].name}: {replaced[0].problem}. At most dataset.max_unreadable={limit:g} of a video "
            "may be; mend the files or raise the limit"
        )
