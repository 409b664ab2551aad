"""Coresets: the subset of vectors that a memory bank keeps.

Greedy k-center selection (Sener & Savarese, ICLR 2018) as in PatchCore (Roth et al., CVPR 2022), but exact and without
a random projection: see `pixelplay.memory.k_center`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from pixelplay.errors import DataError
from pixelplay.memory.k_center import KCenter
from pixelplay.settings import Natural, Settings

log = logging.getLogger(__name__)


class CoresetConfig(Settings):
    """How many vectors to keep: a count, or a ratio of all vectors; the other one is null."""

    count: Natural | None
    ratio: Annotated[float, Field(gt=0, le=1)] | None
    per_group: Natural | None  # first selected in each group (video), then among those; null: all at once

    @model_validator(mode="after")
    def _one_of_two(self) -> "CoresetConfig":
        if (self.count is None) == (self.ratio is None):
            raise ValueError(f"count={self.count} and ratio={self.ratio}: set one of them, the other to null")
        return self

    def size(self, available: int) -> int:
        """Vectors to keep of `available`: at least one, however small the ratio."""
        return self.count or max(1, round((self.ratio or 0) * available))

    def at_most(self, available: int) -> "CoresetConfig":
        """The same, without a warning where there are fewer vectors than the count."""
        return self if self.count is None else self.model_copy(update={"count": min(self.count, available)})


@dataclass(frozen=True)
class Coreset:
    """The indices of the selected vectors, int64 (count,), in order of selection.

    radius: the largest L2 distance of any vector to its nearest selected one; with `per_group`, an upper bound of it.
    """

    indices: np.ndarray
    radius: float


def select_coreset(groups: Sequence[np.ndarray], config: CoresetConfig, seed: int, threads: int) -> Coreset:
    """Select from float32 (n, d) `groups`, e.g. a memory-mapped file per video; indices are into their concatenation.

    With `config.per_group`, groups are read one at a time, which suits data that does not fit into memory; without it,
    several groups are concatenated in memory. Groups may be empty. Raises DataError when all are, or when a vector is
    not finite.
    """
    starts = np.cumsum([0, *map(len, groups)])
    count = config.size(int(starts[-1]))
    rng = np.random.default_rng(seed)
    filled = [(start, group) for start, group in zip(starts[:-1], groups, strict=True) if len(group)]
    if not filled:
        raise DataError("no vectors to select a coreset from: no footage, or nothing was detected in any of it")
    if config.per_group is None:
        vectors = filled[0][1] if len(filled) == 1 else np.concatenate([group for _, group in filled])
        return greedy_k_center(vectors, count, int(rng.integers(len(vectors))), threads)
    kept, indices, radius = [], [], 0.0
    for start, group in filled:
        part = greedy_k_center(group, min(config.per_group, len(group)), int(rng.integers(len(group))), threads)
        kept.append(group[part.indices])
        indices.append(start + part.indices)
        radius = max(radius, part.radius)
    vectors = np.concatenate(kept)
    merged = greedy_k_center(vectors, count, int(rng.integers(len(vectors))), threads)
    return Coreset(np.concatenate(indices)[merged.indices], radius + merged.radius)


def greedy_k_center(vectors: np.ndarray, count: int, first: int, threads: int) -> Coreset:
    """Select the vector with index `first`, then `count - 1` times the one farthest from all selected so far.

    vectors: float32 (N, d), in memory or memory-mapped. Distances are squared, in float32, as in
    `np.square(x - c).sum()`; ties go to the lowest index, and no vector is selected twice. When N < count, all are
    selected, with a warning. threads: 0 is one per core; the result is the same for any number. Raises DataError for
    values that are not finite.
    """
    vectors = np.asarray(vectors)  # a memory-mapped array stays mapped
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.size == 0:
        raise ValueError(f"vectors: {vectors.dtype} {vectors.shape}; must be float32 (N, d), neither of them 0")
    if count < 1 or threads < 0 or not 0 <= first < len(vectors):
        raise ValueError(f"count={count}, threads={threads}, first={first}: impossible for {len(vectors)} vectors")
    if len(vectors) < count:
        log.warning(f"coreset of {count} requested, but there are only {len(vectors)} vectors: all are kept")
        count = len(vectors)
    # One more than asked for: the next one selected would be the one farthest from the coreset.
    selection = KCenter(vectors, first, min(count + 1, len(vectors)), threads)
    selection.select()
    radius = float(np.sqrt(selection.reach[count])) if count < len(vectors) else 0.0
    return Coreset(selection.chosen[:count], radius)
