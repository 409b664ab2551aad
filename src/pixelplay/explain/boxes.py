"""The boxes found in a video, as a contact sheet and, with `show.clip`, as an MP4.

Where detectors ask for tracks, each has a colour, and boxes that belong to none are grey; else each class has one.
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
from pixelplay.objects.tracks import Tracks, tracks_of
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config


def write_boxes(config: "Config", index: Index) -> list[Path]:
    """Write the sheet and, if asked for, the clip; returns their paths, [] where no detector uses objects."""
    needs: list[tables.Need] = [need for need in ("boxes", "tracks") if registry.needing(config, need)]
    if not needs:
        return []
    show, index = config.show, tables.with_objects(config, index, needs)
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
    tracks = tracks_of(video) if video.tracks else None
    for t, frame in enumerate(video.full_size()):
        found = boxes[boxes.rows(t, t + 1)]
        if tracks is None:
            drawing, count = _of_boxes(found, sorted(set(boxes.label.tolist()))), f"{len(found)} boxes"
        else:
            own = tracks[tracks.rows(t, t + 1)]
            drawing, count = _of_tracks(found, own), f"{len(own)} tracks"
        yield annotated(frame, drawing, f"{video.id} frame {video.numbers[t]}: {count}")


def _of_boxes(found: Boxes, labels: list[str]) -> Drawing:
    """Boxes that were found in a frame; labels: all of the video."""
    colors = [PALETTE[labels.index(str(label)) % len(PALETTE)] for label in found.label]
    captions = [f"{label} {share:.2f}" for label, share in zip(found.label, found.confidence, strict=True)]
    return Drawing(found.xyxy, captions, colors)


def _of_tracks(found: Boxes, tracks: Tracks) -> Drawing:
    """Tracks over all boxes that were found in a frame."""
    kinds = zip(tracks.label.tolist(), tracks.track.tolist(), tracks.interpolated.tolist(), strict=True)
    captions = [f"{label} {track}{' (interpolated)' if between else ''}" for label, track, between in kinds]
    colors = [PALETTE[track % len(PALETTE)] for track in tracks.track.tolist()]
    return Drawing(
        np.concatenate([found.xyxy, tracks.xyxy]), [""] * len(found) + captions, [GREY] * len(found) + colors
    )
