"""An example of a data set layout: normal videos and videos to score in one folder, told apart by their names.

To use it, copy this file to src/pixelplay/videos/layouts/ and configs/dataset/numbered_clips.yaml to the folder of that
name, then run `./run_all.sh experiment=folder dataset=numbered_clips dataset.root=FOLDER`.
"""

from dataclasses import replace
from pathlib import Path

from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.truth_files import TrackFile

EXPECTED = """  clips/normal_NNN.mp4     normal (or a folder of frames, clips/normal_NNN/FFF.jpg)
  clips/test_NNN.mp4       to be scored
  test_tracks/NAME.csv     optional: track_id,frame,x1,y1,x2,y2"""  # shown in errors
MARKERS = ("clips",)  # folders by which the root is found


def read(root: Path) -> list[RawVideo]:
    videos = list_videos(root / "clips", "train")
    return [replace(video, split="train" if video.id.startswith("normal_") else "test") for video in videos]


def track_file(video: RawVideo, path: Path) -> TrackFile:
    return TrackFile(path)  # frames in track files are counted as in the video
