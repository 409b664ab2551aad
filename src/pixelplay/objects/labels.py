"""Which classes the boxes of a track have, box by box: the class in the table of tracks is decided with later boxes."""

from dataclasses import replace

import numpy as np

from pixelplay.objects.boxes import all_boxes
from pixelplay.objects.tracks import Tracks, by_track, tracks_of
from pixelplay.videos.video import Video


def confidences(video: Video) -> tuple[np.ndarray, np.ndarray]:
    """Names of the classes of a video's boxes, str (K,), and of each row of `tracks_of(video)` how surely the box that
    was detected there is of each, float64 (N, K): its confidence in its own class, 0 in others, 0 where interpolated.
    """
    tracks, boxes = tracks_of(video), all_boxes(video)
    detected = np.flatnonzero(~tracks.interpolated)
    names, label = np.unique(boxes.label[tracks.box[detected]], return_inverse=True)
    found = np.zeros((len(tracks), len(names)))
    found[detected, label] = tracks.confidence[detected]
    return names, found


def labels_so_far(video: Video) -> np.ndarray:
    """Of each row of `tracks_of(video)` the class of its track by the boxes up to there, weighted by their confidence
    as in the table of tracks: str (N,); the table's own where no box was detected yet.
    """
    tracks, (names, found) = tracks_of(video), confidences(video)
    labels = tracks.label.astype(np.result_type(tracks.label, names))  # as wide as the longest name
    for rows in by_track(tracks) if len(names) else []:
        total = found[rows].cumsum(axis=0)
        known = total.any(axis=1)
        labels[rows[known]] = names[total[known].argmax(axis=1)]
    return labels


def tracks_so_far(video: Video) -> tuple[Tracks, np.ndarray]:
    """The rows of `tracks_of(video)` that are known when no later frame has been seen, with the classes of
    `labels_so_far`; and which of all rows these are, bool (N,).

    A box between two others is not known until the later one is.
    """
    tracks = tracks_of(video)
    known = ~tracks.interpolated
    return replace(tracks, label=labels_so_far(video))[known], known
