"""What the commands that draw pictures share: the video and the frames that `show` names."""

from collections.abc import Sequence

import numpy as np

from pixelplay.config import alternatives
from pixelplay.errors import ConfigError
from pixelplay.videos.video import Video


def video_called(name: str, videos: Sequence[Video]) -> Video:
    """The one of the videos with this id; raises ConfigError that lists those there are."""
    by_id = {video.id: video for video in videos}
    if name not in by_id:
        split = videos[0].split if videos else "such"
        raise ConfigError(f"show.video={name!r}: no such {split} video; {alternatives(name, list(by_id))}")
    return by_id[name]


def positions_of(video: Video, numbers: Sequence[int]) -> list[int]:
    """Positions of the frames with these numbers; raises ConfigError for one that the video lacks."""
    lacking = [number for number in numbers if number not in video.numbers]
    if lacking:
        first, last = video.numbers[0], video.numbers[-1]
        raise ConfigError(f"show.frames: video {video.id} has no frame {lacking[0]}; it has frames {first} to {last}")
    return [int(np.searchsorted(video.numbers, number)) for number in numbers]
