"""Stage `fuse`: from the detectors' raw scores to one score per test frame, and the submission."""

import logging

import pandas as pd

from pixelplay.artifacts import (
    RunFiles,
    code_version,
    fingerprint,
    is_current,
    read_table,
    recorded,
    require_writable,
    write_table,
    write_text,
)
from pixelplay.config import Config, FusionConfig
from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.scores import submission
from pixelplay.scores.fuse import FUSED, fuse, process
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
    lacking = [name for name in config.detectors if not score.is_scored(config, name, index)]
    if lacking:
        raise MissingArtifactError(
            f"{files.scores(lacking[0])}: no scores made with these settings: "
            "run `python src/score.py` with the same options"
        )
    require_writable(files.submission.parent, "paths.submissions")
    with recorded(files.record("fuse"), inputs(config, index), [files.fused, files.submission]):
        _fuse(config, files, index)


def inputs(config: Config, index: Index) -> str:
    scores = {name: score.inputs(config, name, index) for name in config.detectors}
    modules = ("pixelplay.scores.fuse", "pixelplay.scores.submission")
    code = [code_version(__name__, follow=False), *map(code_version, modules)]
    return fingerprint(scores, config.fusion.model_dump(), str(RunFiles.of(config).submission), code)


def is_fused(config: Config, index: Index) -> bool:
    return is_current(RunFiles.of(config).record("fuse"), inputs(config, index))


def _fuse(config: Config, files: RunFiles, index: Index) -> None:
    streams = {stream: table for name in config.detectors for stream, table in _streams(files, name).items()}
    fusion = _of_this_run(config)
    members = [*fusion.members, *(name for name in config.detectors if not _named(name, fusion))]
    lacking = [stream for stream in members if stream not in streams]
    if lacking:
        raise DataError(f"fusion.members.{lacking[0]}: no such stream; streams of this run: {', '.join(streams)}")
    table = fuse({stream: streams[stream] for stream in members}, fusion)
    others = [  # as their detector is; they are measured and plotted, not fused
        process(rows, fusion.members.get(_detector(stream), fusion.default))
        for stream, rows in streams.items()
        if stream not in members
    ]
    write_table(files.fused, pd.concat([table, *others], ignore_index=True))
    expected = [(video.id, int(number)) for video in index.test for number in video.numbers]
    rows = submission.build(table[table["stream"] == FUSED], expected)
    write_text(files.submission, submission.to_csv_text(rows))
    problems = submission.validate(files.submission, rows["Id"].tolist())
    if problems:
        raise DataError(f"{files.submission}: {'; '.join(problems)}")
    log.info(f"fuse: {', '.join(members)} -> {files.submission} ({len(rows):,} rows)")


def _streams(files: RunFiles, name: str) -> dict[str, pd.DataFrame]:
    table = read_table(files.scores(name), made_by="score")
    return {str(stream): rows for stream, rows in table.groupby("stream", sort=False)}


def _of_this_run(config: Config) -> FusionConfig:
    """The fusion without members of detectors that are no part of this run; says which those are."""
    present = {s: member for s, member in config.fusion.members.items() if _detector(s) in config.detectors}
    left_out = sorted(set(config.fusion.members) - set(present))
    if left_out:
        log.info(f"fuse: without {', '.join(left_out)}: no detector of this run gives them")
    return config.fusion.model_copy(update={"members": present})


def _named(detector: str, fusion: FusionConfig) -> bool:
    return any(_detector(stream) == detector for stream in fusion.members)


def _detector(stream: str) -> str:
    """The detector of a stream: `conv_ae` of `conv_ae/mean`."""
    return stream.partition("/")[0]
