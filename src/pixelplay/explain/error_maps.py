"""Error maps of detectors that reconstruct: input, reconstruction, and the squared error between them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.detectors.base import Reconstructs
from pixelplay.explain.frames import chosen_frames, label_of, scores_of, trained
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.truth import load_labels
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing it imports matplotlib
    from pixelplay.config import Config
    from pixelplay.drawing.panels import View


def write_error_maps(config: "Config", index: Index) -> list[Path]:
    """Write a picture for each detector of the run that reconstructs; returns their paths."""
    from pixelplay.drawing.panels import write_panels

    written = []
    for name in config.detectors:
        if rows := error_maps(config, index, name):
            written.append(RunFiles.of(config).error_maps(name, config.show.video))
            order = "as given" if config.show.frames else "highest scores first, the last row has the lowest score"
            write_panels(written[-1], rows, f"{name}: frames {order}")
    return written


def error_maps(config: "Config", index: Index, name: str) -> "list[list[View]]":
    """A row of views for each frame that `show` chooses; [] for a detector that does not reconstruct."""
    from pixelplay.drawing.panels import View, in_shape_of

    detector, frames = trained(config, name, Reconstructs), config.detectors[name].frames
    if detector is None or frames is None:
        return []
    truth = load_labels(config, index)
    chosen = chosen_frames(config, index, scores_of(config, name, index))
    made = [detector.reconstruct(video, [t]) for video, t, _ in chosen]
    largest = max(float(errors.max()) for _, errors in made)  # one scale, so that rows can be compared
    rows = []
    for (video, t, score), (output, errors) in zip(chosen, made, strict=True):
        title = f"squared error, score {score:.4g}{label_of(truth[video.id], t)}"
        rows.append(
            [
                View(in_shape_of(video.size, video.frames(frames)[t]), f"{video.id}, frame {video.numbers[t]}"),
                View(in_shape_of(video.size, output[0] * 255), "reconstruction"),
                View(in_shape_of(video.size, errors[0]), title, largest),
            ]
        )
    return rows


def errors_at(
    config: "Config", videos: Sequence[Video], name: str, positions: Mapping[int, list[int]]
) -> dict[tuple[int, int], np.ndarray]:
    """Squared error maps, float32 (h, w), by (video, position); {} for a detector that does not reconstruct."""
    detector = trained(config, name, Reconstructs)
    if detector is None:
        return {}
    return {
        (i, t): errors
        for i, at in positions.items()
        for t, errors in zip(at, detector.reconstruct(videos[i], at)[1], strict=True)
    }
