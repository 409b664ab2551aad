"""Memory banks: FAISS indexes of the feature vectors of normal footage, searched for the nearest one.

As in PatchCore (Roth et al., CVPR 2022), a vector is as unusual as it is far from what the bank holds.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import faiss
import numpy as np
from pydantic import Field

from pixelplay.errors import ConfigError, DataError
from pixelplay.memory.k_center import squared_distances
from pixelplay.run.artifacts import damaged, missing, read_model, write_json
from pixelplay.run.atomic import atomic
from pixelplay.settings import Natural, Settings

QUERIES = 65536  # searched at a time: bounds the memory
TRAIN = "run `python src/train.py`"


class IvfConfig(Settings):
    """Inverted file: vectors sorted into cells by k-means, a few of which are searched. Approximate."""

    nlist: Natural  # cells
    nprobe: Natural  # cells searched per query; all of them is exact


class HnswConfig(Settings):
    """Graph of near neighbours (Malkov & Yashunin, TPAMI 2020), walked greedily. Approximate."""

    M: Annotated[int, Field(ge=2, le=1024)]  # links per vector and layer
    ef_construction: Natural  # candidates kept while building
    ef_search: Natural  # candidates kept while searching: ef


class BankConfig(Settings):
    index: Literal["flat", "ivf", "hnsw"]  # flat compares with every vector: exact
    ivf: IvfConfig
    hnsw: HnswConfig


class About(Settings):
    """What stands beside an index."""

    settings: BankConfig
    features: dict[str, Any]
    sha256: str  # of the index


class Bank:
    """A bank as it was built or loaded; `features` tells what its vectors are (backbone, feature settings)."""

    def __init__(self, index: faiss.IndexPreTransform, config: BankConfig, features: dict[str, Any]):
        self.config, self.features = config, features
        self._index = index
        # Centred on the bank's mean: FAISS gets |q|^2 - 2 qv + |v|^2, from which an offset would take the precision.
        self._chain = [faiss.downcast_VectorTransform(index.chain.at(i)) for i in range(index.chain.size())]
        self._search = faiss.downcast_index(index.index)
        if config.index == "ivf":
            self._search.make_direct_map()  # without it, vectors cannot be read back
        self._centered = self._search.reconstruct_n(0, self._search.ntotal)  # (count, d)

    @classmethod
    def build(
        cls,
        vectors: np.ndarray,
        config: BankConfig,
        features: dict[str, Any],
        seed: int,
        whitening: np.ndarray | None = None,
    ) -> "Bank":
        """Index float32 (count, d) vectors, equal for equal arguments. `features` must be representable as JSON.

        whitening: a matrix float32 (d, d) that vectors and queries are multiplied by before they are compared.
        Raises DataError for a value that is not finite, ConfigError for more IVF cells than vectors.
        """
        _check(vectors)
        if not np.isfinite(vectors).all():
            raise DataError(f"vector {_first_bad(vectors)} of {len(vectors)} for the memory bank is not finite")
        index = faiss.IndexPreTransform(_empty_index(*vectors.shape, config, seed))
        if whitening is not None:
            index.prepend_transform(_linear(whitening))
        index.prepend_transform(faiss.CenteringTransform(vectors.shape[1]))
        with _one_thread():  # threads would insert into a graph in an order of their own
            index.train(vectors)
            index.add(vectors)
        return cls(index, config, _as_json(features))

    def __len__(self) -> int:
        return len(self._centered)

    def nearest(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """L2 distance (not squared), float32 (n,), and number, int64 (n,), of the vector nearest each query (n, d).

        The distance is worked out anew for the vector that FAISS found, since its own is a difference of large
        numbers: a query that is in the bank has distance 0. Of vectors that are equally near, but for rounding, which
        one is found may depend on the queries beside it. Raises DataError for a query that is not finite.
        """
        _check(queries, self._centered.shape[1])
        distances, ids = np.empty(len(queries), np.float32), np.empty(len(queries), np.int64)
        for start in range(0, len(queries), QUERIES):
            part = slice(start, start + QUERIES)
            centered = np.ascontiguousarray(queries[part])
            for transform in self._chain:
                centered = transform.apply(centered)
            ids[part] = self._search.search(centered, 1)[1][:, 0]
            with np.errstate(over="ignore", invalid="ignore"):  # refused below
                distances[part] = np.sqrt(squared_distances(centered, self._centered[ids[part]]))
        if not np.isfinite(distances).all():
            raise DataError(f"query {_first_bad(distances[:, None])} of {len(queries)} is not finite, or out of range")
        if (ids < 0).any():
            raise ConfigError(f"ivf.nprobe={self.config.ivf.nprobe}: the cells searched for a query are empty")
        return distances, ids

    def save(self, path: Path) -> None:
        """Write the index to `path`, and beside it, as .json, what it is."""
        data = faiss.serialize_index(self._index).tobytes()
        with atomic(path) as temporary:
            temporary.write_bytes(data)
        about = About(settings=self.config, features=self.features, sha256=_digest(data))
        write_json(path.with_suffix(".json"), about.model_dump())

    @classmethod
    def load(cls, path: Path, features: dict[str, Any]) -> "Bank":
        """Read what `save` wrote, if it was built of such `features`.

        Raises MissingArtifactError, DamagedArtifactError, and DataError for other features (naming both).
        """
        about = read_model(path.with_suffix(".json"), About, made_by="train")
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise missing(path, "train") from None
        # FAISS can read what the digest vouches for; anything else could make it do anything.
        if about.sha256 != _digest(data):
            raise damaged(path, "train", "or not what its .json is about")
        asked = _as_json(features)
        if about.features != asked:
            raise DataError(f"{path} {_difference(about.features, asked)}: set them as they were, or {TRAIN} again")
        index = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        return cls(index, about.settings, asked)


def _empty_index(count: int, d: int, config: BankConfig, seed: int) -> faiss.Index:
    if config.index == "flat":
        return faiss.IndexFlatL2(d)
    if config.index == "hnsw":
        index = faiss.IndexHNSWFlat(d, config.hnsw.M)
        index.hnsw.efConstruction, index.hnsw.efSearch = config.hnsw.ef_construction, config.hnsw.ef_search
        index.hnsw.rng = faiss.RandomGenerator(seed)
        return index
    if config.ivf.nlist > count:
        raise ConfigError(f"ivf.nlist={config.ivf.nlist}: the bank has {count} vectors, and a cell needs one at least")
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, config.ivf.nlist)
    index.nprobe, index.cp.seed = config.ivf.nprobe, seed
    index.cp.min_points_per_centroid = 1  # a coreset is thinned out already: few to a cell are no cause for a warning
    return index


def _linear(matrix: np.ndarray) -> faiss.LinearTransform:
    transform = faiss.LinearTransform(*matrix.shape[::-1])
    faiss.copy_array_to_vector(np.ascontiguousarray(matrix).ravel(), transform.A)
    transform.is_trained = True
    return transform


@contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _check(vectors: np.ndarray, d: int | None = None) -> None:
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != (d or vectors.shape[1]):
        raise ValueError(f"vectors: {vectors.dtype} {vectors.shape}; must be float32 (n, {d or 'd'})")
    if d is None and vectors.size == 0:
        raise DataError("no vectors for a memory bank: no footage, or nothing was detected in any of it")


def _first_bad(vectors: np.ndarray) -> int:
    return int((~np.isfinite(vectors)).any(axis=1).argmax())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _as_json(features: dict[str, Any]) -> dict[str, Any]:
    """As reading them back gives them: lists for tuples, for instance."""
    return json.loads(json.dumps(features, allow_nan=False))


def _difference(saved: dict[str, Any], asked: dict[str, Any]) -> str:
    keys = [key for key in {**saved, **asked} if saved.get(key) != asked.get(key)]
    have, want = ({key: side.get(key) for key in keys} for side in (saved, asked))
    return f"holds features of {have}, asked for are {want}"
