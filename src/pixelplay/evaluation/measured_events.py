"""The events of a run against the labels of its test videos."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.evaluation.clock import Clock
from pixelplay.events.event import Event, Events
from pixelplay.metrics.events import VideoEvents, event_metrics, latency_ap
from pixelplay.run.artifacts import read_model
from pixelplay.run.files import RunFiles
from pixelplay.scores.settings import FUSED
from pixelplay.videos.index import Index
from pixelplay.videos.truth import Labelled
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config


def measure_events(config: "Config", index: Index, videos: list[Labelled], fused: pd.Series) -> dict[str, object]:
    """`event_metrics` of the events in labelled videos, and `latency_ap` of the fused scores, by (video, frame).

    An alarm is given when an event has lasted for `events.min_duration`. With `false_alarms_unseen`, the share of
    frames labelled normal above the threshold of frames, and `expected`, what that was said to be at most; each None
    where there is none.
    """
    found = read_model(RunFiles.of(config).events, Events, made_by="events")
    of_video = {video.id: video for video in index.test}
    events = [_of_video(config, of_video[one.video], one.labels, found.events) for one in videos]
    scored = [(fused.loc[one.places].to_numpy(), one.labels) for one in videos]
    alarm = next((one for one in found.alarms if one.stream == FUSED), None)
    normal = np.concatenate([scores[labels == 0] for scores, labels in scored])
    above = alarm is not None and alarm.method != "adaptive" and len(normal)
    return {
        **event_metrics(events),
        "false_alarms_unseen": float((normal > alarm.threshold).mean()) if alarm and above else None,
        "expected": alarm.expected if alarm else None,
        "latency_ap": latency_ap(scored),
    }


def _of_video(config: "Config", video: Video, labels: np.ndarray, events: list[Event]) -> VideoEvents:
    clock = Clock.of(video, config.events.fps)
    own = [(event.start.frame, event.end.frame) for event in events if event.video == video.id]
    first, last = np.searchsorted(video.numbers, np.array(own, np.int64).reshape(-1, 2)).T
    waited = round(config.events.min_duration / clock.spacing) - 1 if clock.spacing else 0  # frames until the alarm
    alarm = np.minimum(first + max(waited, 0), last)
    return VideoEvents(labels, clock.seconds if clock.known else None, np.stack([first, alarm, last], axis=1))
