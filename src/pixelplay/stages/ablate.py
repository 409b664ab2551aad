"""Stage `ablate`: what each part of the fusion is worth on planted anomalies; with `ablate.search`, a fusion file.

It reads raw scores alone, so it takes seconds. Where test labels are on disk, their figures stand beside the others,
for reporting; that is an evaluation on labels, and is logged as one.
"""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.ablation.summary import read_introduction, summary_file
from pixelplay.ablation.tables import PICTURES, TITLES
from pixelplay.code_version import code_version
from pixelplay.config import Config, FusionConfig
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.evaluation.members import members_of, streams_of, weights_of
from pixelplay.run.artifacts import append_json, csv_text, is_current, recorded, write_text
from pixelplay.run.atomic import atomic, require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests, fingerprint
from pixelplay.scores import fusion_file
from pixelplay.scores.fuse import member_of
from pixelplay.stages import fuse, prepare, score
from pixelplay.synthetic.pseudo.dataset import kinds_of_clips
from pixelplay.videos.index import Index

if TYPE_CHECKING:  # importing them imports scikit-learn and matplotlib
    from pixelplay.ablation.bench import Truth as Known
    from pixelplay.ablation.tables import Ablation

log = logging.getLogger(__name__)

MODULES = ("plots", "summary", "tables")  # of pixelplay.ablation: they import the others
LOGGED = ("ap", "auc")


def pending(config: Config) -> str | None:
    index = prepare.load_index(config)
    if not index.pseudo:
        return None
    return None if is_current(RunFiles.of(config).record("ablate"), _inputs(config, index)) else "scores have changed"


def run(config: Config) -> None:
    """Write tables, plots and the summary, and print what the summary starts with."""
    files = RunFiles.of(config)
    index = prepare.load_index(config)
    if not index.pseudo:
        _nothing(config, files)
        return
    score.require_scored(config, index)
    key = _inputs(config, index)
    if not is_current(files.record("ablate"), key):
        require_writable(files.ablation, "paths.outputs")
        outputs: list[Path] = []
        with recorded(files.record("ablate"), key, outputs):
            _ablate(config, files, index, outputs)
    log.info("\n\n".join(read_introduction(files)))
    log.info(f"ablate: {summary_file(files)}")
    if config.ablate.search:
        log.info(f"ablate: {files.chosen_fusion}: use it with fusion_file={files.chosen_fusion}")


def _inputs(config: Config, index: Index) -> str:
    """Fingerprint of all that the tables depend on."""
    files = RunFiles.of(config)
    read = [files.pseudo_clips, files.pseudo_restoration, *(files.scores(name) for name in config.detectors)]
    contents = file_digests(path for path in read if path.is_file())
    planted = prepare.load_labels(config, index, "pseudo").labels
    labels = prepare.load_labels(config, index).labels if config.ablate.labels else {}
    code = [code_version(__name__, follow=False), *(code_version(f"pixelplay.ablation.{one}") for one in MODULES)]
    return fingerprint(fuse.inputs(config, index), contents, planted, labels, config.ablate.model_dump(), code)


def _nothing(config: Config, files: RunFiles) -> None:
    """A run without planted anomalies has nothing to compare on; tables of another one must not pass for its own."""
    remedy = "run `./run_all.sh` with the same options but without pseudo=none, or with other footage held out"
    if config.ablate.search:
        raise MissingArtifactError(
            f"{files.index}: no pseudo-anomalies were planted in this run, so there is nothing to search on: {remedy}"
        )
    _clear(files)
    log.info(
        f"ablate: no pseudo-anomalies were planted in this run, so nothing can be compared without labels: {remedy}"
    )


