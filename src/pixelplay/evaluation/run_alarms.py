"""The alarms of a run, from its held-out normal footage: the same for its test videos and for footage as it comes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from pixelplay.evaluation.normal_scores import normal_frames, normal_tracks
from pixelplay.evaluation.zoned import Zoned
from pixelplay.events.alarm import NormalScores, StreamAlarm
from pixelplay.scores.settings import FUSED, OBJECTS
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config

NOTHING_NORMAL = {
    FUSED: "no fused scores of held-out normal footage, since a member has none: no events of frames",
    OBJECTS: "no object was followed in held-out normal footage: no events of objects",
}


@dataclass(frozen=True, eq=False)
class RunAlarms:
    """An alarm for each stream that has scores of held-out normal footage."""

    alarms: Mapping[str, StreamAlarm]  # of `fused`, then of `objects`
    missing: dict[str, str]  # why, by stream that has none
    frames: NormalScores  # of `fused`

    @classmethod
    def of(
        cls,
        config: "Config",
        index: Index,
        zoned: Zoned,
        fused: pd.DataFrame,
        objects: tuple[pd.DataFrame, pd.DataFrame] | None,
    ) -> "RunAlarms":
        """fused: a scores table; objects: the tables of the stream `objects`, of frames and of objects, where there are
        any. Raises as `StreamAlarm.of`.
        """
        of_frames = normal_frames(config, index, fused[fused["stream"] == FUSED])
        of_tracks = normal_tracks(config, index, zoned, *objects) if objects else None
        present = [one for one in (of_frames, of_tracks) if one is not None]
        budget = config.events.false_alarms_per_hour
        alarms, missing = {}, {}
        for normal in present:
            if len(normal.all):
                share = None if budget is None else budget / len(present)  # together they keep to it
                alarms[normal.stream] = StreamAlarm.of(normal, config.events, config.dataset.name, share)
            else:
                missing[normal.stream] = NOTHING_NORMAL[normal.stream]
        return cls(alarms, missing, of_frames)
