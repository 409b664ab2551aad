"""What each member of the fusion adds to a score: how far it is above its usual score, times its weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.evaluation.members import COLUMNS, FRAMES
from pixelplay.evaluation.object_members import read_streams_table
from pixelplay.evaluation.score_tables import object_streams, read_object_streams
from pixelplay.run.artifacts import read_csv
from pixelplay.run.files import RunFiles
from pixelplay.scores.combine import bounded
from pixelplay.scores.fuse import member_of
from pixelplay.scores.objects import summands
from pixelplay.scores.settings import FusionConfig
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config


@dataclass(frozen=True, eq=False)
class Contributions:
    """Tables of what members add: of frames by video and frame, of objects by video, frame and track."""

    frames: pd.DataFrame
    objects: pd.DataFrame | None

    @classmethod
    def of(cls, config: "Config", index: Index, table: pd.DataFrame) -> "Contributions":
        """table: the fused scores of the run, with those of its members."""
        objects = _of_objects(config, index) if object_streams(config) else None
        return cls(_of_frames(config, table), objects)

    def at(self, video: str, frame: int, track: int | None) -> dict[str, float]:
        """Shares that add up to 1, of the members of a frame's score, or of the object streams of a track's there."""
        if track is None:
            added = self.frames.loc[(video, frame)]
        else:
            assert self.objects is not None, "a track's score comes from object streams"
            added = self.objects.loc[(video, frame, track)]
        return shares_by_name(list(map(str, added.index)), added.to_numpy(np.float64))


def _of_frames(config: "Config", table: pd.DataFrame) -> pd.DataFrame:
    listed = read_csv(RunFiles.of(config).fusion_members, COLUMNS, made_by="fuse")
    listed = listed[(listed["of"] == FRAMES) & (listed["left_out"] != "True") & (listed["weight"] > 0)]
    weights: Mapping[str, float] = dict(zip(listed["member"], listed["weight"], strict=True))
    return _above_usual(member_scores(table, list(weights), config.fusion)) * list(weights.values())


def member_scores(table: pd.DataFrame, names: Sequence[str], fusion: FusionConfig) -> pd.DataFrame:
    """Scores of members as they are combined, a column each, by split, video and frame; table: of fused scores."""
    members = [member_of(stream, fusion) for stream in names]
    wide = table[table["stream"].isin(names)].pivot(
        index=["split", "video", "frame"], columns="stream", values="score"
    )[list(names)]
    wide[:] = bounded(wide.to_numpy().T, members, fusion).T
    return wide


def _of_objects(config: "Config", index: Index) -> pd.DataFrame:
    judged = read_streams_table(config)
    kept = judged["member"][~judged["left_out"]].tolist()
    tables = read_object_streams(config, index)
    rows = summands({s: tables[s][tables[s]["split"] != "pseudo"] for s in kept}, config.fusion.objects)
    return _above_usual(rows.set_index(["split", "video", "frame", "track"]))


def _above_usual(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of test frames less the median of normal ones, or of all where a member has none of these; at least 0."""
    test = scores[scores.index.get_level_values("split") == "test"]
    return (test - usual(scores)).clip(lower=0).droplevel("split")


def usual(scores: pd.DataFrame) -> pd.Series:
    """The median of each column in normal footage, or of test scores where a member has none of these."""
    splits = scores.index.get_level_values("split")
    return scores[splits == "calibration"].median().fillna(scores[splits == "test"].median())


def shares_by_name(names: Sequence[str], added: np.ndarray) -> dict[str, float]:
    """Shares that add up to 1, of what each adds, (M,), at least 0; equal ones where none adds anything."""
    total = float(added.sum())
    shares = added / total if total > 0 else np.full(len(added), 1 / len(added))
    return {name: float(np.round(share, 4)) for name, share in zip(names, shares, strict=True)}
