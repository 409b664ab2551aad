"""Distances of normal clips to memory banks that have not seen them, by which clips are scored.

They come from held-out footage and by cross-validation over training footage: each fold, some videos or blocks of few
videos, is compared with a bank of all the rest, built as the detector's own is.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.detectors.folds import pieces_of
from pixelplay.detectors.videopatchcore.feature_store import BankBuilder, Stored
from pixelplay.progress import progress_bar
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

ABOUT = ["source", "video", "clip"]  # footage, video, and index in the video of the clip that a row is about
HELDOUT, FOLDS = "heldout", "folds"


def fold_table(
    videos: Sequence[Video],
    positions: Sequence[np.ndarray],
    folders: Sequence[Path],
    builders: Mapping[str, BankBuilder],
    folds: int,
) -> pd.DataFrame | None:
    """A row per clip of each video: `video`, its index `clip` in the video, and for each stream the largest distance to
    a bank that has not seen it, float64, NaN without an object. None where too little footage is left for some bank.

    positions: of each video's clips, (C, T); folders: what `store` wrote of each.
    """
    found = {}
    for stream, builder in builders.items():
        stored = [Stored.read(folder, stream) for folder in folders]
        distances = _fold_distances(videos, positions, stored, builder, folds)
        if distances is None:
            log.info(f"train: {builder.name}: too little footage for {folds} folds; held-out footage calibrates")
            return None
        found[stream] = np.concatenate(distances)
    count = [len(clips) for clips in positions]
    clip = np.concatenate([np.arange(n) for n in count])
    return pd.DataFrame({"video": np.repeat([video.id for video in videos], count), "clip": clip, **found})


def _fold_distances(
    videos: Sequence[Video], positions: Sequence[np.ndarray], stored: Sequence[Stored], builder: BankBuilder, folds: int
) -> list[np.ndarray] | None:
    """Distances (C,) of each video for one stream; None where nothing would be left for some bank.

    A bank without a block of a video is also without the clips of that video whose middle is less than two clips away.
    """
    distances = [np.full(len(clips), np.nan) for clips in positions]
    clip_of, middles = [], []  # of each source
    for video, clips, one in zip(videos, positions, stored, strict=True):
        first_frames = np.array([numbers[0] for numbers in one.sources["clip"]], np.int64)
        clip_of.append(np.searchsorted(video.numbers[clips[:, 0]], first_frames))
        middles.append(clips[clip_of[-1], clips.shape[1] // 2])
    parted = pieces_of([len(video) for video in videos], folds)
    gap = 2 * positions[0].shape[1]
    with progress_bar(len(parted), "fold", f"{builder.name}: calibration") as bar:
        for pieces in parted:
            away = [np.ones(len(middle), bool) for middle in middles]
            for piece in pieces:
                middle = middles[piece.video]
                away[piece.video] &= (middle < piece.start - gap) | (middle >= piece.stop + gap)
            rest = [one.only(mask) for one, mask in zip(stored, away, strict=True)]
            if len(parted) < 2 or not any(map(len, rest)):
                return None
            coreset = builder.coreset.at_most(sum(map(len, rest)))
            bank, _ = replace(builder, coreset=coreset).build(rest, {})
            for piece in pieces:
                middle = middles[piece.video]
                asked = (middle >= piece.start) & (middle < piece.stop)
                found = stored[piece.video].only(asked)
                if len(found):
                    largest = bank.nearest(found.vectors)[0].reshape(len(found.sources), -1).max(axis=1)
                    np.fmax.at(distances[piece.video], clip_of[piece.video][asked], largest)
            bar.update()
    return distances
