"""Stage `score`: raw scores of every detector: test videos, held-out normal footage, clips with pseudo-anomalies."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay import preconditions
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import DataError, PixelPlayError
from pixelplay.evaluation.score_parts import Part, streams_table
from pixelplay.objects import tables
from pixelplay.progress import progress_bar
from pixelplay.run import twins
from pixelplay.run.artifacts import read_table, rerun, write_table
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles, of_seed
from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.run.stage import Stage, Task
from pixelplay.stages import train
from pixelplay.videos.index import Index, load_index
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing it imports torch
    from pixelplay.detectors.base import Detector

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same detector gives other scores

Footage = list[tuple[str, Video]]  # splits and videos


def tasks(config: Config) -> Iterator[Task]:
    index = load_index(config)
    for name in config.detectors:
        yield from tasks_of(config, name, index)


STAGE = Stage("score", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    index = load_index(config)
    for task in tasks(config) if config.checkpoints_of is None else ():  # scores of the same detectors in other runs
        if task.pending():
            twins.take_over(config, task)
    waiting = [name for name in config.detectors if any(task.pending() for task in tasks_of(config, name, index))]
    if waiting:
        require_writable(RunFiles.of(config).scores(waiting[0]).parent, "paths.outputs")
        for name in waiting:
            for seed in config.trained_seeds:
                train.task(config, name, index, seed).require()
        preconditions.require_models(config, waiting)
    STAGE.run(config)


def tasks_of(
    config: Config, name: str, index: Index, footage: Index | None = None, files: RunFiles | None = None
) -> list[Task]:
    """A task for test and held-out footage, and one for pseudo-anomalies: other clips leave the first one's scores.

    With several seeds, these for each, and for the mean of them. footage, files: what is scored, and where the scores
    lie, if it is not the run's own; those of held-out footage are then copied from the run.
    """
    footage, files = footage or index, files or RunFiles.of(config)
    scored = [_of_seed(config, name, index, seed, footage, files) for seed in config.trained_seeds]
    every = [task for tasks in scored for task in tasks]
    means = [_mean(config, files, name, bool(pseudo), list(of)) for pseudo, of in enumerate(zip(*scored, strict=True))]
    return [*every, *means] if config.seeds else every


def _of_seed(config: Config, name: str, index: Index, seed: int | None, footage: Index, files: RunFiles) -> list[Task]:
    run, trained = RunFiles.of(config), train.task(config, name, index, seed)
    ready = cache(lambda: _ready(config, name, footage, seed, trained))  # by whichever task is the first with work
    # another run's folds are of its own footage
    own, folds = of_seed(name, seed), config.checkpoints_of is None
    heldout = None if footage is index else (run.scores(own), run.object_scores(own))

    def task(pseudo: bool) -> Task:
        settings = {
            "footage": footage.pseudo_key if pseudo else footage.test_key,
            "scoring": config.detectors[name].scoring,
        }
        task_name = _task_name(own, pseudo)
        outputs = files.scores(own, pseudo), files.object_scores(own, pseudo)
        return Task(
            stage="score",
            name=task_name,
            files=files,
            version=VERSION,
            settings=settings,
            work=lambda: _score(
                name,
                *ready(),
                pseudo,
                folds and not pseudo,
                outputs,
                fingerprint(trained.require().key, settings),
                heldout,
            ),
            reads=[trained],
        )

    return [task(pseudo) for pseudo in ((False, True) if footage.pseudo else (False,))]


def _mean(config: Config, files: RunFiles, name: str, pseudo: bool, of_seeds: Sequence[Task]) -> Task:
    """The mean of the scores with several seeds."""
    task_name = _task_name(name, pseudo)
    return Task(
        stage="score",
        name=task_name,
        files=files,
        version=VERSION,
        settings={"seeds": config.seeds},
        work=lambda: _average(config, files, name, pseudo),
        reads=of_seeds,
    )


def _task_name(name: str, pseudo: bool) -> str:
    return f"score-{name}{'-pseudo' if pseudo else ''}"


def _average(config: Config, files: RunFiles, name: str, pseudo: bool) -> list[Path]:
    """Write the tables of frames and of objects with the means over seeds; raises DataError where rows differ."""
    written = []
    for path_of in (files.scores, files.object_scores):
        paths = [path_of(of_seed(name, seed), pseudo) for seed in config.trained_seeds]
        if not any(path.exists() for path in paths):  # a detector without scores of objects
            continue
        first, *others = tables = [read_table(path, made_by="score") for path in paths]
        for path, table in zip(paths[1:], others, strict=True):
            if not table.drop(columns="score").equals(first.drop(columns="score")):
                raise DataError(f"{path} has other rows than {paths[0]}: delete both, and {rerun('score')}")
        mean = np.mean([table["score"].to_numpy(np.float64) for table in tables], axis=0)
        write_table(path_of(name, pseudo), first.assign(score=mean.astype(np.float32)))
        written.append(path_of(name, pseudo))
    log.info(f"score: {name}: mean of the seeds {', '.join(map(str, config.trained_seeds))}")
    return written


def _ready(config: Config, name: str, index: Index, seed: int | None, trained: Task) -> tuple["Detector", Index]:
    """The trained detector, and the index with the boxes that it needs."""
    from pixelplay.training.device import find_device, keep_freed_memory

    index = tables.with_objects(config, index, registry.spec(name, config.detectors[name]).needs)
    keep_freed_memory()
    detector = registry.create(name, config.detectors[name], find_device(config.device))
    try:
        detector.load(RunFiles.of(config).detector(name, seed))
    except PixelPlayError:  # whatever it is, `train` must not answer that it is up to date
        trained.record_path.unlink(missing_ok=True)
        raise
    return detector, index


def _score(
    name: str,
    detector: "Detector",
    index: Index,
    pseudo: bool,
    folds: bool,
    outputs: tuple[Path, Path],
    key: str,
    heldout: tuple[Path, Path] | None,
) -> list[Path]:
    """Score video by video into a folder of parts, then join them; parts that are there already are kept.

    heldout: the tables whose scores of held-out footage are copied.
    """
    scores, object_scores = outputs
    footage = [("test", video) for video in index.test] + [("calibration", video) for video in index.held.calibration]
    if pseudo:
        footage = [("pseudo", video) for video in index.pseudo]
    parts = scores.parent / f".{scores.stem}.parts-{key}"
    for old in parts.parent.glob(f".{escape(scores.stem)}.parts-{KEYS}"):
        if old != parts:
            shutil.rmtree(old)
    frames, objects = _parts(detector, name, footage, parts)
    if heldout is not None:
        frames.append(_heldout(heldout[0]))
        objects += [_heldout(heldout[1])] if objects else []
    elif folds:
        of_frames, of_objects = _by_folds(detector, index.fit)
        frames, objects = frames + of_frames, objects + of_objects
    object_scores.unlink(missing_ok=True)  # of other settings, under which there were objects
    if objects:
        write_table(object_scores, pd.concat(objects, ignore_index=True))
    write_table(scores, pd.concat(frames, ignore_index=True))
    shutil.rmtree(parts, ignore_errors=True)
    log.info(f"score: {name} -> {scores}")
    return [scores, object_scores] if objects else [scores]


def _by_folds(detector: "Detector", fitted: Sequence[Video]) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Scores of frames and of objects of the footage that a detector was fitted on, if it `Calibrates`."""
    from pixelplay.detectors.base import Calibrates

    if not isinstance(detector, Calibrates):
        return [], []
    scored = list(zip(fitted, detector.calibrate(list(fitted)), strict=False))  # none, or all of them
    objects = [(video, found.objects) for video, found in scored if found.objects is not None]
    return (
        [streams_table("calibration", video, found.streams) for video, found in scored],
        [rows.assign(split="calibration", video=video.id) for video, rows in objects],
    )


def _heldout(path: Path) -> pd.DataFrame:
    table = read_table(path, made_by="score")
    return table[table["split"] == "calibration"]


def _parts(
    detector: "Detector", name: str, footage: Footage, folder: Path
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Scores of frames and of objects, a table for each video."""
    frames, objects = [], []
    with progress_bar(sum(len(video) for _, video in footage), "frame", f"scoring {name}") as bar:
        for i, (split, video) in enumerate(footage):
            part = Part(folder / f"{i:05d}.parquet", folder / f"{i:05d}-objects.parquet")
            found = part.read(split, video, name)
            if found is None:
                part.write(split, video, detector.score(video))
                found = part.read(split, video, name)
                assert found is not None, part
            frames.append(found[0])
            objects += found[1:]
            bar.update(len(video))
    return frames, objects
