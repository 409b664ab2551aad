"""Which streams of a run are fused: what `fusion.members` names, less what the judges leave out."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pixelplay.artifacts import csv_text, read_csv, write_text
from pixelplay.config import Config, FusionConfig
from pixelplay.errors import DataError
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import FrameWeights, detector_of, member_of
from pixelplay.stages import prepare
from pixelplay.stages.pseudo import kinds_of_clips
from pixelplay.videos.index import Index

log = logging.getLogger(__name__)

COLUMNS = {"member": str, "weight": float, "left_out": bool, "why": str}


def candidates(config: Config, streams: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], FusionConfig]:
    """Those of the run's streams that may be fused, and the fusion without members of other runs.

    A detector takes part with the streams that `fusion.members` names, or with its default one; an external file with
    its only stream. Raises DataError for a member that is no stream of its detector.
    """
    fusion = _of_this_run(config)
    sources = [*config.detectors, *fusion.external_files]
    members = [*fusion.members, *(name for name in sources if not _named(name, fusion))]
    missing = [stream for stream in members if stream not in streams]
    if missing:
        raise DataError(f"fusion.members.{missing[0]}: no such stream; streams of this run: {', '.join(streams)}")
    return {stream: streams[stream] for stream in members}, fusion


def judge_members(
    config: Config,
    index: Index,
    streams: dict[str, pd.DataFrame],
    members: Sequence[str],
    fusion: FusionConfig,
    weights: FrameWeights,
) -> list[str]:
    """The members to fuse; which they are, and why others are left out, is written to fusion_members.csv and logged.

    Those that have no scores of planted anomalies, such as external files, are kept.
    """
    verdicts = _verdicts(config, index, streams, members, fusion, weights)
    rows = [
        (m, member_of(m, fusion).weight, m in verdicts and verdicts[m][0], verdicts[m][1] if m in verdicts else "")
        for m in members
    ]
    write_text(RunFiles.of(config).fusion_members, csv_text([list(COLUMNS), *rows]))
    for member, _, left_out, why in rows:
        if left_out:
            log.warning(f"fuse: left out {member}: {why} (fusion.judges=false keeps every member)")
    return [member for member, _, left_out, _ in rows if not left_out]


def read_members(config: Config) -> pd.DataFrame:
    """What `judge_members` wrote: raises Missing- or DamagedArtifactError."""
    return read_csv(RunFiles.of(config).fusion_members, COLUMNS, made_by="fuse")


def _verdicts(
    config: Config,
    index: Index,
    streams: dict[str, pd.DataFrame],
    members: Sequence[str],
    fusion: FusionConfig,
    weights: FrameWeights,
) -> dict[str, tuple[bool, str]]:
    """By member: whether it is left out, and why."""
    judged = [m for m in members if "pseudo" in set(streams[m]["split"])]
    if not fusion.judges or not index.pseudo or len(judged) < 2:
        return {}
    # They import scikit-learn, which a run without planted anomalies need not wait for.
    from pixelplay.ablation.bench import Truth
    from pixelplay.ablation.judges import judge
    from pixelplay.ablation.variants import named

    planted = prepare.load_labels(config, index, "pseudo").labelled
    labels = np.concatenate([one.labels for one in planted if one.labels is not None])
    if labels.min() == labels.max():
        return {}
    truth = Truth.of([(one.video, one.numbers, one.labels) for one in planted], kinds_of_clips(RunFiles.of(config)))
    found = judge(streams, truth, named(fusion, judged), config.ablate, weights)
    return {one.member: (one.left_out, one.told(config.ablate.metric)) for one in found}


def _of_this_run(config: Config) -> FusionConfig:
    """The fusion without members of detectors that are no part of this run; says which those are."""
    sources = {*config.detectors, *config.fusion.external_files}
    present = {s: member for s, member in config.fusion.members.items() if detector_of(s) in sources}
    left_out = sorted(set(config.fusion.members) - set(present))
    if left_out:
        log.info(f"fuse: without {', '.join(left_out)}: no detector of this run gives them")
    return config.fusion.model_copy(update={"members": present})


def _named(detector: str, fusion: FusionConfig) -> bool:
    return any(detector_of(stream) == detector for stream in fusion.members)
