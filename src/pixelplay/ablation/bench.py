"""The scores that a fusion gives frames of known class; what many fusions share is computed once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.ablation.measure import Measured, Truth, figures, measured
from pixelplay.ablation.settings import AblateConfig
from pixelplay.errors import DataError
from pixelplay.scores.fuse import (
    SCALE_OF,
    FrameWeights,
    Members,
    align,
    bounded,
    combine,
    compose,
    detector_of,
    process,
)
from pixelplay.scores.settings import FusionConfig
from pixelplay.scores.table import Splits, by_split


class Bench:
    """Raw scores of a run's streams, fused again and again; `truths` has the frames that count, by split."""

    def __init__(self, streams: Mapping[str, pd.DataFrame], truths: Mapping[str, Truth], weights: FrameWeights):
        """`streams`: scores tables by stream, `weights` as `pixelplay.scores.fuse.process` takes them."""
        self.truths = dict(truths)
        self._tables, self._weights = dict(streams), weights
        self._raw: dict[str, Splits] = {}
        self._processed: dict[str, Splits] = {}
        self._sides: dict[str, dict[str, _Side]] = {}

    def scores(self, fusion: FusionConfig, split: str = "pseudo") -> np.ndarray:
        """Fused scores, float64 (N,), of `fusion.members` on `truths[split]`; raises DataError for missing scores."""
        side, members = self._aligned(fusion)[split], list(fusion.members.values())
        shares = np.array([member.weight for member in members])
        scores, reference = (bounded(one, members, fusion) for one in (side.scores, side.reference))
        return combine(scores, shares, fusion, reference)

    def figures(self, fusion: FusionConfig, split: str = "pseudo", rows: np.ndarray | None = None) -> np.ndarray:
        """Figures (2,) of the fusion, see `pixelplay.ablation.measure.figures`."""
        return figures(self.scores(fusion, split), self.truths[split], rows)

    def measured(
        self, fusion: FusionConfig, config: AblateConfig, split: str = "pseudo", rows: np.ndarray | None = None
    ) -> Measured:
        """Figures of the fusion with their errors, see `pixelplay.ablation.measure.measured`."""
        return measured(self.scores(fusion, split), self.truths[split], config.n_bootstrap, config.seed, rows)

    def twins(self, split: str = "pseudo") -> dict[str, str]:
        """Streams with the same scores as an earlier one of their detector, such as a default stream, and that one."""
        found: dict[str, str] = {}
        raw = {stream: rows[rows["split"] == split]["score"].to_numpy() for stream, rows in self._tables.items()}
        for i, stream in enumerate(raw):
            for first in list(raw)[:i]:
                alike = detector_of(first) == detector_of(stream) and np.array_equal(raw[first], raw[stream])
                if alike and first not in found:
                    found[stream] = first
        return found

    def _aligned(self, fusion: FusionConfig) -> dict[str, "_Side"]:
        parts = {s: self._process(s, fusion) for s in fusion.members}
        key = "\n".join(name for name, _ in parts.values())
        if key not in self._sides:
            members = align({stream: splits for stream, (_, splits) in parts.items()})
            self._sides[key] = {split: _side(members, split, truth) for split, truth in self.truths.items()}
        return self._sides[key]

    def _process(self, stream: str, fusion: FusionConfig) -> tuple[str, Splits]:
        """A member's processed scores and their key in the cache."""
        member, composite = fusion.members[stream], fusion.composites.get(stream)
        source = f"{stream} {composite.model_dump_json() if composite else ''}"
        key = f"{source} {member.model_dump_json(exclude={'weight'})}"
        if key not in self._processed:
            if source not in self._raw:
                self._raw[source] = by_split(self._composed(stream, fusion) if composite else self._tables[stream])
            self._processed[key] = process(self._raw[source], member, self._weights)
        return key, self._processed[key]

    def _composed(self, stream: str, fusion: FusionConfig) -> pd.DataFrame:
        only = fusion.model_copy(update={"composites": {stream: fusion.composites[stream]}})
        return compose(self._tables, only, self._weights)[stream]


@dataclass(frozen=True, eq=False)
class _Side:
    """Processed scores of the members in one split."""

    scores: np.ndarray  # (M, N), of the frames of the truth
    reference: np.ndarray  # (M, R), among which `rank_mean` ranks


def _side(members: Mapping[str, Members], split: str, truth: Truth) -> _Side:
    if split not in members:
        raise DataError(f"there are no scores of split={split}: run `python src/score.py` with the same options")
    one, wanted = members[split], pd.MultiIndex.from_arrays([truth.videos, truth.frames])
    at = one.index.get_indexer(wanted)
    lacking = np.flatnonzero(at < 0)
    if lacking.size:
        video, frame = wanted[lacking[0]]
        raise DataError(
            f"stream {one.streams[0]!r} has no score for video {video!r}, frame {frame} [split {split}, {lacking.size} "
            "such row(s)]: run `python src/score.py` with the same options"
        )
    return _Side(one.scores[:, at], members[SCALE_OF[split]].scores)
