"""ShanghaiTech Campus (Liu et al., CVPR 2018): training videos, test frame folders, masks as NumPy arrays."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.truth_files import FrameLabels, LabelFile, PixelMasks, load_npy

EXPECTED = """  training/videos/SS_NNN.avi           normal (or training/frames/SS_NNN/FFF.jpg)
  testing/frames/SS_NNNN/FFF.jpg       to be scored, numbered from 0
  testing/test_frame_mask/SS_NNNN.npy  optional: a label 0 or 1 for each frame
  testing/test_pixel_mask/SS_NNNN.npy  optional: a mask for each frame
  test_tracks/SS_NNNN.txt              optional: track_id,frame,x1,y1,x2,y2 (or .csv)"""
MARKERS = ("training", "testing/frames")


def read(root: Path) -> list[RawVideo]:
    training = root / "training"
    folder = next((training / name for name in ("videos", "frames") if (training / name).is_dir()), training)
    tests = list_videos(root / "testing" / "frames", "test")
    return list_videos(folder, "train") + [_with_truth(video, root / "testing") for video in tests]


def _with_truth(video: RawVideo, testing: Path) -> RawVideo:
    first = video.source.numbers[0] if isinstance(video.source, ImageFolder) else 0
    label_file = testing / "test_frame_mask" / f"{video.id}.npy"
    mask_file = testing / "test_pixel_mask" / f"{video.id}.npy"
    return replace(
        video,
        labels=LabelFile(label_file, partial(read_labels, label_file, first)) if label_file.is_file() else None,
        masks=PixelMasks("npy", str(mask_file), first=first) if mask_file.is_file() else None,
    )


def read_labels(path: Path, first: int) -> FrameLabels:
    """Labels of a .npy row of 0 and 1; `first` is the number of the video's first frame."""
    values = load_npy(path)
    if values.ndim != 1 or not np.isin(values, (0, 1)).all():
        raise DataError(f"{path}: labels must be a row of 0 and 1, one for each frame; shape {values.shape}")
    return FrameLabels(path, np.arange(first, first + len(values)), values.astype(np.uint8))
