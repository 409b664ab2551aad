"""How well a fusion detects frames of known class: AP and micro ROC-AUC, their standard errors, rank correlations.

Whole clips are resampled, not frames: see `pixelplay.metrics.frames`. Two scores of the same frames are compared
draw by draw, so that what makes a clip hard for both cancels out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.stability import Stability, stability
from pixelplay.errors import DataError
from pixelplay.metrics.frames import checked, drawn_figures, one_class, weighted_figures
from pixelplay.scores import fuse
from pixelplay.scores.settings import FusionConfig
from pixelplay.scores.table import Splits, by_split

METRICS = ("ap", "auc")  # in the order of `weighted_figures`
PSEUDO, LABELLED = "pseudo", "test"  # splits: what is chosen on, and what is only reported
FEWEST = 3  # rows that can be ranked


@dataclass(frozen=True, eq=False)
class Truth:
    """Frames of known class of one split, a video's frames together and in order."""

    videos: np.ndarray  # (N,) str, each frame's video
    frames: np.ndarray  # (N,) int64, original numbers
    labels: np.ndarray  # (N,) int64, 1 anomalous
    kinds: np.ndarray  # (N,) str, the kind of the video's anomaly; '' if unknown

    @classmethod
    def of(
        cls, labels: Sequence[tuple[str, np.ndarray, np.ndarray]], kinds: Mapping[str, str] | None = None
    ) -> "Truth":
        """From the id, the frame numbers (T,) and the 0/1 labels (T,) of each video; `kinds` by video.

        Raises DataError if there is no frame, or all are of one class.
        """
        if not labels:
            raise DataError("there are no frames to measure on")
        ids, frames, values = zip(*labels, strict=True)
        videos = np.repeat(np.array(ids, object), [len(one) for one in frames])
        _, of_frames, _ = checked(np.zeros(len(videos)), np.concatenate(values), videos)
        if reason := one_class(of_frames):
            raise DataError(reason)
        kind = np.array([(kinds or {}).get(video, "") for video in videos], object)
        return cls(videos, np.concatenate(frames).astype(np.int64), of_frames, kind)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Measured:
    """Figures of one score per frame; arrays are in the order of METRICS."""

    figures: np.ndarray  # (2,), of all frames
    drawn: np.ndarray  # (2, B), of resampled clips

    @property
    def errors(self) -> np.ndarray:
        """Standard errors, (2,): deviations over the draws with both classes; NaN with fewer than two."""
        counted = [values[~np.isnan(values)] for values in self.drawn]
        return np.array([values.std(ddof=1) if len(values) > 1 else np.nan for values in counted])

    def gain_over(self, other: "Measured") -> tuple[np.ndarray, np.ndarray]:
        """Difference to the figures of the same frames and draws, (2,), and its standard errors, (2,)."""
        gain = Measured(self.figures - other.figures, self.drawn - other.drawn)
        return gain.figures, gain.errors


class Bench:
    """Raw scores of a run's streams, fused again and again; what many fusions share is computed once."""

    def __init__(self, streams: Mapping[str, pd.DataFrame], truths: Mapping[str, Truth], weights: fuse.FrameWeights):
        """`streams`: scores tables by stream; `truths`: the frames that count, by split; `weights`: as `process`."""
        self.truths = dict(truths)
        self._tables, self._weights = dict(streams), weights
        self._raw: dict[str, Splits] = {}
        self._processed: dict[str, Splits] = {}
        self._aligned: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}

    def scores(self, fusion: FusionConfig, split: str = PSEUDO) -> np.ndarray:
        """Fused scores, float64 (N,), of `fusion.members` on `truths[split]`; raises DataError for missing scores."""
        members = list(fusion.members.values())
        shares = np.array([member.weight for member in members])
        scores, reference = (fuse.bounded(one, members, fusion) for one in self._of_members(fusion)[split])
        return fuse.combine(scores, shares, fusion, reference)

    def figures(self, fusion: FusionConfig, split: str = PSEUDO, rows: np.ndarray | None = None) -> np.ndarray:
        """`figures` of the fusion, (2,)."""
        return figures(self.scores(fusion, split), self.truths[split], rows)

    def measured(
        self, fusion: FusionConfig, config: AblateConfig, split: str = PSEUDO, rows: np.ndarray | None = None
    ) -> Measured:
        """`measured` of the fusion."""
        return measured(self.scores(fusion, split), self.truths[split], config.n_bootstrap, config.seed, rows)

    def stability(self, fusion: FusionConfig) -> Stability:
        """`stability` of a single member's processed scores of normal footage."""
        [stream] = fusion.members
        normal = self._processed[self._process(stream, fusion)].get("calibration", {})
        return stability([video.scores for video in normal.values()])

    def twins(self, split: str = PSEUDO) -> dict[str, str]:
        """Streams with the same scores as an earlier one of their detector, such as a default stream, and that one."""
        found: dict[str, str] = {}
        raw = {stream: rows[rows["split"] == split]["score"].to_numpy() for stream, rows in self._tables.items()}
        for i, stream in enumerate(raw):
            for first in list(raw)[:i]:
                alike = fuse.detector_of(first) == fuse.detector_of(stream) and np.array_equal(raw[first], raw[stream])
                if alike and first not in found:
                    found[stream] = first
        return found

    def _of_members(self, fusion: FusionConfig) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By split: processed scores of the truth's frames, (M, N), and those among which `rank_mean` ranks, (M, R)."""
        keys = {stream: self._process(stream, fusion) for stream in fusion.members}
        key = "\n".join(keys.values())
        if key not in self._aligned:
            members = fuse.align({stream: self._processed[of] for stream, of in keys.items()})
            self._aligned[key] = {split: _of_frames(truth, members, split) for split, truth in self.truths.items()}
        return self._aligned[key]

    def _process(self, stream: str, fusion: FusionConfig) -> str:
        """The key of a member's processed scores, which are computed unless they are there."""
        member, composite = fusion.members[stream], fusion.composites.get(stream)
        source = f"{stream} {composite.model_dump_json() if composite else ''}"
        key = f"{source} {member.model_dump_json(exclude={'weight'})}"
        if key not in self._processed:
            if source not in self._raw:
                only = fusion.model_copy(update={"composites": {stream: composite} if composite else {}})
                composed = fuse.compose(self._tables, only, self._weights)
                self._raw[source] = by_split({**self._tables, **composed}[stream])
            self._processed[key] = fuse.process(self._raw[source], member, self._weights)
        return key


