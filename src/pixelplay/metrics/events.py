"""Event metrics: how many labelled events are found, how soon, and how often there is a false alarm.

Frame metrics count frames; a person who gets alarms counts these. Definitions are in docs/evaluation.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HOUR = 3600.0  # seconds


@dataclass(frozen=True, eq=False)
class VideoEvents:
    """Events and labels of one video. Positions of its T frames are 0..T-1."""

    labels: np.ndarray  # int (T,), 0 or 1
    seconds: np.ndarray | None  # float64 (T,), of each frame; None where the frame rate is not known
    spans: np.ndarray  # int64 (K, 3), of each event the first frame, that of the alarm, and the last one

    @property
    def labelled(self) -> np.ndarray:
        """The first and last frame of each labelled event, a run of anomalous frames: int64 (L, 2)."""
        return runs(self.labels)


def event_metrics(videos: Sequence[VideoEvents]) -> dict[str, object]:
    """Figures of the events of labelled videos, ready for JSON.

    An event is right, and a labelled event found, where they share a frame.

    - `events`, `right`; `labelled`, `found`: their numbers;
    - `precision`, `recall`, `f1`; None without events or labelled events;
    - `delay_frames`, `delay_seconds`: from the start of a found event to its first alarm, at least 0: `mean` and
      `median` over found ones; None where none is found, and in seconds where a frame rate is not known;
    - `false_alarms`: events that are not right; `false_alarms_per_hour`: of footage labelled normal, `normal_hours`;
      None where a frame rate is not known;
    - `normal_share`: of the frames labelled normal, that lie in an event; None without such frames.
    """
    events, right = sum(len(one.spans) for one in videos), sum(int(_right(one).sum()) for one in videos)
    labelled, delays = sum(len(one.labelled) for one in videos), [delay for one in videos for delay in _delays(one)]
    precision = right / events if events else None
    recall = len(delays) / labelled if labelled else None
    hours = _normal_hours(videos)
    inside, normal = np.sum([_inside_normal(one) for one in videos], axis=0).tolist() if videos else (0, 0)
    timed = [seconds for _, seconds in delays if seconds is not None]
    return {
        "events": events,
        "right": right,
        "labelled": labelled,
        "found": len(delays),
        "precision": precision,
        "recall": recall,
        "f1": None if precision is None or recall is None else _f1(precision, recall),
        "delay_frames": _averages([frames for frames, _ in delays]),
        "delay_seconds": _averages(timed) if len(timed) == len(delays) else None,
        "false_alarms": events - right,
        "false_alarms_per_hour": (events - right) / hours if hours else None,
        "normal_hours": hours,
        "normal_share": inside / normal if normal else None,
    }


def latency_ap(videos: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    """Latency-aware AP of frame scores (T,) and labels (T,) of each video, in [0, 1]; None without labelled events.

    As AP, with how early labelled events are found in place of recall: the sum, over falling thresholds, of the
    precision of frames times the rise of the mean earliness of events. Earliness is 1 - delay / length: 1 where an
    event's first frame reaches the threshold, 0 where none does.

    After the sequence precision delay of Doshi, Abudalou and Yilmaz, *Reward Once, Penalize Once*, IJCNN 2022, the area
    under precision against normalised delay; the precision is that of frames, as in AP, so that one endless alarm is
    not right. Not the LaAP of Liu et al., arXiv 2505.19022.
    """
    events = [scores[first : last + 1] for scores, labels in videos for first, last in runs(labels)]
    if not events:
        return None
    scores, labels = (np.concatenate(parts) for parts in zip(*videos, strict=True))
    ordered = np.sort(scores)
    anomalous = np.sort(scores[labels == 1])
    total = 0.0
    for event in events:
        highest = np.maximum.accumulate(event)
        at = np.flatnonzero(np.diff(highest, prepend=-np.inf) > 0)  # where the event reaches a new height
        reached = highest[at]
        earlier = np.append(at[1:], len(event))  # at a threshold above this height, it would be found there, or never
        taken = len(ordered) - np.searchsorted(ordered, reached)
        hits = len(anomalous) - np.searchsorted(anomalous, reached)
        total += float(((earlier - at) / len(event)) @ (hits / taken))
    return total / len(events)


def runs(marked: np.ndarray) -> np.ndarray:
    """First and last position of each run of ones, of 0 and 1 (T,): int64 (R, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return edges.reshape(-1, 2) - [0, 1]


def _right(video: VideoEvents) -> np.ndarray:
    """Which events overlap a labelled one, bool (K,)."""
    anomalous = np.concatenate([[0], np.cumsum(video.labels)])
    first, last = video.spans[:, 0], video.spans[:, 2]
    return anomalous[last + 1] > anomalous[first]


def _delays(video: VideoEvents) -> list[tuple[float, float | None]]:
    """Frames and seconds until the first alarm of each labelled event that is found."""
    delays = []
    for first, last in video.labelled.tolist():
        meets = (video.spans[:, 0] <= last) & (video.spans[:, 2] >= first)
        if meets.any():
            alarm = max(int(video.spans[meets, 1].min()), first)
            seconds = None if video.seconds is None else float(video.seconds[alarm] - video.seconds[first])
            delays.append((float(alarm - first), seconds))
    return delays


def _inside_normal(video: VideoEvents) -> tuple[int, int]:
    """Normal frames in an event, and all normal frames."""
    inside = np.zeros(len(video.labels), bool)
    for first, _, last in video.spans.tolist():
        inside[first : last + 1] = True
    return int((inside & (video.labels == 0)).sum()), int((video.labels == 0).sum())


def _normal_hours(videos: Sequence[VideoEvents]) -> float | None:
    """Of footage labelled normal; None where a frame rate is not known."""
    total = 0.0
    for video in videos:
        if video.seconds is None or len(video.seconds) < 2:
            return None
        total += float((video.labels == 0).sum() * np.median(np.diff(video.seconds)))
    return total / HOUR


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _averages(values: Sequence[float]) -> dict[str, float] | None:
    return {"mean": float(np.mean(values)), "median": float(np.median(values))} if values else None
