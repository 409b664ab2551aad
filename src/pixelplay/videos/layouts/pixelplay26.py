"""Pixel Play '26: Avenue as numbered frames, the test frames corrupted, some missing; no labels."""

from pathlib import Path

from pixelplay.videos.layouts import avenue
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.truth_files import TrackFile

EXPECTED = """  training_videos/NN/frame_FFFFF.jpg   normal, clean
  testing_videos/NN/frame_FFFFF.jpg    to be scored: corrupted, numbered from 0 with gaps
  testing_label_mask/N_label.mat       optional: Avenue's own labels, by frame number
  test_tracks/NN.txt                   optional: Avenue's tracks, track_id,frame,x1,y1,x2,y2, by frame number"""
DOWNLOAD = (
    "pip install kaggle && kaggle competitions download -c pixel-play-26 -p data && "
    "unzip data/pixel-play-26.zip -d data/pixelplay26"
)
MARKERS = avenue.MARKERS


def read(root: Path) -> list[RawVideo]:
    """Label i belongs to frame number i; some are unused, since videos start late and have gaps."""
    return avenue.read(root, whole=False)


def track_file(video: RawVideo, path: Path) -> TrackFile:
    return TrackFile(path, whole=False)
