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
from pixelplay.videos.truth_files import FrameLabels, LabelFile, PixelMasks, read_mask_image

EXPECTED = """  Train/TrainNNN/FFF.tif       normal (.tif .jpg .png .bmp)
  Test/TestNNN/FFF.tif         to be scored
  Test/TestNNN_gt/FFF.bmp      optional: masks of anomalous pixels (.bmp .png), one for each frame
  Test/UCSDped2.m              optional: frame labels, gt_frame = [61:180]; they win over the masks
  test_tracks/TestNNN.txt      optional: track_id,frame,x1,y1,x2,y2 (or .csv)"""
MARKERS = ("Train", "Test")


def read(root: Path) -> list[RawVideo]:
    tests = list_videos(root / "Test", "test", skip_suffix=("_gt", ".m"))
    files = sorted([*root.glob("[!.]*.m"), *(root / "Test").glob("[!.]*.m")])  # no hidden copies
    labels = read_gt_frames(files[0], tests) if files else {}
    return list_videos(root / "Train", "train") + [_with_truth(video, root, labels) for video in tests]


def _with_truth(video: RawVideo, root: Path, labels: dict[str, LabelFile]) -> RawVideo:
    folder = root / "Test" / f"{video.id}_gt"
    masks = mask_folder(folder) if folder.is_dir() else None
    from_masks = LabelFile(folder, partial(labels_from_masks, masks)) if masks else None
    return replace(video, labels=labels.get(video.id, from_masks), masks=masks)


def labels_from_masks(masks: PixelMasks) -> FrameLabels:
    """A frame is anomalous where its mask is not empty; reads every mask image once."""
    files = masks.files or {}
    values = [read_mask_image(Path(masks.path) / name).any() for name in files.values()]
    return FrameLabels(Path(masks.path), np.array(list(files), np.int64), np.array(values, np.uint8))


def read_gt_frames(path: Path, videos: list[RawVideo]) -> dict[str, LabelFile]:
    """Labels of `TestVideoFile{end+1}.gt_frame = [a:b, c:d];` lines, one for each test video in turn."""
    lines = re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", path.read_text(encoding="utf-8", errors="replace"))
    if len(lines) != len(videos):
        raise DataError(f"{path}: {len(lines)} gt_frame lines for {len(videos)} test videos; they must match")
    return {
        video.id: LabelFile(path, partial(_labels_of_line, path, video, line))
        for video, line in zip(videos, lines, strict=True)
    }


def _labels_of_line(path: Path, video: RawVideo, line: str) -> FrameLabels:
    if not isinstance(video.source, ImageFolder):
        raise DataError(f"{path}: gt_frame of {video.id} counts frames of a folder, and {video.id} is a video file")
    numbers = np.array(video.source.numbers, np.int64)
    values = np.zeros(len(numbers), np.uint8)
    for part in re.findall(r"[^,\s]+", line):
        first, _, last = part.partition(":")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise DataError(f"{path}: gt_frame of {video.id} has {part!r}, not a range such as 61:180")
        if int(last or first) > numbers[-1]:
            raise DataError(f"{path}: gt_frame of {video.id} goes to {last or first}, its last frame is {numbers[-1]}")
        values[(numbers >= int(first)) & (numbers <= int(last or first))] = 1
    return FrameLabels(path, numbers, values)
