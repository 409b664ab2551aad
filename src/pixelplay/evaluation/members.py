"""Which streams of a run are fused: what `fusion.members` names, less what the judges leave out."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pixelplay.config import Config, FusionConfig
from pixelplay.errors import DataError
from pixelplay.preconditions import require_known_members
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import FrameWeights, detector_of, member_of
from pixelplay.stages import prepare
from pixelplay.synthetic.pseudo.dataset import kinds_of_clips
from pixelplay.videos.index import Index

log = logging.getLogger(__name__)

COLUMNS = ("member", "weight", "left_out", "why")


def candidates(config: Config, streams: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], FusionConfig]:
    """Those of the run's streams that may be fused, and the fusion without members of other runs.

    A detector takes part with the streams that `fusion.members` names, or with its default one; an external file with
    its only stream. Raises DataError for a member that is no stream of its detector, ConfigError for an unknown one.
    """
    require_known_members(config)
    fusion = _of_this_run(config)
    sources = [*config.detectors, *fusion.external_files]
    members = [*fusion.members, *(name for name in sources if not _named(name, fusion))]
    missing = [stream for stream in members if stream not in streams]
    if missing:
        raise DataError(f"fusion.members.{missing[0]}: no such stream; streams of this run: {', '.join(streams)}")
    return {stream: streams[stream] for stream in members}, fusion


def members_of(
    config: Config, index: Index, streams: dict[str, pd.DataFrame], weights: FrameWeights
) -> tuple[dict[str, pd.DataFrame], FusionConfig, pd.DataFrame]:
    """The streams that are fused, the fusion of them, and the judges' table: a row per candidate, as `COLUMNS`.

    Candidates without scores of planted anomalies, such as external files, are kept. Raises as `candidates`.
    """
    members, fusion = candidates(config, streams)
    verdicts = _verdicts(config, index, streams, list(members), fusion, weights)
    rows = [(m, member_of(m, fusion).weight, *verdicts.get(m, (False, ""))) for m in members]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    kept = {m: members[m] for m in table["member"][~table["left_out"].astype(bool)]}
    named = {stream: member for stream, member in fusion.members.items() if stream in kept}
    return kept, fusion.model_copy(update={"members": named}), table


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
    if not fusion.select_members or not index.pseudo or len(judged) < 2:
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
