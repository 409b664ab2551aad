"""`predict`: scores, events and clips of new files by a trained run.

From Python: `from pixelplay.prediction.predict import predict`, or as a command: `python src/predict.py --help`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pixelplay import preconditions
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import MissingArtifactError
from pixelplay.prediction import footage, fusion
from pixelplay.prediction.footage import Footage
from pixelplay.run.artifacts import read_table
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.locks import exclusive
from pixelplay.run.stage import Task, digests_of
from pixelplay.stages import detect, extract, fuse, score
from pixelplay.videos.index import Index, load_index

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a run says of new videos."""

    scores: pd.DataFrame  # a row per frame: video, frame, seconds, fused, and a column per member
    folder: Path


def predict(
    path: Path | str, experiment: str = "sample", run: str | None = None, overrides: Sequence[str] = ()
) -> Prediction:
    """Score a video file, a folder of frames, or a folder of several such with a trained run.

    overrides: other options of the run, as on the command line. What has been predicted before is not done again.
    Raises DataError where there is no video, MissingArtifactError where the run is not trained, ConfigError for options
    that are refused.
    """
    names = [f"experiment={experiment}", *([f"run={run}"] if run else [])]
    return predicted(load_config([*names, *overrides]), Path(path))


def run(config: Config, path: str) -> None:
    """The command: predict, and say what came of it."""
    found = predicted(config, Path(path))
    log.info(f"predict: {len(found.scores):,} frames of {found.scores['video'].nunique()} videos: {found.folder}/")


def predicted(config: Config, path: Path) -> Prediction:
    """`predict` with a configuration."""
    fusion.require_fusable(config)
    trained = _trained(config)
    new_files = Footage.at(path, config, trained)
    own = footage.prediction_of(config, new_files)
    files = RunFiles.of(own)
    require_writable(files.outputs, "paths.outputs")
    with exclusive(own):
        footage.task(config, own, trained, new_files).run()
        new = load_index(own)
        scoring = [task for name in config.detectors for task in score.tasks_of(config, name, trained, new, files)]
        _score(config, scoring, new)
        _fusion(config, own, trained, new, scoring).run()
    return Prediction(read_table(files.fused, made_by="predict"), files.outputs)


def _trained(config: Config) -> Index:
    """The index of the run, once all that predictions need of it is known to be there."""
    files = RunFiles.of(config)
    if not files.index.is_file():
        raise MissingArtifactError(
            f"{files.outputs}/: no run of that name has been trained here: run `./run_all.sh` with the same options "
            "first, or name another with experiment= and run="
        )
    index = load_index(config)
    for task in fuse.tasks(config):
        task.require()
    return index


def _score(config: Config, tasks: list[Task], new: Index) -> None:
    """Score the videos, once their objects are found where detectors need them."""
    if any(task.pending() for task in tasks):
        preconditions.require_models(config, config.detectors)
        require_writable(config.paths.cache, "paths.cache")
        detect.download_weights(config)
        detect.detect_all(config, new.test)
        extract.extract_all(config, new)
    for task in tasks:
        task.run()


def _fusion(config: Config, own: Config, trained: Index, new: Index, scoring: list[Task]) -> Task:
    return Task(
        stage="predict",
        name="fusion",
        record_path=RunFiles.of(own).record("fusion"),
        version=fusion.VERSION,
        settings={},
        work=lambda: fusion.fuse_new(config, own, trained, new),
        digests=digests_of(config),
        reads=[*scoring, *fuse.tasks(config)],
    )
