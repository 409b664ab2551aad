"""Frame labels and tracks as data sets store them: text files, and which frames their entries belong to.

Masks are in `mask_files`. Files count frames from 0 or from 1, and so do the frames' names. Problems that do not stop
the reading are returned as remarks.
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.sources import Remark, Source, require_file

MAX_BYTES = 2**27  # of a text file; the largest published track file has less than 1 MB
TRACK_COLUMNS = ["track_id", "frame", "x1", "y1", "x2", "y2"]


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """Labels of one video. `values[i]` belongs to frame number `numbers[i]`."""

    path: Path  # named in errors
    numbers: np.ndarray  # int64 [N]
    values: np.ndarray  # uint8 [N], 0 or 1
    exact: bool = True  # labels from the first frame to the last and no more; False where frames may be missing on disk
    remarks: Sequence[Remark] = ()
    rest: int | None = None  # label of all frames that are not in `numbers`; None: each frame must be there

    def at(self, numbers: np.ndarray) -> np.ndarray:
        """Labels of the frames with these numbers, uint8 [T]; raises DataError if the two do not match."""
        if self.rest is not None:
            labels = dict(zip(self.numbers.tolist(), self.values.tolist(), strict=True))
            return np.array([labels.get(number, self.rest) for number in numbers.tolist()], np.uint8)
        known = np.isin(numbers, self.numbers)
        whole = int(numbers[-1] - numbers[0]) + 1  # frames that the video would have without gaps
        if known.all() and (not self.exact or len(self.numbers) in (len(numbers), whole)):
            return self.values[np.searchsorted(self.numbers, numbers)].astype(np.uint8)
        unknown = "" if known.all() else f"; frame {numbers[~known][0]} has no label"
        if unknown and len(self.numbers):
            unknown += (
                f" (labels are for frames {self.numbers[0]} to {self.numbers[-1]}, the video has {numbers[0]} to "
                f"{numbers[-1]}: does one count from 0 and the other from 1?)"
            )
        raise DataError(
            f"{self.path}: {len(self.numbers)} labels for a video of {len(numbers)} frames{unknown}: labels and frames "
            "must belong together; replace the label file, or remove it to run without labels"
        )


@dataclass(frozen=True)
class LabelFile:
    """A video's labels, read when needed: every command lists data sets, and large label files take seconds."""

    path: Path  # a file, or a folder of masks
    read: Callable[[], FrameLabels]  # raises DataError


@dataclass(frozen=True, eq=False)
class TrackBoxes:
    """The boxes of a video's anomalous tracks, as a track file lists them."""

    track: np.ndarray  # int64 [N], number of the track, as in the file
    number: np.ndarray  # int64 [N], number of the frame
    xyxy: np.ndarray  # float64 [N, 4], pixels of the original frame, x2 and y2 exclusive
    remarks: Sequence[Remark] = ()


@dataclass(frozen=True)
class TrackFile:
    """The file of a video's anomalous tracks, read when needed, and the shift of its frame numbers."""

    path: Path
    counts_from: int = 0  # what the file calls the frame `first`; if both are 0, it uses the frames' own numbers
    first: int = 0
    whole: bool = True  # whether the footage is the whole video; False if the file may go beyond it
    parse: "Callable[[Path], TrackBoxes] | None" = None  # of files in another form than `read_tracks` knows

    def read(self, numbers: np.ndarray) -> TrackBoxes:
        """The boxes, by the video's frame numbers, of which `numbers`, int64 [T], increasing, are there.

        Raises DataError for a damaged file, and for one whose frame numbers do not match (see `outside_frames`).
        """
        boxes, shift = (self.parse or read_tracks)(self.path), self.first - self.counts_from
        remarks = counting_remarks(self.path, self.counts_from, self.first)
        if self.whole:
            counting = f"files of this layout count from {self.counts_from}" if shift else "it uses the frames' numbers"
            first, last = int(numbers[0]) - shift, int(numbers[-1]) - shift  # as the file counts
            remarks += outside_frames(self.path, boxes.number, first, last, counting)
        return TrackBoxes(boxes.track, boxes.number + shift, boxes.xyxy, remarks)


def read_tracks(path: Path) -> TrackBoxes:
    """A CSV `track_id,frame,x1,y1,x2,y2`, with or without that header (published files have none), in any order.

    An empty file means that the video has no anomaly. Frame numbers are the file's: `TrackFile` converts them.
    Raises DataError with the line that is wrong: other than six finite numbers with whole track and frame >= 0,
    x1 < x2 and y1 < y2, or a track twice in a frame.
    """
    lines = ((line, ",".join(cells), cells) for line, cells in read_rows(path) if (line, cells) != (1, TRACK_COLUMNS))
    return track_boxes(path, lines, f"must be {','.join(TRACK_COLUMNS)}, x1 < x2, y1 < y2")


