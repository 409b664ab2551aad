"""Stage `fuse`: from the detectors' raw scores to one score per frame, and the submission.

`fused.parquet` is a scores table: beside the test frames it has held-out normal footage (split=calibration) and planted
anomalies (split=pseudo), where every member has scores for them.
"""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pixelplay.artifacts import damaged, is_current, recorded, write_table, write_text
from pixelplay.code_version import code_version
from pixelplay.config import Config, FusionConfig
from pixelplay.errors import DataError
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.scores import submission
from pixelplay.scores.fuse import (
    FUSED,
    FrameWeights,
    compose,
    detector_of,
    fuse,
    member_of,
    process,
    processed_like,
    unsmoothed,
)
from pixelplay.scores.restored import frame_weights
from pixelplay.scores.table import by_split, to_table
from pixelplay.stages import prepare, restoring, score
from pixelplay.stages.score_tables import read_scores
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
    with recorded(files.record("fuse"), _key(config, index), [files.fused, files.submission]):
        _fuse(config, files, index)


def inputs(config: Config, index: Index) -> str:
    """Fingerprint of all that the fused scores of test and held-out footage depend on."""
    files = RunFiles.of(config)
    scores = {name: score.inputs(config, name, index) for name in config.detectors}
    read = list(config.fusion.external)
    if _counts_frames(config.fusion) and files.restoration.is_file():
        read.append(files.restoration)
    modules = ("pixelplay.scores.fuse", "pixelplay.scores.submission", "pixelplay.scores.restored")
    code = [code_version(__name__, follow=False), *map(code_version, modules)]
    return fingerprint(scores, config.fusion.model_dump(), _contents(read), str(files.submission), code)


def is_fused(config: Config, index: Index) -> bool:
    return is_current(RunFiles.of(config).record("fuse"), _key(config, index))


def _key(config: Config, index: Index) -> str:
    """`inputs`, and the tables themselves: planted anomalies are scored anew without a change in the others' inputs."""
    files = RunFiles.of(config)
    tables = [files.scores(name) for name in config.detectors]
    if _counts_frames(config.fusion):
        tables.append(files.pseudo_restoration)
    return fingerprint(inputs(config, index), _contents(path for path in tables if path.is_file()))


def _contents(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def streams_of(config: Config, index: Index, fusion: FusionConfig | None = None) -> dict[str, pd.DataFrame]:
    """Raw scores of every stream of the run's detectors and of the external files: scores tables by stream.

    Where the composites of `fusion`, by default the configured one, make a detector's default stream of its others, it
    is that. Raises DataError for an external file whose rows are not exactly the test frames.
    """
    fusion = fusion or config.fusion
    streams = {}
    for name in config.detectors:
        table = read_scores(config, name, index)
        streams |= {str(stream): rows for stream, rows in table.groupby("stream", sort=False)}
    for name, path in config.fusion.external_files.items():
        streams[name] = submission.read(path, submitted_frames(index), name)
    return streams | compose(streams, fusion, weights_of(config, index))


def unsmoothed_of(config: Config, index: Index) -> dict[str, pd.DataFrame]:
    """Every stream of the run as `fused.parquet` has it, but for the smoothing: scores tables by stream."""
    fusion = unsmoothed(config.fusion)
    return {
        stream: to_table(stream, process(by_split(rows), member_of(processed_like(stream, fusion), fusion)))
        for stream, rows in streams_of(config, index, fusion).items()
    }


def members_of(config: Config, streams: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], FusionConfig]:
    """Those of the run's streams that are fused, and the fusion without members of other runs.

    A detector takes part with the streams that `fusion.members` names, or with its default one; an external file with
    its only stream. Raises DataError for a member that is no stream of its detector.
    """
    fusion = _of_this_run(config)
    sources = [*config.detectors, *fusion.external_files]
    members = [*fusion.members, *(name for name in sources if not _named(name, fusion))]
    lacking = [stream for stream in members if stream not in streams]
    if lacking:
        raise DataError(f"fusion.members.{lacking[0]}: no such stream; streams of this run: {', '.join(streams)}")
    return {stream: streams[stream] for stream in members}, fusion


def weights_of(config: Config, index: Index) -> FrameWeights:
    """How much the scores of test frames and of pseudo-anomalies count where they are smoothed, by split.

    Both are corrupted alike, so one rule holds for both, and a fusion chosen on the one fits the other. Empty where all
    frames count alike.
    """
    if not _counts_frames(config.fusion):
        return {}
    files = RunFiles.of(config)
    splits = {"test": (files.restoration, index.test), "pseudo": (files.pseudo_restoration, index.pseudo)}
    weights = {}
    for split, (path, videos) in splits.items():
        if not videos:
            continue
        frames = {video.id: video.numbers for video in videos}
        try:
            weights[split] = frame_weights(restoring.read_restoration(path), config.fusion.restored, frames, path.name)
        except DataError as error:
            raise damaged(path, "prepare", error) from None
    return weights


def submitted_frames(index: Index) -> list[tuple[str, int]]:
    """(video, frame number) of each row of the submission, in its order."""
    return [(video.id, int(number)) for video in index.test for number in video.numbers]


def _fuse(config: Config, files: RunFiles, index: Index) -> None:
    streams = streams_of(config, index)
    members, fusion = members_of(config, streams)
    weights = weights_of(config, index)
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


def _of_this_run(config: Config) -> FusionConfig:
    """The fusion without members of detectors that are no part of this run; says which those are."""
    sources = {*config.detectors, *config.fusion.external_files}
    present = {s: member for s, member in config.fusion.members.items() if detector_of(s) in sources}
    left_out = sorted(set(config.fusion.members) - set(present))
    if left_out:
        log.info(f"fuse: without {', '.join(left_out)}: no detector of this run gives them")
    return config.fusion.model_copy(update={"members": present})


def _counts_frames(fusion: FusionConfig) -> bool:
    return fusion.restored.weight < 1


def _named(detector: str, fusion: FusionConfig) -> bool:
    return any(detector_of(stream) == detector for stream in fusion.members)
