"""Objects followed while footage comes: what their tables say of a frame, as far as earlier frames tell.

Rows, ids, classes so far and crops are those of `pixelplay.objects.tracker.follow`, `labels_so_far` and, causally,
`cropped`; boxes between two others are not known in time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pixelplay.objects.boxes import Boxes
from pixelplay.objects.settings import FeaturesConfig, TracksConfig
from pixelplay.objects.tracker import ROUNDING, Tracker
from pixelplay.objects.tracks import Tracks


@dataclass(frozen=True, eq=False)
class Seen:
    """The n followed objects of one frame."""

    tracks: Tracks
    labels: np.ndarray  # str (n,), class of the box
    cropped: np.ndarray  # bool (n,), whether the row stands for those around it
    row: np.ndarray  # int64 (n,), of the frame's boxes
    ended: tuple[int, ...]  # ids of tracks that will have no further row


@dataclass
class _Known:
    """Of one track."""

    seconds: float  # of its last box
    clean: int  # frames of the footage until then, with it, that are clean
    rows: int = 0  # of the track in clean frames, with those that fill gaps
    votes: dict[str, float] = field(default_factory=dict)  # sum of confidences by class


class LiveTracks:
    """The tracks of one stream. Nothing is kept of those that have ended; their ids are as those of `Tracker`."""

    def __init__(self, config: TracksConfig, crops: FeaturesConfig, ids: Iterator[int] | None = None):
        self._config, self._crops = config, crops
        self._tracker = Tracker(config, ids)
        self._known: dict[int, _Known] = {}
        self._boxes = self._clean = 0  # so far: boxes, clean frames

    def step(self, boxes: Boxes, position: int, seconds: float, noise: float) -> Seen:
        """The boxes of the next frame, at this position and time, with this noise level before restoration."""
        followed = self._tracker.step(boxes, seconds)
        order = np.argsort(followed.track)
        row, track = followed.row[order], followed.track[order]
        limit = self._crops.noise_above
        clean = limit is None or bool(np.float32(noise) <= limit)
        found = boxes[row]
        known = [self._seen(number, seconds) for number in track.tolist()]
        cropped = np.array([clean and one.rows % self._crops.every == 0 for one in known], bool)
        self._clean += clean
        for one, label, confidence in zip(known, found.label.tolist(), found.confidence.tolist(), strict=True):
            one.votes[label] = one.votes.get(label, 0.0) + confidence
            one.seconds, one.clean, one.rows = seconds, self._clean, one.rows + clean
        labels = np.array([max(sorted(one.votes), key=one.votes.__getitem__) for one in known], np.str_)
        tracks = Tracks(
            position=np.full(len(row), position),
            xyxy=found.xyxy,
            label=labels,
            confidence=found.confidence,
            track=track,
            interpolated=np.zeros(len(row), bool),
            box=self._boxes + row,
        )
        self._boxes += len(boxes)
        for number in followed.ended:
            del self._known[number]
        return Seen(tracks, found.label, cropped, row, followed.ended)

    def _seen(self, track: int, seconds: float) -> _Known:
        """What is known of a track before its box at this time; a gap that is filled has rows in its frames."""
        known = self._known.setdefault(track, _Known(seconds, self._clean))
        if seconds - known.seconds <= self._config.fill + ROUNDING:
            known.rows += self._clean - known.clean
        return known
