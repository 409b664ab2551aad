"""What is seen in test frames, for stage `report`: the gallery's frames, error maps and boxes, and annotated clips.

A frame is decoded only if it is shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from pixelplay.detectors import registry
from pixelplay.detectors.base import Reconstructs
from pixelplay.drawing.annotate import Drawing, write_clip
from pixelplay.evaluation.score_tables import read_objects
from pixelplay.report.clips import annotated_frames
from pixelplay.report.page import Gallery, GalleryItem, HeatMap, Scale
from pixelplay.report.pictures import (
    BOXES,
    HEAT,
    PALEST,
    Span,
    colors_of,
    data_uri,
    frame_picture,
    heat_picture,
    object_drawing,
    object_spans,
)
from pixelplay.report.settings import ReportConfig
from pixelplay.report.tables import number_text
from pixelplay.report.timelines import ScoredVideo
from pixelplay.run.files import RunFiles
from pixelplay.training.device import find_device
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config
    from pixelplay.report.gather import Outcome

SATURATED = 99.9  # percentile of a detector's errors that has the brightest colour: single pixels stand out too far
NO_BOXES = Drawing(np.empty((0, 4)), [], [])


@dataclass(frozen=True, eq=False)
class Objects:
    """Scored boxes of one detector's test objects."""

    detector: str
    spans: Mapping[str, Span]  # by stream
    rows: Mapping[str, pd.DataFrame]  # by video, in the order of their frames

    @classmethod
    def of(cls, detector: str, table: pd.DataFrame) -> "Objects":
        """From a detector's table of objects."""
        test = table[table["split"] == "test"].sort_values("frame", kind="stable")
        rows = {str(video): of_video for video, of_video in test.groupby("video")}
        return cls(detector, object_spans(table), rows)

    def of_frame(self, video: str, number: int) -> Drawing:
        """Boxes of the frame; none where no object was found in what its score is about."""
        if video not in self.rows:
            return NO_BOXES
        rows = self.rows[video]
        first, last = np.searchsorted(rows["frame"], [number, number + 1])
        return object_drawing(rows.iloc[first:last], self.spans) if last > first else NO_BOXES


def gallery_frames(videos: Sequence[ScoredVideo], settings: ReportConfig) -> list[tuple[int, int]]:
    """(video, position) of the frames to show: the highest local maxima of the fused score, highest first."""
    found = []
    for i, one in enumerate(videos):
        walled = np.concatenate([[-np.inf], one.fused, [-np.inf]])  # so that the first and last frame can be maxima
        tops = find_peaks(walled, distance=settings.min_gap + 1)[0] - 1
        best = sorted(tops.tolist(), key=lambda t: (-one.fused[t], t))[: settings.per_video]
        found += [(-float(one.fused[t]), i, t) for t in best]
    return [(i, t) for _, i, t in sorted(found)[: settings.gallery]]


