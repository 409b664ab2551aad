"""Ground truth of a run's videos: frame labels, pixel masks, tracks; kept apart from what detectors are given.

`prepare` stores it in the run's outputs; `evaluate`, `ablate` and the report read it there, without the data set.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pixelplay.errors import MissingArtifactError
from pixelplay.run.artifacts import read_table, write_table
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.mask_files import Masks
from pixelplay.videos.sources import Remark
from pixelplay.videos.truth_files import FrameLabels, TrackBoxes
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

CORNERS = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True, eq=False)
class VideoTruth:
    """Truth of one video; None where unknown."""

    video: str
    numbers: np.ndarray  # int64 [T], numbers of its frames
    labels: np.ndarray | None  # uint8 [T], 1 = anomalous
    masks: Masks | None = None
    tracks: TrackBoxes | None = None

    @property
    def has_regions(self) -> bool:
        """Whether it is known where in a frame an anomaly is, or that there is none in the whole video."""
        return self.masks is not None or self.tracks is not None or self.is_normal

    @property
    def is_normal(self) -> bool:
        """Whether every frame is labelled normal."""
        return self.labels is not None and not self.labels.any()


class Labelled(NamedTuple):
    """The frame labels of one video."""

    video: str
    numbers: np.ndarray  # int64 [T], numbers of its frames
    labels: np.ndarray  # uint8 [T], 1 = anomalous

    @property
    def places(self) -> list[tuple[str, int]]:
        """Video and number of each frame, as tables of scores are indexed."""
        return [(self.video, int(number)) for number in self.numbers]


class Truth(dict[str, VideoTruth]):
    """Truth of all videos of one split, by video, known or not."""

    def __init__(self, videos: Iterable[VideoTruth]):
        super().__init__((one.video, one) for one in videos)

    @property
    def labelled(self) -> list[Labelled]:
        return [Labelled(one.video, one.numbers, one.labels) for one in self.values() if one.labels is not None]

    @property
    def labels(self) -> dict[str, list[int]]:
        """Frame labels of the videos that have any."""
        return {one.video: one.labels.tolist() for one in self.labelled}


def read_label_files(videos: Sequence[RawVideo]) -> dict[str, FrameLabels]:
    """Frame labels of the videos that have any; raises DataError for a damaged file."""
    return {raw.id: raw.labels.read() for raw in videos if raw.labels is not None}


def read_truth(raw: RawVideo, video: Video, labels: FrameLabels | None) -> tuple[VideoTruth, list[Remark]]:
    """The data set's truth for the frames of a video, and remarks on its files; raises DataError if they mismatch."""
    known = None if labels is None else labels.at(video.numbers)
    masks = None if raw.masks is None else raw.masks.read(video.numbers, video.size)
    tracks = None if raw.tracks is None else raw.tracks.read(video.numbers)
    remarks = [remark for source in (labels, raw.masks, tracks) if source is not None for remark in source.remarks]
    return VideoTruth(video.id, video.numbers, known, masks, tracks), remarks


def save_truth(folder: Path, split: str, videos: Sequence[VideoTruth]) -> None:
    """Store the truth of a split's videos below `folder`."""
    none = pd.DataFrame({name: [] for name in ["video", "track", "frame", *CORNERS]}).astype({"video": str})
    frames = [_frame_rows(one) for one in videos]
    tracks = [_track_rows(one.video, one.tracks) for one in videos if one.tracks is not None]
    for path, tables in zip(truth_files(folder, split), (frames, tracks), strict=True):
        write_table(path, pd.concat(tables, ignore_index=True) if tables else none)


def load_truth(folder: Path, split: str, videos: Sequence[Video]) -> Truth:
    """What `save_truth` stored; raises MissingArtifactError if it is missing, or of other videos or frames."""
    frames, tracks = (read_table(path, made_by="prepare") for path in truth_files(folder, split))
    try:
        rows, boxes = (
            {str(video): of for video, of in table.groupby("video", sort=False)} for table in (frames, tracks)
        )
        return Truth(_of_rows(video, rows[video.id], boxes.get(video.id)) for video in videos)
    except (KeyError, TypeError, ValueError) as error:  # missing columns or videos, another type, other frames
        raise MissingArtifactError(
            f"{folder}: not the ground truth of this run's {split} videos ({error!r}): delete it and run "
            "`python src/prepare.py` again with the same options"
        ) from None


def load_labels(config: "Config", index: Index, split: str = "test") -> Truth:
    """`load_truth` of a split of the index, for those that measure and report only."""
    return load_truth(RunFiles.of(config).truth, split, getattr(index, split))


def truth_files(folder: Path, split: str) -> list[Path]:
    """A table with a row for each frame, and one with a row for each box of a track."""
    return [folder / split / "frames.parquet", folder / split / "tracks.parquet"]


def _frame_rows(one: VideoTruth) -> pd.DataFrame:
    unknown = [None] * len(one.numbers)
    return pd.DataFrame(
        {
            "video": one.video,
            "frame": one.numbers,
            "label": pd.array(unknown if one.labels is None else one.labels.tolist(), dtype="Int8"),
            "runs": pd.Series(unknown if one.masks is None else list(one.masks.runs), dtype=object),
            "tracked": one.tracks is not None,
        }
    )


def _track_rows(video: str, tracks: TrackBoxes) -> pd.DataFrame:
    rows = pd.DataFrame({"video": video, "track": tracks.track, "frame": tracks.number})
    return rows.join(pd.DataFrame(tracks.xyxy, columns=CORNERS))


def _of_rows(video: Video, rows: pd.DataFrame, boxes: pd.DataFrame | None) -> VideoTruth:
    if rows["frame"].tolist() != video.numbers.tolist():
        raise ValueError(f"other frames of video {video.id}")
    labels = None if rows["label"].isna().any() else rows["label"].to_numpy(np.uint8)
    masks = None if rows["runs"].isna().any() else Masks(video.size, rows["runs"].tolist())
    tracks = None
    if rows["tracked"].iloc[0]:
        found = pd.DataFrame(columns=["track", "frame", *CORNERS]) if boxes is None else boxes
        track, frame = (found[name].to_numpy(np.int64) for name in ("track", "frame"))
        tracks = TrackBoxes(track, frame, found[CORNERS].to_numpy(np.float64).reshape(-1, 4))
    return VideoTruth(video.id, video.numbers, labels, masks, tracks)
