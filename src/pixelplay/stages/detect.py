"""Stage `detect`: boxes of objects in every frame, where some detector asks for them, and YOLO's feature maps of these.

Each video's files are written when the video is done, so that a killed run goes on with the next one; `objects.tables`
says where they lie.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pixelplay import preconditions
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.objects import box_files, boxes, detection, features, motion, tables, yolo
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import remove_leftovers, require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.locks import turn
from pixelplay.run.stage import Stage, Task
from pixelplay.stages import prepare
from pixelplay.videos.index import load_index
from pixelplay.videos.layouts import roots
from pixelplay.videos.npy_writer import NpyWriter
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

VERSION = 1  # raised when tables hold something else; for what a method finds see its own version
Make = Callable[["Part", Callable[[int], Any]], None]  # told of frames as they are done


def tasks(config: Config) -> list[Task]:
    """One task, or none where no detector of the run needs boxes."""
    asking = registry.needing(config, "boxes")
    methods, index = detection.methods(config, asking), load_index(config)
    settings = {
        "footage": [index.train_key, index.test_key, index.pseudo_key],
        "methods": detection.settings(config, asking),
        "weights": config.weights.yolo,
        "objects.features": tables.maps_settings(config, "features") if _pools(config) else None,
    }
    task = Task(
        stage="detect",
        name="detect",
        files=RunFiles.of(config),
        version=VERSION,
        settings=settings,
        contents=lambda: detection.contents(config, methods),  # kept by the record: later stages need no files
        work=lambda: detect_all(config, index.every),
        folders=lambda: {video.folder for video in index.every},
        after=[prepare.task(config)],
    )
    return [task] if methods else []


STAGE = Stage("detect", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    asking = registry.needing(config, "boxes")
    if not asking:
        log.info("detect: no detector of this run asks for objects")
        return
    require_writable(config.paths.cache, "paths.cache")
    if pending(config):
        preconditions.require_models(config, asking)
        download_weights(config)
        remove_leftovers(config.paths.cache)
    STAGE.run(config)


def download_weights(config: Config) -> None:
    """Get YOLO's, if need be and if the run uses them: tables are named by their contents."""
    if "yolo" in detection.methods(config, registry.needing(config, "boxes")):
        detection.weights(config)


def detect_all(config: Config, videos: list[Video]) -> list[Path]:
    """Find the objects in every frame of these videos, whether the run lists them or not; returns the files."""
    methods = detection.methods(config, registry.needing(config, "boxes"))

    def found_by(method: str) -> list[Video]:
        return [video for video in videos if method in detection.methods_of(video, methods)]

    return [path for method in methods for path in _detect(config, method, found_by(method))]


def _detect(config: Config, method: str, videos: list[Video]) -> list[Path]:
    parts = [_part(config, method, video) for video in videos]
    if missing := [part for part in parts if not part.done()]:
        make_each(missing, f"detecting by {method}", _finder(config, method, parts))
    found = [len(boxes.load(part.table)) for part in parts]
    empty = f", none in {found.count(0)} of {len(videos)} videos" if 0 in found else ""
    log.info(f"detect: {method}, {sum(found):,} boxes in {sum(map(len, videos)):,} frames{empty}")
    return [path for part in parts for path in (part.table, part.maps) if path]


@dataclass(frozen=True)
class Part:
    """What is made of one video: a table of boxes or of tracks, and a file of maps or other values of its rows."""

    video: Video
    table: Path
    maps: Path | None = None

    def done(self) -> bool:
        return boxes.is_saved(self.table) and (self.maps is None or features.is_saved(self.maps, self.table))

    def writing(self, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float16) -> AbstractContextManager[NpyWriter]:
        """See `features.writing`."""
        assert self.maps is not None
        return features.writing(self.maps, self.table, shape, dtype)


def make_each(missing: Sequence[Part], what: str, make: Make) -> None:
    """Make the files of videos, one after the other, unless another run has made them meanwhile."""
    with progress_bar(sum(len(part.video) for part in missing), "frame", what) as bar:
        for part in missing:
            with turn(part.table, f"{what}, video {part.video.id}"):
                if part.done():
                    bar.update(len(part.video))
                else:
                    make(part, bar.update)


def _part(config: Config, method: str, video: Video) -> Part:
    table = tables.table(config, video, method)
    pooled = method == "yolo" and _pools(config)
    maps = tables.maps(config, replace(video, objects=(table,)), "features").path if pooled else None
    return Part(video, table, maps)


def _pools(config: Config) -> bool:
    """Whether YOLO pools feature maps of the boxes that it finds."""
    return bool(registry.needing(config, "features")) and tables.features_source(config) == "yolo"


def _finder(config: Config, method: str, parts: list[Part]) -> Make:
    if method == "file":
        folders = roots(config.dataset)
        return lambda part, advance: boxes.save(_read(folders, part.video, advance), part.table)
    if method == "motion":
        settings = config.objects.motion
        return lambda part, advance: boxes.save(motion.detect(part.video, settings, advance), part.table)
    network = yolo_of(config)
    if not _pools(config):
        return lambda part, advance: boxes.save(network.detect(part.video, advance), part.table)
    cells = config.objects.features.cells
    shape = (network.channels, cells, cells)
    log.info(f"detect: {require_space(config, parts, shape)}")

    def find(part: Part, advance: Callable[[int], Any]) -> None:
        require_space(config, parts, shape)  # more is known of how many boxes there are
        known = boxes.load(part.table) if boxes.is_saved(part.table) else None
        with part.writing(shape) as writer:
            found = network.detect(part.video, advance, yolo.Pooling(cells, writer.extend, known))
            if known is None:
                boxes.save(found, part.table)

    return find


def yolo_of(config: Config) -> yolo.Yolo:
    """The run's network, with its weights, which are downloaded if need be and allowed."""
    from pixelplay.training.device import autocast_bf16, find_device

    chosen = config.objects.yolo
    device = find_device(config.device if chosen.backend == "torch" else "cpu")
    bf16 = chosen.backend != "onnx" and autocast_bf16(chosen.precision, device)
    return yolo.Yolo(detection.weights(config), chosen, device, bf16, config.paths.cache)


def require_space(config: Config, parts: Sequence[Part], shape: tuple[int, int, int]) -> str:
    """What the maps that are not there yet need, in words; raises PixelPlayError where the disk has less."""
    rows = [boxes.count(part.table) if boxes.is_saved(part.table) else None for part in parts]
    left = [not part.done() for part in parts]
    return features.require_space(config.paths.cache, [len(part.video) for part in parts], rows, left, shape)


def _read(folders: Mapping[str, Path], video: Video, advance: Callable[[int], Any]) -> boxes.Boxes:
    found = box_files.read_boxes(box_files.box_file(folders, video.split, video.id), video)
    advance(len(video))
    return found
