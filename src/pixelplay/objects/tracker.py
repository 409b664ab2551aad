"""Boxes followed through time by ByteTrack (Zhang et al., ECCV 2022), as in Roboflow's `trackers`.

Boxes of one object by different methods or classes are made one first, by non-maximum suppression across classes. Then
one tracker follows all classes. What it predicts decides which box belongs to which track, and is never a row itself:
rows are detected boxes, and boxes between two detections of a track that are not too long apart.

The tracker is given the time of each frame, and its motion model counts in steps of `STEP` whatever the frame rate is:
footage at 5 and at 25 frames per second, and footage with missing frames, is followed alike.
"""

from typing import TYPE_CHECKING

import numpy as np

from pixelplay.objects.boxes import Boxes, iou
from pixelplay.objects.motion import MOTION
from pixelplay.objects.settings import TracksConfig
from pixelplay.objects.tracks import Tracks, frame_times
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from trackers import ByteTrackTracker

VERSION = 1  # raised when the same boxes give other tracks
STEP = 1 / 25  # seconds for which the noise of ByteTrack's motion model is taken; there it is a frame
ROUNDING = 1e-6  # seconds, and shares: float32's 0.7 is no less than 0.7


def follow(boxes: Boxes, video: Video, config: TracksConfig) -> Tracks:
    """The tracks of all boxes of a whole video; ids count from 1 in the order in which tracks begin."""
    times = frame_times(video, config.fps)
    kept = np.flatnonzero(distinct(boxes, config.iou))
    track = _ids(boxes[kept], times, config)
    kept, track = kept[track >= 0], track[track >= 0]
    _, first, track = np.unique(track, return_index=True, return_inverse=True)
    track = np.argsort(np.argsort(first))[track] + 1
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


def _ids(boxes: Boxes, times: np.ndarray, config: TracksConfig) -> np.ndarray:
    """A number for each box, int64 [N]: equal for the boxes of a track, negative for a box of none.

    ByteTrack names a track when it finds its second box, so first boxes get their names in the end; those of objects
    that were not seen again are tracks of one box.
    """
    import supervision as sv

    tracker, ids = _tracker(config), np.full(len(boxes), -1)
    begun = []  # tracklets, and their first boxes
    bounds = np.searchsorted(boxes.position, np.arange(len(times) + 1))
    # A blob is there or not: its confidence is a contrast, which is no doubt about the blob.
    sure = np.where(boxes.label == MOTION, 1, boxes.confidence.astype(np.float64) + ROUNDING)
    for time, first, stop in zip(times, bounds, bounds[1:], strict=False):
        rows = np.arange(first, stop)
        found = sv.Detections(boxes.xyxy[rows], confidence=sure[rows], data={"row": rows})
        found = tracker.update(found, timestamp=float(time))
        if len(found):
            ids[np.asarray(found.data["row"], np.int64)] = found.tracker_id
        new = [int(row) for row in rows if ids[row] < 0 and sure[row] >= max(config.begin, config.high)]
        begun += zip(tracker.tracks[len(tracker.tracks) - len(new) :], new, strict=True)
    for k, (tracklet, row) in enumerate(begun):
        ids[row] = tracklet.tracker_id if tracklet.tracker_id >= 0 else len(boxes) + k
    return ids


def _tracker(config: TracksConfig) -> "ByteTrackTracker":
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
