"""New footage fused as the trained run's own was: with its members, on the scale of its scores.

The run's held-out scores calibrate, and normalisations that learn from scores learn from those of its test set, so that
nothing depends on what else is predicted.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from pixelplay.config import Config
from pixelplay.evaluation.members import read_members, weights_of
from pixelplay.evaluation.object_members import read_streams_table
from pixelplay.evaluation.score_tables import object_streams, read_object_streams, read_scores, scored_names
from pixelplay.run.artifacts import write_table
from pixelplay.run.atomic import copied
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Task
from pixelplay.scores.fuse import compose, fuse, process_unfused
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.settings import OBJECTS
from pixelplay.scores.table import NEW
from pixelplay.videos.index import Index

log = logging.getLogger(__name__)

VERSION = 2  # raised when the same scores give another fusion


def task(config: Config, own: Config, trained: Index, new: Index, reads: Sequence[Task]) -> Task:
    """Write the scores of a prediction's objects and frames as stage `fuse` does.

    trained, new: the indices of the run that `config` names, and of the prediction `own`. reads: the tasks that have
    scored the new videos and fused the run.
    """
    return Task(
        stage="predict",
        name="predict-fusion",
        files=RunFiles.of(own),
        version=VERSION,
        settings={},
        work=lambda: _fuse(config, own, trained, new),
        reads=reads,
    )


def _fuse(config: Config, own: Config, trained: Index, new: Index) -> list[Path]:
    written = [
        *_copy_members(config, own),
        *(_fuse_objects(config, own, trained, new) if object_streams(config) else []),
    ]
    weights = weights_of(config, trained)
    if weights:
        weights = {**weights, NEW: weights_of(own, new)["test"]}
    raw = dict(_streams(config, own, trained, new))
    streams = raw | compose(raw, config.fusion, weights)
    members, fusion, _ = read_members(config, streams)
    others = [process_unfused(s, rows, fusion, weights) for s, rows in streams.items() if s not in members]
    files = RunFiles.of(own)
    write_table(files.fused, _as_test(pd.concat([fuse(members, fusion, weights), *others], ignore_index=True)))
    log.info(f"predict: {', '.join(members)} -> {files.fused}")
    return [*written, files.fused]


def _copy_members(config: Config, own: Config) -> list[Path]:
    """The tables of which members the run's fusion has."""
    source, target = RunFiles.of(config), RunFiles.of(own)
    pairs = [(source.fusion_members, target.fusion_members)]
    pairs += [(source.object_members, target.object_members)] if object_streams(config) else []
    return [copied(path, copy) for path, copy in pairs]


def _streams(config: Config, own: Config, trained: Index, new: Index) -> Iterator[tuple[str, pd.DataFrame]]:
    """Raw scores of new footage and of the trained run, by stream."""
    for name in scored_names(config):
        table = _joined(read_scores(config, name, trained), read_scores(own, name, new))
        yield from ((str(stream), rows) for stream, rows in table.groupby("stream", sort=False))


def _joined(known: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Scores of the run, without those of pseudo-anomalies, and new ones, whose held-out part is the run's."""
    new = found[found["split"] == "test"].assign(split=NEW)
    return pd.concat([known[known["split"] != "pseudo"], new], ignore_index=True)


def _fuse_objects(config: Config, own: Config, trained: Index, new: Index) -> list[Path]:
    """Write the scores of objects, and those of their frames, beside those of the run's held-out footage."""
    files, listed = RunFiles.of(own), read_streams_table(config)
    known, found = read_object_streams(config, trained), read_object_streams(own, new)
    tables = {stream: _joined(known[stream], found[stream]) for stream in listed["member"][~listed["left_out"]]}
    objects = fuse_objects(tables, config.fusion.objects)
    heldout = read_scores(config, OBJECTS, trained)
    frames = frame_scores(objects, [(NEW, video.id, video.numbers) for video in new.test], config.fusion.objects)
    frames = pd.concat([frames, heldout[heldout["split"] == "calibration"]], ignore_index=True)
    write_table(files.scores(OBJECTS), _as_test(frames))
    write_table(files.object_scores(OBJECTS), _as_test(objects))
    return [files.scores(OBJECTS), files.object_scores(OBJECTS)]


def _as_test(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of new footage, which is the prediction's test footage, and of held-out footage."""
    table = table[table["split"].isin((NEW, "calibration"))]
    return table.assign(split=table["split"].replace({NEW: "test"})).reset_index(drop=True)
