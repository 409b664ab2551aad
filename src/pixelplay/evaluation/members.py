"""Which streams of a run are fused: what `fusion.members` names, less what the judges leave out."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pixelplay.ablation.judges import judge
from pixelplay.ablation.measure import Truth
from pixelplay.ablation.variants import named
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError, DataError
from pixelplay.evaluation.score_tables import object_streams, read_scores, scored_names
from pixelplay.metrics.frames import one_class
from pixelplay.run.artifacts import damaged, read_csv
from pixelplay.run.files import RunFiles, of_seed
from pixelplay.scores import submission
from pixelplay.scores.fuse import FrameWeights, compose, detector_of, member_of, process_unfused
from pixelplay.scores.resmoothed import unsmoothed
from pixelplay.scores.restored import frame_weights
from pixelplay.scores.settings import OBJECTS, FusionConfig
from pixelplay.settings import CONFIG_DIR, alternatives
from pixelplay.synthetic.pseudo.dataset import kinds_of_clips
from pixelplay.videos.index import Index
from pixelplay.videos.restoration_table import read_restoration
from pixelplay.videos.truth import load_labels

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)

COLUMNS = {"member": str, "of": str, "weight": float, "left_out": str, "why": str}
FRAMES = "frames"  # the fusion of frames' scores, which its members are `of`


def streams_of(config: "Config", index: Index, fusion: FusionConfig | None = None) -> dict[str, pd.DataFrame]:
    """Raw scores of the run's detectors, of objects fused, of external files and composites of `fusion`: scores tables
    by stream.

    `fusion`: by default the configured one. Raises DataError for external files that don't match the test frames.
    """
    fusion = fusion or config.fusion
    streams = {}
    for name in scored_names(config):
        table = read_scores(config, name, index)
        streams |= {str(stream): rows for stream, rows in table.groupby("stream", sort=False)}
    for name, path in config.fusion.external_files.items():
        streams[name] = submission.read(path, submitted_frames(index), name)
    return streams | compose(streams, fusion, weights_of(config, index))


def of_single_seeds(config: "Config", name: str, index: Index) -> dict[int, pd.DataFrame]:
    """A detector's default stream with each of several seeds, processed as in `fused.parquet`; {} with one seed."""
    tables = {seed: read_scores(config, of_seed(name, seed), index, name) for seed in config.seeds or []}
    weights = weights_of(config, index)
    return {
        seed: process_unfused(name, table[table["stream"] == name], config.fusion, weights)
        for seed, table in tables.items()
    }


def unsmoothed_of(config: "Config", index: Index) -> dict[str, pd.DataFrame]:
    """Every stream of the run as in `fused.parquet`, but without smoothing: scores tables by stream."""
    fusion = unsmoothed(config.fusion)
    return {s: process_unfused(s, rows, fusion) for s, rows in streams_of(config, index, fusion).items()}


def weights_of(config: "Config", index: Index) -> FrameWeights:
    """Weights of test and pseudo-anomaly frames in smoothing, by split; empty if all frames count alike.

    Both are corrupted alike and weighted by one rule, so that a fusion chosen on the one fits the other.
    """
    if config.fusion.corrupted_frames.weight == 1:
        return {}
    files = RunFiles.of(config)
    splits = {"test": (files.restoration, index.test), "pseudo": (files.pseudo_restoration, index.pseudo)}
    weights = {}
    for split, (path, videos) in splits.items():
        try:
            if videos:
                table, frames = read_restoration(path), {video.id: video.numbers for video in videos}
                weights[split] = frame_weights(table, config.fusion.corrupted_frames, frames, path.name)
        except DataError as error:
            raise damaged(path, "prepare", error) from None
    return weights


def submitted_frames(index: Index) -> list[tuple[str, int]]:
    """(video, frame number) of each row of the submission, in its order."""
    return [(video.id, int(number)) for video in index.test for number in video.numbers]


def candidates(config: "Config", streams: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], FusionConfig]:
    """The run's streams that may be fused, and the fusion without members of other runs.

    Detectors take part with the streams that `fusion.members` names, or else their default one, unless their objects
    are fused: these take part as `objects`, and with their streams about whole frames. Raises DataError for a member
    that is no stream of its detector, ConfigError for an unknown detector.
    """
    require_known_members(config)
    fusion = _of_this_run(config)
    named = {detector_of(stream) for stream in fusion.members}
    per_object = {detector_of(stream) for stream in object_streams(config)} - named
    others = [name for name in (*scored_names(config), *fusion.external_files) if name not in named | per_object]
    for name in config.detectors:
        spec = registry.spec(name, config.detectors[name])
        others += [f"{name}/{stream}" for stream in spec.frame_streams if name in per_object]
    members = [*fusion.members, *others]
    if missing := [stream for stream in members if stream not in streams]:
        raise DataError(f"fusion.members.{missing[0]}: no such stream; streams of this run: {', '.join(streams)}")
    return {stream: streams[stream] for stream in members}, fusion


