"""Coresets: the subset of vectors that a memory bank keeps.

Greedy k-center selection (Gonzalez 1985; Sener & Savarese, ICLR 2018) as in PatchCore (Roth et al., CVPR 2022), but
exact and without a random projection: the result equals the naive loop's, index for index.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from threadpoolctl import threadpool_limits

from pixelplay.errors import DataError
from pixelplay.settings import Natural, Settings

log = logging.getLogger(__name__)

# Tuned for speed; the result does not depend on them.
ROWS, CENTERS = 512, 512  # a tile of the matrix product: 1 MB, about a core's cache
PAIRS = 4096  # exact distances computed at a time
FRONT = 32  # a round considers one vector in so many...
MIN_FRONT = 1024  # ...but at least this many
COMPACT = 16  # selections after which candidates that have fallen behind are dropped

CHOSEN = -1.0  # a chosen vector's distance: below all others
LARGEST = np.finfo(np.float32).max / 64  # of squared distances: what is computed from them does not overflow


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
    indices: np.ndarray  # of the selected vectors, int64 (count,), in order of selection
    radius: float  # largest L2 distance of a vector to its nearest selected one; with `per_group`, an upper bound


def select_coreset(groups: Sequence[np.ndarray], config: CoresetConfig, seed: int) -> Coreset:
    """Select from float32 (n, d) `groups`, e.g. a memory-mapped file per video; indices are into their concatenation.

    With `config.per_group`, groups are read one at a time, for data that does not fit into memory; without it, several
    are concatenated. Groups may be empty. Raises DataError when all are, or when a vector is not finite.
    """
    starts = np.cumsum([0, *map(len, groups)])
    count = config.size(int(starts[-1]))
    rng = np.random.default_rng(seed)
    filled = [(start, group) for start, group in zip(starts[:-1], groups, strict=True) if len(group)]
    if not filled:
        raise DataError("no vectors to select a coreset from: no footage, or nothing was detected in any of it")

    def selected(vectors: np.ndarray, count: int) -> Coreset:
        return greedy_k_center(vectors, count, int(rng.integers(len(vectors))), threads=0)

    if config.per_group is None:
        return selected(filled[0][1] if len(filled) == 1 else np.concatenate([group for _, group in filled]), count)
    parts = [selected(group, min(config.per_group, len(group))) for _, group in filled]
    kept = [group[part.indices] for (_, group), part in zip(filled, parts, strict=True)]
    merged = selected(np.concatenate(kept), count)
    indices = np.concatenate([start + part.indices for (start, _), part in zip(filled, parts, strict=True)])
    return Coreset(indices[merged.indices], max(part.radius for part in parts) + merged.radius)


def greedy_k_center(vectors: np.ndarray, count: int, first: int, threads: int) -> Coreset:
    """Select the vector with index `first`, then `count - 1` times the one farthest from all selected so far.

    vectors: float32 (N, d), in memory or memory-mapped. Distances are `squared_distances`; ties go to the lowest index,
    and no vector is selected twice. When N < count, all are selected, with a warning. threads: 0 is one per core; the
    result is the same for any number. Raises DataError for values that are not finite.
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
    selection = _KCenter(vectors, first, min(count + 1, len(vectors)), threads)
    selection.select()
    radius = float(np.sqrt(selection.reach[count])) if count < len(vectors) else 0.0
    return Coreset(selection.chosen[:count], radius)


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 (n,) of float32 (n, d) and (n, d) or (d,): `np.square(a - b).sum(axis=1)`, bit for bit."""
    difference = a - b
    return np.square(difference, out=difference).sum(axis=1)


class _KCenter:
    """A selection of `capacity` of the `vectors`, for `greedy_k_center`, lazily.

    Distances to the nearest centre only shrink: a stale one is an upper bound, and only the farthest vectors need
    updating. A matrix product bounds their distances from below, so that exact ones are computed only for pairs that
    may lower one: rounding, tiles and threads never change the result. Takes a few bytes per vector, a copy of the
    chosen ones, and two of the front.
    """

    def __init__(self, vectors: np.ndarray, first: int, capacity: int, threads: int):
        count, d = vectors.shape
        self.chosen = np.empty(capacity, np.int64)
        self.reach = np.empty(capacity, np.float32)  # each one's squared distance to those chosen before it
        self.size = 0
        self._vectors = vectors
        self._threads = threads or os.cpu_count() or 1
        self._front = min(count, max(MIN_FRONT, count // FRONT))
        self._nearest = np.empty(count, np.float32)  # squared distance to the nearest of the first `seen` centres...
        self._seen = np.ones(count, np.int32)  # ...and so an upper bound of that to the nearest of all

        def measure(rows: np.ndarray) -> None:
            with np.errstate(over="ignore", invalid="ignore"):  # reported as a whole
                self._nearest[rows] = squared_distances(vectors[rows], vectors[first])

        self._in_parts(measure, np.arange(count))
        if not self._nearest.max() <= LARGEST:  # nor is it when there is a NaN
            raise DataError(_what_is_wrong(vectors))

        # The product is of y = x - origin, so that an offset common to all vectors costs no precision. The origin, y,
        # |y|^2 and y.c are within (d + 4) u of |y|^2, |c|^2 and |y||c|, summed in any order (Higham 2002, section 3.1);
        # squared_distances is within as much of a distance of at most 2 (|y|^2 + |c|^2). All together, errors stay
        # below 5 (d + 16) u (|y|^2 + |c|^2): with both squares shrunk by as much, the bound is one.
        self._origin = np.array(vectors[first])
        self._shrink = np.float32(1 - 5 * (d + 16) * np.finfo(np.float32).eps / 2)
        self._underflow = np.float32(4 * d * np.finfo(np.float32).tiny)
        self._lifted_centers = np.empty((capacity, d + 1), np.float32)
        self._choose(first, np.float32(np.inf))
        self._nearest[first] = CHOSEN

    def select(self) -> None:
        """Choose until `chosen` is full."""
        with threadpool_limits(1, "blas"):  # the threads are ours, a tile each
            while self.size < len(self.chosen):
                rows, cut, limit = self._farthest()
                stale = rows[self._seen[rows] < self.size]
                stale = stale[np.argsort(self._seen[stale], kind="stable")]  # alike in a tile; the longest work first
                self._in_parts(partial(self._refresh, cut=cut), stale)
                self._contest(rows[self._nearest[rows] >= cut], cut, limit)

    def _in_parts(self, work: Callable[[np.ndarray], None], rows: np.ndarray) -> None:
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(work, (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))))

    def _choose(self, row: int, reach: np.float32) -> None:
        y = self._vectors[row] - self._origin
        self._lifted_centers[self.size, :-1] = -2 * y
        self._lifted_centers[self.size, -1] = np.square(y).sum() * self._shrink
        self.chosen[self.size], self.reach[self.size] = row, reach
        self.size += 1

    def _lift(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, d + 1), whose product with a lifted centre is at most the squared distance plus `slack` (n,)."""
        lifted = np.empty((len(x), x.shape[1] + 1), np.float32)
        lifted[:, -1] = 1
        y = np.subtract(x, self._origin, out=lifted[:, :-1])
        return lifted, self._underflow - np.einsum("nd,nd->n", y, y) * self._shrink

    def _farthest(self) -> tuple[np.ndarray, np.float32, int]:
        """Front rows, ascending, and (distance, row) that no row which is not among them is ahead of.

        A row is ahead of another when its distance is greater, or equal and its index lower.
        """
        count = len(self._nearest)
        cut = np.float32(np.partition(self._nearest, count - self._front)[count - self._front])
        above, tied = np.flatnonzero(self._nearest > cut), np.flatnonzero(self._nearest == cut)
        room = self._front - len(above)
        limit = int(tied[room]) if room < len(tied) else count
        return np.sort(np.concatenate([above, tied[:room]])), cut, limit

    def _refresh(self, rows: np.ndarray, cut: np.float32) -> None:
        """Bring rows, the first of which has seen the fewest centres, up to date or until they fall behind `cut`."""
        x, nearest = self._vectors[rows], self._nearest[rows]
        lifted, slack = self._lift(x)
        product = np.empty(len(rows) * CENTERS, np.float32)
        start = int(self._seen[rows[0]])
        while start < self.size and len(rows):
            centers = self._lifted_centers[start : min(start + CENTERS, self.size)]
            bounds = product[: len(rows) * len(centers)].reshape(len(rows), -1)
            self._lower(nearest, x, slack, np.dot(lifted, centers.T, out=bounds), start)
            start += len(centers)
            self._nearest[rows], self._seen[rows] = nearest, start
            ahead = nearest >= cut
            rows, x, nearest, lifted, slack = (values[ahead] for values in (rows, x, nearest, lifted, slack))

    def _lower(self, nearest: np.ndarray, x: np.ndarray, slack: np.ndarray, bounds: np.ndarray, start: int) -> None:
        """Lower `nearest` (n,) of x (n, d) to the nearest of the centres from `start` on; bounds (n, centres)."""
        best = bounds.argmin(axis=1)
        near = np.flatnonzero(bounds[np.arange(len(x)), best] <= nearest + slack)
        found = squared_distances(x[near], self._vectors[self.chosen[start + best[near]]])
        nearest[near] = np.minimum(nearest[near], found)
        bounds[near, best[near]] = np.inf
        others = np.flatnonzero(bounds <= (nearest + slack)[:, None])  # few, but where distances tie
        for k in range(0, len(others), PAIRS):
            i, j = np.divmod(others[k : k + PAIRS], bounds.shape[1])
            np.minimum.at(nearest, i, squared_distances(x[i], self._vectors[self.chosen[start + j]]))

    def _contest(self, rows: np.ndarray, cut: np.float32, limit: int) -> None:
        """Choose among up-to-date rows as long as the best of them is ahead of all that are not among them."""
        x, nearest = self._vectors[rows], self._nearest[rows]
        lifted, slack = self._lift(x)
        while self.size < len(self.chosen) and len(rows):
            best = nearest.argmax()  # of equals the first, and rows ascend
            if nearest[best] < cut or (nearest[best] == cut and rows[best] > limit):
                break
            self._choose(rows[best], nearest[best])
            nearest[best] = CHOSEN
            near = np.flatnonzero(lifted @ self._lifted_centers[self.size - 1] <= nearest + slack)
            nearest[near] = np.minimum(nearest[near], squared_distances(x[near], x[best]))
            if self.size % COMPACT == 0:
                self._nearest[rows], self._seen[rows] = nearest, self.size
                ahead = nearest >= cut
                rows, x, nearest, lifted, slack = (values[ahead] for values in (rows, x, nearest, lifted, slack))
        self._nearest[rows], self._seen[rows] = nearest, self.size


def _what_is_wrong(vectors: np.ndarray) -> str:
    for start in range(0, len(vectors), ROWS):
        rows, columns = np.nonzero(~np.isfinite(vectors[start : start + ROWS]))
        if len(rows):
            value = vectors[start + rows[0], columns[0]]
            return f"vector {start + rows[0]} of {len(vectors)} has {value} at position {columns[0]}, no finite number"
    return f"squared distances between the vectors exceed {LARGEST:.1e}, the most that float32 has room for: scale them"
