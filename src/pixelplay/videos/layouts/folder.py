"""Any footage: folders of frames or video files, with or without ground truth for the test videos."""

import os.path
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.mask_files import MaskFiles
from pixelplay.videos.truth_files import FrameLabels, LabelFile, TrackFile, outside_frames, read_rows, whole_number

EXPECTED = """  train/<video>/<frame>.jpg    or train/<video>.mp4: normal (.jpg .png .tif .bmp; .avi .mp4 .mkv .mov)
  test/<video>/<frame>.jpg     or test/<video>.mp4: to be scored
  test_labels/<video>.csv      optional: frame,label (0 or 1), one row a frame
  test_masks/<video>/<frame>.png   optional: masks of anomalous pixels, none where a frame has none
  test_tracks/<video>.csv      optional: track_id,frame,x1,y1,x2,y2 (or .txt, as published)
  <frame> and frame: the number in the name of the frame's file; frames of video files count from 0"""
MARKERS = ("train", "test")


def read(root: Path) -> list[RawVideo]:
    return list_videos(root / "train", "train") + [_with_truth(v, root) for v in list_videos(root / "test", "test")]


def track_file(video: RawVideo, path: Path) -> TrackFile:
    return TrackFile(path)


def _with_truth(video: RawVideo, root: Path) -> RawVideo:
    labels, folder = root / "test_labels" / f"{video.id}.csv", root / "test_masks" / video.id
    if os.path.lexists(labels):
        video = replace(video, labels=LabelFile(labels, partial(read_labels, labels)))
    if folder.is_dir():
        masks = mask_folder(folder)
        if masks.files and isinstance(video.source, ImageFolder):
            first, last = video.source.numbers[0], video.source.numbers[-1]
            numbers = np.array(list(masks.files), np.int64)
            masks.remarks.extend(outside_frames(folder, numbers, first, last, "masks are named after their frames"))
        video = replace(video, masks=masks)
    return video


def read_labels(path: Path) -> FrameLabels:
    """Labels of a CSV with the columns frame and label; raises DataError with the line that is wrong."""
    rows = read_rows(path)
    _, columns = next(rows, (1, []))
    if not {"frame", "label"} <= set(columns):
        raise DataError(f"{path}: the first line must name the columns frame,label; it is {str(columns)[:200]}")
    values: dict[int, int] = {}
    for line, cells in rows:
        row = dict(zip(columns, cells, strict=False))
        number = whole_number(row.get("frame", ""))
        if number is None or row.get("label") not in ("0", "1"):
            raise DataError(f"{path}, line {line}: a frame number and a label 0 or 1, not {str(cells)[:200]}")
        if number in values:
            raise DataError(f"{path}, line {line}: a second label for frame {number}; keep one")
        values[number] = int(row["label"])
    table = np.array(sorted(values.items()), np.int64).reshape(-1, 2)
    return FrameLabels(path, table[:, 0], table[:, 1].astype(np.uint8))


def mask_folder(folder: Path) -> MaskFiles:
    """Mask images by the frame number in their names; in an empty folder no frame has anomalous pixels."""
    if all(entry.name.startswith(".") for entry in folder.iterdir()):
        return MaskFiles("images", str(folder), {})
    images = ImageFolder.scan(folder)
    files = dict(zip(images.numbers, images.names, strict=True))
    return MaskFiles("images", str(folder), files, remarks=images.remarks(len(files)))
