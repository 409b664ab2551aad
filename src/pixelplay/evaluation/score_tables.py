"""The tables of scores that stages hand on, checked against the index when they are read.

What does not fit the run's videos is damaged: the stage that wrote it is up to date no longer, and writes it again.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.evaluation.score_rows import PLACE, places, read_rows, require_rows
from pixelplay.run.artifacts import damaged, read_table
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import FUSED
from pixelplay.scores.table import SPLITS
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

OF_OBJECTS = ("split", "video", "frame", "x1", "y1", "x2", "y2", "stream", "score")


def read_scores(config: "Config", name: str, index: Index) -> pd.DataFrame:
    """A detector's raw scores: a row for every frame of every video that is scored, in each of its streams.

    Raises MissingArtifactError, or DamagedArtifactError for other rows and for scores that are not finite.
    """
    files = RunFiles.of(config)
    scored = {"test": index.test, "calibration": index.held.calibration}
    real = [(split, video) for split, videos in scored.items() for video in videos]
    folds = [("calibration", video) for video in index.fit]  # see `Calibrates`
    table = read_rows(files.scores(name), real, name, optional=folds)
    if not index.pseudo:
        return table
    planted = read_rows(files.scores(name, pseudo=True), [("pseudo", video) for video in index.pseudo], name)
    return pd.concat([table, planted], ignore_index=True)


def read_fused(config: "Config", index: Index) -> pd.DataFrame:
    """What `fuse` made of them: a row for every test frame in each stream; raises as `read_scores`."""
    path = RunFiles.of(config).fused
    table = read_table(path, made_by="fuse")
    try:
        require_rows(table, [("test", video) for video in index.test], FUSED, also=("calibration", "pseudo"))
    except DataError as error:
        raise damaged(path, "fuse", error) from None
    return table


def read_objects(config: "Config", name: str, videos: Iterable[Video]) -> pd.DataFrame:
    """A detector's scores of single objects; those of the split `test` are in frames of the test `videos`.

    Raises as `read_scores`.
    """
    path = RunFiles.of(config).object_scores(name)
    table = read_table(path, made_by="score")
    absent = [column for column in OF_OBJECTS if column not in table]
    if absent:
        raise damaged(path, "score", f"no column {absent[0]!r}")
    numbers = table[["frame", *OF_OBJECTS[3:7], "score"]].select_dtypes("number")
    if numbers.shape[1] != 6 or not np.isfinite(numbers.to_numpy(np.float64)).all():
        raise damaged(path, "score", "a frame, a box or a score that is not finite")
    strange = ~table["split"].isin(SPLITS)
    frames = places([("test", video) for video in videos])
    strange |= (table["split"] == "test") & ~pd.MultiIndex.from_frame(table[PLACE]).isin(frames)
    if strange.any():
        row = table[strange].iloc[0]
        raise damaged(path, "score", f"video {row['video']!r} has no frame {row['frame']} (split {row['split']!r})")
    return table
