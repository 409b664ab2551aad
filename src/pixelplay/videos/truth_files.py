"""Ground truth as data sets have it on disk: frame labels, pixel masks, track files.

Labels are read by `prepare`; masks are opened frame by frame, when a metric asks for them.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pixelplay.errors import DataError


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """Labels of one video. `values[i]` belongs to frame number `numbers[i]`."""

    path: Path  # named in errors
    numbers: np.ndarray  # int64 [N]
    values: np.ndarray  # uint8 [N], 0 or 1
    exact: bool = True  # one label for each frame and no more; False where single frames may be missing on disk

    def at(self, numbers: np.ndarray) -> np.ndarray:
        """Labels of the frames with these numbers, uint8 [T]; raises DataError when the two do not match."""
        place = np.searchsorted(self.numbers, numbers).clip(max=max(len(self.numbers) - 1, 0))
        known = self.numbers[place] == numbers if len(self.numbers) else np.zeros(len(numbers), bool)
        if not known.all() or (self.exact and len(self.numbers) != len(numbers)):
            lost = f"; frame {numbers[~known][0]} has no label" if not known.all() else ""
            raise DataError(
                f"{self.path}: {len(self.numbers)} labels for a video of {len(numbers)} frames{lost}: "
                "labels and frames must belong together; replace the label file, or remove it to run without labels"
            )
        return self.values[place].astype(np.uint8)


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

    def read(self, number: int, size: tuple[int, int]) -> np.ndarray:
        """Mask of the frame with this number, bool (H, W) for `size` = (width, height); raises DataError."""
        if self.kind == "images":
            name = (self.files or {}).get(number)
            mask = np.zeros(size[::-1], bool) if name is None else read_mask_image(Path(self.path) / name)
        else:
            stack = _stack(self.kind, self.path)
            if not 0 <= number - self.first < len(stack):
                raise DataError(f"{self.path}: no mask for frame {number} among {len(stack)}")
            mask = np.asarray(stack[number - self.first]) > 0
        if mask.shape != size[::-1]:
            raise DataError(
                f"{self.path}: the mask of frame {number} has height and width {mask.shape}, the frame {size[::-1]}"
            )
        return mask

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": self.path, "files": self.files, "first": self.first}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "PixelMasks":
        files = {int(k): v for k, v in value["files"].items()} if value["files"] is not None else None
        return cls(value["kind"], value["path"], files, value["first"])


@dataclass(frozen=True, eq=False)
class TrackBoxes:
    """The boxes of a video's anomalous tracks, as a track file lists them."""

    track: np.ndarray  # int64 [N], number of the track, as in the file
    number: np.ndarray  # int64 [N], number of the frame
    xyxy: np.ndarray  # float64 [N, 4], pixels of the original frame, x2 and y2 exclusive


TRACK_COLUMNS = ["track_id", "frame", "x1", "y1", "x2", "y2"]


def read_tracks(path: Path) -> TrackBoxes:
    """A CSV `track_id,frame,x1,y1,x2,y2`, with or without that header (published files have none), in any order.

    A file without rows says that the video has no anomaly. Raises DataError with the line that is wrong: not six
    finite numbers, whole ones for track and frame, x1 < x2 and y1 < y2, and no track twice in a frame.
    """
    rows: dict[tuple[int, int], tuple[float, ...]] = {}
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = csv.reader(file)
        for row in lines:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (lines.line_num == 1 and cells == TRACK_COLUMNS):
                continue
            values = _track_row(cells)
            if values is None or values[:2] in rows:
                why = "a track is in a frame once" if values else f"must be {','.join(TRACK_COLUMNS)}, x1 < x2, y1 < y2"
                raise DataError(f"{path}, line {lines.line_num}: {','.join(row)[:80]!r}: {why}")
            rows[values[:2]] = values[2:]
    keys = np.array(list(rows), np.int64).reshape(-1, 2)
    return TrackBoxes(keys[:, 0], keys[:, 1], np.array(list(rows.values()), np.float64).reshape(-1, 4))


def _track_row(cells: list[str]) -> tuple[int, int, float, float, float, float] | None:
    try:
        track, frame, x1, y1, x2, y2 = map(float, cells)
    except ValueError:
        return None
    whole = all(value.is_integer() and abs(value) < 2**53 for value in (track, frame))  # published files write 3.0
    if not (whole and np.isfinite([x1, y1, x2, y2]).all() and x1 < x2 and y1 < y2):
        return None
    return int(track), int(frame), x1, y1, x2, y2


def read_mask_image(path: Path) -> np.ndarray:
    """A mask image, bool (H, W): pixels above zero."""
    import cv2

    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise DataError(f"{path}: cannot be read as a mask image")
    return mask > 0


@lru_cache(maxsize=2)
def _stack(kind: str, path: str) -> Sequence[np.ndarray]:
    return load_npy(Path(path)) if kind == "npy" else load_avenue_masks(Path(path))


def load_npy(path: Path) -> np.ndarray:
    """A .npy array, memory-mapped; raises DataError when it is damaged or would need unpickling."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy raises many kinds on a damaged header (ValueError, TokenError, …)
        raise DataError(f"{path}: cannot be read as a plain .npy array ({error})") from None


def load_avenue_masks(path: Path) -> Sequence[np.ndarray]:
    """The cell array `volLabel` of an Avenue label file: one mask (H, W) per frame."""
    from scipy.io import loadmat

    try:
        cells = loadmat(path, variable_names=["volLabel"]).get("volLabel")
    except Exception as error:  # SciPy raises many kinds on a damaged file (MatReadError, IndexError, zlib.error, …)
        raise DataError(f"{path}: cannot be read as a MATLAB file ({error})") from None
    if cells is None:
        raise DataError(f"{path}: no variable volLabel in it; Avenue's files <video>_label.mat have one")
    return [np.asarray(cell) for cell in cells.ravel()]
