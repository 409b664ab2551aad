"""Boxes followed through time: one table per video, which every detector of objects scores."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pixelplay.errors import MissingArtifactError
from pixelplay.objects.boxes import COORDINATES, Boxes, load
from pixelplay.videos.video import Video


@dataclass(frozen=True, eq=False)
class Tracks(Boxes):
    """N >= 0 boxes of followed objects, ordered by frame, then by track; a track has at most one in a frame."""

    made_by: ClassVar[str] = "extract"
    columns: ClassVar[list[str]] = ["position", "track", *COORDINATES, "class", "confidence", "interpolated", "box"]

    track: np.ndarray  # int64 [N], ids from 1 in each video
    interpolated: np.ndarray  # bool [N]: nothing was detected here; the box lies between two that were
    box: np.ndarray  # int64 [N], row of the detected box among all boxes of the whole video; -1 where interpolated


def tracks_of(video: Video) -> Tracks:
    """The tracks of a video, or what of them lies in a block of time of it, with the ids that the whole video has.

    Raises MissingArtifactError where nothing was followed: the detector's `Spec` must say `tracks=True`.
    """
    if video.tracks is None:
        raise MissingArtifactError(
            f"video {video.id}: no objects were followed: a detector asks for that with tracks=True in its Spec"
        )
    return load(video.tracks, Tracks).block(video.start, video.start + len(video))