def _ablate(config: Config, files: RunFiles, index: Index, outputs: list[Path]) -> None:
    from pixelplay.ablation.bench import Bench
    from pixelplay.ablation.plots import draw_all
    from pixelplay.ablation.summary import introduction, markdown
    from pixelplay.ablation.tables import ablate

    streams, weights = streams_of(config, index), weights_of(config, index)
    members, fusion, judged = members_of(config, index, streams, weights)
    external = [stream for stream in members if stream in fusion.external_files]
    planted = {stream: rows for stream, rows in streams.items() if stream not in fusion.external_files}
    compared = _compared(config, fusion, [stream for stream in members if stream not in external])
    truths, remarks = _truths(config, files, index)
    result = ablate(Bench(planted, truths, weights), compared, list(planted), config.ablate)
    left_out = [f"Left out of the fusion: {why}." for why in judged["why"][judged["left_out"]]]
    told = [*introduction(result, truths, config.ablate, external), *left_out, *remarks]
    _clear(files)
    for name, table in result.tables.items():
        outputs.append(files.ablation / f"{name}.csv")
        write_text(outputs[-1], csv_text([[table.index.name, *table.columns], *table.astype(object).itertuples()]))
    for name, figure in draw_all(result.tables, config.ablate.metric):
        outputs.append(files.ablation / f"{name}.png")
        with atomic(outputs[-1]) as temporary:
            figure.savefig(temporary, format="png", dpi=110)
    run_name = f"{config.experiment}/{config.run}" if config.run else config.experiment
    outputs.append(summary_file(files))
    write_text(summary_file(files), markdown(f"Ablation of {run_name}", told, result.tables, config.ablate.metric))
    if config.ablate.search:
        outputs.append(files.chosen_fusion)
        write_text(files.chosen_fusion, _as_file(result.choice.fusion, fusion, external))
    if "test" in truths:
        _log_evaluation(config, files, result, truths["test"])


def _compared(config: Config, fusion: FusionConfig, members: list[str]) -> FusionConfig:
    """The configured fusion of the members that have scores of planted anomalies."""
    from pixelplay.ablation.variants import named

    if not members:
        raise ConfigError("ablate: no member of this fusion has scores of planted anomalies; add a detector")
    if config.ablate.search and config.ablate.over == ["weights"] and len(members) < 2:
        raise ConfigError(
            f"ablate.search=true: a fusion of {members[0]} alone has no weights to choose: add detectors, name more "
            "streams in fusion.members, or search over something else, for instance ablate.over=[pooling,smooth]"
        )
    return named(fusion, members)


def _truths(config: Config, files: RunFiles, index: Index) -> "tuple[dict[str, Known], list[str]]":
    """What is known of planted anomalies; and of test frames, where they have labels that may be shown.

    With a remark where these are all of one class, which leaves nothing to compare.
    """
    from pixelplay.ablation.bench import Truth as Known
    from pixelplay.metrics.frames import one_class

    kinds = kinds_of_clips(files)
    planted, labelled = (
        [(one.video, one.numbers, one.labels) for one in prepare.load_labels(config, index, split).labelled]
        for split in ("pseudo", "test")
    )
    truths = {"pseudo": Known.of(planted, kinds)}
    if not config.ablate.labels or not labelled:
        return truths, []
    if reason := one_class(np.concatenate([labels for _, _, labels in labelled])):
        return truths, [f"Test labels are left out: {reason}."]
    return {**truths, "test": Known.of(labelled)}, []


def _as_file(chosen: FusionConfig, fusion: FusionConfig, external: list[str]) -> str:
    """The chosen fusion, in which external files keep what they have."""
    kept = {stream: member_of(stream, fusion) for stream in external}
    members = {**chosen.members, **kept}  # which are chosen already
    return fusion_file.to_text(chosen.model_copy(update={"members": members, "judges": False}))


def _clear(files: RunFiles) -> None:
    """Remove what an ablation wrote with other settings; not a chosen fusion, which may be in use."""
    for name in ("summary.md", *(f"{table}.csv" for table in TITLES), *(f"{picture}.png" for picture in PICTURES)):
        (files.ablation / name).unlink(missing_ok=True)


def _log_evaluation(config: Config, files: RunFiles, result: "Ablation", truth: "Known") -> None:
    """Every figure on labels was an evaluation on them; those of the comparison stand for all."""
    table = result.tables["comparison"]
    line = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "stage": "ablate",
        "config": fingerprint(config.model_dump()),
        "frames": len(truth),
        "measured": sum(len(one) for one in result.tables.values() if "on_labels_ap" in one),
        "fusions": {str(n): {k: float(row[f"on_labels_{k}"]) for k in LOGGED} for n, row in table.iterrows()},
    }
    append_json(files.evaluations, line)
