"""From raw scores tables to one score per frame: each member normalised and smoothed, then fused.

A fusion is a function `(members, weights) -> scores` in `FUSIONS`, found by `FusionConfig.method`; a new one is a
function here, its entry there, and its name in `FusionConfig.method`.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from pixelplay.config import FusionConfig, MemberConfig, alternatives
from pixelplay.errors import ConfigError, DataError
from pixelplay.scores.normalise import normalise
from pixelplay.scores.smooth import smooth
from pixelplay.scores.table import check

FUSED = "fused"  # the stream that holds the fused scores


def fuse(tables: dict[str, pd.DataFrame], config: FusionConfig) -> pd.DataFrame:
    """Processed members and the stream `fused` in one table `video, frame, stream, score` (float64).

    `tables`: scores table of each stream that takes part, by stream name, with its test and calibration rows; a
    stream that `config.members` does not name is processed as `config.default`. Every stream has the same rows in the
    same order: videos as they first appear in the first table, frames increasing.
    Raises DataError when there is no table, a table is not its stream's, or the streams' (video, frame) rows differ;
    ConfigError when a configured member has no table or the weights can't be used.
    """
    _check_members(tables, config)
    members = {stream: config.members.get(stream, config.default) for stream in tables}
    processed = _align({stream: process(tables[stream], member) for stream, member in members.items()})
    scores = np.stack([table["score"].to_numpy() for table in processed])  # (M, N)
    weights = np.array([member.weight for member in members.values()])  # (M,)
    fused = processed[0].assign(stream=FUSED, score=FUSIONS[config.method](scores, weights))
    return pd.concat([*processed, fused], ignore_index=True)


def process(table: pd.DataFrame, member: MemberConfig) -> pd.DataFrame:
    """One stream's test scores, normalised over the whole test set, then smoothed within each video.

    `table`: scores table of one stream; rows of split=calibration serve the normaliser, split=pseudo is left out.
    Returns `video, frame, stream, score` (float64): videos in order of first appearance, frames increasing.
    Raises DataError when the table breaks its contract, has several streams or no test rows.
    """
    check(table)
    streams = table["stream"].unique()
    if len(streams) != 1:
        raise DataError(f"process takes the rows of one stream; the table has {len(streams)}: {', '.join(streams)}")
    test = table.loc[table["split"] == "test", ["video", "frame", "stream", "score"]]
    if test.empty:
        raise DataError(f"stream {streams[0]!r} has no scores of split=test; run score.py")
    calibration = table.loc[table["split"] == "calibration", "score"].to_numpy()
    test = test.assign(score=normalise(test["score"].to_numpy(), calibration, member.normalise))
    return pd.concat(
        [_smoothed(rows.sort_values("frame"), member) for _, rows in test.groupby("video", sort=False)],
        ignore_index=True,
    )


def weighted_mean(members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of members (M, N) with weights (M,), which are divided by their sum; float64 (N,).

    Raises ConfigError when a weight is negative or not finite, or when all are zero.
    """
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ConfigError(f"fusion weights must be finite and at least 0; they are {weights.tolist()}")
    if not weights.any():
        raise ConfigError("all fusion weights are 0; give at least one of the fused streams a weight above 0")
    share = weights / weights.max()  # first, so that a sum of huge weights can't overflow
    return (share / share.sum()) @ members


def _smoothed(rows: pd.DataFrame, member: MemberConfig) -> pd.DataFrame:
    return rows.assign(score=smooth(rows["score"].to_numpy(), rows["frame"].to_numpy(), member.smooth))


def _check_members(tables: dict[str, pd.DataFrame], config: FusionConfig) -> None:
    if not tables:
        raise DataError("there are no scores to fuse; run score.py for at least one detector")
    for stream in config.members:
        if stream not in tables:
            raise ConfigError(f"fusion.members.{stream}: no such stream; {alternatives(stream, list(tables))}")
    for stream, table in tables.items():
        check(table)
        if stream == FUSED:
            raise DataError(f"a detector's stream may not be called {FUSED!r}; that is the fusion's own")
        if set(table["stream"]) != {stream}:
            raise DataError(f"the table of stream {stream!r} has rows of {', '.join(table['stream'].unique())}")


def _align(processed: dict[str, pd.DataFrame]) -> list[pd.DataFrame]:
    """Every table with the rows in the first one's order; raises DataError when the rows are not the same."""
    (first, reference), *others = processed.items()
    wanted = pd.MultiIndex.from_frame(reference[["video", "frame"]])
    aligned = [reference]
    for stream, table in others:
        found = pd.MultiIndex.from_frame(table[["video", "frame"]])
        _refuse_lacking(stream, first, wanted.difference(found))
        _refuse_lacking(first, stream, found.difference(wanted))
        aligned.append(table.iloc[found.get_indexer(wanted)].reset_index(drop=True))
    return aligned


def _refuse_lacking(stream: str, other: str, rows: pd.MultiIndex) -> None:
    if len(rows):
        video, frame = rows[0]
        raise DataError(
            f"stream {stream!r} has no score for video {video!r}, frame {frame}, which stream {other!r} has "
            f"[{len(rows)} such row(s)]; fused streams must cover the same frames: run score.py for both again"
        )


FUSIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"weighted_mean": weighted_mean}
