"""Which rows a table of scores must have: those of some videos' frames, and no others."""

from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from pixelplay.errors import DataError
from pixelplay.run.artifacts import damaged, read_table
from pixelplay.scores.table import check
from pixelplay.videos.video import Video

PLACE = ["split", "video", "frame"]


def read_rows(
    path: Path,
    videos: list[tuple[str, Video]],
    stream: str,
    also: Collection[str] = (),
    optional: list[tuple[str, Video]] | None = None,
) -> pd.DataFrame:
    """Read a table that `score` wrote.

    Raises MissingArtifactError, or DamagedArtifactError where `require_rows` refuses the table.
    """
    table = read_table(path, made_by="score")
    try:
        require_rows(table, videos, stream, also, optional)
    except DataError as error:
        raise damaged(path, "score", error) from None
    return table


def require_rows(
    table: pd.DataFrame,
    videos: list[tuple[str, Video]],
    stream: str,
    also: Collection[str] = (),
    optional: list[tuple[str, Video]] | None = None,
) -> None:
    """Raise DataError unless each stream, `stream` among them, has one finite score for each frame of the videos, given
    with their splits, and no other rows. Rows of the splits in `also` are free; of the `optional` videos there are
    rows for all frames or for none.
    """
    check(table)
    if stream not in set(table["stream"]):
        raise DataError(f"no rows of the stream {stream!r}")
    wanted = places(videos)
    bound = table[~table["split"].isin(also)]
    if optional and pd.MultiIndex.from_frame(bound[PLACE]).isin(possible := places(optional)).any():
        wanted = wanted.append(possible)
    for name in table["stream"].unique():
        there = pd.MultiIndex.from_frame(bound.loc[bound["stream"] == name, PLACE])
        for at, what in ((wanted[~wanted.isin(there)], "no row"), (there[~there.isin(wanted)], "a row too many")):
            if len(at):
                split, video, frame = at[0]
                raise DataError(f"stream {name!r} has {what} for video {video!r}, frame {frame} (split {split!r})")


def places(videos: Iterable[tuple[str, Video]]) -> pd.MultiIndex:
    """Split, video and number of each frame."""
    rows = [(split, video.id, int(number)) for split, video in videos for number in video.numbers]
    return pd.MultiIndex.from_tuples(rows, names=PLACE) if rows else pd.MultiIndex.from_arrays([[], [], []])
