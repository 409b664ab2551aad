"""CUHK Avenue (Lu et al., ICCV 2013): video files, ground truth as MATLAB cell arrays of masks."""

import os.path
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pixelplay.videos.layouts.raw import RawVideo, list_videos, unpadded
from pixelplay.videos.mask_files import MaskFiles, load_avenue_masks
from pixelplay.videos.truth_files import FrameLabels, LabelFile, TrackFile, counting_remarks, first_frame, is_complete

EXPECTED = """  training_videos/NN.avi       normal (a video file or a folder of frames)
  testing_videos/NN.avi        to be scored
  testing_label_mask/N_label.mat   optional: cell array volLabel, a mask for each frame
  test_tracks/NN.txt           optional: track_id,frame,x1,y1,x2,y2, frames from 0 (or N.txt, or .csv)"""
DOWNLOAD = (
    "curl -fLO http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/Avenue_Dataset.zip && "
    "curl -fLO http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/ground_truth_demo.zip && mkdir -p data && "
    "unzip Avenue_Dataset.zip && mv 'Avenue Dataset' data/avenue && unzip ground_truth_demo.zip -d data/avenue"
)
MARKERS = ("training_videos", "testing_videos")
COUNTS_FROM = 0  # masks by their position in the cell array; frames in track files


def read(root: Path, whole: bool = True) -> list[RawVideo]:
    """`whole`: whether test videos have all their frames; if not, mask i belongs to frame number i."""
    training, tests = (list_videos(root / MARKERS[i], split) for i, split in enumerate(("train", "test")))
    return training + [_with_truth(video, root, whole) for video in tests]


def track_file(video: RawVideo, path: Path) -> TrackFile:
    return TrackFile(path, COUNTS_FROM, first_frame(video.source, COUNTS_FROM, path))


def _with_truth(video: RawVideo, root: Path, whole: bool) -> RawVideo:
    """The video with labels and masks of its label file, if there is one."""
    name = f"testing_label_mask/{unpadded(video.id)}_label.mat"
    path = next(filter(os.path.lexists, (root / name, root / "ground_truth_demo" / name)), None)
    if path is None:
        return video
    first = first_frame(video.source, COUNTS_FROM, path) if whole else 0
    labels = LabelFile(path, partial(read_labels, path, first, whole and is_complete(video.source)))
    masks = MaskFiles("avenue_mat", str(path), first=first, remarks=counting_remarks(path, COUNTS_FROM, first))
    return replace(video, labels=labels, masks=masks)


def read_labels(path: Path, first: int, exact: bool) -> FrameLabels:
    """A frame is anomalous if its mask is not empty; `first` is the number of the first mask's frame."""
    values = load_avenue_masks(path).anomalous.astype(np.uint8)
    remarks = counting_remarks(path, COUNTS_FROM, first)
    return FrameLabels(path, np.arange(first, first + len(values)), values, exact, remarks)
