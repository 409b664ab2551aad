"""Which object streams of a run are summed: those with a weight, less what the judges leave out."""

from typing import TYPE_CHECKING

import pandas as pd

from pixelplay.ablation.object_judges import judge_objects
from pixelplay.evaluation.members import COLUMNS, planted_truth
from pixelplay.evaluation.score_tables import PLACE, places
from pixelplay.run.artifacts import read_csv
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config

OF = "objects"  # what these are members of, in fusion_members.csv


def select_streams(
    config: "Config", index: Index, tables: dict[str, pd.DataFrame]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """The streams that are summed per object, and the judges' table, a row per stream: see `members.COLUMNS`.

    `tables`: raw scores of objects by stream. Raises DataError as `fuse_objects`.
    """
    settings = config.fusion.objects
    truth = planted_truth(config, index) if config.fusion.select_members and len(tables) > 1 else None
    verdicts = {}
    if truth is not None:
        held, fitted = ([(video.id, video.numbers) for video in some] for some in (index.held.calibration, index.fit))
        normal = {stream: [*held, *(fitted if by_folds(tables[stream], index) else [])] for stream in tables}
        found = judge_objects(tables, truth, normal, settings, config.ablate)
        verdicts = {one.member: (one.left_out, one.told(config.ablate.metric)) for one in found}
    rows = [(s, OF, settings.streams[s], *verdicts.get(s, (False, ""))) for s in tables]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return {stream: tables[stream] for stream in table["member"][~table["left_out"]]}, table


def read_streams_table(config: "Config") -> pd.DataFrame:
    """The table that `select_streams` gave; raises MissingArtifactError or DamagedArtifactError."""
    table = read_csv(RunFiles.of(config).object_members, COLUMNS, made_by="fuse")
    return table.assign(left_out=table["left_out"] == "True")


def by_folds(objects: pd.DataFrame, index: Index) -> bool:
    """Whether rows of objects are also of the training footage, scored in folds: see `Calibrates`."""
    trained = places(("calibration", video) for video in index.fit)
    return bool(pd.MultiIndex.from_frame(objects[PLACE]).isin(trained).any())
