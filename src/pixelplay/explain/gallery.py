"""The pictures of the report: frames at the peaks of events, with scored boxes, error maps and neighbours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import matplotlib
import matplotlib.colors
import numpy as np

from pixelplay import PACKAGE
from pixelplay.drawing.annotate import Drawing, annotated, resized, write_image
from pixelplay.events.event import Event
from pixelplay.explain.clips import write_annotated_clip
from pixelplay.explain.error_maps import errors_at
from pixelplay.explain.frames import full_size_at, peaks_of
from pixelplay.explain.machine import library_versions, machine
from pixelplay.explain.nearest import explanations, with_training, write_pictures
from pixelplay.explain.scored_boxes import COLORS, PALEST, Objects, joined, scored_objects
from pixelplay.explain.sprites import write_sprites
from pixelplay.explain.tracks import write_tracks
from pixelplay.report.events import read_events
from pixelplay.report.manifest import Manifest, Moment, OfDetector, Scale
from pixelplay.report.outcome import Outcome, ScoredVideo, load_outcome
from pixelplay.report.settings import ReportConfig
from pixelplay.report.tables import number_text
from pixelplay.run.artifacts import write_json
from pixelplay.run.commit import git_commit
from pixelplay.run.files import RunFiles, plain_name
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config

HEAT = matplotlib.colormaps["inferno"]
NEIGHBOURS = 2  # objects of a frame in its nearest-neighbour picture, beside the whole frame: more are slow to draw
FADED = 0.5  # brightness of the frame behind a heat map
SATURATED = 99.9  # percentile of a detector's errors that gets the brightest colour: single pixels are outliers

Places = Sequence[tuple[int, int]]  # (position of the video in index.test, position in the video)
Frames = Mapping[tuple[int, int], np.ndarray]  # uint8 (H, W, 3) RGB, in the gallery's order


def write_gallery(config: "Config", index: Index) -> list[Path]:
    """Write the report's pictures and clips, and the manifest that lists them; returns the paths of all."""
    files, outcome = RunFiles.of(config), load_outcome(config, index)
    events = severe_events(config, index)
    chosen = peaks_of_events(outcome.videos, events) or gallery_frames(outcome.videos, config.report)
    objects = scored_objects(config, index)
    frames = _frames(index, chosen)
    pictures, boxes = _write_frames(config, outcome, frames, objects)
    tracks = write_tracks(config, index, objects, events)
    sprites = write_sprites(files.explain, index.test, config.report.thumbnails_mb)
    heat, scales = _write_heat_maps(config, index, frames)
    neighbours = _write_neighbours(config, index, chosen)
    if objects and chosen:
        ends = {"low": "a normal object's", "high": "the highest of the test"}
        scales.append(Scale(text="score of a box", **ends, colors=colors_of(COLORS, PALEST)))
    for video in config.report.clips:
        write_annotated_clip(config, outcome, objects, video)
    moments = [
        Moment(
            video=outcome.videos[i].video,
            frame=int(outcome.videos[i].numbers[t]),
            picture=pictures[k].name,
            boxes=boxes[k],
            heat=_listed(heat, k),
            neighbours=_listed(neighbours, k),
        )
        for k, (i, t) in enumerate(chosen)
    ]
    manifest = Manifest(
        gallery=moments,
        tracks=tracks,
        sprites=sprites,
        scales=scales,
        clips=config.report.clips,
        commit=git_commit(PACKAGE) or "none: not a git repository",
        machine=machine(config.device),
        versions=library_versions(),
    )
    write_json(files.manifest, manifest.model_dump(mode="json"))
    nearest = [path for paths in neighbours.values() for path in paths]
    written = [*pictures, *(path for paths in heat.values() for path in paths), *nearest]
    written += [files.explain / one.picture for one in [*tracks, *sprites]]
    tables = [path.with_suffix(".csv") for path in nearest]
    return [files.manifest, *written, *tables, *map(files.clip, config.report.clips)]


def severe_events(config: "Config", index: Index) -> list[Event]:
    """The events that are pictured, the most severe first; [] where none were looked for, or found."""
    found = read_events(RunFiles.of(config), index)
    return found.events[: config.report.gallery] if found else []


def peaks_of_events(videos: Sequence[ScoredVideo], events: Sequence[Event]) -> list[tuple[int, int]]:
    """(video, position) of the events' peaks, each frame once."""
    at = {one.video: i for i, one in enumerate(videos)}
    found = [(at[one.video], int(np.searchsorted(videos[at[one.video]].numbers, one.peak.frame))) for one in events]
    return [*dict.fromkeys(found)]