def figures(scores: np.ndarray, truth: Truth, rows: np.ndarray | None = None) -> np.ndarray:
    """AP and ROC-AUC of scores (N,), pooled over all frames or those of `rows` (N,) bool: (2,). NaN for one class."""
    labels = truth.labels if rows is None else truth.labels[rows]
    scores = scores if rows is None else scores[rows]
    return weighted_figures(scores, labels, np.ones((1, len(labels)), np.int64))[:, 0]


def measured(scores: np.ndarray, truth: Truth, draws: int, seed: int, rows: np.ndarray | None = None) -> Measured:
    """`figures` of all frames and of `draws` draws of whole clips, by `seed` alone."""
    rows = np.ones(len(truth), bool) if rows is None else rows
    drawn = drawn_figures(scores[rows], truth.labels[rows], truth.videos[rows], draws, seed)
    return Measured(figures(scores, truth, rows), drawn)


def rank_correlations(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each table with figures on labels: n, and for AP and ROC-AUC both correlations and the range on labels.

    Where a table has a column `stability`, Spearman's correlation of that with both, too. Fusions with the same figures
    count once. NaN with fewer than three of them, or if all figures are equal.
    """
    rows = {}
    for name, table in tables.items():
        if "on_labels_ap" in table:
            table = table.drop_duplicates(["ap", "auc", "on_labels_ap", "on_labels_auc"])
            rows[name] = {"n": len(table)}
            for metric in METRICS:
                true = table[f"on_labels_{metric}"]
                found = _correlations(np.stack([table[metric], true]).astype(np.float64))
                found |= {"lowest_on_labels": true.min(), "highest_on_labels": true.max()}
                rows[name] |= {f"{key}_{metric}": float(value) for key, value in found.items()}
                if "stability" in table:
                    pairs = np.stack([table["stability"], true]).astype(np.float64)
                    rows[name][f"spearman_stability_{metric}"] = _correlations(pairs)["spearman"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("table")


def _of_frames(truth: Truth, members: Mapping[str, fuse.Members], split: str) -> tuple[np.ndarray, np.ndarray]:
    """Members' scores of the truth's frames, (M, N), and those of their scale, (M, R); or DataError."""
    remedy = "run `python src/score.py` with the same options"
    if split not in members:
        raise DataError(f"there are no scores of split={split}: {remedy}")
    wanted = pd.MultiIndex.from_arrays([truth.videos, truth.frames])
    at = members[split].index.get_indexer(wanted)
    if (missing := wanted[at < 0]).size:
        stream, (video, frame) = members[split].streams[0], missing[0]
        where = f"video {video!r}, frame {frame} [split {split}, {missing.size} such row(s)]"
        raise DataError(f"stream {stream!r} has no score for {where}: {remedy}")
    return members[split].scores[:, at], members[fuse.SCALE_OF[split]].scores


def _correlations(pairs: np.ndarray) -> dict[str, float]:
    """Rank correlations of the finite pairs among (2, K)."""
    from scipy.stats import kendalltau, spearmanr

    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < FEWEST or (np.ptp(pairs, axis=1) == 0).any():
        return {"spearman": float("nan"), "kendall": float("nan")}
    return {"spearman": float(spearmanr(*pairs).statistic), "kendall": float(kendalltau(*pairs).statistic)}
