"""The boxes found in a video, stored as one parquet per video and method."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
import pandas as pd

from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.run.artifacts import damaged, read_table, write_table
from pixelplay.videos.video import Video

COORDINATES = ["x1", "y1", "x2", "y2"]
Kind = TypeVar("Kind", bound="Boxes")


@dataclass(frozen=True, eq=False)
class Boxes:
    """N >= 0 boxes, ordered by frame."""

    made_by: ClassVar[str] = "detect"
    columns: ClassVar[list[str]] = ["position", *COORDINATES, "class", "confidence"]

    position: np.ndarray  # int64 [N], of the frame in its video, 0..T-1, never decreasing
    xyxy: np.ndarray  # float32 [N, 4]: x1, y1, x2, y2 in pixels of the full-size frame, 0 <= x1 < x2 <= width
    label: np.ndarray  # str [N], class by name
    confidence: np.ndarray  # float32 [N], in [0, 1]

    def __len__(self) -> int:
        return len(self.position)

    def __getitem__(self, chosen: np.ndarray | slice) -> Self:
        """A subset: a slice, a mask, bool [N], or ascending indices."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def rows(self, start: int, stop: int) -> slice:
        """The rows of the frames start..stop-1."""
        return slice(*np.searchsorted(self.position, [start, stop]).tolist())

    def by_frame(self, frames: int) -> list[slice]:
        """The rows of each of the frames 0..frames-1."""
        bounds = np.searchsorted(self.position, np.arange(frames + 1)).tolist()
        return [slice(*pair) for pair in pairwise(bounds)]

    def block(self, start: int, stop: int) -> Self:
        """Boxes of the frames start..stop-1, with positions from 0."""
        part = self[self.rows(start, stop)]
        return replace(part, position=part.position - start)

    @classmethod
    def of(cls, position: np.ndarray, xyxy: np.ndarray, label: Iterable[str], confidence: np.ndarray) -> "Boxes":
        """From array-likes in any order of frames; the order of a frame's boxes is kept."""
        position, confidence = np.asarray(position, np.int64), np.asarray(confidence, np.float32)
        xyxy, label = np.asarray(xyxy, np.float32).reshape(-1, 4), np.array(list(label), np.str_)
        return cls(position, xyxy, label, confidence)[np.argsort(position, kind="stable")]

    @property
    def table(self) -> pd.DataFrame:
        """Its `columns`, a row for each box."""
        table = pd.DataFrame({"position": self.position})
        table[COORDINATES] = self.xyxy
        table["class"] = pd.Series(self.label.tolist(), dtype="str")
        others = [field.name for field in fields(self) if field.name not in ("position", "xyxy", "label")]
        return table.assign(**{name: getattr(self, name) for name in others})[self.columns]

    @classmethod
    def of_table(cls, table: pd.DataFrame) -> Self:
        """What `table` gave."""
        values = {"xyxy": table[COORDINATES].to_numpy(np.float32), "label": np.array(table["class"].tolist(), np.str_)}
        others = [field.name for field in fields(cls) if field.name not in values]
        return cls(**values, **{name: table[name].to_numpy() for name in others})

    @classmethod
    def none(cls) -> "Boxes":
        return cls.of(np.array([]), np.array([]), [], np.array([]))


def join(parts: Iterable[Boxes]) -> Boxes:
    """All boxes, ordered by frame; within a frame, in the order of `parts`."""
    every = [Boxes.none(), *parts]
    return Boxes.of(*(np.concatenate([getattr(one, field.name) for one in every]) for field in fields(Boxes)))


def clip(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Boxes clipped to an image of `size` (width, height), without those that are empty then or not finite."""
    width, height = size
    xyxy = boxes.xyxy.clip(0, np.array([width, height, width, height], np.float32))
    inside = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])  # False with NaN
    inside &= np.isfinite(boxes.confidence)
    return replace(boxes, xyxy=xyxy)[inside]


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Area of the intersection of each two boxes [N, 4] and [M, 4]: [N, M]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return (high - low).clip(min=0).prod(axis=2)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of each two boxes, float [N, 4] and [M, 4]: float [N, M]."""
    common = overlap(first, second)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return common / (areas[0][:, None] + areas[1][None, :] - common)


def save(boxes: Boxes, path: Path) -> None:
    """Write a parquet, atomically, with the columns of its kind of boxes, and its own name."""
    table = boxes.table
    table.attrs["file"] = path.name
    write_table(path, table)


def is_saved(path: Path) -> bool:
    """Whether `save` wrote this file under this name, and to its end; its rows are not read."""
    import pyarrow.parquet  # slow to import, and most detectors need no boxes

    try:
        metadata = pyarrow.parquet.read_schema(path).metadata
        return json.loads(metadata[b"PANDAS_ATTRS"])["file"] == path.name
    except Exception:  # pyarrow raises all kinds for damaged files
        return False


def count(path: Path) -> int:
    """How many boxes `save` wrote; they are not read."""
    import pyarrow.parquet  # see above

    return pyarrow.parquet.read_metadata(path).num_rows


def load(path: Path, kind: type[Kind] = Boxes) -> Kind:
    """What `save` wrote of this kind.

    Raises MissingArtifactError, or DamagedArtifactError for any other file, which is deleted so that it is made again.
    """
    try:
        table = read_table(path, kind.made_by)
        if list(table.columns) != kind.columns:
            raise damaged(path, kind.made_by, f"not a table of {kind.__name__.lower()}")
        if table.attrs.get("file") != path.name:
            raise damaged(path, kind.made_by, f"it was {table.attrs.get('file')}, that of another video or method")
        if not np.isfinite(table.select_dtypes("number").to_numpy(np.float64)).all():
            raise damaged(path, kind.made_by, "a number is not finite")
    except DamagedArtifactError:
        path.unlink()
        raise
    return kind.of_table(table)


def all_boxes(video: Video) -> Boxes:
    """All that was found by every method of the run in the whole video that a block of time is of.

    Raises MissingArtifactError where nothing was looked for: the detector's `Spec` must say `boxes=True`.
    """
    if not video.objects:
        raise not_asked(video, "objects were looked for", "boxes")
    return join(load(path) for path in video.objects)


def boxes_of(video: Video) -> Boxes:
    """All that was found in a video, or in a block of time of it; raises as `all_boxes` does."""
    return all_boxes(video).block(video.start, video.start + len(video))


def not_asked(video: Video, what: str, need: str) -> MissingArtifactError:
    """The error for what no detector of the run has asked for."""
    return MissingArtifactError(f"video {video.id}: no {what}: a detector asks for that with {need}=True in its Spec")
