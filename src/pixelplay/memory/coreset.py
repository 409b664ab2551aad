"""Coresets: the vectors that a memory bank keeps, chosen so that every vector has a kept one near it.

Greedy k-center selection (Sener & Savarese, ICLR 2018), as in PatchCore (Roth et al., CVPR 2022), which selects over a
random projection; here over the vectors themselves, and exactly: see `pixelplay.memory.k_center`.
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
    """How many vectors to keep: a count, or a ratio of those there are. The one that is not used is null."""

    count: Natural | None
    ratio: Annotated[float, Field(gt=0, le=1)] | None
    per_group: Natural | None  # chosen in each group (a video, say) before the choice among those; null: all at once

    @model_validator(mode="after")
    def _one_of_two(self) -> "CoresetConfig":
        if (self.count is None) == (self.ratio is None):
            raise ValueError(f"count={self.count} and ratio={self.ratio}: give one of them, and null for the other")
        return self

    def size(self, available: int) -> int:
        """Vectors to keep of `available`: at least one, however small the ratio."""
        if self.count is not None:
            return self.count
        assert self.ratio is not None
        return max(1, round(self.ratio * available))

    def at_most(self, available: int) -> "CoresetConfig":
        """The same, where fewer vectors than the count are no cause for a warning."""
        return self if self.count is None else self.model_copy(update={"count": min(self.count, available)})


@dataclass(frozen=True)
class Coreset:
    """Which vectors were chosen, int64 (count,) in order of selection, and how far the others are from them.

    `radius` is the largest L2 distance of any vector to its nearest chosen one; where groups were chosen from first, it
    is an upper bound of that.
    """

    indices: np.ndarray
    radius: float


def select_coreset(groups: Sequence[np.ndarray], config: CoresetConfig, seed: int, threads: int) -> Coreset:
    """Choose from float32 (n, d) `groups`, for instance a memory-mapped file per video; indices count through them all.

    With `config.per_group` one group at a time is read, and then what was chosen from each: for data that neither fits
    into memory nor may be read often. Without, give one array (memory-mapped, if need be): several are copied into one.
    A group may be empty. Raises DataError when all are, or a vector is not finite.
    """
    starts = np.cumsum([0, *map(len, groups)])
    count = config.size(int(starts[-1]))
    rng = np.random.default_rng(seed)
    filled = [(start, group) for start, group in zip(starts[:-1], groups, strict=True) if len(group)]
    if not filled:
        raise DataError("no vectors to choose a coreset from: no footage, or nothing was detected in any of it")
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
    """The vector with index `first`, then `count - 1` times the one farthest from all chosen so far.

    vectors: float32 (N, d), in memory or memory-mapped. Distances are squared, in float32, as `np.square(x - c).sum()`
    has them; of vectors equally far, the one with the lowest index is taken, and none twice: once each has an equal
    among the chosen, the rest follow in order. When N < count all are taken, with a warning. `threads` work at it (0:
    one per core), and any number gives the same. Raises DataError for a value that is not finite.
    """
    vectors = np.asarray(vectors)  # a memory-mapped array stays mapped
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.size == 0:
        raise ValueError(f"vectors: {vectors.dtype} {vectors.shape}; must be float32 (N, d), neither of them 0")
    if count < 1 or threads < 0 or not 0 <= first < len(vectors):
        raise ValueError(f"count={count}, threads={threads}, first={first}: impossible for {len(vectors)} vectors")
    if len(vectors) < count:
        log.warning("a coreset of %d asked for, and only %d vectors there: all are kept", count, len(vectors))
        count = len(vectors)
    # One more than asked for: what would be chosen next is the vector farthest from the chosen.
    selection = KCenter(vectors, first, min(count + 1, len(vectors)), threads)
    selection.select()
    radius = float(np.sqrt(selection.reach[count])) if count < len(vectors) else 0.0
    return Coreset(selection.chosen[:count], radius)
