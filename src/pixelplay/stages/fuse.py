"""Stage `fuse`: from the detectors' raw scores to one score per object and one per frame, and the submission.

Scores of objects are written as a detector's are, under the name `objects`, which is a member of the frames' fusion.
`fused.parquet` is a scores table: beside the test frames it has held-out normal footage (split=calibration) and planted
anomalies (split=pseudo), where every member has scores for them.
"""

import logging
from pathlib import Path

import pandas as pd

from pixelplay.config import Config
from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.evaluation import ledger
from pixelplay.evaluation.members import members_of, streams_of, submitted_frames, weights_of
from pixelplay.evaluation.object_members import by_folds, read_streams_table, select_streams
from pixelplay.evaluation.score_tables import object_streams, read_object_streams
from pixelplay.run.artifacts import csv_text, write_table, write_text
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests
from pixelplay.run.stage import Stage, Task, forget
from pixelplay.scores import submission
from pixelplay.scores.fuse import FUSED, fuse, process_unfused
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.settings import OBJECTS
from pixelplay.stages import prepare, score
from pixelplay.videos.index import Index, load_index

log = logging.getLogger(__name__)

VERSION = 4  # raised when the same scores and settings give another fusion, judgement or submission
OBJECTS_VERSION = 3  # raised when they give other scores of objects, or another judgement of their streams


def tasks(config: Config) -> list[Task]:
    """One task for objects, where detectors score them, and one for frames."""
    index, files = load_index(config), RunFiles.of(config)
    scored = [task for name in config.detectors for task in score.tasks_of(config, name, index)]
    streams = object_streams(config)
    how = config.ablate.model_dump(include={"metric", "n_bootstrap", "seed"})
    judging = how if config.fusion.select_members else None
    of_objects = Task(
        stage="fuse",
        name="fuse-objects",
        files=files,
        version=OBJECTS_VERSION,
        settings={
            "objects": config.fusion.objects.model_dump(exclude={"weight"}),
            "streams": streams,
            "judging": judging,
        },
        work=lambda: _fuse_objects(config, files, index),
        reads=scored,
        after=[prepare.task(config)],
    )
    first = [of_objects] if streams else []
    fusion = config.fusion.model_dump(exclude={"external", "objects"})
    weight_of_objects = config.fusion.objects.weight if streams else None
    task = Task(
        stage="fuse",
        name="fuse",
        files=files,
        version=VERSION,
        settings={
            "fusion": {**fusion, "external": list(config.fusion.external_files), "objects.weight": weight_of_objects},
            "judging": judging,
        },
        contents=lambda: {"external": file_digests(config.fusion.external), "submission": str(files.submission)},
        work=lambda: _fuse(config, files, index),
        reads=[*scored, *first],
        after=[prepare.task(config)],
    )
    return [*first, task]


def fused_index(config: Config) -> Index:
    """The index of a run, once all that scoring new footage needs of it is known to be there.

    Raises MissingArtifactError where something is not.
    """
    files = RunFiles.of(config)
    if not files.index.is_file():
        raise MissingArtifactError(
            f"{files.outputs}/: no run of that name has been trained here: run `./run_all.sh` with the same options "
            "first, or name another with experiment= and run="
        )
    index = load_index(config)
    for task in tasks(config):
        task.require()
    return index


STAGE = Stage("fuse", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    if not object_streams(config):
        forget(RunFiles.of(config).record("fuse-objects"))
    require_writable(RunFiles.of(config).submission.parent, "paths.submissions")
    ledger.require_own(config)
    STAGE.run(config)


def _fuse_objects(config: Config, files: RunFiles, index: Index) -> list[Path]:
    """Write the scores of objects and of their frames, as `score` does, those of pseudo-anomalies apart."""
    settings = config.fusion.objects
    streams, judged = select_streams(config, index, read_object_streams(config, index))
    write_text(files.object_members, csv_text([list(judged), *judged.itertuples(index=False)]))
    _tell_left_out(judged)
    videos = [("test", video) for video in index.test] + [("calibration", video) for video in index.held.calibration]
    videos += [("pseudo", video) for video in index.pseudo]
    objects = fuse_objects(streams, settings)
    videos += [("calibration", video) for video in index.fit] if by_folds(objects, index) else []
    frames = frame_scores(objects, [(split, video.id, video.numbers) for split, video in videos], settings)
    written = [files.object_members]
    for pseudo in (False, True) if index.pseudo else (False,):
        for table, path in ((frames, files.scores(OBJECTS, pseudo)), (objects, files.object_scores(OBJECTS, pseudo))):
            write_table(path, table[table["split"].eq("pseudo") == pseudo].reset_index(drop=True))
            written.append(path)
    log.info(f"fuse: {', '.join(streams)} -> {OBJECTS} ({len(objects):,} boxes)")
    return written


def _fuse(config: Config, files: RunFiles, index: Index) -> list[Path]:
    streams = streams_of(config, index)
    weights = weights_of(config, index)
    members, fusion, judged = members_of(config, index, streams, weights)
    of_objects = [read_streams_table(config)] if object_streams(config) else []
    listed = [row for one in (judged, *of_objects) for row in one.itertuples(index=False)]
    write_text(files.fusion_members, csv_text([list(judged), *listed]))
    _tell_left_out(judged)
    table = fuse(members, fusion, weights)
    others = [  # as their detector is; they are measured and plotted, not fused
        process_unfused(stream, rows, fusion, weights) for stream, rows in streams.items() if stream not in members
    ]
    write_table(files.fused, pd.concat([table, *others], ignore_index=True))
    fused = table[table["stream"] == FUSED]
    rows = submission.build(fused[fused["split"] == "test"], submitted_frames(index))
    write_text(files.submission, submission.to_csv_text(rows))
    problems = submission.validate(files.submission, rows["Id"].tolist())
    if problems:
        raise DataError(f"{files.submission}: {'; '.join(problems)}")
    ledger.note(config, index)
    log.info(f"fuse: {', '.join(members)} -> {files.submission} ({len(rows):,} rows)")
    _tell_unfused(members, fused)
    return [files.fused, files.submission, files.fusion_members]


def _tell_left_out(judged: pd.DataFrame) -> None:
    for row in judged[judged["left_out"]].itertuples():
        log.warning(f"fuse: left out {row.why} (fusion.select_members=false keeps every member)")


def _tell_unfused(members: dict[str, pd.DataFrame], fused: pd.DataFrame) -> None:
    """Say which split has no fused scores although some member has it."""
    for split in ("calibration", "pseudo"):
        without = [stream for stream, rows in members.items() if split not in set(rows["split"])]
        if split not in set(fused["split"]) and len(without) < len(members):
            log.info(f"fuse: no fused scores of split={split}, which {', '.join(without)} has not")
