"""The scores table: tidy columns `split, video, frame, stream, score`, one row per frame and stream.

Raw and fused scores have this form. `check` is its contract, `by_split` gives its arrays, `to_table` the table of them.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype, is_integer_dtype, is_string_dtype

from pixelplay.errors import DataError

COLUMNS = ("split", "video", "frame", "stream", "score")
KEY = ["split", "video", "frame", "stream"]
NEW = "new"  # the split of footage that is not the run's own: see `pixelplay.prediction`
SPLITS = ("test", "calibration", "pseudo", NEW)


class VideoScores(NamedTuple):
    """One stream's scores over one video."""

    frames: np.ndarray  # (T,) int64 original frame numbers, strictly increasing
    scores: np.ndarray  # (T,) the table's score dtype, float32 in raw tables


Splits = dict[str, dict[str, VideoScores]]  # one stream's scores by split, then by video


def check(table: pd.DataFrame) -> None:
    """Raise DataError unless `table` keeps the contract of the scores table.

    Columns: `split` (one of `SPLITS`), `video` and `stream` (str), `frame` (integer original frame
    number, >= 0), `score` (floating point, finite). No (split, video, frame, stream) may be repeated. Further columns
    and the order of rows are free.
    """
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DataError(
            f"scores table: missing column(s) {', '.join(missing)}; it has {', '.join(map(str, table.columns))}; "
            f"needed: {', '.join(COLUMNS)}"
        )
    _check_dtypes(table)
    _refuse(table, ~table["split"].isin(SPLITS), f"has a split other than {', '.join(SPLITS)}")
    _refuse(table, table["frame"] < 0, "has a negative frame number")
    _refuse(table, table.duplicated(KEY), "is there more than once; each frame has one score per split and stream")
    _refuse(table, ~np.isfinite(table["score"].to_numpy()), "has a score that is not finite; fix its detector")


def by_split(table: pd.DataFrame) -> Splits:
    """One stream's scores by split, then by video in order of first appearance, sorted by frame.

    Raises DataError if the table breaks its contract or has several streams.
    """
    check(table)
    streams = table["stream"].unique()
    if len(streams) > 1:
        raise DataError(f"expected the rows of one stream; the table has {len(streams)}: {', '.join(streams)}")
    found: Splits = {split: {} for split in SPLITS if (table["split"] == split).any()}
    for split, videos in found.items():
        for video, rows in table[table["split"] == split].groupby("video", sort=False):
            rows = rows.sort_values("frame")
            videos[str(video)] = VideoScores(rows["frame"].to_numpy(dtype=np.int64), rows["score"].to_numpy())
    return found


def to_table(stream: str, splits: Splits) -> pd.DataFrame:
    """The scores table of one stream: `by_split`'s rows, in its order."""
    parts = [
        pd.DataFrame({"split": split, "video": video, "frame": one.frames, "stream": stream, "score": one.scores})
        for split, videos in splits.items()
        for video, one in videos.items()
    ]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _check_dtypes(table: pd.DataFrame) -> None:
    # A video called "01" that was read as the number 1 would never meet its own frames again.
    text, number, real = (is_string_dtype, "str"), (is_integer_dtype, "integer"), (is_float_dtype, "floating point")
    wanted = {"video": text, "stream": text, "frame": number, "score": real}
    for name, (holds, what) in wanted.items():
        column = table[name]
        if len(column) and (column.isna().all() or not holds(column.dropna())):
            raise DataError(f"scores table: column {name!r} must be {what}, not {column.dtype} ({column.iloc[0]!r})")
        if name != "score" and column.isna().any():
            raise DataError(f"scores table: column {name!r} has {int(column.isna().sum())} empty value(s)")


def _refuse(table: pd.DataFrame, bad: pd.Series | np.ndarray, what: str) -> None:
    """Raise DataError that names the first row marked in `bad` (N,) bool, if there is one."""
    bad = np.asarray(bad)
    if bad.any():
        row = table.iloc[int(np.flatnonzero(bad)[0])]
        raise DataError(
            f"scores table: stream {row['stream']!r}, video {row['video']!r}, frame {row['frame']} "
            f"(split {row['split']!r}, score {row['score']}) {what} [{int(bad.sum())} such row(s) of {len(table)}]"
        )
