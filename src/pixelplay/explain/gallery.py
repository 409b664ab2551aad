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
from pixelplay.explain.frames import full_size_frames, peaks_of
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
    found = read_events(files, index)
    events = found.events[: config.report.gallery] if found else []
    chosen = peaks_of_events(outcome.videos, events) or gallery_frames(outcome.videos, config.report)
    objects, frames = scored_objects(config, index), _frames(index, chosen)
    boxes = _write_frames(config, outcome, frames, objects)
    tracks = write_tracks(config, index, objects, events)
    sprites = write_sprites(files.explain, index.test, config.report.thumbnails_mb)
    heat = _write_heat_maps(config, index, frames)
    explaining = _write_neighbours(config, index, chosen)
    scales = [*heat.values()]
    if objects and chosen:
        ends = {"low": "a normal object's", "high": "the highest of the test"}
        scales.append(Scale(text="score of a box", **ends, colors=colors_of(COLORS, PALEST)))
    for video in config.report.clips:
        write_annotated_clip(config, outcome, objects, video)
    moments = [
        Moment(
            video=outcome.videos[i].video,
            frame=int(outcome.videos[i].numbers[t]),
            picture=_name(k),
            boxes=boxes[k],
            heat=[OfDetector(detector=name, picture=_name(k, f"{name}-errors")) for name in heat],
            neighbours=[OfDetector(detector=name, picture=_name(k, f"{name}-nearest")) for name in explaining],
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
    pictures = [of.picture for one in moments for of in (one, *one.heat, *one.neighbours)]
    pictures += [one.picture for one in (*tracks, *sprites)]
    tables = [files.explain / of.picture for one in moments for of in one.neighbours]
    written = [*(files.explain / name for name in pictures), *(path.with_suffix(".csv") for path in tables)]
    return [files.manifest, *written, *map(files.clip, config.report.clips)]


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


def _write_frames(config: "Config", outcome: Outcome, frames: Frames, objects: Sequence[Objects]) -> list[list[str]]:
    """Write each frame with its scored boxes; returns for each the detectors whose boxes it shows."""
    boxes = []
    for k, ((i, t), frame) in enumerate(frames.items()):
        one = outcome.videos[i]
        found = {of.detector: of.of_frame(one.video, int(one.numbers[t])) for of in objects}
        found = {name: drawing for name, drawing in found.items() if len(drawing.xyxy)}
        boxes.append(list(found))
        picture = frame_picture(frame, config.report.picture_width, joined(list(found.values())))
        write_image(RunFiles.of(config).explain / _name(k), picture)
    return boxes


def _write_heat_maps(config: "Config", index: Index, frames: Frames) -> dict[str, Scale]:
    """Write error maps over the frames; returns the colour scale of each detector that reconstructs."""
    scales = {}
    positions = {i: sorted(t for of, t in frames if of == i) for i, _ in sorted(frames)}
    for name in config.detectors if frames else ():
        if maps := errors_at(config, index.test, name, positions):
            full = float(np.percentile(list(maps.values()), SATURATED))
            for k, (at, frame) in enumerate(frames.items()):
                picture = heat_picture(frame, maps[at], full, config.report.picture_width // 2)
                write_image(RunFiles.of(config).explain / _name(k, f"{name}-errors"), picture)
            high = f"{number_text(full)} and more"
            scales[name] = Scale(text=f"squared error, {name}", low="0", high=high, colors=colors_of(HEAT))
    return scales


def _write_neighbours(config: "Config", index: Index, chosen: Places) -> list[str]:
    """Write nearest-neighbour pictures and tables of the frames; returns the detectors that explain."""
    explaining = []
    at = [(index.test[i].id, t) for i, t in chosen]
    for name in config.detectors if chosen else ():
        if found := explanations(config, index, name, at):
            explaining.append(name)
            paths = [RunFiles.of(config).explain / _name(k, f"{name}-nearest") for k in range(len(at))]
            write_pictures(paths, name, *found, with_training(config, index), NEIGHBOURS)
    return explaining


def frame_picture(frame: np.ndarray, width: int, drawing: Drawing) -> np.ndarray:
    """A frame, uint8 (H, W, 3) RGB, resized, with boxes given in pixels of the frame."""
    small = resized(frame, width)
    return annotated(small, drawing.scaled(small.shape[1] / frame.shape[1]), "", width)


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
    videos = {i for i, _ in chosen}
    found = {i: dict(full_size_frames(index.test[i], [t for of, t in chosen if of == i])) for i in videos}
    return {(i, t): found[i][t] for i, t in chosen}


def _name(number: int, what: str = "") -> str:
    """Of a picture of the `number`-th frame, from 0."""
    suffix = f"-{plain_name(what)}" if what else ""
    return f"moment-{number + 1:02d}{suffix}.jpg"