def members_of(
    config: "Config", index: Index, streams: dict[str, pd.DataFrame], weights: FrameWeights
) -> tuple[dict[str, pd.DataFrame], FusionConfig, pd.DataFrame]:
    """The streams that are fused, the fusion of them, and the judges' table: a row per candidate, see `COLUMNS`.

    Candidates without scores of pseudo-anomalies, such as external files, are kept. Raises as `candidates`.
    """
    members, fusion = candidates(config, streams)
    verdicts = _verdicts(config, index, streams, list(members), fusion, weights)
    rows = [(m, FRAMES, member_of(m, fusion).weight, *verdicts.get(m, (False, ""))) for m in members]
    return _kept(members, fusion, pd.DataFrame(rows, columns=list(COLUMNS)))


def read_members(
    config: "Config", streams: dict[str, pd.DataFrame]
) -> tuple[dict[str, pd.DataFrame], FusionConfig, pd.DataFrame]:
    """What `members_of` gave `fuse`, by its table on disk; raises MissingArtifactError or DamagedArtifactError."""
    return _kept(*read_judged(config, streams))


def read_judged(
    config: "Config", streams: dict[str, pd.DataFrame]
) -> tuple[dict[str, pd.DataFrame], FusionConfig, pd.DataFrame]:
    """`candidates`, also those that were left out, and the judges' table on disk; raises as `read_members`."""
    path = RunFiles.of(config).fusion_members
    members, fusion = candidates(config, streams)
    table = read_csv(path, COLUMNS, made_by="fuse")
    if table["member"][table["of"] == FRAMES].tolist() != list(members):
        raise damaged(path, "fuse", "it has other members")
    return members, fusion, table.assign(left_out=table["left_out"] == "True")


def as_judged(fusion: FusionConfig, judged: pd.DataFrame) -> FusionConfig:
    """A fusion that judges nothing: what the judges' table leaves out, of frames or of objects, has the weight 0.

    Members that `fusion` names keep their weight.
    """
    left_out = judged[judged["left_out"]]
    frames, objects = ({*left_out["member"][is_of]} for is_of in (left_out["of"] == FRAMES, left_out["of"] != FRAMES))
    none = {m: member_of(m, fusion).model_copy(update={"weight": 0.0}) for m in judged["member"] if m in frames}
    streams = {stream: 0.0 if stream in objects else weight for stream, weight in fusion.objects.streams.items()}
    update = {"members": {**none, **fusion.members}, "objects": fusion.objects.model_copy(update={"streams": streams})}
    return fusion.model_copy(update={**update, "select_members": False})


def _kept(
    members: dict[str, pd.DataFrame], fusion: FusionConfig, table: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], FusionConfig, pd.DataFrame]:
    kept = {m: members[m] for m in table["member"][~table["left_out"].astype(bool) & (table["of"] == FRAMES)]}
    named = {stream: member for stream, member in fusion.members.items() if stream in kept}
    return kept, fusion.model_copy(update={"members": named}), table


def _verdicts(
    config: "Config",
    index: Index,
    streams: dict[str, pd.DataFrame],
    members: Sequence[str],
    fusion: FusionConfig,
    weights: FrameWeights,
) -> dict[str, tuple[bool, str]]:
    """By member: whether it is left out, and why."""
    judged = [m for m in members if "pseudo" in set(streams[m]["split"])]
    truth = planted_truth(config, index) if fusion.select_members and len(judged) > 1 else None
    if truth is None:
        return {}
    found = judge(streams, truth, named(fusion, judged), config.ablate, weights)
    return {one.member: (one.left_out, one.told(config.ablate.metric)) for one in found}


def planted_truth(config: "Config", index: Index) -> Truth | None:
    """The frames of pseudo-anomalies that members are judged by; None if there are none, or all are of one class."""
    planted = load_labels(config, index, "pseudo").labelled
    if not planted or one_class(np.concatenate([one.labels for one in planted])):
        return None
    return Truth.of(planted, kinds_of_clips(RunFiles.of(config)))


def require_fusable(config: "Config") -> None:
    """Raise ConfigError where members of the run's fusion know nothing of new footage."""
    if files := config.fusion.external:
        raise ConfigError(
            f"fusion.external: {', '.join(map(str, files))}: scores of the run's test videos alone, which the fusion "
            "of new videos would lack: fuse the run without them first (fusion.external=[])"
        )


def require_known_members(config: "Config") -> None:
    """Raise ConfigError for a member of the fusion that is neither a detector of configs/ nor an external file."""
    here = [*scored_names(config), *config.fusion.external_files]
    known = {*here, OBJECTS, *(file.stem for file in (CONFIG_DIR / "detector").glob("*.yaml"))}
    for stream in config.fusion.members:
        if (name := detector_of(stream)) not in known:
            hint = alternatives(name, here)
            raise ConfigError(f"fusion.members.{stream}: no detector or external file is called {name!r}; {hint}")


def _of_this_run(config: "Config") -> FusionConfig:
    """The fusion without members of detectors that are not part of this run, which are logged."""
    sources = {*scored_names(config), *config.fusion.external_files}
    present = {s: member for s, member in config.fusion.members.items() if detector_of(s) in sources}
    left_out = sorted(set(config.fusion.members) - set(present))
    if left_out:
        log.info(f"fuse: without {', '.join(left_out)}: no detector of this run gives them")
    return config.fusion.model_copy(update={"members": present})
