"""A run that is prepared and has raw scores of chosen values: what follows scoring is tested without training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.run.artifacts import write_json, write_table
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Task
from pixelplay.stages import prepare, score, train
from pixelplay.videos.index import Index


def prepared(overrides: Sequence[str]) -> tuple[Config, Index]:
    """The run with these overrides after `prepare`: nothing restored, nothing planted."""
    config = load_config([*overrides, "pseudo=none", "restore.flip=none", "workers=1"])
    prepare.run(config)
    return config, prepare.load_index(config)


def write_scores(config: Config, index: Index, streams: Mapping[str, Sequence[float]]) -> None:
    """Raw scores of the detector `conv_ae`: for each stream the test frames' in order, and 0, 1, 2, … for held-out."""
    files = RunFiles.of(config)
    test, held = (
        pd.DataFrame([(v.id, int(n)) for v in videos for n in v.numbers], columns=["video", "frame"])
        for videos in (index.test, index.held.calibration)
    )
    tables = [
        rows.assign(split=split, stream=stream, score=np.asarray(values[: len(rows)], np.float32))
        for stream, scores in streams.items()
        for split, rows, values in (("test", test, scores), ("calibration", held, range(len(held))))
    ]
    write_table(files.scores("conv_ae"), pd.concat(tables, ignore_index=True))
    record_scores(config, index, "conv_ae")


def write_record(path: Path, **facts: object) -> None:
    """The record of a finished task with these facts, and nothing else in it."""
    nothing = {"key": "", "version": 1, "settings": {}, "contents": None, "about": None, "reads": {}, "outputs": []}
    write_json(path, {**nothing, "finished": "", "seconds": 1.0, **facts})


def record_again(task: Task) -> None:
    """Let the outputs that a task has now pass for what it wrote."""
    written = task.outputs()
    task.record_path.unlink()
    replace(task, work=lambda: written, about=lambda: None).run()


def record_scores(config: Config, index: Index, name: str) -> None:
    """Let the tables of raw scores that a detector has now pass for what `score` wrote."""
    files = RunFiles.of(config)
    trained = train.task(config, name, index)
    trained.record_path.unlink(missing_ok=True)
    about = {"training": config.detectors[name].training, "parameters": None}
    replace(trained, work=lambda: [], about=lambda: about).run()
    for pseudo, task in enumerate(score.tasks_of(config, name, index)):
        task.record_path.unlink(missing_ok=True)
        replace(task, work=lambda pseudo=bool(pseudo): [files.scores(name, pseudo)]).run()
