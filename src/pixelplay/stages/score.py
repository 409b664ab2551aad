"""Stage `score`: raw scores of every detector: test videos, held-out normal footage, clips with pseudo-anomalies."""

import logging
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay import preconditions
from pixelplay.code_version import code_version
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import DamagedArtifactError, MissingArtifactError, PixelPlayError
from pixelplay.evaluation.score_tables import read_rows
from pixelplay.objects import tables
from pixelplay.progress import progress_bar
from pixelplay.run.artifacts import damaged, is_current, not_made, read_table, recorded, write_table
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.scores.table import SPLITS
from pixelplay.stages import prepare, train
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing it imports torch
    from pixelplay.detectors.base import Detector, Scores

log = logging.getLogger(__name__)


def pending(config: Config) -> str | None:
    index = prepare.load_index(config)
    names = [name for name in config.detectors if not is_scored(config, name, index)]
    return f"to score: {', '.join(names)}" if names else None


def run(config: Config) -> None:
    files = RunFiles.of(config)
    index = prepare.load_index(config)
    waiting = [name for name in config.detectors if not is_scored(config, name, index)]
    if waiting:
        preconditions.require_models(config, waiting)
    for name in config.detectors:
        if name not in waiting:
            log.info(f"score: {name} is up to date")
            continue
        if not train.is_trained(config, name, index):
            raise not_made(files.detector(name), "detector", "train")
        require_writable(files.scores(name).parent, "paths.outputs")
        _score(config, name, tables.with_objects(config, name, index))


def inputs(config: Config, name: str, index: Index) -> str:
    """Fingerprint of all that a detector's scores of test and held-out footage depend on."""
    detector = config.detectors[name]
    return fingerprint(
        train.inputs(config, name, index), index.test_key, detector.scoring, code_version(__name__, follow=False)
    )


def is_scored(config: Config, name: str, index: Index) -> bool:
    """Whether the table is there with all its rows, and no others."""
    todo = steps(config, name, index)
    return all(is_current(step.record, step.inputs) for step in todo) and _has_rows(RunFiles.of(config), name, todo)


def require_scored(config: Config, index: Index) -> None:
    """Raise MissingArtifactError for a detector without scores made with these settings, DamagedArtifactError for
    scores that are not as they were written.
    """
    files = RunFiles.of(config)
    for name in config.detectors:
        todo = steps(config, name, index)
        if not all(is_current(step.record, step.inputs) for step in todo):
            raise not_made(files.scores(name), "scores", "score")
        _require_rows(files, name, todo)


@dataclass(frozen=True)
class Step:
    """A part of the table that is written, and known to be up to date, on its own.

    Pseudo-anomalies have a step after all else, so that others need no other rows scored again, nor fused.
    """

    videos: list[tuple[str, Video]]  # split and video
    record: Path
    inputs: str
    before: tuple[str, ...]  # splits of the rows that the steps before it wrote
    folds: list[tuple[str, Video]]  # training footage that a detector may have scored in folds: see `Calibrates`


def steps(config: Config, name: str, index: Index) -> list[Step]:
    files, key = RunFiles.of(config), inputs(config, name, index)
    real = [("test", video) for video in index.test] + [("calibration", video) for video in index.held.calibration]
    pseudo = [("pseudo", video) for video in index.pseudo]
    folds = [("calibration", video) for video in index.fit]
    after = fingerprint(key, index.pseudo_key)
    return [
        Step(real, files.record(f"score-{name}"), key, (), folds),
        Step(pseudo, files.record(f"score-{name}-pseudo"), after, ("test", "calibration"), []),
    ]


def _score(config: Config, name: str, index: Index) -> None:
    from pixelplay.training.device import find_device, keep_freed_memory

    files = RunFiles.of(config)
    keep_freed_memory()
    detector = registry.create(name, config.detectors[name], find_device(config.device))
    try:
        detector.load(files.detector(name))
    except PixelPlayError:  # whatever it is, `train` must not answer that it is up to date
        (files.detector(name) / "trained.json").unlink(missing_ok=True)
        raise
    todo = steps(config, name, index)
    left = next((i for i, step in enumerate(todo) if not is_current(step.record, step.inputs)), 0)
    if left and not _has_rows(files, name, todo[:left], others=set(SPLITS) - set(todo[left].before)):
        left = 0
    for step in todo[left:]:
        step.record.unlink(missing_ok=True)  # of later steps, too: their rows are lost with the first one's
    for step in todo[left:]:
        outputs: list[Path] = []
        last = step is todo[-1]  # the others' tables still grow
        with recorded(step.record, step.inputs, *([outputs] if last else [[], outputs])):
            _score_step(detector, files, name, step)
            outputs += [path for path in (files.scores(name), files.object_scores(name)) if path.exists()]
    log.info(f"score: {name} -> {files.scores(name)}")


