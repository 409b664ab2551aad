"""Pixel, region and object metrics of every detector that has an object table.

Masks are read once, frame by frame, for all detectors and streams together; only boxes and counts are kept.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelplay.errors import DataError
from pixelplay.evaluation.object_streams import NO_TRACK, ObjectStream, read_streams
from pixelplay.evaluation.score_tables import read_objects, scored_names
from pixelplay.events.thresholds import CONSTANT, constant_threshold
from pixelplay.metrics.boxes import Detections, Regions, boxes_of, components, joined, link
from pixelplay.metrics.pixels import PixelCounts
from pixelplay.metrics.regions import region_metrics, tao_metrics
from pixelplay.metrics.settings import LEVELS, EvaluateConfig
from pixelplay.progress import progress_bar
from pixelplay.run.files import RunFiles
from pixelplay.videos.truth import Truth, VideoTruth
from pixelplay.videos.truth_files import TrackBoxes
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)

SOURCES = ("tracks", "masks", "normal")  # where a video's regions are known from


def measure_objects(config: "Config", files: RunFiles, videos: list[Video], truth: Truth) -> dict[str, Any]:
    """Metrics of each stream of each object table, that of fused objects included, and what they were measured on.

    Ready for metrics.json. All frames of videos with masks or tracks count, and so do those of videos that are labelled
    normal throughout: anything reported there is a false alarm. {} if no detector has a table, or no such frame has an
    anomaly.
    """
    known = [video for video in videos if truth[video.id].has_regions]
    tables = [name for name in scored_names(config) if files.object_scores(name).exists()]
    if not known or not tables or not any(map(config.evaluate.asks_for, LEVELS)):
        return {}
    streams = [s for name in tables for s in read_streams(name, read_objects(config, name, videos), known)]
    pixels = [PixelCounts() for _ in streams]
    regions = _regions(config.evaluate, known, truth, streams, pixels)
    if not len(regions):
        log.info(
            f"evaluate: no anomalous region in the masks and tracks of {len(known)} videos: boxes are not measured"
        )
        return {}
    detectors: dict[str, Any] = {}
    sources = [_source(truth[video.id]) for video in known]
    for stream, counts in zip(streams, pixels, strict=True):
        detector = detectors.setdefault(stream.detector, {"streams": {}})
        detector["streams"][stream.name] = _figures(config, stream, known, regions, counts)
    return {
        "frames": sum(map(len, known)),
        "regions": len(regions),
        "tracks": len(np.unique(regions.track)),
        "videos": {source: sources.count(source) for source in SOURCES},
        "detectors": detectors,
    }


def _source(truth: VideoTruth) -> str:
    """One of `SOURCES`; a track file takes precedence over masks."""
    if truth.tracks is not None:
        return "tracks"
    return "masks" if truth.masks is not None else "normal"


def _regions(
    config: EvaluateConfig, videos: list[Video], truth: Truth, streams: list[ObjectStream], pixels: list[PixelCounts]
) -> Regions:
    """The anomalous regions of all videos; masks are added to `pixels`."""
    parts = []
    with progress_bar(sum(map(len, videos)), "frame", "measuring boxes") as bar:
        for video in videos:
            positions, boxes = [], []
            reported = [stream.of_video(video) for stream in streams]
            for at, regions in _masks(video, truth[video.id]):
                boxes.append(boxes_of(regions))
                positions.append(np.full(len(boxes[-1]), at))
                for counts, of_stream in zip(pixels, reported, strict=True):
                    rows = slice(*np.searchsorted(of_stream.frame, [at, at + 1]))
                    counts.add_boxes(of_stream.xyxy[rows], of_stream.score[rows], regions, video=video.id)
                bar.update()
            tracks = truth[video.id].tracks
            if tracks is None:
                frame, xyxy = np.concatenate(positions), np.concatenate(boxes)
                parts.append(Regions(frame, xyxy, link(frame, xyxy, config.link)))
            else:
                parts.append(_of_tracks(video, tracks))
    return joined(parts, [len(video) for video in videos])


def _masks(video: Video, truth: VideoTruth) -> Iterator[tuple[int, np.ndarray]]:
    """Position and regions, int32 (H, W), of each frame with known pixels (no region in a normal video)."""
    if truth.masks is not None:
        yield from ((position, components(truth.masks.at(position))) for position in range(len(video)))
    elif truth.is_normal:
        yield from ((position, np.zeros(video.size[::-1], np.int32)) for position in range(len(video)))


def _of_tracks(video: Video, tracks: TrackBoxes) -> Regions:
    """The track file's boxes in frames that are on disk."""
    position = np.searchsorted(video.numbers, tracks.number).clip(max=len(video) - 1)
    there = video.numbers[position] == tracks.number
    if not there.all():
        log.info(f"evaluate: tracks of {video.id}: {int((~there).sum())} boxes in frames not on disk do not count")
    return Regions(position[there], tracks.xyxy[there], tracks.track[there])


def _figures(
    config: "Config", stream: ObjectStream, videos: list[Video], truth: Regions, counts: PixelCounts
) -> dict[str, Any]:
    """The levels that `evaluate.metrics` asks for; one that can't be measured has a `reason` instead."""
    settings, detections = config.evaluate, _detections(stream, videos, config.evaluate)
    frames = sum(map(len, videos))

    def tao() -> dict[str, Any]:
        return {method: _or_reason(lambda m=method: _tao(m, config, stream, detections, truth)) for method in CONSTANT}

    levels = {
        "pixel": lambda: _or_reason(lambda: counts.result(settings.aupro_limit)),
        "region": lambda: region_metrics(detections, truth, frames, settings.region),
        "tao": tao,
    }
    return {
        level: _without(measure(), settings.left_out(level))
        for level, measure in levels.items()
        if settings.asks_for(level)
    }


def _without(figures: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Figures, and those of thresholds in them, without some and their variants: `ap_per_frame` goes with `ap`."""
    return {
        key: _without(value, names) if isinstance(value, dict) else value
        for key, value in figures.items()
        if not any(f"{key}_".startswith(f"{name}_") for name in names)
    }


def _detections(stream: ObjectStream, videos: list[Video], config: EvaluateConfig) -> Detections:
    """All boxes of a stream; boxes without a track are linked by overlap."""
    parts = []
    for video in videos:
        boxes = stream.of_video(video)
        track, loose = boxes.track.copy(), boxes.track == NO_TRACK
        if loose.any():
            track[loose] = track.max() + 1 + link(boxes.frame[loose], boxes.xyxy[loose], config.link)
        parts.append(replace(boxes, track=track))
    return joined(parts, [len(video) for video in videos])


def _tao(method: str, config: "Config", stream: ObjectStream, detections: Detections, truth: Regions) -> dict[str, Any]:
    """Rates at a threshold from the stream's held-out normal objects; raises DataError if they give none."""
    threshold = constant_threshold(method, stream.normal, config.dataset.name, config.events.thresholds)
    above = detections[detections.score > threshold.value]
    return {"threshold": threshold.value, **tao_metrics(above, truth, config.evaluate.tao)}


def _or_reason(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return measure()
    except DataError as error:
        return {"reason": str(error)}
