"""Tubes: squares around a track's boxes, cut from the frames of a clip (Ahn et al., VideoPatchCore, ACCV 2024)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tracks import Tracks


@dataclass(frozen=True, eq=False)
class Tubes:
    """The K tubes of one clip of T frames."""

    track: np.ndarray  # int64 [K], ids
    square: np.ndarray  # int64 [K, T, 4]: x1, y1, x2, y2, pixels of the full-size frame, x2 and y2 exclusive

    def __len__(self) -> int:
        return len(self.track)


def squares(xyxy: np.ndarray, size: tuple[int, int], enlarge: float) -> np.ndarray:
    """Squares around the centres of boxes, float [N, 4], of `enlarge` times their longer side, in whole pixels.

    int64 [N, 4], x2 and y2 exclusive, at least one pixel each way, clipped to an image of `size` (width, height).
    """
    width, height = size
    centre = (xyxy[:, :2].astype(np.float64) + xyxy[:, 2:]) / 2
    side = np.ceil((xyxy[:, 2:] - xyxy[:, :2]).max(axis=1, initial=0).astype(np.float64) * enlarge).clip(min=1)
    low = np.floor(centre - side[:, None] / 2 + 0.5)
    limit = np.array([width, height])
    start = low.clip(0, limit - 1)
    stop = np.maximum((low + side[:, None]).clip(max=limit), start + 1)
    return np.concatenate([start, stop], axis=1).astype(np.int64)


def tubes(
    tracks: Tracks, positions: np.ndarray, size: tuple[int, int], config: TubeConfig, causal: bool = False
) -> Iterator[Tubes]:
    """The tubes of each of a video's clips, `positions` int (C, T), in order; tracks by their ids.

    A clip has a tube of every track with boxes in at least half of its frames. A track that no clip has so is in the
    one with most of its boxes, the first of several, so that no track is without a tube. Causally a clip has those with
    a box in its last frame. In frames where the track has no box, the tube has that of the nearest frame of the clip,
    the earlier of two.
    """
    for clip, chosen in zip(positions, _chosen(tracks, positions, causal), strict=True):
        square = np.empty((len(chosen), len(clip), 4), np.int64)
        inside = tracks[tracks.rows(clip[0], clip[-1] + 1)]  # a clip's frames are consecutive
        for k, track in enumerate(chosen):
            own = inside[inside.track == track]
            nearest = np.abs(own.position[:, None] - clip[None, :]).argmin(axis=0)
            square[k] = squares(own.xyxy, size, config.enlarge)[nearest]
        yield Tubes(chosen, square)


def _chosen(tracks: Tracks, positions: np.ndarray, causal: bool) -> list[np.ndarray]:
    """The ids of the tracks of which each clip has a tube, ascending."""
    chosen, best = [], {}  # best: of tracks without a tube so far, the most boxes in a clip, and that clip
    there: set[int] = set()
    for number, clip in enumerate(positions):
        inside = tracks.rows(clip[0], clip[-1] + 1)
        if causal:
            chosen.append(np.unique(tracks.track[inside][tracks.position[inside] == clip[-1]]))
            continue
        ids, counts = np.unique(tracks.track[inside], return_counts=True)
        enough = 2 * counts >= len(np.unique(clip))
        chosen.append(ids[enough])
        there.update(ids[enough].tolist())
        for track, count in zip(ids[~enough].tolist(), counts[~enough].tolist(), strict=True):
            if count > best.get(track, (0, 0))[0]:
                best[track] = count, number
    for track, (_, number) in best.items():
        if track not in there:
            chosen[number] = np.union1d(chosen[number], [track])
    return chosen
