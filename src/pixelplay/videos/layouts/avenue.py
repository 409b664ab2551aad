"""CUHK Avenue (Lu et al., ICCV 2013): video files, ground truth as MATLAB cell arrays of masks."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.truth_files import FrameLabels, LabelFile, PixelMasks, load_avenue_masks

EXPECTED = """  training_videos/NN.avi       normal (a video file or a folder of frames)
  testing_videos/NN.avi        to be scored
  testing_label_mask/N_label.mat   optional: cell array volLabel, a mask for each frame
  test_tracks/NN.txt           optional: track_id,frame,x1,y1,x2,y2 (or N.txt, or .csv)"""
MARKERS = ("training_videos", "testing_videos")


def read(root: Path, exact: bool = True) -> list[RawVideo]:
    """`exact=False` where single frames are missing on disk: label i is then frame number i's, and some are unused."""
    tests = list_videos(root / "testing_videos", "test")
    return list_videos(root / "training_videos", "train") + [_with_truth(video, root, exact) for video in tests]


def _with_truth(video: RawVideo, root: Path, exact: bool) -> RawVideo:
    name = str(int(video.id)) if video.id.isdecimal() else video.id
    # A whole video's frames may be numbered from 1 as well.
    first = video.source.numbers[0] if exact and isinstance(video.source, ImageFolder) else 0
    for folder in ("testing_label_mask", "ground_truth_demo/testing_label_mask"):
        path = root / folder / f"{name}_label.mat"
        if path.is_file():
            labels = LabelFile(path, partial(read_labels, path, first, exact))
            return replace(video, labels=labels, masks=PixelMasks("avenue_mat", str(path), first=first))
    return video


def read_labels(path: Path, first: int, exact: bool) -> FrameLabels:
    """A frame is anomalous where its mask is not empty; `first` is the number of the first mask's frame."""
    values = np.array([bool(mask.any()) for mask in load_avenue_masks(path)], np.uint8)
    return FrameLabels(path, np.arange(first, first + len(values)), values, exact)
