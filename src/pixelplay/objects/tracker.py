"""Boxes followed through time by ByteTrack (Zhang et al., ECCV 2022), as in Roboflow's `trackers`.

Boxes of one object by different methods or classes are made one first, by non-maximum suppression across classes. Then
one tracker follows all classes. What it predicts decides which box belongs to which track, and is never a row itself:
rows are detected boxes, and boxes between two detections of a track that are not too long apart.

The tracker is given the time of each frame, and its motion model counts in steps of `STEP` whatever the frame rate is:
footage at 5 and at 25 frames per second, and footage with missing frames, is followed alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.objects.boxes import Boxes, iou
from pixelplay.objects.motion import MOTION
from pixelplay.objects.settings import TracksConfig
from pixelplay.objects.tracks import Tracks, frame_times
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from trackers import ByteTrackTracker
    from trackers.core.bytetrack.tracklet import ByteTrackTracklet

VERSION = 1  # raised when the same boxes give other tracks
STEP = 1 / 25  # seconds for which the noise of ByteTrack's motion model is taken; there it is a frame
ROUNDING = 1e-6  # seconds, and shares: float32's 0.7 is no less than 0.7


@dataclass(frozen=True, eq=False)
class Followed:
    """What of a frame's boxes is of tracks."""

    row: np.ndarray  # int64 [n] of the frame's boxes, ascending
    track: np.ndarray  # int64 [n], ids
    ended: tuple[int, ...]  # ids of tracks that will have no further box


class Tracker:
    """Boxes followed frame by frame. Ids are those of `ids`, else 1, 2, …, in the order in which tracks begin."""

    def __init__(self, config: TracksConfig, ids: Iterator[int] | None = None):
        self._config, self._bytetrack, self._new = config, _bytetrack(config), ids or count(1)
        self._ids: dict[ByteTrackTracklet, int] = {}  # of the tracks that may go on

    def step(self, boxes: Boxes, time: float) -> Followed:
        """The boxes of the next frame, which is of a later time, seconds, than the one before."""
        import supervision as sv

        rows = np.flatnonzero(distinct(boxes, self._config.iou))
        kept, track = boxes[rows], np.zeros(len(rows), np.int64)
        # A blob is there or not: its confidence is a contrast, which is no doubt about the blob.
        sure = np.where(kept.label == MOTION, 1, kept.confidence.astype(np.float64) + ROUNDING)
        found = sv.Detections(kept.xyxy, confidence=sure, data={"row": np.arange(len(rows))})
        found = self._bytetrack.update(found, timestamp=time)
        alive = self._bytetrack.tracks
        # ByteTrack names a track when it finds its second box, so a first box is known by the track that it began.
        named = {tracklet.tracker_id: self._ids[tracklet] for tracklet in alive if tracklet in self._ids}
        if len(found) and found.tracker_id is not None:
            for row, name in zip(found.data["row"], found.tracker_id, strict=True):
                track[row] = named[name] if name >= 0 else 0
        begin = np.flatnonzero((track == 0) & (sure >= self._config.begin))
        track[begin] = list(islice(self._new, len(begin)))
        before, begun = self._ids, zip(alive[len(alive) - len(begin) :], track[begin].tolist(), strict=True)
        self._ids = {tracklet: before[tracklet] for tracklet in alive if tracklet in before} | dict(begun)
        ended = tuple(number for tracklet, number in before.items() if tracklet not in self._ids)
        return Followed(rows[track > 0], track[track > 0], ended)


def follow(boxes: Boxes, video: Video, config: TracksConfig) -> Tracks:
    """The tracks of all boxes of a whole video; ids count from 1 in the order in which tracks begin."""
    times, tracker = frame_times(video, config.fps), Tracker(config)
    frames, none = boxes.by_frame(len(times)), np.empty(0, np.int64)
    steps = [tracker.step(boxes[rows], time) for rows, time in zip(frames, times.tolist(), strict=True)]
    kept = np.concatenate([none, *(rows.start + one.row for rows, one in zip(frames, steps, strict=True))])
    track = np.concatenate([none, *(one.track for one in steps)])
    found = boxes[kept]
    labels = _majority(found, track)
    detected = Tracks(
        found.position, found.xyxy, labels[track - 1], found.confidence, track, np.zeros(len(kept), bool), kept
    )
    return _with_gaps_filled(detected, times, config.fill)


def distinct(boxes: Boxes, limit: float) -> np.ndarray:
    """Non-maximum suppression across classes, bool [N]: which boxes overlap none of their frame that is kept and surer.

    limit: intersection over union up to which two boxes are two objects. Of equally sure ones the first is kept.
    """
    kept = np.zeros(len(boxes), bool)
    for rows in np.split(np.arange(len(boxes)), np.flatnonzero(np.diff(boxes.position)) + 1):
        ranked = rows[np.argsort(-boxes.confidence[rows], kind="stable")]
        same = iou(boxes.xyxy[ranked], boxes.xyxy[ranked]) > limit
        for k, row in enumerate(ranked):
            kept[row] = not (same[k, :k] & kept[ranked[:k]]).any()
    return kept


def _bytetrack(config: TracksConfig) -> "ByteTrackTracker":
    from trackers import ByteTrackTracker

    tracker = ByteTrackTracker(
        frame_rate=1 / STEP,  # which turns times into steps of the motion model
        track_activation_threshold=config.begin,
        minimum_consecutive_frames=2,  # a track that is not seen again in the next frame ends: so in the paper
        minimum_iou_threshold=config.overlap,
        high_conf_det_threshold=config.high,
    )
    tracker.maximum_time_without_update = config.lost + ROUNDING  # `lost_track_buffer` is in whole frames, 30 a second
    return tracker


def _majority(boxes: Boxes, track: np.ndarray) -> np.ndarray:
    """The class of each track, str [tracks]: that of its boxes, weighted by their confidence; of equals the first."""
    names, label = np.unique(boxes.label, return_inverse=True)
    weights = np.zeros((track.max(initial=0), len(names)))
    np.add.at(weights, (track - 1, label), boxes.confidence)
    return names[weights.argmax(axis=1)] if len(names) else boxes.label


def _with_gaps_filled(tracks: Tracks, times: np.ndarray, longest: float) -> Tracks:
    """With a box, linear in time, at each frame between two boxes of a track, if no more than `longest` seconds lie
    between these.
    """
    order = np.lexsort((tracks.position, tracks.track))
    before, after = order[:-1], order[1:]
    gap = (tracks.track[before] == tracks.track[after]) & (tracks.position[after] - tracks.position[before] > 1)
    gap &= times[tracks.position[after]] - times[tracks.position[before]] <= longest + ROUNDING
    before, after = before[gap], after[gap]
    count = tracks.position[after] - tracks.position[before] - 1
    before, after = np.repeat(before, count), np.repeat(after, count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)  # 0, 1, … in each gap
    position = tracks.position[before] + 1 + within
    start, end = times[tracks.position[before]], times[tracks.position[after]]
    share = ((times[position] - start) / (end - start)).astype(np.float32)

    def between(values: np.ndarray) -> np.ndarray:
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        return (1 - weight) * values[before] + weight * values[after]

    columns = {
        "position": position,
        "xyxy": between(tracks.xyxy),
        "label": tracks.label[before],
        "confidence": between(tracks.confidence),
        "track": tracks.track[before],
        "interpolated": np.ones(len(position), bool),
        "box": np.full(len(position), -1),
    }
    every = {name: np.concatenate([getattr(tracks, name), values]) for name, values in columns.items()}
    return Tracks(**every)[np.lexsort((every["track"], every["position"]))]
