"""Distances of training footage to memories that have not seen it: leave-one-out over videos, or over blocks of few.

Each fold's pieces are compared with a memory of all other training footage, chosen as the detector's own is. That gives
distances of normal footage without holding any out (cross-validation as in Barber et al., *Predictive inference with
the jackknife+*, Annals of Statistics 2021).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.detectors.videopatchcore.feature_store import Stored, choose
from pixelplay.memory.bank import Bank, BankConfig
from pixelplay.memory.coreset import CoresetConfig
from pixelplay.progress import progress_bar
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """A stretch of a training video: the positions start..stop-1."""

    video: int  # its place among the training videos
    start: int
    stop: int


def pieces_of(lengths: Sequence[int], folds: int) -> list[list[Piece]]:
    """The pieces of each fold: whole videos in turn, or with fewer videos than folds, equal blocks of each.

    lengths: frames of each video.
    """
    blocks = -(-folds // len(lengths))
    every = [
        Piece(video, int(part[0]), int(part[-1]) + 1)
        for video, length in enumerate(lengths)
        for part in np.array_split(np.arange(length), min(blocks, length))
    ]
    return [every[fold::folds] for fold in range(min(folds, len(every)))]


@dataclass(frozen=True)
class Memories:
    """How a memory of one stream is made."""

    coreset: CoresetConfig
    shrinkage: float | None  # see `choose`
    bank: BankConfig
    seed: int


def fold_distances(
    videos: Sequence[Video],
    positions: Sequence[np.ndarray],
    folders: Sequence[Path],
    stream: str,
    memories: Memories,
    folds: int,
    name: str,
) -> list[np.ndarray] | None:
    """The largest distance in each clip of each video, float64 (C,) by video, to memories that have not seen it.

    positions: of each video's clips, (C, T); folders: what `remembering.store` wrote of each. NaN where a clip has no
    object. A memory without a block of a video is also without the clips of that video whose middle is less than two
    clips away. None where nothing would be left of some memory.
    """
    stored = [Stored.read(folder, stream) for folder in folders]
    middles = [clips[:, clips.shape[1] // 2] for clips in positions]
    clip_of = [
        np.searchsorted(video.numbers[clips[:, 0]], one.first_frames)
        for video, clips, one in zip(videos, positions, stored, strict=True)
    ]
    distances = [np.full(len(clips), np.nan) for clips in positions]
    parted = pieces_of([len(video) for video in videos], folds)
    gap = 2 * positions[0].shape[1]
    with progress_bar(len(parted), "fold", f"{name}/{stream}: calibration") as bar:
        for pieces in parted:
            away = [np.ones(len(one.first_frames), bool) for one in stored]
            for piece in pieces:
                middle = middles[piece.video][clip_of[piece.video]]
                away[piece.video] &= (middle < piece.start - gap) | (middle >= piece.stop + gap)
            rest = [one.only(mask) for one, mask in zip(stored, away, strict=True)]
            if len(parted) < 2 or not any(len(one) for one in rest):
                log.info(f"train: {name}/{stream}: too little footage for {folds} folds; held-out footage calibrates")
                return None
            coreset = memories.coreset.at_most(sum(map(len, rest)))
            kept = choose(rest, stream, coreset, memories.shrinkage, memories.seed, name)
            bank = Bank.build(kept.vectors, memories.bank, {}, memories.seed, kept.whitening)
            for piece in pieces:
                middle = middles[piece.video][clip_of[piece.video]]
                asked = (middle >= piece.start) & (middle < piece.stop)
                found = stored[piece.video].only(asked)
                if len(found):
                    largest = bank.nearest(np.ascontiguousarray(found.vectors))[0].reshape(len(found.sources), -1)
                    np.fmax.at(distances[piece.video], clip_of[piece.video][asked], largest.max(axis=1))
            bar.update()
    return distances


def calibration_table(videos: Sequence[Video], distances: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """A row per clip: `video`, its place `clip` in the video, and by stream its distance, NaN without an object."""
    parts = [
        pd.DataFrame({"video": video.id, "clip": np.arange(len(first)), **{s: d[i] for s, d in distances.items()}})
        for i, (video, first) in enumerate(zip(videos, next(iter(distances.values())), strict=True))
    ]
    return pd.concat(parts, ignore_index=True)
