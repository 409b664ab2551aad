"""Near-duplicates among clips, of which only the highest-scoring one is selected: by time, and by their embeddings."""

from collections.abc import Iterable, Sequence

import numpy as np

MEASURED = 1000  # candidates of a camera, at most, that its median distance is taken from

Span = tuple[float, float]  # seconds


def apart(places: Iterable[tuple[str, Span | None]], gap: float, most: int | None = None) -> tuple[list[int], int]:
    """Positions of `most` clips at most, in their order, each more than `gap` seconds from those taken before it; and
    how many were left out on the way to them.

    places: of each clip, the highest score first, its video and its first and last second there; a clip whose time is
    unknown is always taken. A gap of 0 takes all.
    """
    taken: dict[str, list[Span]] = {}
    chosen, left_out = [], 0
    for position, (video, span) in enumerate(places):
        if len(chosen) == most:
            break
        if span is not None and gap > 0:
            others = taken.setdefault(video, [])
            if any(span[0] - end <= gap and start - span[1] <= gap for start, end in others):
                left_out += 1
                continue
            others.append(span)
        chosen.append(position)
    return chosen, left_out


def distinct(embeddings: np.ndarray, cameras: Sequence[str], share: float) -> list[int]:
    """Positions of the embeddings, float32 (N, d), highest score first, that are unlike those taken before them.

    Two clips of one camera are alike if their distance is at most `share` of the median distance between clips of that
    camera: how far embeddings of one place are from each other differs from camera to camera. A share of 0 takes all.
    """
    if share == 0:
        return list(range(len(embeddings)))
    chosen = []
    for camera in dict.fromkeys(cameras):
        at = np.flatnonzero([one == camera for one in cameras])
        own = embeddings[at]
        limit, nearest = share * _median_distance(own[:MEASURED]), np.full(len(own), np.inf)
        for i in range(len(own)):
            if nearest[i] > limit:
                chosen.append(int(at[i]))
                nearest = np.minimum(nearest, np.linalg.norm(own - own[i], axis=1))
    return sorted(chosen)


def _median_distance(vectors: np.ndarray) -> float:
    """Of all pairs; 0 without one."""
    pairs = [np.linalg.norm(vectors[i + 1 :] - vectors[i], axis=1) for i in range(len(vectors) - 1)]
    return float(np.median(np.concatenate(pairs))) if pairs else 0.0
