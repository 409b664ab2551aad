"""Tables of object scores as `evaluate` takes them: by stream and video, and spread over the frames between clips."""

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
    every: int  # frames from one that objects were scored in to the next
    videos: dict[str, ScoredBoxes]  # by video, those that have any; spread over the frames between
    normal: np.ndarray  # float64 [C], scores of objects in held-out normal footage

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
    every, first = scoring_grid([rows["position"].to_numpy() for rows in found.values()])
    streams = []
    for name in map(str, table["stream"].unique()):
        boxes = {v.id: _boxes(found[v.id], name) for v in videos if v.id in found}
        spread = {v.id: spread_boxes(boxes[v.id], len(v), every, first) for v in videos if v.id in found}
        normal = calibration.loc[calibration["stream"] == name, "score"].to_numpy(np.float64)
        streams.append(ObjectStream(detector, name, every, spread, normal))
    return streams


def scoring_grid(positions: list[np.ndarray]) -> tuple[int, int]:
    """Every how many frames objects were scored, and the first position that they were; from rows' positions alone.

    Detectors that look at clips report objects in the frame that a clip is centred on. The most common distance from
    one such frame to the next is that of the clips; (1, 0) where no video has two.
    """
    distinct = [np.unique(of_video) for of_video in positions if len(of_video)]
    steps = np.concatenate([np.empty(0, np.int64), *map(np.diff, distinct)])
    if not len(steps):
        return 1, 0
    return int(np.bincount(steps).argmax()), int(min(frames[0] for frames in distinct))


def spread_boxes(boxes: ScoredBoxes, frames: int, every: int, first: int) -> ScoredBoxes:
    """Boxes of every `every`-th frame, from position `first` on, as boxes of all `frames` frames of the video.

    A clip's objects were looked at in all of its frames, so each frame takes those of the nearest frame that was
    scored, of two the earlier one: none, where that one had no object. With every = 1 nothing changes. As far from the
    end as the first scored frame is from the start the grid ends; a last clip off the grid is known by its boxes.
    """
    if every == 1 or not len(boxes):
        return boxes
    scored = np.union1d(np.arange(first, frames - first + 1, every), boxes.position)
    middles = (scored[:-1] + scored[1:]) // 2  # the last frame that takes the earlier of two
    source = scored[np.searchsorted(middles, np.arange(frames))]  # of each frame
    start = np.searchsorted(boxes.position, source)
    count = np.searchsorted(boxes.position, source, side="right") - start
    rows = np.arange(count.sum()) + np.repeat(start - np.cumsum(count) + count, count)
    return ScoredBoxes(np.repeat(np.arange(frames), count), boxes.xyxy[rows], boxes.score[rows], boxes.track[rows])


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
