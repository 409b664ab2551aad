"""UCSD Ped1 and Ped2 (Mahadevan et al., CVPR 2010): frame folders, masks beside them, labels in MATLAB code."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.folder import mask_folder
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.mask_files import MaskFiles
from pixelplay.videos.truth_files import (
    FrameLabels,
    LabelFile,
    TrackFile,
    counting_remarks,
    first_frame,
    is_complete,
    read_text,
    whole_number,
    without_gaps,
)

EXPECTED = """  Train/TrainNNN/FFF.tif       normal (.tif .jpg .png .bmp)
  Test/TestNNN/FFF.tif         to be scored, numbered from 1 (or from 0)
  Test/TestNNN_gt/FFF.bmp      optional: masks of anomalous pixels (.bmp .png), one for each frame
  Test/UCSDped2.m              optional: frame labels, gt_frame = [61:180]; they win over the masks
  test_tracks/TestNNN.txt      optional: track_id,frame,x1,y1,x2,y2, frames from 1 (or .csv)"""
DOWNLOAD = (
    "curl -fLO http://www.svcl.ucsd.edu/projects/anomaly/UCSD_Anomaly_Dataset.tar.gz && "
    "tar xf UCSD_Anomaly_Dataset.tar.gz && mkdir -p data && mv UCSD_Anomaly_Dataset.v1p2/UCSDped2 data/ped2"
)
MARKERS = ("Train", "Test")
COUNTS_FROM = 1  # gt_frame, the names of masks, and frames in track files


def read(root: Path) -> list[RawVideo]:
    tests = list_videos(root / "Test", "test", skip_suffix=("_gt", ".m"))
    tests = [_with_masks(video, root / "Test" / f"{video.id}_gt") for video in tests]
    files = sorted([*root.glob("[!.]*.m"), *(root / "Test").glob("[!.]*.m")])  # no hidden copies
    return list_videos(root / "Train", "train") + (read_gt_frames(files[0], tests) if files else tests)


def track_file(video: RawVideo, path: Path) -> TrackFile:
    return TrackFile(path, COUNTS_FROM, _first_frame(video, path))


def _first_frame(video: RawVideo, truth: Path) -> int:
    """Number of the frame that truth files call 1."""
    masks = sorted(video.masks.files) if isinstance(video.masks, MaskFiles) else []
    return first_frame(video.source, COUNTS_FROM, truth, len(masks) if masks and without_gaps(masks) else None)


def _with_masks(video: RawVideo, folder: Path) -> RawVideo:
    if not folder.is_dir():
        return video
    masks = _renumbered(video, folder, mask_folder(folder))
    labels = LabelFile(folder, partial(labels_from_masks, masks, is_complete(video.source)))
    return replace(video, masks=masks, labels=labels)


def _renumbered(video: RawVideo, folder: Path, masks: MaskFiles) -> MaskFiles:
    """The masks by the numbers of their frames; raises DataError if the assignment is ambiguous.

    If there is a mask for each frame, and no frame is missing, they belong together in order. Otherwise masks count
    from 0 if there is a mask 0, else from 1; all must be there if frames count from another number.
    """
    source, numbers = video.source, sorted(masks.files)
    if not numbers:
        return masks
    first, counts_from = _first_frame(replace(video, masks=masks), folder), min(numbers[0], 1)
    complete = without_gaps(numbers)
    if complete and isinstance(source, ImageFolder) and is_complete(source) and len(numbers) == len(source.numbers):
        counts_from = numbers[0]
    elif first != counts_from and not (complete and numbers[0] == counts_from):
        raise DataError(
            f"{folder}: {len(numbers)} masks numbered {numbers[0]} to {numbers[-1]}, frames that count from "
            f"{first}: which belong together is ambiguous; store a mask for each frame, or number both alike"
        )
    files = {number - counts_from + first: name for number, name in masks.files.items()}
    return replace(masks, files=files, remarks=masks.remarks + counting_remarks(folder, counts_from, first))


def labels_from_masks(masks: MaskFiles, exact: bool) -> FrameLabels:
    """A frame is anomalous if its mask is not empty; reads every mask image once."""
    numbers = sorted(masks.files)
    values = [masks.image(number).any() for number in numbers]
    return FrameLabels(Path(masks.path), np.array(numbers, np.int64), np.array(values, np.uint8), exact)


def read_gt_frames(path: Path, videos: list[RawVideo]) -> list[RawVideo]:
    """The videos with labels of lines `TestVideoFile{end+1}.gt_frame = [a:b, c:d];`, one for each in turn."""
    lines = re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", read_text(path))
    if len(lines) != len(videos):
        raise DataError(f"{path}: {len(lines)} gt_frame lines for {len(videos)} test videos; they must match")
    return [
        replace(video, labels=LabelFile(path, partial(_labels_of_line, path, video, line)))
        for video, line in zip(videos, lines, strict=True)
    ]


def _labels_of_line(path: Path, video: RawVideo, line: str) -> FrameLabels:
    said = f"{path}: gt_frame of {video.id}"
    if not isinstance(video.source, ImageFolder):
        raise DataError(f"{said} counts frames of a folder, and {video.id} is a video file")
    numbers, first = np.array(video.source.numbers, np.int64), _first_frame(video, path)
    counted = numbers - first + COUNTS_FROM  # as gt_frame counts
    values = np.zeros(len(numbers), np.uint8)
    for part in re.sub(r"\s*:\s*", ":", line).replace(",", " ").split():
        ends = [whole_number(end) for end in part.split(":")]  # of 61:180, or of 61
        start, stop = ends[0], ends[-1]
        if len(ends) > 2 or start is None or stop is None:
            raise DataError(f"{said} has {part[:80]!r}, not a range such as 61:180")
        if not COUNTS_FROM <= start <= stop:
            raise DataError(f"{said} has {part!r}: frames count from {COUNTS_FROM}, and a range goes upwards")
        if stop > counted[-1]:
            raise DataError(f"{said} goes to {stop}, its last frame is {counted[-1]}")
        values[(counted >= start) & (counted <= stop)] = 1
    return FrameLabels(path, numbers, values, remarks=counting_remarks(path, COUNTS_FROM, first))