def _score_step(detector: "Detector", files: RunFiles, name: str, step: Step) -> None:
    """Score video by video into a folder of parts, then join them; parts that are there already are kept."""
    from pixelplay.detectors.base import Calibrates

    parts = files.scores(name).parent / f".{name}.parts-{step.inputs}"
    for old in parts.parent.glob(f".{escape(name)}.parts-{KEYS}"):
        if old != parts:
            shutil.rmtree(old)
    tables = _rows_of(files.scores(name), step.before)
    objects = _rows_of(files.object_scores(name), step.before)
    with progress_bar(sum(len(video) for _, video in step.videos), "frame", f"scoring {name}") as bar:
        for i, (split, video) in enumerate(step.videos):
            part = Part(parts / f"{i:05d}.parquet", parts / f"{i:05d}-objects.parquet")
            found = part.read(split, video, name)
            if found is None:
                part.write(split, video, detector.score(video))
                found = part.read(split, video, name)
                assert found is not None, part
            tables.append(found[0])
            objects += found[1:]
            bar.update(len(video))
    if step.folds and isinstance(detector, Calibrates):
        videos = [video for _, video in step.folds]
        scored = zip(videos, detector.calibrate(videos), strict=False)  # none, or all of them
        tables += [_table("calibration", video, scores.streams) for video, scores in scored]
    if objects:
        write_table(files.object_scores(name), pd.concat(objects, ignore_index=True))
    else:
        files.object_scores(name).unlink(missing_ok=True)  # of other settings, under which it had objects
    write_table(files.scores(name), pd.concat(tables, ignore_index=True))
    shutil.rmtree(parts, ignore_errors=True)


def _rows_of(path: Path, splits: tuple[str, ...]) -> list[pd.DataFrame]:
    """The rows of these splits in a table that is there, as a list of one; [] for none."""
    if not splits or not path.exists():
        return []
    table = read_table(path, made_by="score")
    if "split" not in table:
        raise damaged(path, "score", "no column 'split'")
    return [table[table["split"].isin(splits)]]


def _has_rows(files: RunFiles, name: str, done: list[Step], others: Collection[str] = ()) -> bool:
    try:
        _require_rows(files, name, done, others)
    except (MissingArtifactError, DamagedArtifactError):
        return False
    return True


def _require_rows(files: RunFiles, name: str, done: list[Step], others: Collection[str] = ()) -> None:
    """Raise for tables that can't be read, or hold not just what the steps have scored; rows of `others` are free."""
    videos, folds = ([one for step in done for one in getattr(step, part)] for part in ("videos", "folds"))
    read_rows(files.scores(name), videos, name, also=others, optional=folds)
    if files.object_scores(name).exists():
        read_table(files.object_scores(name), made_by="score")


@dataclass(frozen=True)
class Part:
    """What one video's scores are kept in until all are there."""

    scores: Path
    objects: Path  # none where the detector has no scores of objects

    def write(self, split: str, video: Video, scores: "Scores") -> None:
        table = _table(split, video, scores.streams)
        table.attrs["objects"] = None if scores.objects is None else len(scores.objects)
        if scores.objects is not None:
            write_table(self.objects, scores.objects.assign(split=split, video=video.id))
        write_table(self.scores, table)

    def read(self, split: str, video: Video, name: str) -> tuple[pd.DataFrame, ...] | None:
        """Scores of frames and, if there are such, of objects; None for what is missing, damaged or another video's."""
        if not self.scores.exists():
            return None
        try:
            table = read_rows(self.scores, [(split, video)], name)
            count, table.attrs = table.attrs.get("objects"), {}
            if count is None:
                return (table,)
            objects = read_table(self.objects, made_by="score")
        except (MissingArtifactError, DamagedArtifactError) as error:
            log.warning(f"score: {name}, video {video.id} is scored again: {error}")
            return None
        own = objects["split"].eq(split) & objects["video"].eq(video.id) & objects["frame"].isin(video.numbers)
        sound = len(objects) == count and own.all() and np.isfinite(objects["score"]).all()
        return (table, objects) if sound else None


def _table(split: str, video: Video, streams: dict) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"split": split, "video": video.id, "frame": video.numbers, "stream": stream, "score": values})
        for stream, values in streams.items()
    ]
    return pd.concat(tables, ignore_index=True)
