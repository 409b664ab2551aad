"""The nearest of vectors that FAISS has indexed, with distances that are computed anew."""

from typing import NamedTuple

import faiss
import numpy as np

from pixelplay.memory.coreset import squared_distances

Found = tuple[np.ndarray, np.ndarray]  # distances float32 and indices int64 of the nearest, (n, count)


class Searched(NamedTuple):
    """An index, and the vectors in it, float32 (m, d)."""

    index: faiss.Index
    vectors: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Searched":
        """Exactly."""
        index = faiss.IndexFlatL2(vectors.shape[1])
        index.add(vectors)
        return cls(index, vectors)

    def nearest(self, queries: np.ndarray, count: int) -> Found:
        """Of the `count` nearest vectors, at most all, to each query (n, d), in FAISS's order.

        An index is -1 where FAISS finds fewer.
        """
        ids = self.index.search(queries, min(count, len(self.vectors)))[1]
        distances = np.empty(ids.shape, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # refused by whoever asks
            for k in range(ids.shape[1]):
                distances[:, k] = np.sqrt(squared_distances(queries, self.vectors[ids[:, k]]))
        return distances, ids


def merged(own: Found, beside: Found, size: int) -> Found:
    """The nearest of both, ascending, as many as of `own`; indices of those beside it are raised by its `size`."""
    distances = np.concatenate([own[0], beside[0]], axis=1)
    ids = np.concatenate([own[1], beside[1] + size], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")[:, : own[0].shape[1]]
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(ids, order, axis=1)
