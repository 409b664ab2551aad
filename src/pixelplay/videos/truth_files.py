"""Ground truth as data sets have it on disk: frame labels, pixel masks, track files.

Labels and tracks are read whole, masks frame by frame. Problems that do not stop the reading are returned as remarks:
(name of the file, problem, treatment).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.mask_files import load_avenue_masks, load_npy, read_mask_image
from pixelplay.videos.numbering import Remark, counting_remarks, outside_frames
from pixelplay.videos.truth_text import read_rows


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """Labels of one video. `values[i]` belongs to frame number `numbers[i]`."""

    path: Path  # named in errors
    numbers: np.ndarray  # int64 [N]
    values: np.ndarray  # uint8 [N], 0 or 1
    exact: bool = True  # labels from the first frame to the last and no more; False where frames may be missing on disk
    remarks: Sequence[Remark] = ()

    def at(self, numbers: np.ndarray) -> np.ndarray:
        """Labels of the frames with these numbers, uint8 [T]; raises DataError when the two do not match."""
        place = np.searchsorted(self.numbers, numbers).clip(max=max(len(self.numbers) - 1, 0))
        known = self.numbers[place] == numbers if len(self.numbers) else np.zeros(len(numbers), bool)
        whole = int(numbers[-1] - numbers[0]) + 1  # frames that the video would have without gaps
        if not known.all() or (self.exact and len(self.numbers) not in (len(numbers), whole)):
            raise DataError(
                f"{self.path}: {len(self.numbers)} labels for a video of {len(numbers)} frames"
                f"{self._unknown(numbers, known)}: labels and frames must belong together; replace the label file, or "
                "remove it to run without labels"
            )
        return self.values[place].astype(np.uint8)

    def _unknown(self, numbers: np.ndarray, known: np.ndarray) -> str:
        if known.all():
            return ""
        text = f"; frame {numbers[~known][0]} has no label"
        if not len(self.numbers):
            return text
        text += f" (labels are for frames {self.numbers[0]} to {self.numbers[-1]}, those here are {numbers[0]} to "
        return f"{text}{numbers[-1]}: does one count from 0 and the other from 1?)"


@dataclass(frozen=True)
class LabelFile:
    """A video's labels, not read yet: data sets are listed at every command, and large label files take seconds."""

    path: Path  # a file, or a folder of masks
    read: Callable[[], FrameLabels]  # raises DataError


@dataclass(frozen=True)
class PixelMasks:
    """Masks of the anomalous pixels of one video, in the original frames' coordinates, read one at a time."""

    kind: Literal["images", "npy", "avenue_mat"]
    path: str  # a folder of images (frame number in the name; no file: empty mask), a .npy [N, H, W] or a .mat
    files: dict[int, str] | None = None  # images: frame number -> file name
    first: int = 0  # npy, avenue_mat: frame number of the first mask
    remarks: list[Remark] = field(default_factory=list, compare=False, repr=False)  # `read` adds to them

    def read(self, number: int, size: tuple[int, int]) -> np.ndarray:
        """Mask of the frame with this number, bool (H, W) for `size` = (width, height); raises DataError."""
        if self.kind == "images":
            mask = self.image(number) if number in (self.files or {}) else np.zeros(size[::-1], bool)
        else:
            stack = _stack(self.kind, Path(self.path))
            if not 0 <= number - self.first < len(stack):
                raise DataError(f"{self.path}: no mask for frame {number} among {len(stack)}")
            mask = np.asarray(stack[number - self.first]) > 0
        if mask.shape != size[::-1]:
            raise DataError(
                f"{self.path}: the mask of frame {number} has height and width {mask.shape}, the frame {size[::-1]}"
            )
        return mask

    def image(self, number: int) -> np.ndarray:
        """The image of the frame with this number, which must be among `files`, bool (H, W); raises DataError."""
        name = (self.files or {})[number]
        mask, remark = read_mask_image(Path(self.path) / name)
        if remark is not None and (name, *remark) not in self.remarks:
            self.remarks.append((name, *remark))
        return mask


@dataclass(frozen=True, eq=False)
class TrackBoxes:
    """The boxes of a video's anomalous tracks, as a track file lists them."""

    track: np.ndarray  # int64 [N], number of the track, as in the file
    number: np.ndarray  # int64 [N], number of the frame
    xyxy: np.ndarray  # float64 [N, 4], pixels of the original frame, x2 and y2 exclusive
    remarks: Sequence[Remark] = ()


@dataclass(frozen=True)
class TrackFile:
    """The file of a video's anomalous tracks, not read yet, and how its frame numbers become those of the frames."""

    path: Path
    counts_from: int = 0  # what the file calls the frame `first`; where both are 0, it uses the frames' own numbers
    first: int = 0
    whole: bool = True  # whether the footage is the whole video; False where the file may go beyond it

    def read(self, numbers: np.ndarray) -> TrackBoxes:
        """The boxes, by the numbers of the video's frames, of which `numbers` are there: int64 [T], increasing.

        Raises DataError for a damaged file, and for one whose frame numbers do not match (see `outside_frames`).
        """
        boxes, shift = read_tracks(self.path), self.first - self.counts_from
        remarks = counting_remarks(self.path, self.counts_from, self.first)
        if self.whole:
            counting = f"files of this layout count from {self.counts_from}" if shift else "it uses the frames' numbers"
            first, last = int(numbers[0]) - shift, int(numbers[-1]) - shift  # as the file calls them
            remarks += outside_frames(self.path, boxes.number, first, last, counting)
        return TrackBoxes(boxes.track, boxes.number + shift, boxes.xyxy, remarks)


TRACK_COLUMNS = ["track_id", "frame", "x1", "y1", "x2", "y2"]


def read_tracks(path: Path) -> TrackBoxes:
    """A CSV `track_id,frame,x1,y1,x2,y2`, with or without that header (published files have none), in any order.

    A file without rows says that the video has no anomaly. Frame numbers are the file's: `TrackFile` converts them.
    Raises DataError with the line that is wrong: not six finite numbers, whole ones for track and frame, no frame
    below 0, x1 < x2 and y1 < y2, and no track twice in a frame.
    """
    rows: dict[tuple[int, int], tuple[float, ...]] = {}
    for line, cells in read_rows(path):
        if line == 1 and cells == TRACK_COLUMNS:
            continue
        values = _track_row(cells)
        if values is None or values[:2] in rows:
            why = "a track is in a frame once" if values else f"must be {','.join(TRACK_COLUMNS)}, x1 < x2, y1 < y2"
            raise DataError(f"{path}, line {line}: {','.join(cells)[:80]!r}: {why}")
        rows[values[:2]] = values[2:]
    keys = np.array(list(rows), np.int64).reshape(-1, 2)
    return TrackBoxes(keys[:, 0], keys[:, 1], np.array(list(rows.values()), np.float64).reshape(-1, 4))


def _track_row(cells: list[str]) -> tuple[int, int, float, float, float, float] | None:
    try:
        track, frame, x1, y1, x2, y2 = map(float, cells)
    except ValueError:
        return None
    whole = all(value.is_integer() and abs(value) < 2**53 for value in (track, frame))  # published files write 3.0
    if not (whole and frame >= 0 and np.isfinite([x1, y1, x2, y2]).all() and x1 < x2 and y1 < y2):
        return None
    return int(track), int(frame), x1, y1, x2, y2


def _stack(kind: str, path: Path) -> Sequence[np.ndarray]:
    return load_npy(path) if kind == "npy" else load_avenue_masks(path)
