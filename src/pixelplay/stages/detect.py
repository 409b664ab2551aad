"""Stage `detect`: boxes of objects in every frame, where some detector asks for them; killed, it goes on.

Each video's table is written when the video is done; see `detecting` for where it lies.
"""

import logging
from collections.abc import Callable
from typing import Any

from pixelplay import preconditions
from pixelplay.config import Config
from pixelplay.objects import boxes, motion, tables, yolo
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import remove_leftovers, require_writable
from pixelplay.run.locks import turn
from pixelplay.stages import prepare
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

Detect = Callable[[Video, Callable[[int], Any]], boxes.Boxes]


def pending(config: Config) -> str | None:
    methods = tables.methods(config)
    videos = _videos(config)
    if tables.weights_lacking(config):
        return f"the weights {config.weights.detector} are not here"
    left = sum(not boxes.is_saved(tables.table(config, video, method)) for video in videos for method in methods)
    return f"to look for objects by {' and '.join(methods)}: {left} tables missing" if left else None


def run(config: Config) -> None:
    methods = tables.methods(config)
    videos = _videos(config)
    if not methods:
        log.info("detect: no detector of this run asks for objects")
        return
    require_writable(config.paths.cache, "paths.cache")
    if not pending(config):
        log.info("detect: up to date")
        return
    preconditions.require_models(config, [name for name in config.detectors if tables.asks(config, name)])
    remove_leftovers(config.paths.cache)
    for method in methods:
        _detect(config, method, videos)


def _videos(config: Config) -> list[Video]:
    index = prepare.load_index(config)
    return [*index.train, *index.test, *index.pseudo]


def _detect(config: Config, method: str, videos: list[Video]) -> None:
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


def _finder(config: Config, method: str) -> Detect:
    if method == "motion":
        return lambda video, advance: motion.detect(video, config.objects.motion, advance)
    from pixelplay.training.device import autocast_bf16, find_device

    device = find_device(config.device)
    bf16 = autocast_bf16(config.objects.yolo.precision, device)
    return yolo.Yolo(tables.weights(config), config.objects.yolo, device, bf16, config.paths.cache).detect