def track_boxes(path: Path, lines: Iterable[tuple[int, str, Sequence[str | float]]], form: str) -> TrackBoxes:
    """The boxes of a track file: of each line its number, its text, and track, frame, x1, y1, x2, y2.

    Raises DataError, which tells the `form` of a line, as `read_tracks` does.
    """
    rows: dict[tuple[int, int], list[float]] = {}
    for line, text, values in lines:
        try:
            track, frame, x1, y1, x2, y2 = map(float, values)
        except ValueError:
            track = frame = x1 = y1 = x2 = y2 = math.nan
        # published files write 3.0
        whole = all(value.is_integer() and abs(value) < 2**53 for value in (track, frame)) and frame >= 0
        valid = whole and np.isfinite([x1, y1, x2, y2]).all() and x1 < x2 and y1 < y2
        if not valid or (int(track), int(frame)) in rows:
            why = "a track is in a frame once" if valid else form
            raise DataError(f"{path}, line {line}: {text[:80]!r}: {why}")
        rows[int(track), int(frame)] = [x1, y1, x2, y2]
    keys = np.array(list(rows), np.int64).reshape(-1, 2)
    return TrackBoxes(keys[:, 0], keys[:, 1], np.array(list(rows.values()), np.float64).reshape(-1, 4))


def read_text(path: Path) -> str:
    """The text of a file; bytes that are not UTF-8 become U+FFFD. Raises DataError for a file that is no text."""
    size = require_file(path).stat().st_size
    if size > MAX_BYTES:
        raise DataError(f"{path}: {size:,} bytes are too many for a text file of labels or tracks")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise DataError(f"{path}, line {line}: a zero byte; save the file as text in UTF-8 (not UTF-16)")
    return data.decode("utf-8-sig", errors="replace")  # spreadsheets write a byte-order mark


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells, stripped, of each row of a CSV file that is not empty; raises DataError with the line."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        for row in rows:
            if any(cells := [cell.strip() for cell in row]):
                yield rows.line_num, cells
    except csv.Error as error:  # a field over 131,072 characters, for instance
        raise DataError(f"{path}, line {rows.line_num}: {error}") from None


def whole_number(text: str) -> int | None:
    """A number of at most 18 digits, leading zeros aside, so that it fits into 64 bits; None for anything else."""
    return int(text.lstrip("0") or "0") if text.isdecimal() and len(text.lstrip("0")) <= 18 else None


def without_gaps(numbers: Sequence[int]) -> bool:
    """Whether increasing numbers step by 1."""
    return numbers[-1] - numbers[0] + 1 == len(numbers)


def is_complete(source: Source) -> bool:
    """Whether no frame is missing between the first and the last, as far as known before decoding."""
    return not isinstance(source, ImageFolder) or without_gaps(source.numbers)


def first_frame(source: Source, counts_from: int, truth: Path, entries: int | None = None) -> int:
    """Number of the frame that the first entry of a truth file belongs to; frames of a video file count from 0.

    `counts_from`: the first frame's number in the layout's truth files; `entries`: the number of frames in the truth,
    where known. In a complete folder the first entry is the first frame's. If frames are missing, they count from 0 if
    frame 0 is there, else like the truth files. Raises DataError where that is ambiguous: the truth starts at 0, the
    frames at 1 with gaps.
    """
    if not isinstance(source, ImageFolder):
        return 0
    first = source.numbers[0]
    if is_complete(source) and (first <= 1 or entries in (None, len(source.numbers))):
        return first
    if first == 1 and counts_from == 0:
        raise DataError(
            f"{truth}: its entries count from 0, and the frames in {source.folder} start at 1 with gaps: they may "
            "count from 1, or frame 0 may be missing. Put the missing frames back, number the frames from 0, or remove "
            "the file"
        )
    return 0 if first == 0 else counts_from


def counting_remarks(truth: Path, counts_from: int, first: int) -> list[Remark]:
    """A remark if a truth file and the frames count from different numbers."""
    if counts_from == first:
        return []
    return [(truth.name, f"counts from {counts_from}, the frames from {first}", f"its {counts_from} is frame {first}")]


def outside_frames(truth: Path, numbers: np.ndarray, first: int, last: int, counting: str) -> list[Remark]:
    """A remark on the numbers in a truth file, int64 [N], outside of the video's frames `first` to `last`.

    Raises DataError if most are outside, or if a shift by one, against what `counting` says, brings all inside.
    """
    outside = numbers[(numbers < first) | (numbers > last)]
    if not len(outside):
        return []
    found = f"{len(outside)} of {len(numbers)} entries are for frames outside {first} to {last} ({outside[0]}, …)"
    for shift in (-1, 1):
        if numbers.min() - shift >= first and numbers.max() - shift <= last:
            raise DataError(
                f"{truth}: {found}: {counting}, and this one seems to count from {first + shift} where the first frame "
                f"is {first}; correct its frame numbers, or put the missing frame back"
            )
    if 2 * len(outside) > len(numbers):
        raise DataError(f"{truth}: {found}: {counting}; file and frames must belong together")
    return [(truth.name, found, "those do not count")]
