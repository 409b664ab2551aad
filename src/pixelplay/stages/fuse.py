"""Stage `fuse`: from the detectors' raw scores to one score per frame, and the submission.

`fused.parquet` is a scores table: beside the test frames it has held-out normal footage (split=calibration) and planted
anomalies (split=pseudo), where every member has scores for them.
"""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pixelplay.code_version import code_version
from pixelplay.config import Config
from pixelplay.errors import DataError
from pixelplay.evaluation.members import counts_frames, members_of, streams_of, submitted_frames, weights_of
from pixelplay.run.artifacts import csv_text, is_current, recorded, write_table, write_text
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.scores import submission
from pixelplay.scores.fuse import FUSED, fuse, member_of, process, processed_like
from pixelplay.scores.table import by_split, to_table
from pixelplay.stages import prepare, score
from pixelplay.videos.index import Index

log = logging.getLogger(__name__)


def pending(config: Config) -> str | None:
    index = prepare.load_index(config)
    return None if is_fused(config, index) else "scores or the fusion's settings have changed"


def run(config: Config) -> None:
    files = RunFiles.of(config)
    index = prepare.load_index(config)
    if is_fused(config, index):
        log.info("fuse: up to date")
        return
    score.require_scored(config, index)
    require_writable(files.submission.parent, "paths.submissions")
    outputs = [files.fused, files.submission, files.fusion_members]
    with recorded(files.record("fuse"), _key(config, index), outputs):
        _fuse(config, files, index)


def inputs(config: Config, index: Index) -> str:
    """Fingerprint of all that the fused scores of test and held-out footage depend on."""
    files = RunFiles.of(config)
    scores = {name: score.inputs(config, name, index) for name in config.detectors}
    read = list(config.fusion.external)
    if counts_frames(config.fusion) and files.restoration.is_file():
        read.append(files.restoration)
    judged = (index.pseudo_key, config.ablate.metric, config.ablate.draws, config.ablate.seed)
    modules = (
        "pixelplay.scores.fuse",
        "pixelplay.scores.submission",
        "pixelplay.scores.restored",
        "pixelplay.ablation.judges",
    )
    code = [code_version(__name__, follow=False), *map(code_version, modules)]
    fusion = (config.fusion.model_dump(), judged if config.fusion.judges else None)
    return fingerprint(scores, fusion, _contents(read), str(files.submission), code)


def is_fused(config: Config, index: Index) -> bool:
    return is_current(RunFiles.of(config).record("fuse"), _key(config, index))


def _key(config: Config, index: Index) -> str:
    """`inputs`, and the tables themselves: planted anomalies are scored anew without a change in the others' inputs."""
    files = RunFiles.of(config)
    tables = [files.scores(name) for name in config.detectors]
    if counts_frames(config.fusion):
        tables.append(files.pseudo_restoration)
    return fingerprint(inputs(config, index), _contents(path for path in tables if path.is_file()))


def _contents(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def _fuse(config: Config, files: RunFiles, index: Index) -> None:
    streams = streams_of(config, index)
    weights = weights_of(config, index)
    members, fusion, judged = members_of(config, index, streams, weights)
    write_text(files.fusion_members, csv_text([list(judged), *judged.itertuples(index=False)]))
    for row in judged[judged["left_out"]].itertuples():
        log.warning(f"fuse: left out {row.why} (fusion.judges=false keeps every member)")
    table = fuse(members, fusion, weights)
    others = [  # as their detector is; they are measured and plotted, not fused
        to_table(stream, process(by_split(rows), member_of(processed_like(stream, fusion), fusion), weights))
        for stream, rows in streams.items()
        if stream not in members
    ]
    write_table(files.fused, pd.concat([table, *others], ignore_index=True))
    fused = table[table["stream"] == FUSED]
    rows = submission.build(fused[fused["split"] == "test"], submitted_frames(index))
    write_text(files.submission, submission.to_csv_text(rows))
    problems = submission.validate(files.submission, rows["Id"].tolist())
    if problems:
        raise DataError(f"{files.submission}: {'; '.join(problems)}")
    log.info(f"fuse: {', '.join(members)} -> {files.submission} ({len(rows):,} rows)")
    _tell_unfused(members, fused)


def _tell_unfused(members: dict[str, pd.DataFrame], fused: pd.DataFrame) -> None:
    """Say which split has no fused scores although some member has it."""
    for split in ("calibration", "pseudo"):
        without = [stream for stream, rows in members.items() if split not in set(rows["split"])]
        if split not in set(fused["split"]) and len(without) < len(members):
            log.info(f"fuse: no fused scores of split={split}, which {', '.join(without)} has not")