def gallery_frames(videos: Sequence[ScoredVideo], settings: ReportConfig) -> list[tuple[int, int]]:
    """(video, position) of the frames to show: the highest local maxima of the fused score, highest first."""
    found = [
        (-float(one.fused[t]), i, t)
        for i, one in enumerate(videos)
        for t in peaks_of(one.fused, settings.per_video, settings.min_gap)
    ]
    return [(i, t) for _, i, t in sorted(found)[: settings.gallery]]


def _write_frames(
    config: "Config", outcome: Outcome, frames: Frames, objects: Sequence[Objects]
) -> tuple[list[Path], list[list[str]]]:
    """Write each frame with its scored boxes; returns the paths, and for each the detectors whose boxes it shows."""
    width, paths, boxes = config.report.picture_width, [], []
    for k, (i, t) in enumerate(frames):
        one = outcome.videos[i]
        found = {of.detector: of.of_frame(one.video, int(one.numbers[t])) for of in objects}
        found = {name: drawing for name, drawing in found.items() if len(drawing.xyxy)}
        paths.append(_path(config, k))
        boxes.append(list(found))
        write_image(paths[-1], frame_picture(frames[i, t], width, joined(list(found.values()))))
    return paths, boxes


def _write_heat_maps(config: "Config", index: Index, frames: Frames) -> tuple[dict[str, list[Path]], list[Scale]]:
    """Write error maps over the frames; returns paths by detector that reconstructs, and their colour scales."""
    heat, scales = {}, []
    positions = {i: sorted(t for of, t in frames if of == i) for i, _ in sorted(frames)}
    for name in config.detectors if frames else ():
        if maps := errors_at(config, index.test, name, positions):
            full = float(np.percentile(list(maps.values()), SATURATED))
            heat[name] = [_path(config, k, f"{name}-errors") for k in range(len(frames))]
            for path, at in zip(heat[name], frames, strict=True):
                write_image(path, heat_picture(frames[at], maps[at], full, config.report.picture_width // 2))
            high = f"{number_text(full)} and more"
            scales.append(Scale(text=f"squared error, {name}", low="0", high=high, colors=colors_of(HEAT)))
    return heat, scales


def _write_neighbours(config: "Config", index: Index, chosen: Places) -> dict[str, list[Path]]:
    """Write nearest-neighbour pictures and tables of the frames; returns paths by detector that explains."""
    written = {}
    at = [(index.test[i].id, t) for i, t in chosen]
    for name in config.detectors if chosen else ():
        if found := explanations(config, index, name, at):
            written[name] = [_path(config, k, f"{name}-nearest") for k in range(len(at))]
            write_pictures(written[name], name, *found, with_training(config, index), NEIGHBOURS)
    return written


def frame_picture(frame: np.ndarray, width: int, drawing: Drawing | None = None) -> np.ndarray:
    """A frame, uint8 (H, W, 3) RGB, resized, with boxes given in pixels of the frame."""
    small = resized(frame, width)
    if drawing is None:
        return small
    scaled = Drawing(drawing.xyxy * (small.shape[1] / frame.shape[1]), drawing.captions, drawing.colors)
    return annotated(small, scaled, "", width)


def heat_picture(frame: np.ndarray, errors: np.ndarray, full: float, width: int) -> np.ndarray:
    """An error map (h, w) from 0 to `full` over its frame, resized: uint8 (H, W, 3) RGB."""
    small = resized(frame, width)
    ground = FADED * cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    share = (errors / full if full > 0 else np.zeros_like(errors)).astype(np.float32)
    share = cv2.resize(share, small.shape[1::-1], interpolation=cv2.INTER_LINEAR).clip(0, 1)
    cover = np.sqrt(share)[..., None]  # small errors let the frame shine through
    return (ground * (1 - cover) + 255 * HEAT(share)[..., :3] * cover).round().astype(np.uint8)


def colors_of(colormap: matplotlib.colors.Colormap, first: float = 0.0, count: int = 9) -> list[str]:
    """CSS colours along a colour map from its position `first` on, for the bar that explains it."""
    return [matplotlib.colors.to_hex(colormap(share)) for share in np.linspace(first, 1, count)]


def _frames(index: Index, chosen: Places) -> Frames:
    by_video = {i: [t for of, t in chosen if of == i] for i, _ in chosen}
    found = {i: full_size_at(index.test[i], at) for i, at in by_video.items()}
    return {(i, t): found[i][t] for i, t in chosen}


def _listed(paths: Mapping[str, Sequence[Path]], number: int) -> list[OfDetector]:
    return [OfDetector(detector=name, picture=of_detector[number].name) for name, of_detector in paths.items()]


def _path(config: "Config", number: int, what: str = "") -> Path:
    suffix = f"-{plain_name(what)}" if what else ""
    return RunFiles.of(config).explain / f"moment-{number + 1:02d}{suffix}.jpg"
