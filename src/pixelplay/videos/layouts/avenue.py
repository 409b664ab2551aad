"""CUHK Avenue (Lu et al., ICCV 2013): video files, ground truth as MATLAB cell arrays of masks."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.truth import FrameLabels, PixelMasks, load_avenue_masks

EXPECTED = """  training_videos/NN.avi       normal (a video file or a folder of frames)
  testing_videos/NN.avi        to be scored
  testing_label_mask/N_label.mat   optional: cell array volLabel, a mask for each frame"""
MARKERS = ("training_videos", "testing_videos")


def read(root: Path, exact: bool = True) -> list[RawVideo]:
    """`exact=False` where single frames are missing on disk: labels then belong to frame numbers, some unused."""
    tests = list_videos(root / "testing_videos", "test")
    return list_videos(root / "training_videos", "train") + [_with_truth(video, root, exact) for video in tests]


def _with_truth(video: RawVideo, root: Path, exact: bool) -> RawVideo:
    name = str(int(video.id)) if video.id.isdigit() else video.id
    for folder in ("testing_label_mask", "ground_truth_demo/testing_label_mask"):
        path = root / folder / f"{name}_label.mat"
        if path.is_file():
            values = np.array([bool(mask.any()) for mask in load_avenue_masks(path)], np.uint8)
            labels = FrameLabels(path, np.arange(len(values)), values, exact)
            return replace(video, labels=labels, masks=PixelMasks("avenue_mat", str(path)))
    return video
