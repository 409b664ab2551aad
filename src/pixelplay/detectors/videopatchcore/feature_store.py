"""From the clips of normal footage to what a memory keeps of them: vectors on disk, video by video, then a coreset.

Beside each vector stands where it comes from, so that a score can be explained with the footage it was compared with.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel

from pixelplay.detectors.videopatchcore.clip_features import LOCAL, ClipFeatures, Noise, PatchFeatures
from pixelplay.errors import DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.memory.coreset import CoresetConfig, select_coreset
from pixelplay.memory.distance import ROWS, whitening
from pixelplay.objects.boxes import COORDINATES, Boxes
from pixelplay.run.artifacts import damaged, read_model, read_table, write_json, write_table
from pixelplay.videos.npy_writer import NpyWriter, is_npy
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)


def store(
    features: PatchFeatures, video: Video, boxes: Boxes, positions: np.ndarray, noise: Noise, folder: Path
) -> None:
    """Write the vectors of a video's clips (C, T), and where each comes from, to a folder; nothing if that is done
    with the same backbone.

    boxes: those selected. By stream: `<stream>.npy`, float32 [N, D], and `<stream>.parquet`, a row for each tube or
    clip, as in `_sources`.
    """
    done = folder / "done.json"
    if done.exists() and _is_stored(folder, features.backbone.identity):
        return
    done.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    sources: dict[str, list[pd.DataFrame]] = {}
    with ExitStack() as stack:
        writers: dict[str, NpyWriter] = {}
        for one in features.clips(video, boxes, positions, False, noise):
            for stream, vectors in one.vectors.items():
                size = vectors.shape[-1]
                if stream not in writers:
                    path = folder / f"{stream}.npy"
                    writers[stream] = stack.enter_context(NpyWriter(path, (size,), np.float32))
                writers[stream].extend(vectors.reshape(-1, size))
                sources.setdefault(stream, []).append(_sources(video, positions, one, stream))
    for stream, tables in sources.items():
        write_table(folder / f"{stream}.parquet", pd.concat(tables, ignore_index=True))
    write_json(done, {"streams": list(sources), "backbone": features.backbone.identity})


class Done(BaseModel):
    streams: list[str]
    backbone: dict[str, str] = {}  # its identity


def _is_stored(folder: Path, backbone: dict[str, str]) -> bool:
    """Whether what `store` has written to a folder was made with this backbone, and can still be read."""
    try:
        done = read_model(folder / "done.json", Done, made_by="train")
        if done.backbone != backbone:
            return False
        for stream in done.streams:
            rows = len(read_table(folder / f"{stream}.parquet", made_by="train"))
            if not rows or not is_npy(folder / f"{stream}.npy") or len(np.load(folder / f"{stream}.npy", "r")) % rows:
                raise damaged(folder / f"{stream}.npy", "train", "it can't be read, or does not go with its sources")
    except (DamagedArtifactError, MissingArtifactError) as error:
        log.warning(f"train: {folder.name} is made again: {error}")
        return False
    return True


@dataclass(frozen=True)
class Chosen:
    """The coreset of a stream: its vectors float32 (M, D) as they were stored, and a row for each that says where it
    comes from; and the matrix float32 (D, D) that they were multiplied by to be compared, if they were.
    """

    vectors: np.ndarray
    sources: pd.DataFrame
    whitening: np.ndarray | None


def read_sources(path: Path, count: int) -> pd.DataFrame:
    """The sources of a bank's `count` entries, as `Chosen.sources`; raises Missing- or DamagedArtifactError."""
    table = read_table(path, made_by="train")
    columns = ["video", "frame", *COORDINATES, "clip", "part"]
    if list(table.columns) != columns or len(table) != count:
        raise damaged(path, "train", f"{len(table)} rows of {', '.join(map(str, table.columns))} for {count} entries")
    return table


