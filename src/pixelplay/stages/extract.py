"""Stage `extract`: what detectors ask for of the boxes that were found: tracks, maps by a backbone, optical flow.

YOLO's own maps are made by `detect`. Each video's file is written when the video is done, so that a killed run goes on
with the next one; `objects.tables` says where they lie.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelplay import preconditions, requirements
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.objects import tables, tracker
from pixelplay.objects.boxes import boxes_of, count, load, save
from pixelplay.objects.flow import flow_in_boxes
from pixelplay.objects.tables import NEEDS, Need
from pixelplay.objects.tracks import Tracks, frame_times
from pixelplay.run import borrowed, twins
from pixelplay.run.atomic import remove_leftovers, require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Stage, Task, read_record
from pixelplay.run.weights_and_biases import log_run, open_run
from pixelplay.stages import detect, prepare
from pixelplay.stages.detect import Part
from pixelplay.videos.decoded import require_space
from pixelplay.videos.index import Index, load_index
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # imports torch
    from pixelplay.backbones.object_maps import ObjectMaps

log = logging.getLogger(__name__)

VERSION = 1  # raised when tables hold something else; for what the tracker follows see its own version
ROOM = 3  # a table of tracks in tables of boxes: it has these boxes again, three more columns, and boxes in gaps


def tasks(config: Config) -> list[Task]:
    """A task for each kind of what the run's detectors need."""
    return tasks_for(config, [need for need in NEEDS if registry.needing(config, need)])


def tasks_for(config: Config, needs: Collection[Need]) -> list[Task]:
    """Those of the tasks that make what a detector's `Spec.needs` names."""
    if "tracks" not in needs:
        return []
    index = load_index(config)
    tracks, found = _tracks(config, index), []
    if "flow" in needs:
        found.append(_flow(config, index, tracks))
    if tables.by_backbone(config, needs):
        encoder = [_encoder(config, index, tracks)] if config.weights.backbone == "in_domain" else []
        found += [*encoder, _features(config, index, [tracks, *encoder])]
    return [tracks, *found]


