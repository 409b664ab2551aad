"""Street Scene (Ramachandra and Jones, WACV 2020, arXiv 1902.05872): frame folders, boxes of anomalous tracks.

A line of a ground truth file, as a script of the first author reads it, names the frame's file and the track, with
spaces between, files counting from 1. The four numbers behind are taken for the box's centre, width and height, as
evaluation/rbdc_tbdc_metrics.py of https://github.com/SVIL2024/ST-RD-VAD takes them in the files of the same kind for
Ped2 and Avenue.
"""

import os.path
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.truth_files import (
    FrameLabels,
    LabelFile,
    TrackBoxes,
    TrackFile,
    read_text,
    track_boxes,
    whole_number,
)

EXPECTED = """  Train/TrainNNN/FFF.jpg       normal
  Test/TestNNN/FFF.jpg         to be scored, numbered from 1
  Test/TestNNN/TestNNN_gt.txt  optional (or Test/TestNNN_gt.txt): a line 'FFF.jpg track x y width height' for each box
                               of an anomalous track, x y its centre; all other frames are normal
  test_tracks/TestNNN.txt      optional: track_id,frame,x1,y1,x2,y2, frames as in the files' names (or .csv)"""
DOWNLOAD = "https://www.merl.com/demos/video-anomaly-detection has the link to it"
MARKERS = ("Train", "Test")
FORM = "must be 'FFF.jpg track x y width height': the frame's file, the track, the box's centre and size"


def read(root: Path) -> list[RawVideo]:
    tests = list_videos(root / "Test", "test", skip_suffix="_gt.txt")
    return list_videos(root / "Train", "train") + [_with_truth(video, root / "Test") for video in tests]


def track_file(video: RawVideo, path: Path) -> TrackFile:
    return TrackFile(path)


def _with_truth(video: RawVideo, tests: Path) -> RawVideo:
    """The video with the tracks of its ground truth file, if there is one, and labels from them."""
    name = f"{video.id}_gt.txt"
    path = next(filter(os.path.lexists, (tests / video.id / name, tests / name)), None)
    if path is None:
        return video
    source = video.source
    if isinstance(source, ImageFolder):  # the file among the frames is not ignored
        source = replace(source, notes=tuple(note for note in source.notes if note[0] != name))
    labels = LabelFile(path, partial(read_labels, path))
    return replace(video, source=source, labels=labels, tracks=TrackFile(path, parse=read_ground_truth))


def read_labels(path: Path) -> FrameLabels:
    """A frame is anomalous if a track has a box in it."""
    numbers = np.unique(read_ground_truth(path).number)
    return FrameLabels(path, numbers, np.ones(len(numbers), np.uint8), rest=0)


def read_ground_truth(path: Path) -> TrackBoxes:
    """The boxes of a ground truth file, by the numbers in the names of their frames' files.

    Raises DataError with the line that is wrong, as `truth_files.read_tracks` does.
    """
    lines = ((i, line, _values(line)) for i, line in enumerate(read_text(path).splitlines(), 1) if line.strip())
    return track_boxes(path, lines, FORM)


def _values(line: str) -> Sequence[float]:
    """Track, frame and corners of a box; () for a line of another form."""
    cells = line.split()
    number = whole_number(PurePosixPath(cells[0].replace("\\", "/")).name.partition(".")[0])
    try:
        track, x, y, width, height = map(float, cells[1:])
    except ValueError:
        return ()
    return () if number is None else (track, number, x - width / 2, y - height / 2, x + width / 2, y + height / 2)
