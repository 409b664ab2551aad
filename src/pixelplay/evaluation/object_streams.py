"""Tables of object scores as `evaluate` takes them: by stream and video."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.metrics.boxes import Detections
from pixelplay.videos.video import Video

COORDINATES = ["x1", "y1", "x2", "y2"]
NO_TRACK = -1


@dataclass(frozen=True, eq=False)
class ObjectStream:
    """One stream of a detector's object table."""

    detector: str
    name: str
    videos: dict[str, Detections]  # by video, in the order of its frames, which are positions; pixels of the original
    normal: list[np.ndarray]  # scores of objects in held-out normal footage: float64 [C] per video, in frame order

    def of_video(self, video: Video) -> Detections:
        none = np.empty(0, np.int64)
        return self.videos.get(video.id, Detections(none, np.empty((0, 4)), np.empty(0), none))


def read_streams(detector: str, table: pd.DataFrame, videos: list[Video]) -> list[ObjectStream]:
    """The streams of an object table, as `read_objects` gives it, for some of its test videos."""
    calibration, test = (table[table["split"] == split] for split in ("calibration", "test"))
    by_id = {video.id: video for video in videos}
    rows_of = test[test["video"].isin(list(by_id))].groupby("video", sort=False)
    placed = {str(name): _placed(by_id[str(name)], rows) for name, rows in rows_of}
    streams = []
    for name in map(str, table["stream"].unique()):
        boxes = {video: _detections(rows[rows["stream"] == name]) for video, rows in placed.items()}
        held = calibration[calibration["stream"] == name].sort_values("frame", kind="stable")
        normal = [rows["score"].to_numpy(np.float64) for _, rows in held.groupby("video", sort=False)]
        streams.append(ObjectStream(detector, name, boxes, normal))
    return streams


def _placed(video: Video, rows: pd.DataFrame) -> pd.DataFrame:
    """A video's rows with the position of their frame, in that order."""
    position = np.searchsorted(video.numbers, rows["frame"].to_numpy(np.int64))
    return rows.assign(position=position).sort_values("position", kind="stable")


def _detections(rows: pd.DataFrame) -> Detections:
    return Detections(
        frame=rows["position"].to_numpy(np.int64),
        xyxy=rows[COORDINATES].to_numpy(np.float64),
        score=rows["score"].to_numpy(np.float64),
        track=rows["track"].to_numpy(np.int64),
    )
