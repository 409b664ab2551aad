"""A run that is prepared and has raw scores of chosen values: what follows scoring is tested without training."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.run.artifacts import recorded, write_table
from pixelplay.run.files import RunFiles
from pixelplay.stages import prepare, score
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


def record_scores(config: Config, index: Index, name: str) -> None:
    """Let the table of raw scores that a detector has now pass for what `score` wrote."""
    for step in score.steps(config, name, index):
        with recorded(step.record, step.inputs, [RunFiles.of(config).scores(name)]):
            pass
