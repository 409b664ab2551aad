"""Memory banks: FAISS indexes of feature vectors of normal footage.

As in PatchCore (Roth et al., CVPR 2022), a vector is as anomalous as it is far from its nearest neighbour in the bank.
The distance is Euclidean, or Mahalanobis with the covariance of the normal vectors, which weights deviations in
directions that hardly vary in normal footage more (Rippel, Mertens, Merhof, ICPR 2020; PaDiM: Defard et al., 2021).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import faiss
import numpy as np
from pydantic import Field
from scipy.linalg import solve_triangular
from threadpoolctl import threadpool_limits

from pixelplay.errors import ConfigError, DataError
from pixelplay.memory.search import Searched, merged
from pixelplay.run.artifacts import damaged, missing, read_model, write_json
from pixelplay.run.atomic import atomic
from pixelplay.settings import Natural, Settings

QUERIES = 65536  # searched at a time: bounds the memory
ROWS = 65536  # vectors in memory at a time

Metric = Literal["euclidean", "mahalanobis"]
Features = dict[str, Any]  # what the vectors are: the backbone and its settings, as JSON


class IvfConfig(Settings):
    """Inverted file: k-means cells, a few of which are searched. Approximate."""

    nlist: Natural  # cells
    nprobe: Natural  # cells searched per query; all of them is exact


class HnswConfig(Settings):
    """Hierarchical navigable small world graph (Malkov & Yashunin, TPAMI 2020). Approximate."""

    M: Annotated[int, Field(ge=2, le=1024)]  # links per vector and layer
    ef_construction: Natural  # candidates kept while building
    ef_search: Natural  # candidates kept while searching


class BankConfig(Settings):
    index: Literal["flat", "ivf", "hnsw"]  # flat is exact
    ivf: IvfConfig
    hnsw: HnswConfig


class DistanceConfig(Settings):
    """The metric, by where the backbone comes from."""

    pretrained: Metric
    in_domain: Metric
    shrinkage: Annotated[float, Field(gt=0, le=1)]  # of the covariance, towards a multiple of the identity


class About(Settings):
    """The .json beside an index."""

    settings: BankConfig
    features: Features
    sha256: str  # of the index


class Bank:
    """A built or loaded bank of vectors that `features` describes."""

    def __init__(self, index: faiss.IndexPreTransform, config: BankConfig, features: Features):
        self.config, self.features, self._index = config, features, index
        # Vectors are centred on the bank's mean: FAISS computes |q|^2 - 2 qv + |v|^2, where an offset costs precision.
        self._chain = [faiss.downcast_VectorTransform(index.chain.at(i)) for i in range(index.chain.size())]
        search = faiss.downcast_index(index.index)
        if config.index == "ivf":
            search.make_direct_map()  # needed to read vectors back
        self._own = Searched(search, search.reconstruct_n(0, search.ntotal))
        self._beside: Searched | None = None

    @classmethod
    def build(
        cls, vectors: np.ndarray, config: BankConfig, features: Features, seed: int, whitening: np.ndarray | None = None
    ) -> "Bank":
        """Index float32 (count, d) vectors, deterministically.

        whitening: a matrix float32 (d, d) that vectors and queries are multiplied by before they are compared.
        Raises DataError for values that are not finite, ConfigError for more IVF cells than vectors.
        """
        _check(vectors, vectors.shape[-1])
        if vectors.size == 0:
            raise DataError("no vectors for a memory bank: no footage, or nothing was detected in any of it")
        if not np.isfinite(vectors).all():
            raise DataError(f"vector {_first_bad(vectors)} of {len(vectors)} for the memory bank is not finite")
        index = faiss.IndexPreTransform(_empty_index(len(vectors), vectors.shape[1], config, seed))
        if whitening is not None:
            linear = faiss.LinearTransform(*whitening.shape[::-1])
            faiss.copy_array_to_vector(np.ascontiguousarray(whitening).ravel(), linear.A)
            linear.is_trained = True
            index.prepend_transform(linear)
        index.prepend_transform(faiss.CenteringTransform(vectors.shape[1]))
        with threadpool_limits(1, "openmp"):  # with more threads, the order of insertion into a graph varies
            index.train(vectors)
            index.add(vectors)
        return cls(index, config, _as_json(features))

    def __len__(self) -> int:
        """How many vectors it was built of."""
        return len(self._own.vectors)

    def put_beside(self, vectors: np.ndarray | None) -> None:
        """Search these finite float32 (m, d) vectors as well, exactly, in place of those beside the bank before.

        Distances are then those of a bank of both, with the mean and the whitening of this one. `save` does not write
        them; with None, the bank is as it was built.
        """
        if vectors is not None:
            _check(vectors, self._own.vectors.shape[1])
        self._beside = None if vectors is None else Searched.of(self._transformed(vectors))

    def nearest(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """L2 distance (not squared), float32 (n,), and index, int64 (n,), of the nearest vector to each query (n, d).

        FAISS's own distances are differences of large numbers, so they are recomputed: a query that is in the bank has
        distance 0. Ties up to rounding may be broken differently in other batches. Vectors beside the bank have the
        indices after its own. DataError for a query that is not finite.
        """
        distances, ids = self._search_for(queries, 1)
        return distances[:, 0], ids[:, 0]

    def distances(self, queries: np.ndarray, count: int) -> np.ndarray:
        """L2 distances of each query (n, d) to its `count` nearest vectors, ascending, float32 (n, count).

        count: at most `len` of the bank. Raises as `nearest`.
        """
        return np.sort(self._search_for(queries, count)[0], axis=1)

    def _search_for(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances and indices of the `count` nearest vectors, (n, count)."""
        _check(queries, self._own.vectors.shape[1])
        distances, ids = np.empty((len(queries), count), np.float32), np.empty((len(queries), count), np.int64)
        step, lost = max(QUERIES // count, 1), False
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            centered = self._transformed(queries[part])
            found = self._own.nearest(centered, count)
            lost = lost or bool((found[1] < 0).any())
            if self._beside is not None:
                found = merged(found, self._beside.nearest(centered, count), len(self))
            distances[part], ids[part] = found
        if not np.isfinite(distances).all():
            raise DataError(f"query {_first_bad(distances)} of {len(queries)} is not finite, or out of range")
        if lost:
            raise ConfigError(f"ivf.nprobe={self.config.ivf.nprobe}: the cells searched for a query are empty")
        return distances, ids

    def _transformed(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (n, d) as they are compared: centred, and whitened where the bank is."""
        return reduce(lambda found, one: one.apply(found), self._chain, np.ascontiguousarray(vectors))

    def save(self, path: Path) -> None:
        """Write the index to `path` and its description beside it, as .json."""
        data = faiss.serialize_index(self._index).tobytes()
        with atomic(path) as temporary:
            temporary.write_bytes(data)
        about = About(settings=self.config, features=self.features, sha256=hashlib.sha256(data).hexdigest())
        write_json(path.with_suffix(".json"), about.model_dump())

    @classmethod
    def load(cls, path: Path, features: Features) -> "Bank":
        """What `save` wrote; raises MissingArtifactError, DamagedArtifactError, or DataError for other features."""
        about = read_model(path.with_suffix(".json"), About, made_by="train")
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise missing(path, "train") from None
        if about.sha256 != hashlib.sha256(data).hexdigest():  # FAISS must not parse an index that was tampered with
            raise damaged(path, "train", "its checksum differs from that in its .json")
        asked = _as_json(features)
        if about.features != asked:
            keys = [key for key in about.features | asked if about.features.get(key) != asked.get(key)]
            have, want = ({key: side.get(key) for key in keys} for side in (about.features, asked))
            restore = "restore those settings, or run `python src/train.py` again"
            raise DataError(f"{path} holds features of {have}, asked for are {want}: {restore}")
        return cls(faiss.deserialize_index(np.frombuffer(data, np.uint8)), about.settings, asked)


def whitening(groups: Sequence[np.ndarray], shrinkage: float) -> np.ndarray:
    """The matrix W, float32 (d, d), such that Euclidean distances of W x are Mahalanobis distances of x.

    groups: float32 (n, d), e.g. a memory-mapped file per video, read twice in parts. Their joint covariance is shrunk,
    (1 - s) C + s tr(C) / d I, so that constant directions get a finite weight; if nothing varies at all, W is the
    identity. Raises DataError for values that are not finite.
    """
    from sklearn.covariance import shrunk_covariance  # slow to import

    count, size = sum(map(len, groups)), groups[0].shape[1]
    mean = sum(part.sum(axis=0) for part in _parts(groups)) / count
    covariance = np.zeros((size, size))
    for part in _parts(groups):
        part -= mean
        covariance += part.T @ part / count
    if not np.isfinite(covariance).all():
        raise DataError("vectors for a memory bank are not finite, or too large for their covariance")
    if not covariance.any():
        return np.eye(size, dtype=np.float32)
    root = np.linalg.cholesky(shrunk_covariance(covariance, shrinkage))
    return solve_triangular(root, np.eye(size), lower=True).astype(np.float32)


def _parts(groups: Sequence[np.ndarray]) -> Iterator[np.ndarray]:  # copies in float64
    for group in groups:
        for start in range(0, len(group), ROWS):
            yield group[start : start + ROWS].astype(np.float64)


def _empty_index(count: int, d: int, config: BankConfig, seed: int) -> faiss.Index:
    if config.index == "flat":
        return faiss.IndexFlatL2(d)
    if config.index == "hnsw":
        index = faiss.IndexHNSWFlat(d, config.hnsw.M)
        index.hnsw.efConstruction, index.hnsw.efSearch = config.hnsw.ef_construction, config.hnsw.ef_search
        index.hnsw.rng = faiss.RandomGenerator(seed)
        return index
    if config.ivf.nlist > count:
        raise ConfigError(f"ivf.nlist={config.ivf.nlist}: the bank has {count} vectors; each cell needs at least one")
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, config.ivf.nlist)
    index.nprobe, index.cp.seed = config.ivf.nprobe, seed
    index.cp.min_points_per_centroid = 1  # no warning about few vectors per cell: a coreset is sparse on purpose
    return index


def _check(vectors: np.ndarray, d: int) -> None:
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != d:
        raise ValueError(f"vectors: {vectors.dtype} {vectors.shape}; must be float32 (n, {d})")


def _first_bad(vectors: np.ndarray) -> int:
    return int((~np.isfinite(vectors)).any(axis=1).argmax())


def _as_json(features: Features) -> Features:
    """As they are read back from JSON: tuples become lists, for instance."""
    return json.loads(json.dumps(features, allow_nan=False))
