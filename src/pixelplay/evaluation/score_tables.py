"""Tables of scores, checked against the index when they are read: they have a row for each frame, and no others.

A table that does not fit the run's videos counts as damaged, so that its stage writes it again.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.run.artifacts import damaged, read_table
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import FUSED, detector_of
from pixelplay.scores.settings import OBJECTS
from pixelplay.scores.table import SPLITS, check
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

PLACE = ["split", "video", "frame"]
OF_OBJECTS = ("split", "video", "frame", "x1", "y1", "x2", "y2", "stream", "score", "track")


def object_streams(config: "Config") -> list[str]:
    """The streams of the run's detectors that are fused per object."""
    return [s for s, weight in config.fusion.objects.streams.items() if weight and detector_of(s) in config.detectors]


def scored_names(config: "Config") -> list[str]:
    """What has tables of scores: the run's detectors, and `objects` where object streams are fused."""
    return [*config.detectors, *([OBJECTS] if object_streams(config) else [])]


def read_scores(config: "Config", name: str, index: Index, detector: str | None = None) -> pd.DataFrame:
    """A detector's raw scores: a row for every scored frame in each of its streams; raises as `read_rows`.

    detector: where the table has another name than its streams, as for one of several seeds.
    """
    detector = detector or name
    files = RunFiles.of(config)
    scored = {"test": index.test, "calibration": index.held.calibration}
    real = [(split, video) for split, videos in scored.items() for video in videos]
    folds = [("calibration", video) for video in index.fit]  # see `Calibrates`
    table = read_rows(files.scores(name), real, detector, optional=folds)
    if not index.pseudo:
        return table
    planted = read_rows(files.scores(name, pseudo=True), [("pseudo", video) for video in index.pseudo], detector)
    return pd.concat([table, planted], ignore_index=True)


def read_fused(config: "Config", index: Index) -> pd.DataFrame:
    """The fused scores: a row for every test frame in each stream; raises as `read_rows`."""
    videos = [("test", video) for video in index.test]
    return read_rows(RunFiles.of(config).fused, videos, FUSED, also=("calibration", "pseudo"), made_by="fuse")


def read_objects(config: "Config", name: str, videos: Iterable[Video], planted: Collection[Video] = ()) -> pd.DataFrame:
    """A detector's object scores, also of the clips with `planted` pseudo-anomalies; raises as `read_scores`.

    Rows of the split `test` are of frames of `videos`, those of `pseudo` of frames of `planted`.
    """
    files = RunFiles.of(config)
    table = _object_rows(files.object_scores(name), "test", videos)
    if not planted:
        return table
    return pd.concat(
        [table, _object_rows(files.object_scores(name, pseudo=True), "pseudo", planted)], ignore_index=True
    )


def read_object_streams(config: "Config", index: Index) -> dict[str, pd.DataFrame]:
    """Raw scores of objects in each of the `object_streams`, by stream; raises as `read_scores`."""
    streams, tables = object_streams(config), {}
    for name in dict.fromkeys(map(detector_of, streams)):
        rows = read_objects(config, name, index.test, index.pseudo)
        tables |= {str(stream): of for stream, of in rows.groupby("stream", sort=False) if stream in streams}
    return tables


def _object_rows(path: Path, split: str, videos: Iterable[Video]) -> pd.DataFrame:
    table = read_table(path, made_by="score")
    if absent := [column for column in OF_OBJECTS if column not in table]:
        raise damaged(path, "score", f"no column {absent[0]!r}")
    numbers = table[["frame", *OF_OBJECTS[3:7], "score"]].select_dtypes("number")
    if numbers.shape[1] != 6 or not np.isfinite(numbers.to_numpy(np.float64)).all():
        raise damaged(path, "score", "a frame, a box or a score that is not finite")
    strange = ~table["split"].isin(SPLITS)
    frames = places([(split, video) for video in videos])
    strange |= (table["split"] == split) & ~pd.MultiIndex.from_frame(table[PLACE]).isin(frames)
    if strange.any():
        row = table[strange].iloc[0]
        raise damaged(path, "score", f"video {row['video']!r} has no frame {row['frame']} (split {row['split']!r})")
    return table


def read_rows(
    path: Path,
    videos: Iterable[tuple[str, Video]],
    stream: str,
    also: Collection[str] = (),
    optional: Iterable[tuple[str, Video]] = (),
    made_by: str = "score",
) -> pd.DataFrame:
    """Read a scores table in which each stream has one finite score for each frame of `videos`, given with their split.

    There are no other rows, except those of the splits in `also`, and of all frames of the `optional` videos. Raises
    MissingArtifactError, or DamagedArtifactError for other rows, or if `stream` is not among the streams.
    """
    table = read_table(path, made_by)
    try:
        _require_rows(table, videos, stream, also, optional)
    except DataError as error:
        raise damaged(path, made_by, error) from None
    return table


def _require_rows(
    table: pd.DataFrame,
    videos: Iterable[tuple[str, Video]],
    stream: str,
    also: Collection[str],
    optional: Iterable[tuple[str, Video]],
) -> None:
    check(table)
    if stream not in set(table["stream"]):
        raise DataError(f"no rows of the stream {stream!r}")
    wanted, possible = places(videos), places(optional)
    bound = table[~table["split"].isin(also)]
    if len(possible) and pd.MultiIndex.from_frame(bound[PLACE]).isin(possible).any():
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
