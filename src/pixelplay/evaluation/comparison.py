"""Runs and fusion variants beside this one: options that differ, figures, and differences with their intervals.

Differences are of the same frames: both scores are measured on the same draws of whole videos, so that what makes a
video hard for both cancels out (the bootstrap of `pixelplay.metrics.frames`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelplay.ablation.measure import measured
from pixelplay.errors import MissingArtifactError
from pixelplay.evaluation.figures import Figures, LabelledScores, labelled_scores, read_figures
from pixelplay.evaluation.ledger import options_of
from pixelplay.evaluation.runs import find_run
from pixelplay.metrics.frames import interval
from pixelplay.metrics.settings import BootstrapConfig
from pixelplay.run.artifacts import rerun
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config

MEASURED = {"pseudo": ("ap_pseudo", None), "test": ("ap", "auc_micro")}  # by split: AP and ROC-AUC, as in `Figures`


@dataclass(frozen=True)
class Difference:
    """To the run of the page, and the interval over resampled videos."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    name: str  # as `pixelplay runs` prints it
    options: Sequence[str]  # those that not all of the compared have
    figures: Figures
    differences: Mapping[str, Difference]  # by the names of the figures; none of the run itself
    remark: str  # why there are no differences; '' where there are


@dataclass(frozen=True)
class Comparison:
    """The first row is the run of the page."""

    rows: Sequence[Compared]
    level: float  # of the intervals
    draws: int


def compare(config: "Config", index: Index) -> Comparison | None:
    """The runs of `report.compare` beside this one; None without any.

    Raises ConfigError for a run that is not there, Missing- or DamagedArtifactError for one that is not fused.
    """
    if not config.report.compare:
        return None
    own = RunFiles.of(config)
    runs = {config.full_name: own} | {(one := find_run(config, name)).name: one.files for name in config.report.compare}
    options = {name: options_of(files) for name, files in runs.items()}
    scores = {split: labelled_scores(own, index, split) for split in MEASURED}
    rows = []
    for name, files in runs.items():
        if not files.fused.exists():
            raise MissingArtifactError(f"report.compare: {name} has no fused scores: {rerun('fuse')} as for that run")
        differences, remark = ({}, "") if files == own else _differences(config.evaluate.bootstrap, files, scores)
        changed = [option for option in options[name] if not all(option in others for others in options.values())]
        rows.append(Compared(name, changed, read_figures(files), differences, remark))
    return Comparison(rows, config.evaluate.bootstrap.level, config.evaluate.bootstrap.n_bootstrap)


def compared_files(config: "Config") -> dict[str, Any]:
    """The contents of all that `compare` reads of the other runs, by their names."""
    found = {}
    for name in config.report.compare:
        one = find_run(config, name)
        read = (one.files.fused, one.files.metrics, one.files.events, one.files.options, one.files.variant_options)
        found[one.name] = file_digests(path for path in dict.fromkeys(read) if path.exists())
    return found


def _differences(
    bootstrap: BootstrapConfig, files: RunFiles, scores: Mapping[str, LabelledScores | None]
) -> tuple[dict[str, Difference], str]:
    """What a run's figures are above this one's, and which of them can't be compared."""
    index, found, others = Index.load(files.index), dict[str, Difference](), list[str]()
    for split, names in MEASURED.items():
        own, other = scores[split], labelled_scores(files, index, split)
        if own is None or other is None:
            continue
        if not _are_same_frames(own, other):
            others.append({"pseudo": "pseudo-anomalies", "test": "labelled test frames"}[split])
            continue
        between = differences(own, other, bootstrap)
        found |= {name: one for name, one in zip(names, between, strict=True) if name and one}
    return found, f"other {' and '.join(others)} than this run's: no difference" if others else ""


def differences(own: LabelledScores, other: LabelledScores, bootstrap: BootstrapConfig) -> list[Difference | None]:
    """Those of AP and of ROC-AUC between two scores of the same frames; None with fewer than two videos."""
    if len(np.unique(own.truth.videos)) < 2:
        return [None, None]
    first, second = (
        measured(scores, own.truth, bootstrap.n_bootstrap, bootstrap.seed) for scores in (own.scores, other.scores)
    )
    pairs = zip(second.figures - first.figures, second.drawn - first.drawn, strict=True)
    return [_difference(value, draws, bootstrap.level) for value, draws in pairs]


def _difference(value: float, draws: np.ndarray, level: float) -> Difference | None:
    """draws: (B,), NaN for those of one class."""
    counted = draws[~np.isnan(draws)]
    if not counted.size:
        return None
    return Difference(float(value), *interval(counted, level))


def _are_same_frames(own: LabelledScores, other: LabelledScores) -> bool:
    names = ("videos", "frames", "labels")
    return all(np.array_equal(getattr(own.truth, name), getattr(other.truth, name)) for name in names)
