"""Error maps to look at: for chosen test frames what went in, what came out, and the squared error between them."""

import logging
from typing import TYPE_CHECKING

from pixelplay.detectors import registry
from pixelplay.errors import ConfigError
from pixelplay.explain.frames import Chosen, chosen_frames, label_of, scores_of
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import load_index
from pixelplay.videos.truth import Truth, load_labels

if TYPE_CHECKING:  # importing them imports torch and matplotlib
    from pixelplay.config import Config
    from pixelplay.detectors.base import Reconstructs
    from pixelplay.drawing.panels import View

log = logging.getLogger(__name__)


def run(config: "Config") -> None:
    """Write a picture for each detector of the run that reconstructs."""
    from pixelplay.drawing.panels import write_panels

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


def error_maps(config: "Config", name: str) -> "list[list[View]]":
    """A row of views for each chosen frame; none for a detector that does not reconstruct.

    Raises MissingArtifactError when the detector has not scored with these settings.
    """
    from pixelplay.detectors.base import Reconstructs
    from pixelplay.training.device import find_device

    index = load_index(config)
    detector = registry.create(name, config.detectors[name], find_device(config.device))
    if not isinstance(detector, Reconstructs):
        return []
    scores = scores_of(config, name, index)
    detector.load(RunFiles.of(config).detector(name))
    return _views(detector, config, name, chosen_frames(config, index, scores), load_labels(config, index))


def _views(
    detector: "Reconstructs", config: "Config", name: str, chosen: list[Chosen], truth: Truth
) -> "list[list[View]]":
    from pixelplay.drawing.panels import View, in_shape_of

    frame_format = config.detectors[name].frames
    assert frame_format is not None
    shown = [(video, t, value, *detector.reconstruct(video, [t])) for video, t, value in chosen]
    largest = max(float(errors.max()) for *_, errors in shown)  # one scale, so that rows can be compared
    rows = []
    for video, t, value, output, errors in shown:
        title = f"squared error, score {value:.4g}{label_of(truth[video.id], t)}"
        rows.append(
            [
                View(in_shape_of(video.size, video.frames(frame_format)[t]), f"{video.id}, frame {video.numbers[t]}"),
                View(in_shape_of(video.size, output[0] * 255), "reconstruction"),
                View(in_shape_of(video.size, errors[0]), title, largest),
            ]
        )
    return rows