STAGE = Stage("extract", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    if not tasks(config):
        log.info("extract: no detector of this run asks for tracks")
        return
    require_writable(config.paths.cache, "paths.cache")
    if pending(config):
        requirements.require(["tracks"])
        preconditions.require_features(config)
        remove_leftovers(config.paths.cache)
    for task in tasks(config):
        if config.checkpoints_of is not None or not task.pending() or not twins.take_over(config, task):
            task.run()
    log_run(config, "extract")


def extract_all(config: Config, index: Index) -> None:
    """Make what the run's detectors need of the objects of any videos, whether the run lists them or not, in which
    `detect_all` has found these.

    Nothing is trained: an encoder is the run's. Raises MissingArtifactError where that is missing.
    """
    needs: list[Need] = [need for need in NEEDS if registry.needing(config, need)]
    if "tracks" in needs:
        _follow_all(config, index)
    if "flow" in needs:
        _measure_flow(config, index)
    if tables.by_backbone(config, needs):
        if config.weights.backbone == "in_domain":
            run_index = load_index(config)
            _encoder(config, run_index, _tracks(config, run_index)).verified()
        _features_of_all(config, index)


def _tracks(config: Config, index: Index) -> Task:
    settings = {"objects.tracks": tables.track_settings(config)}
    return _task(config, "extract-tracks", settings, lambda: _follow_all(config, index), detect.tasks(config))


def _task(
    config: Config, name: str, settings: dict[str, Any], work: Callable[[], list[Path]], reads: Sequence[Task]
) -> Task:
    """One that makes a file of every video."""
    return Task(
        stage="extract",
        name=name,
        files=RunFiles.of(config),
        version=VERSION,
        settings=settings,
        work=work,
        reads=reads,
        folders=lambda: {video.folder for video in load_index(config).every},
    )


def _follow_all(config: Config, index: Index) -> list[Path]:
    videos = tables.with_objects(config, index, ["boxes"]).every
    parts = [Part(video, tables.tracks_table(config, video)) for video in videos]
    missing = [part for part in parts if not part.done()]
    sizes = [path.stat().st_size for part in missing for path in part.video.objects]
    require_space(config.paths.cache, ROOM * sum(sizes), "paths.cache")

    def make(part: Part, advance: Callable[[int], Any]) -> None:
        save(tracker.follow(boxes_of(part.video), part.video, config.objects.tracks), part.table)
        advance(len(part.video))

    detect.make_each(missing, "tracks", make)
    found = [load(part.table, Tracks) for part in parts]
    rows, followed = sum(map(len, found)), sum(int(tracks.track.max(initial=0)) for tracks in found)
    log.info(f"extract: {followed:,} tracks, {rows:,} boxes in {sum(map(len, videos)):,} frames")
    return [part.table for part in parts]


def _encoder(config: Config, index: Index, tracks: Task) -> Task:
    settings = {
        "encoder": config.weights.encoder.model_dump(),
        "footage": index.train_key,
        "heldout": index.heldout.model_dump(),
        "precision": config.trainer.precision,
        "seed": config.seed,
    }
    other = config.checkpoints_of
    if other:
        settings = {"checkpoints_of": other, "encoder": settings["encoder"]}
    return Task(
        stage="extract",
        name=tables.ENCODER,
        files=RunFiles.of(config),
        version=VERSION,
        settings=settings,
        work=lambda: _borrowed_encoder(config) if other else _trained_encoder(config, index),
        contents=lambda: borrowed.key_of(config, tables.ENCODER) if other else None,
        reads=[tracks],
        after=[prepare.task(config)],
    )


def _borrowed_encoder(config: Config) -> list[Path]:
    """That of the run whose detectors are used, which have learnt from its maps."""
    return borrowed.copy_outputs(config, borrowed.trained_record(config, tables.ENCODER, "extract"), "extract")


def _trained_encoder(config: Config, index: Index) -> list[Path]:
    from pixelplay.backbones.in_domain import shared_encoder
    from pixelplay.training.device import find_device, keep_freed_memory
    from pixelplay.training.run import TrainingRun

    shared = RunFiles.of(config).shared_models()
    require_writable(shared, "paths.checkpoints")
    keep_freed_memory()
    device, opening = find_device(config.device), partial(open_run, config)
    run = TrainingRun("extract", config.trainer, shared, device, config.seed, shared, open_wandb=opening)
    index = tables.with_objects(config, index, ["boxes", "tracks"])
    return [shared_encoder(index.fit, index.held.validation, config.weights.encoder, run)]


def _features(config: Config, index: Index, reads: list[Task]) -> Task:
    settings = {"objects.features": tables.maps_settings(config, "crops")}  # feature maps' are the same
    return _task(config, tables.MAPS, settings, lambda: _features_of_all(config, index), reads)


def _features_of_all(config: Config, index: Index) -> list[Path]:
    parts = [Part(*pair, tables.maps(config, pair[0], "crops").path) for pair in _followed(config, index)]
    if missing := [part for part in parts if not part.done()]:
        extractor = extractor_of(config)
        shape = (extractor.channels, extractor.config.cells, extractor.config.cells)
        log.info(f"extract: {detect.require_space(config, parts, shape)}")

        def make(part: Part, advance: Callable[[int], Any]) -> None:
            with part.writing(shape) as writer:
                for maps in extractor.of(part.video, load(part.table, Tracks), advance):
                    writer.extend(maps)

        detect.make_each(missing, "features of objects", make)
    return [part.maps for part in parts if part.maps]


def extractor_of(config: Config) -> "ObjectMaps":
    """What makes maps of objects by the run's backbone; an encoder is that which the run has trained."""
    from pixelplay.backbones.in_domain import as_backbone, load_encoder
    from pixelplay.backbones.object_maps import ObjectMaps
    from pixelplay.backbones.pretrained import backbone_of, load_backbone
    from pixelplay.training.device import autocast_bf16, find_device

    device = find_device(config.device)
    bf16 = autocast_bf16(config.objects.features.precision, device)
    if config.weights.backbone == "in_domain":
        record = read_record(RunFiles.of(config).record(tables.ENCODER))
        assert record is not None, "the task reads that of the encoder"
        (output,) = record.outputs
        backbone = as_backbone(load_encoder(output.path, config.weights.encoder), bf16)
    else:
        backbone = load_backbone(backbone_of(config.weights), bf16)
    cells = tables.cells(config, "crops")
    return ObjectMaps(backbone.to(device), config.objects.features.model_copy(update={"cells": cells}))


def _flow(config: Config, index: Index, tracks: Task) -> Task:
    settings = {"objects.flow": tables.flow_settings(config)}
    return _task(config, "extract-flow", settings, lambda: _measure_flow(config, index), [tracks])


def _measure_flow(config: Config, index: Index) -> list[Path]:
    settings, shape = config.objects.flow, (1 + config.objects.flow.bins,)
    parts = [Part(*pair, tables.flow_file(config, pair[0])) for pair in _followed(config, index)]
    missing = [part for part in parts if not part.done()]
    rows = sum(count(part.table) for part in missing)
    require_space(config.paths.cache, rows * shape[0] * np.dtype(np.float32).itemsize, "paths.cache")

    def make(part: Part, advance: Callable[[int], Any]) -> None:
        tracks, times = load(part.table, Tracks), frame_times(part.video, config.objects.tracks.fps)
        with part.writing(shape, np.float32) as writer:
            for values in flow_in_boxes(part.video, tracks, times, settings, advance):
                writer.extend(values)

    detect.make_each(missing, "optical flow", make)
    return [part.maps for part in parts if part.maps]


def _followed(config: Config, index: Index) -> list[tuple[Video, Path]]:
    """All videos, with their tables of tracks."""
    videos = tables.with_objects(config, index, ["boxes", "tracks"]).every
    return [(video, video.tracks) for video in videos if video.tracks]
