"""Any footage: folders of frames or video files, with or without ground truth for the test videos."""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.truth_files import FrameLabels, LabelFile, PixelMasks

EXPECTED = """  train/<video>/<frame>.jpg    or train/<video>.mp4: normal (.jpg .png .tif .bmp; .avi .mp4 .mkv .mov)
  test/<video>/<frame>.jpg     or test/<video>.mp4: to be scored
  test_labels/<video>.csv      optional: frame,label (0 or 1), one row a frame
  test_masks/<video>/<frame>.png   optional: masks of anomalous pixels, none where a frame has none
  test_tracks/<video>.csv      optional: track_id,frame,x1,y1,x2,y2 (or .txt, as published)"""
MARKERS = ("train", "test")


def read(root: Path) -> list[RawVideo]:
    return list_videos(root / "train", "train") + [_with_truth(v, root) for v in list_videos(root / "test", "test")]


def _with_truth(video: RawVideo, root: Path) -> RawVideo:
    labels, masks = root / "test_labels" / f"{video.id}.csv", root / "test_masks" / video.id
    return replace(
        video,
        labels=LabelFile(labels, partial(read_labels, labels)) if labels.is_file() else None,
        masks=mask_folder(masks) if masks.is_dir() else None,
    )


def read_labels(path: Path) -> FrameLabels:
    """Labels of a CSV with the columns frame and label; raises DataError with the line that is wrong."""
    numbers, values = [], []
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:  # spreadsheets write a byte-order mark
        rows = csv.DictReader(file)
        if not {"frame", "label"} <= set(rows.fieldnames or []):
            raise DataError(f"{path}: the first line must name the columns frame,label; it is {rows.fieldnames}")
        for row in rows:
            if not (row["frame"] or "").isdecimal() or row["label"] not in ("0", "1"):
                raise DataError(f"{path}, line {rows.line_num}: a frame number and a label 0 or 1, not {row}")
            numbers.append(int(row["frame"]))
            values.append(int(row["label"]))
    order = np.argsort(numbers, kind="stable")
    return FrameLabels(path, np.array(numbers, np.int64)[order], np.array(values, np.uint8)[order])


def mask_folder(folder: Path) -> PixelMasks:
    """Mask images by the frame number in their names; an empty folder says that no frame has anomalous pixels."""
    if all(entry.name.startswith(".") for entry in folder.iterdir()):
        return PixelMasks("images", str(folder), {})
    images = ImageFolder.scan(folder)
    return PixelMasks("images", str(folder), dict(zip(images.numbers, images.names, strict=True)))
