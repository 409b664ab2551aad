"""Stage `extract`: what detectors ask for of the boxes that were found: tracks.

Each video's table is written when the video is done, so that a killed run goes on with the next one; `objects.tables`
says where the tables lie.
"""

import logging
from collections.abc import Collection
from pathlib import Path

from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.objects import tables, tracker
from pixelplay.objects.boxes import boxes_of, is_saved, load, save
from pixelplay.objects.tables import NEEDS, Need
from pixelplay.objects.tracks import Tracks
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import remove_leftovers, require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.locks import turn
from pixelplay.run.stage import Stage, Task, digests_of
from pixelplay.stages import detect
from pixelplay.videos.index import Index, load_index

log = logging.getLogger(__name__)

VERSION = 1  # raised when tables hold something else; for what the tracker follows see its own version


def tasks(config: Config) -> list[Task]:
    """A task for each kind of what the run's detectors need."""
    return tasks_for(config, [need for need in NEEDS if registry.needing(config, need)])


def tasks_for(config: Config, needs: Collection[Need]) -> list[Task]:
    """Those of the tasks that make what a detector's `Spec.needs` names."""
    return [_tracks(config, load_index(config))] if "tracks" in needs else []


STAGE = Stage("extract", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    if not tasks(config):
        log.info("extract: no detector of this run asks for tracks")
        return
    require_writable(config.paths.cache, "paths.cache")
    if pending(config):
        remove_leftovers(config.paths.cache)
    STAGE.run(config)


def _tracks(config: Config, index: Index) -> Task:
    return Task(
        stage="extract",
        name="extract-tracks",
        record_path=RunFiles.of(config).record("extract-tracks"),
        version=VERSION,
        settings=tables.track_settings(config),
        work=lambda: _follow_all(config, index),
        digests=digests_of(config),
        reads=detect.tasks(config),
    )


def _follow_all(config: Config, index: Index) -> list[Path]:
    index = tables.with_objects(config, index, ["boxes"])
    videos = [*index.train, *index.test, *index.pseudo]
    paths = [tables.tracks_table(config, video) for video in videos]
    missing = [(video, path) for video, path in zip(videos, paths, strict=True) if not is_saved(path)]
    with progress_bar(sum(len(video) for video, _ in missing), "frame", "following objects") as bar:
        for video, path in missing:
            with turn(path, f"tracks of video {video.id}"):
                if not is_saved(path):  # another run may have made it meanwhile
                    save(tracker.follow(boxes_of(video), video, config.objects.tracks), path)
            bar.update(len(video))
    found = [load(path, Tracks) for path in paths]
    rows, followed = sum(map(len, found)), sum(int(tracks.track.max(initial=0)) for tracks in found)
    log.info(f"extract: {followed:,} tracks, {rows:,} boxes in {sum(map(len, videos)):,} frames")
    return paths
