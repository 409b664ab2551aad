"""Parts of normal footage that are scored by models of all the rest, for calibration without held-out footage.

Barber et al., *Predictive inference with the jackknife+*, Annals of Statistics 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from pixelplay.objects.tracks import Tracks
from pixelplay.videos.video import Video

GAP = 25  # frames between a block and what is left of its video, about a second


def _several(folds: int) -> int:
    if folds == 1:
        raise ValueError("one fold leaves nothing to compare it with; set 0 for none, or 2 and more")
    return folds


Folds = Annotated[int, Field(ge=0, le=100), AfterValidator(_several)]  # of training footage, for calibration; 0: none


@dataclass(frozen=True)
class Piece:
    """A block of a training video: the positions start..stop-1."""

    video: int  # its index among the training videos
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


def rows_apart(
    videos: Sequence[Video], tracks: Sequence[Tracks], folds: int
) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Of each fold, for each video two masks, bool (N,), of the rows of its tracks: those of the fold, and the rest.

    To neither belong rows of tracks that are partly in the fold, since that is one object, and of frames that are less
    than GAP away from it. [] for fewer than two folds.
    """
    parted = pieces_of([len(video) for video in videos], folds) if folds else []
    found = []
    for pieces in parted if len(parted) > 1 else []:
        inside, apart = ([np.full(len(one), value) for one in tracks] for value in (False, True))
        for piece in pieces:
            one, own = tracks[piece.video], inside[piece.video]
            own |= (one.position >= piece.start) & (one.position < piece.stop)
            near = (one.position >= piece.start - GAP) & (one.position < piece.stop + GAP)
            apart[piece.video] &= ~near & ~np.isin(one.track, one.track[own])
        found.append((inside, apart))
    return found
