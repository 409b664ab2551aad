"""Stage `ablate`: what each part of the fusion is worth on pseudo-anomalies; with `ablate.search`, a fusion file.

It reads raw scores alone, so it takes seconds. Where test labels are on disk, their figures stand beside the others,
for reporting; that is an evaluation on labels, and is logged as one.
"""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.ablation.summary import read_introduction, summary_file
from pixelplay.config import Config
from pixelplay.console import RESULTS
from pixelplay.drawing.figures import write_figure
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.evaluation.members import as_judged, read_members, streams_of, weights_of
from pixelplay.run.artifacts import append_json, csv_text, write_text
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests, fingerprint
from pixelplay.run.stage import Stage, Task, forget
from pixelplay.scores import fusion_file
from pixelplay.scores.fuse import member_of
from pixelplay.scores.settings import FusionConfig
from pixelplay.stages import fuse
from pixelplay.synthetic.pseudo.dataset import kinds_of_clips
from pixelplay.videos.index import Index, load_index
from pixelplay.videos.truth import load_labels, truth_files

if TYPE_CHECKING:  # importing them imports scikit-learn and matplotlib
    from pixelplay.ablation.measure import Truth as Known
    from pixelplay.ablation.tables import Ablation

log = logging.getLogger(__name__)

VERSION = 3  # raised when the same scores and truth give other tables, plots or words
LOGGED = ("ap", "auc")


def tasks(config: Config) -> list[Task]:
    """One task, or none where nothing was planted."""
    index, files = load_index(config), RunFiles.of(config)
    task = Task(
        stage="ablate",
        name="ablate",
        files=files,
        version=VERSION,
        settings={"ablate": config.ablate.model_dump()},
        contents=lambda: file_digests(_truth_files(config, files)),
        work=lambda: _ablate(config, files, index),
        reads=fuse.tasks(config),
        kept=[files.chosen_fusion],  # it may be in use
    )
    return [task] if index.pseudo else []


STAGE = Stage("ablate", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    """Write tables, plots and the summary, and print what the summary starts with."""
    files = RunFiles.of(config)
    if not load_index(config).pseudo:
        _nothing(config, files)
        return
    require_writable(files.ablation, "paths.outputs")
    STAGE.run(config)
    RESULTS.info("\n\n".join(read_introduction(files)))
    log.info(f"ablate: {summary_file(files)}")
    if config.ablate.search:
        log.info(f"ablate: {files.chosen_fusion}: use it with fusion_file={files.chosen_fusion}")


def _truth_files(config: Config, files: RunFiles) -> list[Path]:
    """What is known of pseudo-anomalies, and of test frames where their labels may be shown."""
    shown = truth_files(files.truth, "test") if config.ablate.labels else []
    return [files.pseudo_clips, *truth_files(files.truth, "pseudo"), *shown]


def _nothing(config: Config, files: RunFiles) -> None:
    """A run without pseudo-anomalies has nothing to compare on; tables of another one must not pass for its own."""
    remedy = "run `./run_all.sh` with the same options but without pseudo=none, or with other footage held out"
    if config.ablate.search:
        raise MissingArtifactError(
            f"{files.index}: no pseudo-anomalies were planted in this run, so there is nothing to search on: {remedy}"
        )
    forget(files.record("ablate"), [files.chosen_fusion])
    log.info(
        f"ablate: no pseudo-anomalies were planted in this run, so nothing can be compared without labels: {remedy}"
    )


def _ablate(config: Config, files: RunFiles, index: Index) -> list[Path]:
    from pixelplay.ablation.measure import Bench
    from pixelplay.ablation.plots import draw_all
    from pixelplay.ablation.summary import introduction, markdown
    from pixelplay.ablation.tables import ablate

    streams, weights = streams_of(config, index), weights_of(config, index)
    members, fusion, judged = read_members(config, streams)
    external = [stream for stream in members if stream in fusion.external_files]
    planted = {stream: rows for stream, rows in streams.items() if stream not in fusion.external_files}
    compared = _compared(config, fusion, [stream for stream in members if stream not in external])
    truths, remarks = _truths(config, files, index)
    result = ablate(Bench(planted, truths, weights), compared, list(planted), config.ablate)
    left_out = [f"Left out of the fusion: {why}." for why in judged["why"][judged["left_out"]]]
    told = [*introduction(result, truths, config.ablate, external), *left_out, *remarks]
    outputs: list[Path] = []
    for name, table in result.tables.items():
        outputs.append(files.ablation / f"{name}.csv")
        write_text(outputs[-1], csv_text([[table.index.name, *table.columns], *table.astype(object).itertuples()]))
    for name, figure in draw_all(result.tables, config.ablate.metric):
        outputs.append(files.ablation / f"{name}.png")
        write_figure(outputs[-1], figure)
    outputs.append(summary_file(files))
    write_text(
        summary_file(files), markdown(f"Ablation of {config.full_name}", told, result.tables, config.ablate.metric)
    )
    if config.ablate.search:
        outputs.append(files.chosen_fusion)
        kept = {stream: member_of(stream, fusion) for stream in external}
        chosen = result.choice.fusion  # of planted members alone, which are chosen already
        chosen = as_judged(chosen.model_copy(update={"members": {**chosen.members, **kept}}), judged)
        write_text(files.chosen_fusion, fusion_file.to_text(chosen))
    if "test" in truths:
        _log_evaluation(config, files, result, truths["test"])
    return outputs


def _compared(config: Config, fusion: FusionConfig, members: list[str]) -> FusionConfig:
    """The configured fusion of the members that have scores of pseudo-anomalies."""
    from pixelplay.ablation.variants import named

    if not members:
        raise ConfigError("ablate: no member of this fusion has scores of pseudo-anomalies; add a detector")
    if config.ablate.search and config.ablate.choose == ["weights"] and len(members) < 2:
        raise ConfigError(
            f"ablate.search=true: a fusion of {members[0]} alone has no weights to choose: add detectors, name more "
            "streams in fusion.members, or search over something else, for instance ablate.choose=[pooling,smooth]"
        )
    return named(fusion, members)


def _truths(config: Config, files: RunFiles, index: Index) -> "tuple[dict[str, Known], list[str]]":
    """What is known of pseudo-anomalies; and of test frames, where they have labels that may be shown.

    With a remark where these are all of one class, which leaves nothing to compare.
    """
    from pixelplay.ablation.measure import Truth as Known
    from pixelplay.metrics.frames import one_class

    kinds = kinds_of_clips(files)
    planted, labelled = (load_labels(config, index, split).labelled for split in ("pseudo", "test"))
    truths = {"pseudo": Known.of(planted, kinds)}
    if not config.ablate.labels or not labelled:
        return truths, []
    if reason := one_class(np.concatenate([one.labels for one in labelled])):
        return truths, [f"Test labels are left out: {reason}."]
    return {**truths, "test": Known.of(labelled)}, []


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
