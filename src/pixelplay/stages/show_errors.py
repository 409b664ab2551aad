"""Error maps to look at: for chosen test frames what went in, what came out, and the squared error between them."""

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.artifacts import RunFiles, read_table
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.stages import prepare, score
from pixelplay.stages.showing import positions_of, video_called
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing them imports torch and matplotlib
    from pixelplay.detectors.base import Reconstructs
    from pixelplay.report.panels import View

log = logging.getLogger(__name__)

APART = 16  # frames between two peaks of one video
Chosen = tuple[Video, int, float]  # a frame: its video, its position there, its score


def run(config: Config) -> None:
    """Write a picture for each detector of the run that reconstructs."""
    from pixelplay.report.panels import write_panels

    files = RunFiles.of(config)
    drawn = 0
    for name in config.detectors:
        rows = error_maps(config, name)
        if rows:
            path = files.error_maps(name, config.show.video)
            order = "as asked for" if config.show.frames else "highest scores first, the last row scores lowest"
            write_panels(path, rows, f"{name}: frames {order}")
            log.info(f"{name} -> {path}")
            drawn += 1
    if not drawn:
        raise ConfigError(
            f"none of {', '.join(config.detectors)} reconstructs frames: detector=[conv_ae], for instance"
        )


def error_maps(config: Config, name: str) -> "list[list[View]]":
    """A row of views for each chosen frame; none for a detector that does not reconstruct.

    Raises MissingArtifactError when the detector has not scored with these settings.
    """
    from pixelplay.detectors.base import Reconstructs
    from pixelplay.training.device import find_device

    index = prepare.load_index(config)
    detector = registry.create(name, config.detectors[name], find_device(config.device))
    if not isinstance(detector, Reconstructs):
        return []
    files = RunFiles.of(config)
    if not score.is_scored(config, name, index):
        raise MissingArtifactError(
            f"{files.scores(name)}: no scores made with these settings: run `./run_all.sh` with the same options"
        )
    detector.load(files.detector(name))
    table = read_table(files.scores(name), made_by="score")
    scores = table[(table["split"] == "test") & (table["stream"] == name)]
    return _views(detector, config, name, _chosen(config, index, scores))


def _chosen(config: Config, index: Index, scores: pd.DataFrame) -> list[Chosen]:
    """The frames to show: as asked for, or where the scores peak and one where they are lowest."""
    by_video = {str(video): rows["score"].to_numpy() for video, rows in scores.groupby("video", sort=False)}
    show = config.show
    if show.video is None:  # one peak a video, so that one video does not fill the picture
        peaks = [(video, int(by_video[video.id].argmax())) for video in index.test]
    else:
        video = video_called(show.video, index.test)
        positions = positions_of(video, show.frames) if show.frames else _peaks(by_video[video.id], show.count)
        peaks = [(video, t) for t in positions]
    chosen = [(video, t, float(by_video[video.id][t])) for video, t in peaks]
    if show.frames:
        return chosen
    videos = index.test if show.video is None else [video]
    lowest = [(video, int(by_video[video.id].argmin()), float(by_video[video.id].min())) for video in videos]
    return [*sorted(chosen, key=lambda one: -one[2])[: show.count], min(lowest, key=lambda one: one[2])]


def _peaks(scores: np.ndarray, count: int) -> list[int]:
    """Positions of the highest scores (T,), none nearer than APART to a higher one."""
    left = scores.astype(np.float64)
    found: list[int] = []
    while len(found) < count and np.isfinite(left).any():
        peak = int(left.argmax())
        found.append(peak)
        left[max(0, peak - APART) : peak + APART + 1] = -np.inf
    return found


def _views(detector: "Reconstructs", config: Config, name: str, chosen: list[Chosen]) -> "list[list[View]]":
    from pixelplay.report.panels import View, in_shape_of

    frame_format = config.detectors[name].frames
    assert frame_format is not None
    shown = [(video, t, value, *detector.reconstruct(video, [t])) for video, t, value in chosen]
    largest = max(float(errors.max()) for *_, errors in shown)  # one scale, so that rows can be compared
    rows = []
    for video, t, value, output, errors in shown:
        label = "" if video.labels is None else " (anomalous)" if video.labels[t] else " (normal)"
        rows.append(
            [
                View(in_shape_of(video.size, video.frames(frame_format)[t]), f"{video.id}, frame {video.numbers[t]}"),
                View(in_shape_of(video.size, output[0] * 255), "reconstruction"),
                View(in_shape_of(video.size, errors[0]), f"squared error, score {value:.4g}{label}", largest),
            ]
        )
    return rows
