"""`predict`: scores, events and clips of new files by a trained run: `python src/predict.py --help`.

The prediction is a run of its own below the trained one, `predictions/<name>/`: its test videos are the new ones, and
what the run has learnt and scored of normal footage is the run's. So its files lie, are checked and resumed as those of
every run, and what fuses scores, finds events and draws clips works on it as it is. Nothing is learnt from new files.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from pixelplay import preconditions
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.evaluation.members import require_fusable
from pixelplay.events.event import Event, Events
from pixelplay.prediction import footage, fusion, results
from pixelplay.prediction.footage import Footage
from pixelplay.run.artifacts import read_model
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.locks import exclusive
from pixelplay.run.stage import Task
from pixelplay.stages import detect, events, extract, fuse, score
from pixelplay.videos.index import Index, load_index
from pixelplay.videos.layouts.raw import find_videos

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a run says of new videos."""

    scores: pd.DataFrame  # a row per frame: see `results.score_rows`
    events: list[Event]  # the most severe first
    folder: Path  # of everything: scores.csv, events.csv, events.json, clips


def predict(
    path: Path | str, experiment: str = "sample", run: str | None = None, overrides: Sequence[str] = ()
) -> Prediction:
    """Score a video file, a folder of frames, or a folder of several such with a trained run.

    overrides: other options of the run, as on the command line. What has been predicted before is not done again.
    Raises DataError where there is no video, MissingArtifactError where the run is not trained, ConfigError for options
    that are refused.
    """
    names = [f"experiment={experiment}", *([f"run={run}"] if run else [])]
    own = _predicted(load_config([*names, *overrides]), Path(path))
    found = read_model(RunFiles.of(own).events, Events, made_by="predict").events
    return Prediction(results.score_rows(own, load_index(own), found), found, RunFiles.of(own).outputs)


def run(config: Config, path: str) -> None:
    """The command: predict, and say what came of it."""
    own = _predicted(config, Path(path))
    files = RunFiles.of(own)
    found = read_model(files.events, Events, made_by="predict")
    log.info("\n".join([*events.told(found, files), f"predict: scores of every frame: {files.predicted}"]))
    if own.events.sinks:
        events.send(own, files, load_index(own), found)


def _predicted(config: Config, path: Path) -> Config:
    """Do what is not done yet; returns the configuration of the prediction."""
    path = Path(os.path.abspath(os.path.expanduser(path)))
    require_fusable(config)
    videos = find_videos(path)
    trained = fuse.fused_index(config)
    there = Footage.of(path, videos, config, trained)
    own = footage.prediction_of(config, there)
    files = RunFiles.of(own)
    require_writable(files.outputs, "paths.outputs")
    with exclusive(own):
        footage.task(config, own, trained, there).run()
        new = load_index(own)
        scored = _scored(config, files, trained, replace(new, train=[]))
        fused = fusion.task(config, own, trained, new, [*scored, *fuse.tasks(config)])
        for task in (fused, *results.tasks(own, new, fused, scored)):
            task.run()
    return own


def _scored(config: Config, files: RunFiles, trained: Index, new: Index) -> list[Task]:
    """Score the videos of `new`, once their objects are found where detectors need them."""
    tasks = [task for name in config.detectors for task in score.tasks_of(config, name, trained, new, files)]
    if any(task.pending() for task in tasks):
        preconditions.require_models(config, config.detectors)
        require_writable(config.paths.cache, "paths.cache")
        detect.download_weights(config)
        detect.detect_all(config, new.test)
        extract.extract_all(config, new)
    for task in tasks:
        task.run()
    return tasks
