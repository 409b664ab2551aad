"""ShanghaiTech Campus (Liu et al., CVPR 2018): training videos, test frame folders, masks as NumPy arrays."""

import os.path
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.mask_files import MaskFiles, load_npy
from pixelplay.videos.truth_files import FrameLabels, LabelFile, TrackFile, counting_remarks, first_frame, is_complete

EXPECTED = """  training/videos/SS_NNN.avi           normal (or training/frames/SS_NNN/FFF.jpg)
  testing/frames/SS_NNNN/FFF.jpg       to be scored, numbered from 0 (or from 1, where no frame is missing)
  testing/test_frame_mask/SS_NNNN.npy  optional: a label 0 or 1 for each frame
  testing/test_pixel_mask/SS_NNNN.npy  optional: a mask for each frame
  test_tracks/SS_NNNN.txt              optional: track_id,frame,x1,y1,x2,y2, frames from 0 (or .csv)"""
DOWNLOAD = "https://svip-lab.github.io/dataset/campus_dataset.html has the links to it"
MARKERS = ("training", "testing/frames")
COUNTS_FROM = 0  # masks and labels by their position in an array; frames in track files
MAX_LABELS = 10_000_000  # in a file; 90 hours of video


def read(root: Path) -> list[RawVideo]:
    training = root / "training"
    folder = next((training / name for name in ("videos", "frames") if (training / name).is_dir()), training)
    tests = list_videos(root / "testing" / "frames", "test")
    return list_videos(folder, "train") + [_with_truth(video, root / "testing") for video in tests]


def track_file(video: RawVideo, path: Path) -> TrackFile:
    return TrackFile(path, COUNTS_FROM, first_frame(video.source, COUNTS_FROM, path))


def _with_truth(video: RawVideo, testing: Path) -> RawVideo:
    label_file, mask_file = (testing / f"test_{kind}_mask" / f"{video.id}.npy" for kind in ("frame", "pixel"))
    if os.path.lexists(label_file):
        first = first_frame(video.source, COUNTS_FROM, label_file)
        read = partial(read_labels, label_file, first, is_complete(video.source))
        video = replace(video, labels=LabelFile(label_file, read))
    if os.path.lexists(mask_file):
        first = first_frame(video.source, COUNTS_FROM, mask_file)
        remarks = counting_remarks(mask_file, COUNTS_FROM, first)
        video = replace(video, masks=MaskFiles("npy", str(mask_file), first=first, remarks=remarks))
    return video


def read_labels(path: Path, first: int, exact: bool) -> FrameLabels:
    """Labels of a .npy row of 0 and 1; `first` is the number of the first one's frame."""
    values = load_npy(path)
    if values.ndim != 1 or len(values) > MAX_LABELS or not np.isin(values, (0, 1)).all():
        raise DataError(f"{path}: labels must be a row of 0 and 1, one for each frame; shape {values.shape}")
    numbers = np.arange(first, first + len(values))
    return FrameLabels(path, numbers, values.astype(np.uint8), exact, counting_remarks(path, COUNTS_FROM, first))
