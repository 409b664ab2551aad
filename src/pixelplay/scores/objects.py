"""From the object streams of several detectors to one score per object and one per frame.

All of them score the same rows, those of the tables of tracks. Each stream is brought to one scale by the scores of
normal objects that its model has not seen, all are summed per object, the sum is smoothed along the object's track, and
a frame has the score of its highest objects. After Reiss and Hoshen, *Attribute-based Representations* (arXiv
2212.00789), with tracks and without statistics of the test set.
"""

import logging
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.scores.normalise import Map, fitted
from pixelplay.scores.settings import OBJECTS, ObjectFusionConfig
from pixelplay.scores.smooth import in_steps, smooth
from pixelplay.scores.table import NEW

log = logging.getLogger(__name__)

FRAME = ["split", "video", "frame"]
ROW = ["split", "video", "track", "frame"]  # what a row is about; no stream has two rows of it


def fuse_objects(tables: Mapping[str, pd.DataFrame], config: ObjectFusionConfig) -> pd.DataFrame:
    """One row per object and frame: columns of `Scores.objects` with split and video, of the stream `objects`.

    tables: rows of each stream that is summed, by stream, at least one; all have the same rows, in any order, but of
    normal footage (split=calibration) some may have more, see `Calibrates`: what all have is summed. Streams are
    divided by the sum of their weights, so that scores stay on one scale whatever their number. Rows come in the order
    of split, video, track and frame. Raises DataError where rows differ or are repeated, or an object has no track.
    """
    ordered = _on_one_scale(tables, config)
    first, rows = next(iter(ordered.items()))
    for stream, table in ordered.items():
        if not table[ROW].equals(rows[ROW]):
            raise DataError(_difference(first, rows, stream, table))
    summed = sum(share * ordered[stream]["score"].to_numpy() for stream, share in shares_of(ordered, config).items())
    rows = rows.assign(stream=OBJECTS, score=np.asarray(summed, np.float64))
    return rows.assign(score=_along_tracks(rows, config))


def summands(tables: Mapping[str, pd.DataFrame], config: ObjectFusionConfig) -> pd.DataFrame:
    """What each stream adds to the scores of `fuse_objects`, in its order of rows: `ROW`, and a column per stream.

    They sum up to the score, except with a smoother that is not linear, such as a median.
    """
    ordered = _on_one_scale(tables, config)
    rows = next(iter(ordered.values()))[ROW]
    parts = {
        stream: share * _along_tracks(ordered[stream], config) for stream, share in shares_of(ordered, config).items()
    }
    return rows.assign(**parts)


def _on_one_scale(tables: Mapping[str, pd.DataFrame], config: ObjectFusionConfig) -> dict[str, pd.DataFrame]:
    """The tables in the order of `ROW`, with rows that all of them have, their scores calibrated."""
    scaled = {}
    for stream, table in tables.items():
        _require_tracks(stream, table)
        if len(table) and not (table["split"] == "calibration").any():
            log.warning(f"fuse: {stream}: no object in held-out normal footage: its scale is that of all objects")
        scaled[stream] = table.assign(score=calibrated(table, config))
    return _common(scaled)


def shares_of(streams: Collection[str], config: ObjectFusionConfig) -> dict[str, float]:
    """Weights of streams, which add up to 1."""
    total = sum(config.streams[stream] for stream in streams)
    return {stream: config.streams[stream] / total for stream in streams}


def frame_scores(
    objects: pd.DataFrame, videos: Iterable[tuple[str, str, np.ndarray]], config: ObjectFusionConfig
) -> pd.DataFrame:
    """The scores table of the stream `objects`: the mean of each frame's `config.top` highest objects.

    videos: split, id and frame numbers (T,) of every video. A frame with fewer objects is as if it had others of score
    0, which is a normal object's lowest; a frame without any has 0.
    """
    ranked = objects.sort_values("score", ascending=False, kind="stable")
    highest = ranked[ranked.groupby(FRAME, sort=False).cumcount() < config.top]
    mean = highest.groupby(FRAME, sort=False)["score"].sum() / config.top
    tables = []
    for split, video, numbers in videos:
        frames = pd.MultiIndex.from_product([[split], [video], numbers], names=FRAME)
        scores = mean.reindex(frames, fill_value=0.0).to_numpy(np.float64)
        tables.append(
            pd.DataFrame({"split": split, "video": video, "frame": numbers, "stream": OBJECTS, "score": scores})
        )
    return pd.concat(tables, ignore_index=True)


def calibrated(table: pd.DataFrame, config: ObjectFusionConfig) -> np.ndarray:
    """A stream's scores (N,) on the scale of held-out normal objects, or where there are none, of all of the run."""
    scores = table["score"].to_numpy(np.float64)
    return scale_of(table, config)(scores) if len(scores) else scores


def scale_of(table: pd.DataFrame, config: ObjectFusionConfig) -> Map:
    """The map to the scale that the run's rows of a stream set, whatever new footage is beside them."""
    scores, normal = table["score"].to_numpy(np.float64), (table["split"] == "calibration").to_numpy()
    own = scores[(table["split"] != NEW).to_numpy()]
    return fitted(scores[normal] if normal.any() else own, config.normalise, own)


def _common(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables in the order of `ROW`, without rows of normal footage that some table lacks."""
    normal = {s: pd.MultiIndex.from_frame(t.loc[t["split"] == "calibration", ROW]) for s, t in tables.items()}
    shared, *others = normal.values()
    for other in others:
        shared = shared[shared.isin(other)]
    ordered = {}
    for stream, table in tables.items():
        if len(normal[stream]) != len(shared):
            table = table[(table["split"] != "calibration") | pd.MultiIndex.from_frame(table[ROW]).isin(shared)]
        ordered[stream] = table.sort_values(ROW, kind="stable", ignore_index=True)
    return ordered


def _along_tracks(rows: pd.DataFrame, config: ObjectFusionConfig) -> np.ndarray:
    """Scores (N,) smoothed along each track; rows are in the order of tracks and frames."""
    new = rows[["split", "video", "track"]].ne(rows[["split", "video", "track"]].shift()).any(axis=1)
    starts = np.flatnonzero(new.to_numpy())[1:]
    frames, scores = rows["frame"].to_numpy(np.int64), rows["score"].to_numpy(np.float64)
    tracks = zip(np.split(frames, starts), np.split(scores, starts), strict=True)
    return np.concatenate([smooth(of, in_steps(at), config.smooth) for at, of in tracks])


def _require_tracks(stream: str, table: pd.DataFrame) -> None:
    if (table["track"] < 1).any():
        raise DataError(f"{stream}: an object has no track: run `python src/score.py` again")
    twice = table[table.duplicated(ROW)]
    if len(twice):
        row = twice.iloc[0]
        raise DataError(f"{stream}: video {row['video']}, frame {row['frame']}: two scores of track {row['track']}")


def _difference(first: str, rows: pd.DataFrame, stream: str, table: pd.DataFrame) -> str:
    """What to say where two streams have different rows."""
    both = rows[ROW].merge(table[ROW], how="outer", on=ROW, indicator=True)
    row = both[both["_merge"] != "both"].iloc[0]
    has, lacks = (first, stream) if row["_merge"] == "left_only" else (stream, first)
    return (
        f"{lacks} has no score for video {row['video']} (split {row['split']}), frame {row['frame']}, track "
        f"{row['track']}, which {has} has: streams of objects must score the same tracks: run score.py for both again"
    )
