"""Boxes followed through time: one table per video, which every detector of objects scores."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import pandas as pd

from pixelplay.objects.boxes import COORDINATES, Boxes, load, not_asked
from pixelplay.videos.video import Video

MORE = (
    "lower objects.tracks.high and .begin, or set objects.method=both"  # what to do where too few objects are followed
)


@dataclass(frozen=True, eq=False)
class Tracks(Boxes):
    """N >= 0 boxes of followed objects, ordered by frame, then by track; a track has at most one in a frame."""

    made_by: ClassVar[str] = "extract"
    columns: ClassVar[list[str]] = ["position", "track", *COORDINATES, "class", "confidence", "interpolated", "box"]

    track: np.ndarray  # int64 [N], ids from 1 in each video
    interpolated: np.ndarray  # bool [N]: nothing was detected here; the box lies between two that were
    box: np.ndarray  # int64 [N], row of the detected box among all boxes of the whole video; -1 where interpolated

    @classmethod
    def none(cls) -> "Tracks":
        empty = np.empty(0, np.int64)
        return cls(**vars(Boxes.none()), track=empty, interpolated=np.empty(0, bool), box=empty)


def frame_times(video: Video, fps: float) -> np.ndarray:
    """Seconds at which the frames of a video were taken, float64 [T]: its timestamps, else by its rate, else by `fps`.

    Frames that are missing between others count in their numbers, and so in their times.
    """
    return video.numbers / (video.fps or fps) if video.seconds is None else video.seconds


def lengths(tracks: Tracks, times: np.ndarray) -> np.ndarray:
    """Seconds from the first to the last box of each box's track, float64 [N]; 0 where a track has one box.

    times: `frame_times` of the video, or of the block of it, that the tracks are of.
    """
    first, last = np.full((2, tracks.track.max(initial=0) + 1), -1)
    last[tracks.track] = tracks.position  # of equal ids the last one stays
    first[tracks.track[::-1]] = tracks.position[::-1]
    return times[last[tracks.track]] - times[first[tracks.track]]


def tracks_of(video: Video) -> Tracks:
    """The tracks of a video, or what of them lies in a block of time of it, with the ids that the whole video has.

    Raises MissingArtifactError where nothing was followed: the detector's `Spec` must say `tracks=True`.
    """
    return _whole(video).block(video.start, video.start + len(video))


def rows_of(video: Video) -> slice:
    """The rows of `tracks_of(video)` in the table of the whole video that a block of time is of."""
    return _whole(video).rows(video.start, video.start + len(video))


def _whole(video: Video) -> Tracks:
    if video.tracks is None:
        raise not_asked(video, "objects were followed", "tracks")
    return load(video.tracks, Tracks)


def identities(
    videos: Sequence[Video], columns: Sequence[str] = ("position", "track", "xyxy")
) -> list[tuple[object, ...]]:
    """What decides whatever is cut around the tracks of videos: their frames, and these columns of the tracks."""
    parts = [[getattr(one, name).tobytes() for name in columns] for one in map(tracks_of, videos)]
    digests = [hashlib.sha256(b"".join(part)).hexdigest() for part in parts]
    return [(v.id, v.key, v.start, len(v), digest) for v, digest in zip(videos, digests, strict=True)]


def cropped(video: Video, every: int, noise_above: float | None, causal: bool = False) -> np.ndarray:
    """Which rows of `tracks_of(video)` stand for those around them, bool [N].

    Of each track, counted in the whole video, the first and every `every`-th row in frames that are no noisier than
    `noise_above`, grey levels of 255 (None: in all frames); where a track has only noisier ones, of all its rows,
    causally of none, since clean ones may still come.
    """
    whole = _whole(video)
    clean = np.ones(len(whole), bool)
    if video.noise is not None and noise_above is not None:  # of test videos, of which there are no blocks
        clean = video.noise[whole.position] <= noise_above
    chosen = np.zeros(len(whole), bool)
    for rows in by_track(whole):
        usable = rows[clean[rows]]
        chosen[(usable if len(usable) or causal else rows)[::every]] = True
    return chosen[whole.rows(video.start, video.start + len(video))]


def in_a_row(parts: Sequence[Tracks]) -> Tracks:
    """The tracks of frames that follow each other, one or more, as one table."""
    return Tracks(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Tracks)))


def object_rows(video: Video, tracks: Tracks, stream: str, scores: np.ndarray) -> pd.DataFrame:
    """Scores of one stream, (N,) for the N rows of the tracks, as the rows of `Scores.objects` of a detector."""
    table = pd.DataFrame({"frame": video.numbers[tracks.position], "track": tracks.track})
    table[COORDINATES] = tracks.xyxy
    table["class"] = pd.Series(tracks.label.tolist(), dtype="str")
    return table.assign(stream=stream, score=np.asarray(scores, np.float32))


def highest(scores: np.ndarray, tracks: Tracks, frames: int, least: float) -> np.ndarray:
    """Of the scores (N,) of the rows of `tracks` the highest in each frame, float32 (T,); `least` without any."""
    result = np.full(frames, -np.inf)
    np.maximum.at(result, tracks.position, scores)
    return np.where(np.isinf(result), least, result).astype(np.float32)


def by_track(tracks: Tracks) -> list[np.ndarray]:
    """The rows of each track, by ascending frame."""
    order = np.argsort(tracks.track, kind="stable")
    starts = np.flatnonzero(np.diff(tracks.track[order])) + 1
    return np.split(order, starts) if len(order) else []


def fill(scores: np.ndarray, tracks: Tracks, default: float, causal: bool) -> np.ndarray:
    """Scores (N,) of the rows of `tracks`, those that are NaN replaced by the nearest one of the same track.

    Of two as near, by the earlier; causally, by the latest before it. `default` where there is none.
    """
    result = scores.copy()
    for rows in by_track(tracks):
        known = rows[np.isfinite(scores[rows])]
        lost = rows[np.isnan(scores[rows])]
        if not len(known) or not len(lost):
            result[lost] = default
            continue
        at, wanted = tracks.position[known], tracks.position[lost]
        after = np.searchsorted(at, wanted)  # the first known one that is later
        earlier, later = (after - 1).clip(min=0), after.clip(max=len(at) - 1)
        use_later = (after == 0) | ((after < len(at)) & (at[later] - wanted < wanted - at[earlier]))
        values = scores[known[np.where(use_later & (not causal), later, earlier)]]
        result[lost] = np.where(causal & (after == 0), default, values)
    return result