def gallery(
    config: "Config", index: Index, videos: Sequence[ScoredVideo], chosen: Sequence[tuple[int, int]]
) -> Gallery:
    """Pictures of the `chosen` frames, (video, position) each."""
    width = config.report.picture_width
    by_video = {i: sorted(t for of, t in chosen if of == i) for i in sorted({i for i, _ in chosen})}
    frames = {(i, t): image for i, at in by_video.items() for t, image in full_size_at(index.test[i], at).items()}
    errors = {name: maps for name in config.detectors if (maps := _error_maps(config, index, name, by_video))}
    full = {name: float(np.percentile(list(maps.values()), SATURATED)) for name, maps in errors.items()}
    objects = scored_objects(config, index)
    items = []
    for rank, (i, t) in enumerate(chosen, 1):
        heat = [
            HeatMap(name, data_uri(heat_picture(frames[i, t], maps[i, t], full[name], width // 2)), name)
            for name, maps in errors.items()
        ]
        items.append(_item(rank, videos[i], t, frames[i, t], objects, heat, width))
    return Gallery(items, _scales(full, objects))


def scored_objects(config: "Config", index: Index) -> list[Objects]:
    """Of the detectors of the run that score single objects."""
    files = RunFiles.of(config)
    found = []
    for name in registry.needing_boxes(config):
        if files.object_scores(name).exists():
            found.append(Objects.of(name, read_objects(config, name, index.test)))
    return found


def write_annotated_clip(config: "Config", outcome: "Outcome", video_id: str) -> None:
    """The MP4 of one test video."""
    video, one = next(pair for pair in zip(outcome.index.test, outcome.videos, strict=True) if pair[0].id == video_id)
    drawings = _drawings(video, scored_objects(config, outcome.index))
    frames = annotated_frames(video.full_size(), drawings, one, outcome.scale)
    write_clip(RunFiles.of(config).clip(video_id), frames, video.fps or config.report.fps)


def full_size_at(video: Video, positions: Sequence[int]) -> dict[int, np.ndarray]:
    """The frames at these positions in their original size, corrupted ones put right, uint8 (H, W, 3) RGB each.

    Of a folder of images nothing else is decoded; a video file is gone through once. Raises as `Video.full_size`.
    """
    if video.originals is not None and isinstance(video.originals.source, ImageFolder):
        return {t: next(video.block(t, t + 1).full_size()) for t in positions}
    first, last = min(positions), max(positions)
    frames = enumerate(video.block(first, last + 1).full_size(), first)
    return {t: frame for t, frame in frames if t in positions}


def _drawings(video: Video, objects: Sequence[Objects]) -> Iterator[Drawing]:
    for number in video.numbers:
        yield _joined([one.of_frame(video.id, int(number)) for one in objects])


def _joined(drawings: Sequence[Drawing]) -> Drawing:
    if not drawings:
        return NO_BOXES
    return Drawing(
        np.concatenate([one.xyxy for one in drawings]),
        [caption for one in drawings for caption in one.captions],
        [color for one in drawings for color in one.colors],
    )


def _error_maps(
    config: "Config", index: Index, name: str, positions: Mapping[int, list[int]]
) -> dict[tuple[int, int], np.ndarray]:
    """Squared error maps of a detector that reconstructs, float32 (h, w), by video and position; else none."""
    detector = registry.create(name, config.detectors[name], find_device(config.device))
    if not isinstance(detector, Reconstructs):
        return {}
    detector.load(RunFiles.of(config).detector(name))
    return {
        (i, t): error
        for i, at in positions.items()
        for t, error in zip(at, detector.reconstruct(index.test[i], at)[1], strict=True)
    }


def _item(
    rank: int,
    one: ScoredVideo,
    t: int,
    frame: np.ndarray,
    objects: Sequence[Objects],
    heat: Sequence[HeatMap],
    width: int,
) -> GalleryItem:
    marks = []
    if one.labels is not None:
        marks.append(("anomalous", "labelled anomalous") if one.labels[t] else ("normal", "labelled normal"))
    marks += [(style, text) for style, text, mask in _corruption(one) if mask[t]]
    number = int(one.numbers[t])
    found = {of.detector: drawing for of in objects if len((drawing := of.of_frame(one.video, number)).xyxy)}
    boxes = [f"boxes: {name}" for name in found]
    picture = frame_picture(frame, width, _joined(list(found.values())))
    return GalleryItem(
        rank=rank,
        anchor=f"peak-{rank}",
        video=one.video,
        video_anchor=one.anchor,
        number=number,
        score=float(one.fused[t]),
        marks=marks,
        streams={name: float(scores[t]) for name, scores in one.streams.items()},
        picture=data_uri(picture),
        boxes=", ".join(boxes),
        heat=heat,
    )


def _corruption(one: ScoredVideo) -> list[tuple[str, str, np.ndarray]]:
    return [("turned", "turned back", one.turned), ("noisy", "noisy", one.noisy)]


def _scales(full: Mapping[str, float], objects: Sequence[Objects]) -> list[Scale]:
    scales = [
        Scale(f"squared error, {name}", "0", f"{number_text(value)} and more", colors_of(HEAT))
        for name, value in full.items()
    ]
    if objects:
        ramp = colors_of(BOXES, PALEST)
        scales.append(Scale("score of a box", "a normal object's", "the highest of the test", ramp))
    return scales
