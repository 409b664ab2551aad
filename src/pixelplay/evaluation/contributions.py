"""What each member of the fusion adds to a score: how far it is above its usual score, times its weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.evaluation.members import COLUMNS, FRAMES
from pixelplay.evaluation.object_members import read_streams_table
from pixelplay.evaluation.score_tables import object_streams, read_object_streams
from pixelplay.run.artifacts import read_csv
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import bounded, member_of
from pixelplay.scores.objects import summands
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
            return _shares(self.frames.loc[(video, frame)])
        assert self.objects is not None, "a track's score comes from object streams"
        return _shares(self.objects.loc[(video, frame, track)])


def _of_frames(config: "Config", table: pd.DataFrame) -> pd.DataFrame:
    listed = read_csv(RunFiles.of(config).fusion_members, COLUMNS, made_by="fuse")
    listed = listed[(listed["of"] == FRAMES) & (listed["left_out"] != "True") & (listed["weight"] > 0)]
    weights: Mapping[str, float] = dict(zip(listed["member"], listed["weight"], strict=True))
    members = [member_of(stream, config.fusion) for stream in weights]
    wide = table[table["stream"].isin(list(weights))].pivot(
        index=["split", "video", "frame"], columns="stream", values="score"
    )[list(weights)]
    wide[:] = bounded(wide.to_numpy().T, members, config.fusion).T
    return _above_usual(wide) * list(weights.values())


def _of_objects(config: "Config", index: Index) -> pd.DataFrame:
    judged = read_streams_table(config)
    kept = judged["member"][~judged["left_out"]].tolist()
    tables = read_object_streams(config, index)
    rows = summands({s: tables[s][tables[s]["split"] != "pseudo"] for s in kept}, config.fusion.objects)
    return _above_usual(rows.set_index(["split", "video", "frame", "track"]))


def _above_usual(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of test frames less the median of normal ones, or of all where a member has none of these; at least 0."""
    splits = scores.index.get_level_values("split")
    test, normal = scores[splits == "test"], scores[splits == "calibration"]
    usual = normal.median().fillna(test.median())
    return (test - usual).clip(lower=0).droplevel("split")


def _shares(added: pd.Series) -> dict[str, float]:
    total = float(added.sum())
    shares = added / total if total > 0 else pd.Series(1 / len(added), added.index)
    return {str(name): float(np.round(share, 4)) for name, share in shares.items()}
