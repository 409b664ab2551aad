"""The tracks of a video with their fused scores."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pixelplay.evaluation.clock import Clock
from pixelplay.evaluation.object_streams import COORDINATES
from pixelplay.events.tracks import ScoredTrack
from pixelplay.videos.video import Video


def scored_tracks(rows: pd.DataFrame, video: Video, clock: Clock) -> Iterator[ScoredTrack]:
    """The tracks of a video, by the rows of its fused objects."""
    for track, of in rows.sort_values(["track", "frame"], kind="stable").groupby("track", sort=True):
        frames = of["frame"].to_numpy(np.int64)
        yield ScoredTrack(
            track=int(str(track)),
            label=str(of["class"].iloc[0]),
            frames=frames,
            seconds=clock.seconds[np.searchsorted(video.numbers, frames)],
            scores=of["score"].to_numpy(np.float64),
            xyxy=of[COORDINATES].to_numpy(np.float64),
        )
