"""Pixel Play '26: Avenue as numbered frames, the test frames corrupted, some missing; no labels."""

from pathlib import Path

from pixelplay.videos.layouts import avenue
from pixelplay.videos.layouts.raw import RawVideo

EXPECTED = """  training_videos/NN/frame_FFFFF.jpg   normal, clean
  testing_videos/NN/frame_FFFFF.jpg    to be scored: corrupted, numbered from 0 with gaps
  testing_label_mask/N_label.mat       optional: Avenue's own labels, by frame number
  test_tracks/NN.txt                   optional: Avenue's tracks, track_id,frame,x1,y1,x2,y2"""
MARKERS = avenue.MARKERS


def read(root: Path) -> list[RawVideo]:
    return avenue.read(root, exact=False)
