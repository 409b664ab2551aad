"""The tables of scores that stages hand on, checked against the index when they are read.

What does not fit the run's videos is damaged: the stage that wrote it is up to date no longer, and writes it again.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pixelplay.artifacts import RunFiles, damaged, read_table
from pixelplay.config import Config
from pixelplay.errors import DataError
from pixelplay.scores.fuse import FUSED
from pixelplay.scores.table import SPLITS, check
from pixelplay.stages import score
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

PLACE = ["split", "video", "frame"]
OF_OBJECTS = ("split", "video", "frame", "x1", "y1", "x2", "y2", "stream", "score")


def read_scores(config: Config, name: str, index: Index) -> pd.DataFrame:
    """A detector's raw scores: a row for every frame of every video that is scored, in each of its streams.

    Raises MissingArtifactError, or DamagedArtifactError for other rows and for scores that are not finite.
    """
    path = RunFiles.of(config).scores(name)
    table = read_table(path, made_by="score")
    videos = [one for step in score.steps(config, name, index) for one in step.videos]
    try:
        _require(table, videos, name)
    except DataError as error:
        raise damaged(path, "score", error) from None
    return table


def read_fused(config: Config, index: Index) -> pd.DataFrame:
    """What `fuse` made of them: a row for every test frame in each stream; raises as `read_scores`."""
    path = RunFiles.of(config).fused
    table = read_table(path, made_by="fuse")
    try:
        _require(table, [("test", video) for video in index.test], FUSED, also=("calibration", "pseudo"))
    except DataError as error:
        raise damaged(path, "fuse", error) from None
    return table


def read_objects(config: Config, name: str, videos: Iterable[Video]) -> pd.DataFrame:
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
    frames = _places([("test", video) for video in videos])
    strange |= (table["split"] == "test") & ~pd.MultiIndex.from_frame(table[PLACE]).isin(frames)
    if strange.any():
        row = table[strange].iloc[0]
        raise damaged(path, "score", f"video {row['video']!r} has no frame {row['frame']} (split {row['split']!r})")
    return table


def _require(table: pd.DataFrame, videos: list[tuple[str, Video]], stream: str, also: tuple[str, ...] = ()) -> None:
    """Raise DataError unless each stream, `stream` among them, has a row for each frame of the (split, video)s.

    Rows of the splits in `also` are free.
    """
    check(table)
    if stream not in set(table["stream"]):
        raise DataError(f"no rows of the stream {stream!r}")
    wanted = _places(videos)
    bound = table[~table["split"].isin(also)]
    for name, rows in bound.groupby("stream", sort=False):
        there = pd.MultiIndex.from_frame(rows[PLACE])
        for at, what in ((wanted[~wanted.isin(there)], "no row"), (there[~there.isin(wanted)], "a row too many")):
            if len(at):
                split, video, frame = at[0]
                raise DataError(f"stream {name!r} has {what} for video {video!r}, frame {frame} (split {split!r})")


def _places(videos: Iterable[tuple[str, Video]]) -> pd.MultiIndex:
    """Split, video and number of each frame."""
    rows = [(split, video.id, int(number)) for split, video in videos for number in video.numbers]
    return pd.MultiIndex.from_tuples(rows, names=PLACE) if rows else pd.MultiIndex.from_arrays([[], [], []])
