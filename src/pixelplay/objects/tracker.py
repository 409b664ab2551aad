"""Boxes followed through time by ByteTrack (Zhang et al., ECCV 2022), of Roboflow's `trackers`."""

from pixelplay.objects.boxes import Boxes
from pixelplay.objects.settings import TracksConfig
from pixelplay.objects.tracks import Tracks
from pixelplay.videos.video import Video

VERSION = 1  # raised when the same boxes give other tracks


def follow(boxes: Boxes, video: Video, config: TracksConfig) -> Tracks:
    """The tracks of all boxes of a whole video."""
    raise NotImplementedError
