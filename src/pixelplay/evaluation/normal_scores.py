"""Scores of held-out normal footage, from which the thresholds of events come."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.evaluation.clock import Clock
from pixelplay.evaluation.scored_tracks import scored_tracks
from pixelplay.evaluation.zoned import Zoned
from pixelplay.events.alarm import NormalScores
from pixelplay.metrics.events import HOUR
from pixelplay.run.artifacts import rerun
from pixelplay.scores.settings import FUSED, OBJECTS
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config


def normal_frames(config: "Config", index: Index, fused: pd.DataFrame) -> NormalScores:
    """The fused scores of held-out normal footage; `fused`: rows of the stream `fused`."""
    normal = fused[fused["split"] == "calibration"].sort_values("frame", kind="stable")
    by_video = {str(video): of["score"].to_numpy(np.float64) for video, of in normal.groupby("video", sort=False)}
    return NormalScores(FUSED, list(by_video.values()), _hours(config, index, normal))


def normal_tracks(
    config: "Config", index: Index, zoned: Zoned, frames: pd.DataFrame, objects: pd.DataFrame
) -> NormalScores:
    """The highest score of each track of held-out normal footage where it counts, in the order in which they begin.

    frames, objects: the tables of the stream `objects`, of frames and of objects.
    """
    objects = objects[objects["split"] == "calibration"]
    known = {video.id: video for video in index.train}
    peaks = []
    for name, rows in objects.groupby("video", sort=False):
        video = known[str(name)]
        clock = Clock.of(video, config.events.fps)
        tracks = [one for one in scored_tracks(rows, video, clock) if one.lasts(config.events, clock.spacing)]
        counted = [zoned.counted(video, one) for one in sorted(tracks, key=lambda one: one.frames[0])]
        highest = np.array([one.scores.max() for one in counted])
        peaks.append(highest[np.isfinite(highest)])
    hours = _hours(config, index, frames[frames["split"] == "calibration"])
    return NormalScores(OBJECTS, [of for of in peaks if len(of)], hours, what="tracks")


def _hours(config: "Config", index: Index, rows: pd.DataFrame) -> float | None:
    """Of the normal footage that rows of frames are of, of one stream; None where a frame rate is not known."""
    known = {video.id: video for video in index.train}
    total = 0.0
    for name, count in rows["video"].value_counts(sort=False).items():
        if str(name) not in known:
            raise DataError(f"normal footage {name!r} is no training video of this run: {rerun('score')}")
        clock = Clock.of(known[str(name)], config.events.fps)
        if not clock.known:
            return None
        total += int(count) * clock.spacing
    return total / HOUR or None
