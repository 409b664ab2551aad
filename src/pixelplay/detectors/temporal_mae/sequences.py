"""Windows of time along tracks: which row of a video's table of tracks stands at each step.

A step is a frame, so a gap in a track stays a gap. A track shorter than a window is padded, never dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pixelplay.detectors.temporal_mae.network import Statistics
from pixelplay.objects.features import Features, features_of
from pixelplay.objects.tracks import Tracks, by_track, tracks_of
from pixelplay.training.clips import Batched
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows

CHUNK = 1024  # maps in memory at a time


@dataclass(frozen=True, eq=False)
class Sequences:
    """N windows of T steps along tracks.

    rows: int64 (N, T), row of the table of tracks at each step; -1: the track has none there, or one without a map.
    Every window has a row. track: int64 (N,), its id.
    """

    rows: np.ndarray
    track: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def sequences(tracks: Tracks, features: Features, length: int, stride: int, future: int = 0) -> Sequences:
    """Windows of `length` steps along every track, and after them `future` steps: (N, length + future).

    The last window ends at the track's last row, whatever the stride; windows of gaps alone are left out.
    """
    parts, ids = [np.empty((0, length + future), np.int64)], [np.empty(0, np.int64)]
    usable = np.where(features.row >= 0, np.arange(len(tracks)), -1)
    for own in by_track(tracks):
        at = tracks.position[own] - tracks.position[own[0]]
        row_at = np.full(at[-1] + 1 + length + future, -1)  # from the track's first frame to its last, and after it
        row_at[at] = usable[own]
        starts = windows(at[-1] + 1, length, stride)[:, :1]
        parts.append(row_at[starts + np.arange(length + future)])
        ids.append(np.full(len(starts), tracks.track[own[0]]))
    rows, track = np.concatenate(parts), np.concatenate(ids)
    there = (rows[:, :length] >= 0).any(axis=1)
    return Sequences(rows[there], track[there])


def read_maps(features: Features, rows: np.ndarray) -> np.ndarray:
    """The maps of rows of the table of tracks, int (...), float16 (..., C, S, S): zeros for -1."""
    maps = np.zeros((*rows.shape, *features.maps.shape[1:]), np.float16)
    maps[rows >= 0] = features.maps[features.row[rows[rows >= 0]]]
    return maps


@dataclass(frozen=True)
class Batch:
    """B windows of T steps, and K steps after them that are never an input.

    maps: float16 (B, T + K, C, S, S), zeros where there is none; valid: bool (B, T + K), where there is one; track:
    int64 (B,), an id of its own for each track of each video.
    """

    maps: torch.Tensor
    valid: torch.Tensor
    track: torch.Tensor

    def __len__(self) -> int:
        return len(self.maps)

    def to(self, device: torch.device, non_blocking: bool = False) -> "Batch":  # called by Lightning
        return Batch(*(t.to(device, non_blocking=non_blocking) for t in (self.maps, self.valid, self.track)))


class TrackWindows(Batched[Batch]):
    """The windows along the tracks of some videos, read from the memory-mapped maps."""

    def __init__(self, videos: Sequence[Video], length: int, stride: int, future: int):
        self._features = [features_of(video) for video in videos]
        every = zip(map(tracks_of, videos), self._features, strict=True)
        found = [sequences(*one, length, stride, future) for one in every]
        self._rows = np.concatenate([np.empty((0, length + future), np.int64), *(one.rows for one in found)])
        self._video = np.repeat(np.arange(len(found)), list(map(len, found)))  # (N,)
        self._track = np.concatenate([np.empty(0, np.int64), *(one.track for one in found)])

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def channels(self) -> int:
        """Of the maps; of a video without any, its file need not say."""
        return self._features[self._video[0]].maps.shape[1]

    def __getitem__(self, items: list[int]) -> Batch:
        rows, video = self._rows[items], self._video[items]
        maps = np.empty((*rows.shape, *self._features[video[0]].maps.shape[1:]), np.float16)
        for number in np.unique(video):
            maps[video == number] = read_maps(self._features[number], rows[video == number])
        track = (video << 32) + self._track[items]
        return Batch(*(torch.from_numpy(array) for array in (maps, rows >= 0, track)))

    def statistics(self) -> Statistics:
        """Over every map that stands in a window, each once."""
        count, sums = 0, [np.zeros(1)] * 3  # of means of cells, their squares, and squares of cells
        for number, features in enumerate(self._features):
            rows = np.unique(self._rows[self._video == number])
            stored = features.row[rows[rows >= 0]]
            for start in range(0, len(stored), CHUNK):
                maps = features.maps[stored[start : start + CHUNK]].astype(np.float64)  # (n, C, S, S)
                means = maps.mean(axis=(2, 3))
                every = means, means**2, (maps**2).mean(axis=(2, 3))
                sums = [old + new.sum(axis=0) for old, new in zip(sums, every, strict=True)]
                count += len(maps)
        mean, square_of_means, square = (total / count for total in sums)
        stds = (np.sqrt((of - mean**2).clip(min=0)) for of in (square, square_of_means))
        return Statistics(*(torch.from_numpy(value.astype(np.float32)) for value in (mean, *stds)))
