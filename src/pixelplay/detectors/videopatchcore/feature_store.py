"""From the clips of normal footage to memory banks: vectors on disk, video by video, then coresets of them.

Each vector is stored with its source, so that scores can be explained by the footage they were compared with.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pixelplay.detectors.videopatchcore.clip_features import LOCAL, STREAMS, ClipFeatures, Noise, PatchFeatures
from pixelplay.errors import DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.memory.bank import ROWS, Bank, BankConfig, whitening
from pixelplay.memory.coreset import CoresetConfig, select_coreset
from pixelplay.objects.boxes import COORDINATES
from pixelplay.objects.tracks import MORE, Tracks
from pixelplay.run.artifacts import damaged, read_table, write_table
from pixelplay.run.atomic import replaced_folder
from pixelplay.videos.npy_writer import NpyWriter, is_npy
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

SOURCE = ["video", "frame", *COORDINATES, "clip"]  # columns: `clip` has the numbers of all frames of the clip


def store(
    features: PatchFeatures, video: Video, tracks: Tracks, positions: np.ndarray, noise: Noise, folder: Path
) -> None:
    """Write the vectors of a video's clips (C, T), and where each comes from, to a folder, unless it is there.

    By stream: `<stream>.parquet`, a row for each tube or clip, as in `_sources`, and unless there are none,
    `<stream>.npy`, float32 [N, D].
    """
    try:
        for stream in STREAMS:
            Stored.read(folder, stream)
        return
    except MissingArtifactError:
        pass
    except DamagedArtifactError as error:
        log.warning(f"train: extracting features of {folder.name} again: {error}")
    tables = {stream: [pd.DataFrame(columns=SOURCE)] for stream in STREAMS}
    with replaced_folder(folder) as temporary, ExitStack() as stack:
        writers: dict[str, NpyWriter] = {}
        for one in features.clips(video, tracks, positions, False, noise):
            for stream, vectors in one.vectors.items():
                size = vectors.shape[-1]
                if stream not in writers:
                    writers[stream] = stack.enter_context(NpyWriter(temporary / f"{stream}.npy", (size,), np.float32))
                writers[stream].extend(vectors.reshape(-1, size))
                tables[stream].append(_sources(video, positions, one, stream))
        for stream, parts in tables.items():
            write_table(temporary / f"{stream}.parquet", pd.concat(parts[1:] or parts, ignore_index=True))


def _sources(video: Video, positions: np.ndarray, one: ClipFeatures, stream: str) -> pd.DataFrame:
    """Where a clip's vectors come from: a row per tube, or one for the whole frame, in the clip's middle frame."""
    numbers = video.numbers[positions[one.clip]]
    places = one.tubes.square[:, len(numbers) // 2] if stream in LOCAL else np.array([[0, 0, *video.size]])
    table = pd.DataFrame(places, columns=COORDINATES).assign(video=video.id, frame=numbers[len(numbers) // 2])
    return table.assign(clip=[numbers] * len(table))[SOURCE]


@dataclass(frozen=True)
class Stored:
    """What `store` wrote of one stream of a video."""

    folder: Path
    vectors: np.ndarray  # float32 (N, D), memory-mapped; (0, 0) where the video has none
    sources: pd.DataFrame  # a row for each tube or clip, with N / rows vectors each

    @classmethod
    def read(cls, folder: Path, stream: str) -> "Stored":
        """Raises MissingArtifactError or DamagedArtifactError."""
        sources, path = read_table(folder / f"{stream}.parquet", made_by="train"), folder / f"{stream}.npy"
        if sources.empty:
            return cls(folder, np.empty((0, 0), np.float32), sources)
        if not is_npy(path) or len(vectors := np.load(path, mmap_mode="r")) % len(sources):
            raise damaged(path, "train", "it can't be read, or does not match its .parquet")
        return cls(folder, vectors, sources)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def each(self) -> int:
        """Vectors of a source."""
        return len(self.vectors) // max(len(self.sources), 1)

    def only(self, rows: np.ndarray) -> "Stored":
        """The vectors of these sources, bool (rows,); still memory-mapped where the sources are consecutive."""
        chosen = np.flatnonzero(rows)
        if len(chosen) and len(chosen) == chosen[-1] - chosen[0] + 1:
            vectors = self.vectors[chosen[0] * self.each : (chosen[-1] + 1) * self.each]
        else:
            vectors = self.vectors[np.repeat(rows, self.each)]
        return Stored(self.folder, vectors, self.sources[rows])


@dataclass(frozen=True)
class BankBuilder:
    """How the memory bank of one stream is built from stored vectors."""

    name: str  # of the stream, `<detector>/<stream>`
    coreset: CoresetConfig
    shrinkage: float | None  # of the covariance for Mahalanobis distances; None: Euclidean ones
    bank: BankConfig
    seed: int

    def build(self, stored: Sequence[Stored], identity: dict[str, Any]) -> tuple[Bank, pd.DataFrame]:
        """A bank of a coreset of the vectors, and a row for each of its entries: its source, and in `part` which of the
        source's vectors it is.

        identity: of the features. Raises DataError where no video has any vectors.
        """
        filled = [one for one in stored if len(one)]
        if not filled:
            raise DataError(
                f"{self.name}: no object was detected in any normal footage: {MORE}; `python src/explain.py "
                "show.what=[boxes]` shows them"
            )
        groups = [one.vectors for one in filled]
        matrix = None if self.shrinkage is None else whitening(groups, self.shrinkage)
        entries = self._coreset(filled, matrix)
        starts = np.cumsum([0, *map(len, groups)])
        group = np.searchsorted(starts, entries, side="right") - 1
        vectors = np.stack([groups[g][row] for g, row in zip(group, entries - starts[group], strict=True)])
        sources = pd.concat([one.sources for one in filled], ignore_index=True)
        source, part = np.divmod(entries, filled[0].each)  # a stream has as many vectors for every source
        kept = sources.iloc[source].assign(part=part).reset_index(drop=True)
        return Bank.build(vectors, self.bank, identity, self.seed, matrix), kept

    def _coreset(self, filled: Sequence[Stored], matrix: np.ndarray | None) -> np.ndarray:
        """Indices of the chosen vectors."""
        if matrix is None:
            return select_coreset([one.vectors for one in filled], self.coreset, self.seed).indices
        paths = [one.folder / f"{self.name.rpartition('/')[2]}.whitened.npy" for one in filled]
        for one, path in zip(filled, paths, strict=True):
            with NpyWriter(path, one.vectors.shape[1:], np.float32) as writer:
                for start in range(0, len(one), ROWS):
                    writer.extend(one.vectors[start : start + ROWS] @ matrix.T)
        compared = [np.load(path, mmap_mode="r") for path in paths]
        entries = select_coreset(compared, self.coreset, self.seed).indices
        for path in paths:  # as large as the features themselves
            path.unlink()
        return entries


def read_sources(path: Path, count: int) -> pd.DataFrame:
    """The sources of a bank's `count` entries, as from `BankBuilder.build`; raises Missing- or DamagedArtifactError."""
    table = read_table(path, made_by="train")
    if list(table.columns) != [*SOURCE, "part"] or len(table) != count:
        raise damaged(path, "train", f"{len(table)} rows of {', '.join(map(str, table.columns))} for {count} entries")
    return table
