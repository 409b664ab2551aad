"""Shows what stage `detect` found: annotated frames of one video; a look at it, no stage of the run.

Boxes that `objects.tubes` selects are coloured by class, the others grey.
"""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.detectors import registry
from pixelplay.drawing.annotate import GREY, PALETTE, Drawing, annotated, write_clip, write_sheet
from pixelplay.errors import ConfigError
from pixelplay.explain.frames import positions_of, video_called
from pixelplay.objects import tables
from pixelplay.objects.boxes import Boxes, boxes_of
from pixelplay.objects.tubes import is_selected
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles, plain_name
from pixelplay.videos.index import load_index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)


def run(config: "Config") -> None:
    """Write the contact sheet and, if asked for, the clip. Raises ConfigError where no detector asks for objects."""
    asking = registry.needing_boxes(config)
    if not asking:
        raise ConfigError(f"detector=[{','.join(config.detectors)}]: none of them asks for objects: nothing to show")
    index = tables.with_objects(config, asking[0], load_index(config), asking)
    videos = index.test if config.show.split == "test" else index.train
    video = videos[0] if config.show.video is None else video_called(config.show.video, videos)
    wanted = _positions(config, video)
    folder = RunFiles.of(config).objects
    require_writable(folder, "paths.outputs")
    sheet = folder / f"{video.split}-{plain_name(video.id)}.png"
    write_sheet(sheet, [image for t, image in enumerate(_images(config, video)) if t in wanted])
    log.info(f"show_objects: {sheet}")
    if config.show.clip:
        write_clip(sheet.with_suffix(".mp4"), _images(config, video), video.fps or config.show.fps)
        log.info(f"show_objects: {sheet.with_suffix('.mp4')}")


def _positions(config: "Config", video: Video) -> list[int]:
    if config.show.frames:
        return positions_of(video, config.show.frames)
    return np.linspace(0, len(video) - 1, min(len(video), config.show.count)).round().astype(int).tolist()


def _images(config: "Config", video: Video) -> Iterator[np.ndarray]:
    boxes = boxes_of(video)
    selected = is_selected(boxes, config.objects.tubes)
    for t, frame in enumerate(video.full_size()):
        first, last = np.searchsorted(boxes.position, [t, t + 1])
        drawing = _drawing(boxes[first:last], selected[first:last], config.objects.tubes.classes)
        title = f"{video.id} frame {video.numbers[t]}: {int(selected[first:last].sum())} objects"
        yield annotated(frame, drawing, title)


def _drawing(boxes: Boxes, selected: np.ndarray, classes: list[str]) -> Drawing:
    order = np.argsort(selected, kind="stable")  # those that count on top
    captions, colors = [], []
    for row in order:
        label = str(boxes.label[row])
        captions.append(f"{label} {boxes.confidence[row]:.2f}" if selected[row] else "")
        colors.append(PALETTE[classes.index(label) % len(PALETTE)] if selected[row] else GREY)
    return Drawing(boxes.xyxy[order], captions, colors)
