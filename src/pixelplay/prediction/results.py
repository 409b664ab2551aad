"""What a prediction ends with: its events with their pictures, and a table of its scores."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.config import Config
from pixelplay.evaluation.events import Clock
from pixelplay.evaluation.members import read_members
from pixelplay.evaluation.score_tables import read_fused
from pixelplay.events.event import Event, Events
from pixelplay.run.artifacts import csv_text, read_model, write_text
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Task, forget
from pixelplay.scores.settings import FUSED
from pixelplay.stages import events
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

VERSION = 1  # raised when the same scores and events give another table


def tasks(own: Config, new: Index, fused: Task, scored: Sequence[Task]) -> list[Task]:
    """The tasks of stage `events` for a prediction, the first of which writes scores.csv, too.

    fused, scored: the tasks that have fused and scored the new videos.
    """
    files, of_stage = RunFiles.of(own), {task.name: task for task in events.tasks(own)}
    found = replace(
        of_stage["events"],
        stage="predict",
        settings={**of_stage["events"].settings, "table": VERSION},
        work=lambda: _write_results(own, files, new),
        reads=[fused],
        after=(),
    )
    if "event-clips" not in of_stage:
        forget(files.record("event-clips"))
        return [found]
    return [found, replace(of_stage["event-clips"], stage="predict", reads=[found, fused, *scored], after=())]


def _write_results(own: Config, files: RunFiles, new: Index) -> list[Path]:
    written = events.find(own, files, new)
    table = score_rows(own, new, read_model(files.events, Events, made_by="predict").events)
    cells = table.astype(object).where(table.notna(), "")
    write_text(files.predicted, csv_text([list(table), *cells.itertuples(index=False)]))
    return [*written, files.predicted]


def score_rows(own: Config, new: Index, found: list[Event]) -> pd.DataFrame:
    """A row per frame of the new videos, in their order.

    Columns: video, frame, seconds (NaN where not known), `fused`, the processed score of each member, and alarm: 1
    while an event goes on, of frames or of an object, else 0.
    """
    table = read_fused(own, new)
    table = table[table["split"] == "test"]
    members, _, _ = read_members(own, {str(s): rows for s, rows in table.groupby("stream", sort=False)})
    wide = table.pivot(index=["video", "frame"], columns="stream", values="score")[[FUSED, *members]]
    wide.columns.name = None
    return pd.concat([_of_video(own, video, wide.loc[video.id], found) for video in new.test], ignore_index=True)


def _of_video(own: Config, video: Video, scores: pd.DataFrame, found: list[Event]) -> pd.DataFrame:
    clock, numbers = Clock.of(video, own.events.fps), video.numbers
    alarm = np.zeros(len(video), np.int64)
    for one in found:
        if one.video == video.id:
            alarm[(numbers >= one.start.frame) & (numbers <= one.end.frame)] = 1
    about = {"video": video.id, "frame": numbers, "seconds": clock.seconds.round(3) if clock.known else np.nan}
    return pd.concat([pd.DataFrame(about), scores.loc[numbers].reset_index(drop=True)], axis=1).assign(alarm=alarm)
