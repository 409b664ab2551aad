"""The figures of a run or a fusion variant by its files alone, so that runs can be listed and compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelplay.ablation.measure import METRICS, Truth, figures
from pixelplay.metrics.frames import one_class
from pixelplay.run.artifacts import read_json, read_table
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.scores.fuse import FUSED
from pixelplay.videos.index import Index
from pixelplay.videos.truth import load_truth


@dataclass(frozen=True)
class Figures:
    """Of the fused scores; None for what is not known."""

    ap_pseudo: float | None  # AP on pseudo-anomalies
    ap: float | None  # on labelled test frames, as the two below
    auc_micro: float | None
    auc_macro: float | None
    events: int | None


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """Fused scores of frames of known class."""

    scores: np.ndarray  # float64 (N,)
    truth: Truth


def read_figures(files: RunFiles) -> Figures:
    """The figures of a run that has been fused; those of later stages only where they are of these scores.

    Raises MissingArtifactError or DamagedArtifactError.
    """
    index = Index.load(files.index)
    measured: dict[str, Any] = {}
    if _is_of_these_scores(files, "evaluate"):
        measured = read_json(files.metrics, made_by="evaluate")["fused"]
    events = None
    if files.events.exists() and _is_of_these_scores(files, "events"):
        events = len(read_json(files.events, made_by="events")["events"])
    ap, micro, macro = (measured.get(name) for name in ("ap", "auc_micro", "auc_macro"))
    return Figures(ap_on_pseudo(files, index), ap, micro, macro, events)


def ap_on_pseudo(files: RunFiles, index: Index) -> float | None:
    """AP of the fused scores on pseudo-anomalies; None where there are none, or the fusion has no scores of them."""
    found = labelled_scores(files, index, "pseudo")
    if found is None:
        return None
    return float(figures(found.scores, found.truth)[METRICS.index("ap")])


def labelled_scores(files: RunFiles, index: Index, split: str) -> LabelledScores | None:
    """Fused scores of a split's frames whose labels are known, `test` or `pseudo`; None where both classes are not."""
    known = load_truth(files.truth, split, getattr(index, split)).labelled
    table = read_table(files.fused, made_by="fuse")
    rows = table[(table["split"] == split) & (table["stream"] == FUSED)].set_index(["video", "frame"])["score"]
    if not known or rows.empty or one_class(np.concatenate([one.labels for one in known])):
        return None
    places = [place for one in known for place in one.places]
    return LabelledScores(rows.loc[places].to_numpy(np.float64), Truth.of(known))


def _is_of_these_scores(files: RunFiles, stage: str) -> bool:
    """Whether a stage's record is of the fusion as it is now."""
    done, fused = read_record(files.record(stage)), read_record(files.record("fuse"))
    return done is not None and fused is not None and done.reads.get("fuse") == fused.key
