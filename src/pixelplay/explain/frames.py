"""What pictures are made from: the frames that `show` names or where scores peak, their pixels, trained detectors."""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.signal import find_peaks

from pixelplay.detectors import registry
from pixelplay.errors import ConfigError
from pixelplay.evaluation.score_tables import read_scores
from pixelplay.run.files import RunFiles
from pixelplay.settings import alternatives
from pixelplay.training.device import find_device
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.index import Index
from pixelplay.videos.truth import VideoTruth
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

Contract = TypeVar("Contract")
Chosen = tuple[Video, int, float]  # a frame: its video, its position there, its score


def trained(config: "Config", name: str, contract: type[Contract]) -> Contract | None:
    """A trained detector of the run, with the first of several seeds; None if it does not fulfil this contract."""
    detector = registry.create(name, config.detectors[name], find_device(config.device))
    if not isinstance(detector, contract):
        return None
    detector.load(RunFiles.of(config).detector(name, config.trained_seeds[0]))
    return detector


def video_called(name: str, videos: Sequence[Video]) -> Video:
    """The video with this id; raises ConfigError that lists the existing ones."""
    by_id = {video.id: video for video in videos}
    if name not in by_id:
        split = videos[0].split if videos else "such"
        raise ConfigError(f"show.video={name!r}: no such {split} video; {alternatives(name, list(by_id))}")
    return by_id[name]


def positions_of(video: Video, numbers: Sequence[int]) -> list[int]:
    """Positions of the frames with these numbers; raises ConfigError for a number that the video does not have."""
    unknown = [number for number in numbers if number not in video.numbers]
    if unknown:
        first, last = video.numbers[0], video.numbers[-1]
        raise ConfigError(f"show.frames: video {video.id} has no frame {unknown[0]}; it has frames {first} to {last}")
    return [int(np.searchsorted(video.numbers, number)) for number in numbers]


def scores_of(config: "Config", name: str, index: Index) -> dict[str, np.ndarray]:
    """A detector's raw scores of the test videos, float64 [T] by video: those of its default stream."""
    table = read_scores(config, name, index)
    own = table[(table["split"] == "test") & (table["stream"] == name)].set_index("frame")
    return {str(video): rows["score"].to_numpy(np.float64) for video, rows in own.groupby("video", sort=False)}


def chosen_frames(config: "Config", index: Index, scores: dict[str, np.ndarray]) -> list[Chosen]:
    """The frames that `show` names, or else where the `scores`, [T] by video, peak, and the lowest of all."""
    show = config.show
    videos = index.test if show.video is None else [video_called(show.video, index.test)]

    def chosen(video: Video, t: int) -> Chosen:
        return video, t, float(scores[video.id][t])

    if show.frames:  # of one video: `ShowConfig` checks it
        return [chosen(video, t) for video in videos for t in positions_of(video, show.frames)]
    count = 1 if show.video is None else show.count  # one peak per video, so that no video fills the picture
    peaks = [chosen(v, t) for v in videos for t in peaks_of(scores[v.id], count, config.report.min_gap)]
    lowest = [chosen(video, int(scores[video.id].argmin())) for video in videos]
    score = itemgetter(2)
    return [*sorted(peaks, key=score, reverse=True)[: show.count], min(lowest, key=score)]


def peaks_of(scores: np.ndarray, count: int, min_gap: int) -> list[int]:
    """Positions of the highest local maxima of scores (T,), highest first, more than `min_gap` frames apart."""
    padded = np.concatenate([[-np.inf], scores, [-np.inf]])  # so that the first and the last frame can be maxima
    maxima = find_peaks(padded, distance=min_gap + 1)[0] - 1
    return sorted(maxima.tolist(), key=lambda t: (-scores[t], t))[:count]


def full_size_frames(video: Video, positions: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Position and frame in its original size, corrupted ones corrected, uint8 (H, W, 3) RGB, by ascending position.

    From a folder of images only these are decoded; a video file is read once, from the first to the last of them.
    Raises as `Video.full_size`.
    """
    wanted = np.unique(np.array(positions, np.int64))
    folder = video.originals is not None and isinstance(video.originals.source, ImageFolder)
    blocks = np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1) if folder else [wanted]
    chosen = set(wanted.tolist())
    for block in filter(len, blocks):
        first, stop = int(block[0]), int(block[-1]) + 1
        frames = enumerate(video.block(first, stop).full_size(), first)
        yield from ((t, frame) for t, frame in frames if t in chosen)


def label_of(truth: VideoTruth, position: int) -> str:
    """A frame's label in words, in brackets; '' where it is unknown."""
    if truth.labels is None:
        return ""
    return " (anomalous)" if truth.labels[position] else " (normal)"
