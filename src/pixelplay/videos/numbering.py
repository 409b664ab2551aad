"""Which frames the entries of truth files belong to: files count from 0 or from 1, and so do the frames' names."""

from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.sources import Remark, Source


def is_complete(source: Source) -> bool:
    """Whether no frame is missing between the first and the last, as far as known before decoding."""
    return not isinstance(source, ImageFolder) or source.numbers[-1] - source.numbers[0] + 1 == len(source.numbers)


def first_frame(source: Source, counts_from: int, truth: Path, entries: int | None = None) -> int:
    """Number of the frame that the first entry of a truth file belongs to; frames of a video file count from 0.

    `counts_from`: the number of the first frame in the layout's truth files; `entries`: the number of frames in the
    truth, where known. In a complete folder the first entry is the first frame's, whatever its number. If frames are
    missing, they count from 0 if frame 0 is there, else like the truth files. Raises DataError for a folder with gaps
    that starts at 1 if the truth starts at 0: frame 0 may be missing, or not exist.
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

    Raises DataError if most are outside, or all are inside once shifted by one: the file counts from another number
    than `counting` says.
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
