"""Stage `detect`: boxes of objects in every frame, where some detector asks for them.

Each video's table is written when the video is done, so that a killed run goes on with the next one; `objects.tables`
says where the tables lie.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pixelplay import preconditions
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.objects import boxes, motion, tables, yolo
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import remove_leftovers, require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.locks import turn
from pixelplay.run.stage import Stage, Task, digests_of
from pixelplay.stages import prepare
from pixelplay.videos.index import load_index
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

VERSION = 1  # raised when tables hold something else; for what a method finds see its own version
Detect = Callable[[Video, Callable[[int], Any]], boxes.Boxes]


def tasks(config: Config) -> list[Task]:
    """One task, or none where no detector of the run needs boxes."""
    asking = registry.needing(config, "boxes")
    methods, index = tables.methods(config, asking), load_index(config)
    settings = {
        "footage": [index.train_key, index.test_key, index.pseudo_key],
        "methods": tables.settings(config, asking),
        "weights": config.weights.yolo,
    }
    task = Task(
        stage="detect",
        name="detect",
        record_path=RunFiles.of(config).record("detect"),
        version=VERSION,
        settings=settings,
        contents=lambda: tables.weights_digest(config, methods),  # kept by the record: later stages need no file
        work=lambda: _detect_all(config, methods, [*index.train, *index.test, *index.pseudo]),
        digests=digests_of(config),
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
        if "yolo" in tables.methods(config, asking):
            tables.weights(config)  # downloaded if need be: tables are named by their contents
        remove_leftovers(config.paths.cache)
    STAGE.run(config)


def _detect_all(config: Config, methods: Sequence[str], videos: list[Video]) -> list[Path]:
    return [path for method in methods for path in _detect(config, method, videos)]


def _detect(config: Config, method: str, videos: list[Video]) -> list[Path]:
    paths = [tables.table(config, video, method) for video in videos]
    missing = [(video, path) for video, path in zip(videos, paths, strict=True) if not boxes.is_saved(path)]
    if missing:
        find = _finder(config, method)
        with progress_bar(sum(len(video) for video, _ in missing), "frame", f"detecting by {method}") as bar:
            for video, path in missing:
                with turn(path, f"boxes of video {video.id}"):
                    if boxes.is_saved(path):  # another run has found them meanwhile
                        bar.update(len(video))
                    else:
                        boxes.save(find(video, bar.update), path)
    found = [len(boxes.load(path)) for path in paths]
    empty = f", none in {found.count(0)} of {len(videos)} videos" if 0 in found else ""
    log.info(f"detect: {method}, {sum(found):,} boxes in {sum(map(len, videos)):,} frames{empty}")
    return paths


def _finder(config: Config, method: str) -> Detect:
    if method == "motion":
        return lambda video, advance: motion.detect(video, config.objects.motion, advance)
    from pixelplay.training.device import autocast_bf16, find_device

    device = find_device(config.device)
    bf16 = autocast_bf16(config.objects.yolo.precision, device)
    return yolo.Yolo(tables.weights(config), config.objects.yolo, device, bf16, config.paths.cache).detect
