"""The boxes that stage `detect` found in a video, as a contact sheet and, with `show.clip`, as an MP4.

Boxes that `objects.tubes` selects are coloured by class, the others grey.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.detectors import registry
from pixelplay.drawing.annotate import GREY, PALETTE, Drawing, annotated, write_clip, write_sheet
from pixelplay.explain.frames import positions_of, video_called
from pixelplay.objects import tables
from pixelplay.objects.boxes import Boxes, boxes_of
from pixelplay.objects.tubes import is_selected
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config


def write_boxes(config: "Config", index: Index) -> list[Path]:
    """Write the sheet and, if asked for, the clip; returns their paths, [] where no detector uses objects."""
    if not registry.needing(config, "boxes"):
        return []
    show, index = config.show, tables.with_objects(config, index, ["boxes"])
    videos = index.test if show.split == "test" else index.train
    video = videos[0] if show.video is None else video_called(show.video, videos)
    even = np.linspace(0, len(video) - 1, min(len(video), show.count)).round().astype(int).tolist()
    wanted = positions_of(video, show.frames) if show.frames else even
    sheet = RunFiles.of(config).boxes(video.split, video.id)
    write_sheet(sheet, [image for t, image in enumerate(_images(config, video)) if t in wanted])
    if not show.clip:
        return [sheet]
    clip = sheet.with_suffix(".mp4")
    write_clip(clip, _images(config, video), video.fps or show.fps)
    return [sheet, clip]


def _images(config: "Config", video: Video) -> Iterator[np.ndarray]:
    boxes = boxes_of(video)
    selected = is_selected(boxes, config.objects.tubes)
    for t, frame in enumerate(video.full_size()):
        first, last = np.searchsorted(boxes.position, [t, t + 1])
        drawing = _drawing(boxes[first:last], selected[first:last], config.objects.tubes.classes)
        title = f"{video.id} frame {video.numbers[t]}: {int(selected[first:last].sum())} objects"
        yield annotated(frame, drawing, title)


def _drawing(boxes: Boxes, selected: np.ndarray, classes: list[str]) -> Drawing:
    order = np.argsort(selected, kind="stable")  # selected ones on top
    captions, colors = [], []
    for row in order:
        label = str(boxes.label[row])
        captions.append(f"{label} {boxes.confidence[row]:.2f}" if selected[row] else "")
        colors.append(PALETTE[classes.index(label) % len(PALETTE)] if selected[row] else GREY)
    return Drawing(boxes.xyxy[order], captions, colors)
