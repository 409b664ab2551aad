"""Feature maps of tracked objects, and other values of their boxes, stored once per video and read in slices.

A file of maps is a .npy whose rows are those of a table of boxes or of tracks. It ends, after the array, with its own
name and the checksum of that table, so that maps of another video, or of boxes found anew, are not taken for its own.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixelplay.objects.boxes import not_asked
from pixelplay.objects.tracks import cropped, rows_of, tracks_of
from pixelplay.run.artifacts import damaged, missing
from pixelplay.run.atomic import atomic
from pixelplay.videos import decoded
from pixelplay.videos.npy_writer import NpyWriter
from pixelplay.videos.video import Maps, Video

VERSIONS = {"yolo": 1, "backbone": 2}  # of maps by their source; raised when the same boxes give others
CHUNK = 4096  # maps in memory at a time
BOXES_PER_FRAME = 20  # assumed where no video's boxes are known yet: twice as many as Ped2's people


@dataclass(frozen=True, eq=False)
class Features:
    """The feature maps of a video's table of tracks."""

    maps: np.ndarray  # float16 [R, C, S, S], memory-mapped
    row: np.ndarray  # int64 [N], for each row of the table of tracks its row in `maps`; -1: it has none


def features_of(video: Video, causal: bool = False) -> Features:
    """The maps of a video, with a row for each row of `tracks_of(video)`: of a block of time, those of its tracks.

    Causally, rows whose map depends on later frames have none: between two detected boxes, or two crops.
    Raises MissingArtifactError where no maps were made: the detector's `Spec` must say `features=True`;
    DamagedArtifactError for a file that is not as it was written, which is deleted so that it is made again.
    """
    if video.features is None:
        raise not_asked(video, "feature maps were made", "features")
    tracks, maps = tracks_of(video), require(video, video.features)
    if video.features.by_box:
        return Features(maps, tracks.box)
    whole = rows_of(video)
    rows = np.arange(whole.start, whole.stop)
    if causal:
        known = cropped(video, video.features.every, video.features.noise_above, causal=True) & ~tracks.interpolated
        rows[~known] = -1
    return Features(maps, rows)


def crop_vectors(video: Video) -> np.ndarray:
    """Of each row of `tracks_of(video)` the mean of its crop's map by the run's backbone, float32 [N, C].

    Raises as `features_of` does, for a `Spec` that does not say `crops=True`.
    """
    if video.crops is None:
        raise not_asked(video, "feature maps of crops were made", "crops")
    maps = require(video, video.crops)[rows_of(video)]
    parts = (maps[start : start + CHUNK] for start in range(0, len(maps), CHUNK))
    means = [part.astype(np.float32).mean(axis=(2, 3)) for part in parts]
    return np.concatenate([np.empty((0, maps.shape[1]), np.float32), *means])


def flow_of(video: Video) -> np.ndarray:
    """Of each row of `tracks_of(video)` what `pixelplay.objects.flow` measures, float32 [N, 1 + bins].

    Raises as `features_of` does, for a `Spec` that does not say `flow=True`.
    """
    if video.flow is None:
        raise not_asked(video, "values of optical flow were made", "flow")
    return np.array(require(video, video.flow)[rows_of(video)], np.float32)


def require(video: Video, maps: Maps) -> np.ndarray:
    """The maps that a video names, float16 [R, C, S, S], memory-mapped; raises as `features_of` does."""
    assert video.tracks is not None
    path, table, stage = maps.path, video.tracks, "extract"
    if maps.by_box:
        table, stage = video.objects[0], "detect"
    if not path.exists():
        raise missing(path, stage)
    if not is_saved(path, table):
        path.unlink()
        raise damaged(path, stage, f"not made for {table.name}")
    return np.load(path, mmap_mode="r", allow_pickle=False)


@contextmanager
def writing(
    path: Path, table: Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike = np.float16
) -> Iterator[NpyWriter]:
    """A writer of maps, of `shape` (C, S, S), or of other items, to a file that is whole when the block has ended.

    They are of the rows of `table`, which must be there by then.
    """
    with atomic(path) as temporary:
        with NpyWriter(temporary, shape, dtype) as writer:
            yield writer
        with open(temporary, "ab") as file:
            file.write(_signature(path, table))


def is_saved(path: Path, table: Path) -> bool:
    """Whether `writing` wrote this file, to its end, for this table as it is now."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        with open(path, "rb") as file:
            file.seek(array.offset + array.nbytes)
            return file.read() == _signature(path, table)
    except (OSError, ValueError, AttributeError):  # missing, damaged, no array
        return False


def _signature(path: Path, table: Path) -> bytes:
    return f"{path.name} {hashlib.sha256(table.read_bytes()).hexdigest()}".encode()


def require_space(
    folder: Path, frames: Sequence[int], rows: Sequence[int | None], left: Sequence[bool], shape: Sequence[int]
) -> str:
    """What the maps, of `shape` (C, S, S), of the videos that are `left` need in `folder`, in words.

    frames: of all videos; rows: of their tables, None where they are not there yet: then as many per frame are expected
    as in the others, or BOXES_PER_FRAME. Raises PixelPlayError where the disk has not so much free.
    """
    known = [(count, found) for count, found in zip(frames, rows, strict=True) if found is not None]
    density = sum(found for _, found in known) / sum(count for count, _ in known) if known else BOXES_PER_FRAME
    videos = [(count, found) for count, found, one in zip(frames, rows, left, strict=True) if one]
    needed = round(sum(count * density if found is None else found for count, found in videos))
    size = needed * math.prod(shape) * np.dtype(np.float16).itemsize
    free = decoded.require_space(folder, size, "paths.cache")
    guess = f", an estimate from {density:.1f} in a frame" if any(found is None for _, found in videos) else ""
    return (
        f"feature maps of {needed:,} boxes{guess}: {size / 1e9:,.2f} GB of {free / 1e9:,.2f} GB free in {folder}/ "
        f"({shape[0]} channels, {shape[1]} x {shape[2]} cells)"
    )
