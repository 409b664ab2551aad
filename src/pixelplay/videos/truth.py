"""Ground truth of a run's videos: frame labels, pixel masks, tracks; kept apart from what detectors are given.

`prepare` reads the data set's label files once and stores what they say below the run's outputs; `evaluate`, `ablate`
and the report open it there, without the data set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.errors import MissingArtifactError
from pixelplay.run.artifacts import read_table, write_table
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.numbering import Remark
from pixelplay.videos.truth_files import FrameLabels, TrackBoxes
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

CORNERS = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of the anomalous pixels of one video, in run-length code, in the original frames' coordinates."""

    size: tuple[int, int]  # width and height, pixels
    runs: Sequence[np.ndarray]  # of each position: lengths of runs of normal, anomalous, normal, … pixels, row by row

    def at(self, position: int) -> np.ndarray:
        """The mask of one frame, bool (H, W)."""
        lengths = np.asarray(self.runs[position], np.int64)
        inside = np.arange(len(lengths)) % 2 == 1
        return np.repeat(inside, lengths).reshape(self.size[::-1])


@dataclass(frozen=True, eq=False)
class VideoTruth:
    """What is known of one video; None where nothing is."""

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


class Truth(Mapping[str, VideoTruth]):
    """By video, all videos of one split, known or not."""

    def __init__(self, videos: Sequence[VideoTruth]):
        self._videos = {one.video: one for one in videos}

    def __getitem__(self, video: str) -> VideoTruth:
        return self._videos[video]

    def __iter__(self):
        return iter(self._videos)

    def __len__(self) -> int:
        return len(self._videos)

    @property
    def labelled(self) -> list[VideoTruth]:
        """The videos with frame labels."""
        return [one for one in self.values() if one.labels is not None]

    @property
    def labels(self) -> dict[str, list[int]]:
        """Frame labels of the videos that have any."""
        return {one.video: one.labels.tolist() for one in self.labelled if one.labels is not None}


def encode(mask: np.ndarray) -> np.ndarray:
    """Run lengths, uint32, of a mask, bool (H, W), row by row; the first run is of normal pixels and may be 0."""
    flat = np.concatenate([[False], mask.ravel(), [not mask.ravel()[-1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(edges, prepend=0).astype(np.uint32)


def read_label_files(videos: Sequence[RawVideo]) -> dict[str, FrameLabels]:
    """Frame labels of the videos that have any; raises DataError for a damaged file."""
    return {raw.id: raw.labels.read() for raw in videos if raw.labels is not None}


def read_truth(raw: RawVideo, video: Video, labels: FrameLabels | None) -> tuple[VideoTruth, list[Remark]]:
    """What the data set's files say of a video, by its frames, and remarks on these files.

    Raises DataError where files and frames do not match.
    """
    masks = None
    if raw.masks is not None:
        masks = Masks(video.size, [encode(raw.masks.read(int(number), video.size)) for number in video.numbers])
    tracks = None if raw.tracks is None else raw.tracks.read(video.numbers)
    truth = VideoTruth(
        video=video.id,
        numbers=video.numbers,
        labels=None if labels is None else labels.at(video.numbers),
        masks=masks,
        tracks=tracks,
    )
    return truth, [remark for source in (labels, raw.masks, tracks) if source is not None for remark in source.remarks]


def save_truth(folder: Path, split: str, videos: Sequence[VideoTruth]) -> None:
    """Store what is known of the videos of a split in a folder of its own below `folder`."""
    none = pd.DataFrame({name: [] for name in ["video", "track", "frame", *CORNERS]}).astype({"video": str})
    tracks = [_track_rows(one) for one in videos if one.tracks is not None]
    frames = [_frame_rows(one) for one in videos]
    for path, tables in zip(truth_files(folder, split), (frames, tracks), strict=True):
        write_table(path, pd.concat(tables, ignore_index=True) if tables else none)


def load_truth(folder: Path, split: str, videos: Sequence[Video]) -> Truth:
    """What `save_truth` stored of a split.

    Raises MissingArtifactError where it is missing, or not of these videos and their frames.
    """
    frames, tracks = (read_table(path, made_by="prepare") for path in truth_files(folder, split))
    try:
        rows, boxes = (
            {str(video): of for video, of in table.groupby("video", sort=False)} for table in (frames, tracks)
        )
        return Truth([_of_rows(video, rows[video.id], boxes.get(video.id)) for video in videos])
    except (KeyError, TypeError, ValueError) as error:  # missing columns or videos, another type, other frames
        raise MissingArtifactError(
            f"{folder}: not the ground truth of this run's {split} videos ({error!r}): delete it and run "
            "`python src/prepare.py` again with the same options"
        ) from None


def load_labels(config: "Config", index: Index, split: str = "test") -> Truth:
    """Truth of the videos of a split, for those that measure and report only; raises as `load_truth`."""
    return load_truth(RunFiles.of(config).truth, split, getattr(index, split))


def truth_files(folder: Path, split: str) -> list[Path]:
    """A table with a row for each frame, and one with a row for each box of a track."""
    return [folder / split / "frames.parquet", folder / split / "tracks.parquet"]


def _frame_rows(one: VideoTruth) -> pd.DataFrame:
    table = pd.DataFrame({"video": one.video, "frame": one.numbers})
    table["label"] = pd.array([None] * len(table) if one.labels is None else one.labels.tolist(), dtype="Int8")
    table["runs"] = pd.Series([None] * len(table) if one.masks is None else list(one.masks.runs), dtype=object)
    return table.assign(tracked=one.tracks is not None)


def _track_rows(one: VideoTruth) -> pd.DataFrame:
    assert one.tracks is not None
    table = pd.DataFrame({"video": one.video, "track": one.tracks.track, "frame": one.tracks.number})
    table[CORNERS] = one.tracks.xyxy
    return table


def _of_rows(video: Video, rows: pd.DataFrame, boxes: pd.DataFrame | None) -> VideoTruth:
    if rows["frame"].tolist() != video.numbers.tolist():
        raise ValueError(f"other frames of video {video.id}")
    labels, runs = rows["label"], rows["runs"]
    tracks = None
    if rows["tracked"].iloc[0]:
        found = pd.DataFrame(columns=["track", "frame", *CORNERS]) if boxes is None else boxes
        numbers = (found[name].to_numpy(np.int64) for name in ("track", "frame"))
        tracks = TrackBoxes(*numbers, found[CORNERS].to_numpy(np.float64).reshape(-1, 4))
    return VideoTruth(
        video=video.id,
        numbers=video.numbers,
        labels=None if labels.isna().any() else labels.to_numpy(np.uint8),
        masks=None if runs.isna().any() else Masks(video.size, runs.tolist()),
        tracks=tracks,
    )
