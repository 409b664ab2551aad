"""What the commands that draw pictures share: the video and the frames that `show` names, or where scores peak."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.errors import ConfigError
from pixelplay.evaluation.score_tables import read_scores
from pixelplay.settings import alternatives
from pixelplay.stages import score
from pixelplay.videos.index import Index
from pixelplay.videos.truth import VideoTruth
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

APART = 16  # frames between two peaks of one video
Chosen = tuple[Video, int, float]  # a frame: its video, its position there, its score


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


def scores_of(config: "Config", name: str, index: Index) -> pd.DataFrame:
    """A detector's raw scores of the test videos, its default stream alone: columns split, video, frame, stream, score.

    Raises MissingArtifactError when it has not scored with these settings.
    """
    for task in score.tasks_of(config, name, index):
        task.verified()
    table = read_scores(config, name, index)
    return table[(table["split"] == "test") & (table["stream"] == name)]


def chosen_frames(config: "Config", index: Index, scores: pd.DataFrame) -> list[Chosen]:
    """The frames to show: as asked for, or where the `scores` peak and one where they are lowest."""
    by_video = {str(video): rows["score"].to_numpy() for video, rows in scores.groupby("video", sort=False)}
    show = config.show
    if show.video is None:  # one peak a video, so that one video does not fill the picture
        peaks = [(video, int(by_video[video.id].argmax())) for video in index.test]
    else:
        video = video_called(show.video, index.test)
        positions = positions_of(video, show.frames) if show.frames else peaks_of(by_video[video.id], show.count)
        peaks = [(video, t) for t in positions]
    chosen = [(video, t, float(by_video[video.id][t])) for video, t in peaks]
    if show.frames:
        return chosen
    videos = index.test if show.video is None else [video]
    lowest = [(video, int(by_video[video.id].argmin()), float(by_video[video.id].min())) for video in videos]
    return [*sorted(chosen, key=lambda one: -one[2])[: show.count], min(lowest, key=lambda one: one[2])]


def peaks_of(scores: np.ndarray, count: int) -> list[int]:
    """Positions of the highest scores (T,), none nearer than APART to a higher one."""
    left = scores.astype(np.float64)
    found: list[int] = []
    while len(found) < count and np.isfinite(left).any():
        peak = int(left.argmax())
        found.append(peak)
        left[max(0, peak - APART) : peak + APART + 1] = -np.inf
    return found


def label_of(truth: VideoTruth, position: int) -> str:
    """Whether the data set's labels call a frame anomalous, as a word in brackets; '' where it has none."""
    if truth.labels is None:
        return ""
    return " (anomalous)" if truth.labels[position] else " (normal)"
