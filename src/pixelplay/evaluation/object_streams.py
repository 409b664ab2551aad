"""Tables of object scores as `evaluate` takes them: by stream and video."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.videos.video import Video

COORDINATES = ["x1", "y1", "x2", "y2"]
COLUMNS = ["split", "video", "frame", "track", *COORDINATES, "stream", "score"]
NO_TRACK = -1


@dataclass(frozen=True, eq=False)
class ScoredBoxes:
    """What a stream reports in one video, by ascending position of the frame."""

    position: np.ndarray  # int64 [N]
    xyxy: np.ndarray  # float64 [N, 4], pixels of the original frame
    score: np.ndarray  # float64 [N]
    track: np.ndarray  # int64 [N], NO_TRACK for none

    def __len__(self) -> int:
        return len(self.position)

    def __getitem__(self, chosen: np.ndarray | slice) -> "ScoredBoxes":
        """Some of them, in their order: a slice, a mask, bool [N], or indices."""
        return ScoredBoxes(self.position[chosen], self.xyxy[chosen], self.score[chosen], self.track[chosen])

    @classmethod
    def none(cls) -> "ScoredBoxes":
        return cls(np.empty(0, np.int64), np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))


@dataclass(frozen=True, eq=False)
class ObjectStream:
    """One stream of a detector's object table."""

    detector: str
    name: str
    videos: dict[str, ScoredBoxes]  # by video, those that have any
    normal: list[np.ndarray]  # scores of objects in held-out normal footage, of each video float64 [C] by their frames

    def of_video(self, video: Video) -> ScoredBoxes:
        return self.videos.get(video.id, ScoredBoxes.none())


def read_streams(detector: str, table: pd.DataFrame, videos: list[Video]) -> list[ObjectStream]:
    """The streams of an object table, for these test videos; raises DataError for rows that can't be such."""
    lacking = [column for column in COLUMNS if column not in table]
    if lacking:
        raise DataError(f"{detector}'s object scores lack column {lacking[0]!r}: run `python src/score.py` again")
    calibration, test = (table[table["split"] == split] for split in ("calibration", "test"))
    of_videos = {str(name): rows for name, rows in test.groupby("video", sort=False)}
    found = {v.id: _placed(detector, v, of_videos[v.id]) for v in videos if v.id in of_videos}
    streams = []
    for name in map(str, table["stream"].unique()):
        boxes = {v.id: _boxes(found[v.id], name) for v in videos if v.id in found}
        held = calibration[calibration["stream"] == name].sort_values("frame", kind="stable")
        normal = [rows["score"].to_numpy(np.float64) for _, rows in held.groupby("video", sort=False)]
        streams.append(ObjectStream(detector, name, boxes, normal))
    return streams


def _placed(detector: str, video: Video, rows: pd.DataFrame) -> pd.DataFrame:
    """A video's rows with the position of their frame, by ascending position."""
    numbers = rows["frame"].to_numpy(np.int64)
    position = np.searchsorted(video.numbers, numbers).clip(max=len(video) - 1)
    strange = np.flatnonzero(video.numbers[position] != numbers)
    if strange.size:
        raise DataError(
            f"{detector}'s object scores: video {video.id} has no frame {numbers[strange[0]]}: run "
            "`python src/score.py` again"
        )
    return rows.assign(position=position).sort_values("position", kind="stable")


def _boxes(rows: pd.DataFrame, stream: str) -> ScoredBoxes:
    chosen = rows[rows["stream"] == stream]
    return ScoredBoxes(
        chosen["position"].to_numpy(np.int64),
        chosen[COORDINATES].to_numpy(np.float64),
        chosen["score"].to_numpy(np.float64),
        chosen["track"].to_numpy(np.int64),
    )