@dataclass(frozen=True)
class Stored:
    """What `store` wrote of one stream of a video."""

    folder: Path
    vectors: np.ndarray  # float32 (N, D), memory-mapped; (0, 0) where the video has none
    sources: pd.DataFrame  # a row for each tube or clip, with N / rows vectors each

    @classmethod
    def read(cls, folder: Path, stream: str) -> "Stored":
        """Raises MissingArtifactError or DamagedArtifactError."""
        if stream not in read_model(folder / "done.json", Done, made_by="train").streams:
            return cls(folder, np.empty((0, 0), np.float32), pd.DataFrame({"clip": []}))
        return cls(
            folder, np.load(folder / f"{stream}.npy", mmap_mode="r"), pd.read_parquet(folder / f"{stream}.parquet")
        )

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def each(self) -> int:
        """Vectors of a source."""
        return len(self.vectors) // max(len(self.sources), 1)

    @property
    def first_frames(self) -> np.ndarray:
        """Number of the first frame of each source's clip, int64 (rows,)."""
        return np.array([clip[0] for clip in self.sources["clip"]], np.int64)

    def only(self, sources: np.ndarray) -> "Stored":
        """The vectors of these sources, bool (rows,); in memory unless it is all of them."""
        if sources.all():
            return self
        return Stored(self.folder, self.vectors[np.repeat(sources, self.each)], self.sources[sources])


def choose(
    stored: Sequence[Stored], stream: str, config: CoresetConfig, shrinkage: float | None, seed: int, name: str
) -> Chosen:
    """The coreset of a stream's vectors, by Mahalanobis' distance with this `shrinkage`, by Euclid's with None.

    Raises DataError, with the `name` of the detector, where no video has any.
    """
    filled = [one for one in stored if len(one)]
    if not filled:
        raise DataError(
            f"{name}/{stream}: no object was detected in any normal footage: lower objects.tubes.confidence, "
            "or set objects.method=both; `python src/explain.py show.what=[boxes]` shows them"
        )
    groups = [one.vectors for one in filled]
    matrix = None if shrinkage is None else whitening(groups, shrinkage)
    compared = groups
    if matrix is not None:
        paths = [one.folder / f"{stream}.whitened.npy" for one in filled]
        compared = [_whitened(group, matrix, path) for group, path in zip(groups, paths, strict=True)]
    entries = select_coreset(compared, config, seed, threads=0).indices
    starts = np.cumsum([0, *map(len, groups)])
    group = np.searchsorted(starts, entries, side="right") - 1
    places = list(zip(group, entries - starts[group], strict=True))
    vectors = np.stack([groups[g][row] for g, row in places])
    rows = [filled[g].sources.iloc[[row // filled[g].each]].assign(part=row % filled[g].each) for g, row in places]
    return Chosen(vectors, pd.concat(rows, ignore_index=True), matrix)


def _whitened(vectors: np.ndarray, matrix: np.ndarray, path: Path) -> np.ndarray:
    """Vectors times the matrix, written to `path` and memory-mapped."""
    with NpyWriter(path, vectors.shape[1:], np.float32) as writer:
        for start in range(0, len(vectors), ROWS):
            writer.extend(vectors[start : start + ROWS] @ matrix.T)
    return np.load(path, mmap_mode="r")


def _sources(video: Video, positions: np.ndarray, one: ClipFeatures, stream: str) -> pd.DataFrame:
    """Where a clip's vectors come from: a row per tube, or one for the whole frame, in the clip's middle frame.

    `clip` has the numbers of all its frames; which of a row's vectors an entry is, is added when it is chosen.
    """
    places = one.tubes.square if stream in LOCAL else np.array([[0, 0, *video.size]])
    table = pd.DataFrame(places, columns=COORDINATES)
    table.insert(0, "frame", video.numbers[positions[one.clip][positions.shape[1] // 2]])
    table.insert(0, "video", video.id)
    return table.assign(clip=[video.numbers[positions[one.clip]]] * len(table))
