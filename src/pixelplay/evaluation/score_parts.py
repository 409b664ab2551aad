"""What scores of single videos are kept in until all are there, so that a killed run goes on with the next video."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.evaluation.score_tables import read_rows
from pixelplay.run.artifacts import read_table, write_table
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing it imports torch
    from pixelplay.detectors.base import Scores

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """What one video's scores are kept in until all are there."""

    scores: Path
    objects: Path  # none where the detector has no scores of objects

    def write(self, split: str, video: Video, scores: "Scores") -> None:
        table = streams_table(split, video, scores.streams)
        table.attrs["objects"] = None if scores.objects is None else len(scores.objects)
        if scores.objects is not None:
            write_table(self.objects, scores.objects.assign(split=split, video=video.id))
        write_table(self.scores, table)

    def read(self, split: str, video: Video, name: str) -> tuple[pd.DataFrame, ...] | None:
        """Scores of frames and, if there are any, of objects; None for what is missing, damaged or another video's."""
        if not self.scores.exists():
            return None
        try:
            table = read_rows(self.scores, [(split, video)], name)
            count, table.attrs = table.attrs.get("objects"), {}
            if count is None:
                return (table,)
            objects = read_table(self.objects, made_by="score")
        except (MissingArtifactError, DamagedArtifactError) as error:
            log.warning(f"score: {name}, video {video.id} is scored again: {error}")
            return None
        own = objects["split"].eq(split) & objects["video"].eq(video.id) & objects["frame"].isin(video.numbers)
        sound = len(objects) == count and own.all() and np.isfinite(objects["score"]).all()
        return (table, objects) if sound else None


def streams_table(split: str, video: Video, streams: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The scores table of one video: (T,) of each stream."""
    tables = [
        pd.DataFrame({"split": split, "video": video.id, "frame": video.numbers, "stream": stream, "score": values})
        for stream, values in streams.items()
    ]
    return pd.concat(tables, ignore_index=True)
