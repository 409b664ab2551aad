"""Boxes that the user brings: `train_boxes/<video>.csv` and `test_boxes/<video>.csv` in the data set's folder.

Frames have the numbers that the data set gives them. Lengths are pixels of the full-size frame; what sticks out of it
is cut off.
"""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.objects.boxes import COORDINATES, Boxes, clip
from pixelplay.videos.video import Video

VERSION = 1  # raised when the same files give other boxes
SPLITS = ("train", "test")
HEADER = ["frame", *COORDINATES, "class", "confidence"]


def box_file(roots: Mapping[str, Path], split: str, video: str) -> Path:
    """Where the boxes of a video lie below the folder, of `layouts.roots`, of its data set."""
    part = next(part for part in roots if video.startswith(part))
    return roots[part] / f"{split}_boxes" / f"{video.removeprefix(part)}.csv"


def box_files(roots: Mapping[str, Path]) -> dict[str, Path]:
    """The files below the folders of `layouts.roots`, by what they are of: `train/<video>` or `test/<video>`."""
    folders = [(f"{split}/{part}", root / f"{split}_boxes") for part, root in roots.items() for split in SPLITS]
    return {
        f"{of}{path.relative_to(folder).with_suffix('').as_posix()}": path
        for of, folder in folders
        for path in sorted(folder.rglob("[!.]*.csv"))  # no hidden copies
    }


def read_boxes(path: Path, video: Video) -> Boxes:
    """A video's boxes, in the order of the file within a frame.

    Raises DataError, which names the file and the line, for anything that is no box of one of the video's frames.
    """
    positions = {int(number): position for position, number in enumerate(video.numbers)}
    found = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            head = next(lines, [])
            if [name.strip() for name in head] != HEADER:
                raise DataError(f"{path}, line 1: the header must be {','.join(HEADER)}, not {','.join(head)!r}")
            for line in lines:
                if line:
                    found.append(_box(line, positions, video, f"{path}, line {lines.line_num}"))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}, after line {len(found) + 1}: no CSV in UTF-8: {error}") from None
    position, xyxy, label, confidence = zip(*found, strict=True) if found else ([], [], [], [])
    return clip(Boxes.of(np.array(position), np.array(xyxy), label, np.array(confidence)), video.size)


def _box(line: list[str], positions: dict[int, int], video: Video, where: str) -> tuple[int, list[float], str, float]:
    """Position, corners, class and confidence of one line."""
    if len(line) != len(HEADER):
        raise DataError(f"{where}: {len(line)} values instead of {len(HEADER)}: {','.join(HEADER)}")
    values = dict(zip(HEADER, (value.strip() for value in line), strict=True))
    number = int(values["frame"]) if values["frame"].isascii() and values["frame"].isdigit() else None
    if number not in positions:
        known = f"{len(video)} from {video.numbers[0]} to {video.numbers[-1]}"
        raise DataError(f"{where}: frame={values['frame']!r}: no frame of video {video.id}, which has {known}")
    corners = [_number(values, name, where) for name in COORDINATES]
    x1, y1, x2, y2 = corners
    width, height = video.size
    if not (x1 < x2 and y1 < y2):
        raise DataError(f"{where}: an empty box {x1:g},{y1:g},{x2:g},{y2:g}: x1 < x2 and y1 < y2 are needed")
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise DataError(f"{where}: a box {x1:g},{y1:g},{x2:g},{y2:g} outside of the frame of {width} x {height} pixels")
    confidence = _number(values, "confidence", where)
    if not 0 <= confidence <= 1:
        raise DataError(f"{where}: confidence={values['confidence']}: from 0 to 1 is allowed")
    if not values["class"]:
        raise DataError(f"{where}: no class: any name will do, such as person")
    return positions[number], corners, values["class"], confidence


def _number(values: dict[str, str], name: str, where: str) -> float:
    try:
        value = float(values[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {name}={values[name]!r} is no number")
    return value
