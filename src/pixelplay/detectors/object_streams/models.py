"""Models of what is usual, over vectors of normal objects: distances to the nearest of them, or a mixture of Gaussians.

A nearest neighbour reacts to what is rare, such as speed; a mixture also to what lies between frequent values.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import Field
from safetensors.numpy import load_file, save_file

from pixelplay.errors import DataError
from pixelplay.memory.bank import Bank, BankConfig
from pixelplay.memory.coreset import CoresetConfig, select_coreset
from pixelplay.run.artifacts import damaged, missing
from pixelplay.run.atomic import atomic
from pixelplay.settings import Natural, Settings

if TYPE_CHECKING:  # slow to import
    from sklearn.mixture import GaussianMixture

PARAMETERS = ("weights_", "means_", "covariances_", "precisions_cholesky_")  # what a fitted GaussianMixture scores by


class DensityConfig(Settings):
    """A model of what is usual."""

    method: Literal["knn", "gmm"]
    neighbours: Annotated[int, Field(ge=1, le=1000)]  # of knn: a score is the mean distance to so many
    coreset: CoresetConfig  # of knn: the vectors that it compares with
    bank: BankConfig
    components: Natural  # of gmm


class Density(Protocol):
    def score(self, vectors: np.ndarray) -> np.ndarray:
        """How unusual each of the vectors float32 (N, D) is, float64 (N,); NaN for one with NaN."""
        ...

    def accept(self, objects: Sequence[np.ndarray]) -> bool:
        """Take vectors of these objects, float32 (n, D) each, for usual, too, in place of those before; nothing of it
        is saved. Returns whether it compares with any: only a memory can.
        """
        ...

    def save(self, folder: Path, name: str) -> None:
        """Write it to files that begin with `name`, atomically."""


def fit_density(vectors: np.ndarray, config: DensityConfig, identity: Mapping[str, Any], seed: int) -> Density:
    """A model of vectors float32 (N, D), those with NaN left out; deterministic.

    identity: what the vectors are, as JSON. Raises DataError where there are none.
    """
    vectors = np.ascontiguousarray(vectors[np.isfinite(vectors).all(axis=1)], np.float32)
    if config.method == "gmm":
        return Mixture.fit(vectors, config.components, seed)
    kept = select_coreset([vectors], config.coreset.at_most(len(vectors)), seed, threads=0)
    return Neighbours(Bank.build(vectors[kept.indices], config.bank, dict(identity), seed), config.neighbours)


def load_density(folder: Path, name: str, config: DensityConfig, identity: Mapping[str, Any]) -> Density:
    """What `Density.save` wrote; raises MissingArtifactError or DamagedArtifactError."""
    if config.method == "gmm":
        return Mixture.load(folder, name)
    return Neighbours(Bank.load(folder / f"{name}.faiss", dict(identity)), config.neighbours)


class Neighbours:
    """The mean distance to the nearest vectors of a bank; to all of them, where there are fewer."""

    def __init__(self, bank: Bank, neighbours: int):
        self._bank, self._neighbours = bank, min(neighbours, len(bank))

    def score(self, vectors: np.ndarray) -> np.ndarray:
        known, found = np.isfinite(vectors).all(axis=1), np.full(len(vectors), np.nan)
        if known.any():
            found[known] = self._bank.distances(np.ascontiguousarray(vectors[known]), self._neighbours).mean(axis=1)
        return found

    def accept(self, objects: Sequence[np.ndarray]) -> bool:
        """See `Density`. An object of fewer vectors than neighbours has each of them several times, as many neighbours
        in all at least: else one that was seen in a single frame would stay unusual.
        """
        known = [vectors[np.isfinite(vectors).all(axis=1)] for vectors in objects]
        repeated = [np.repeat(of, -(-self._neighbours // len(of)), axis=0) for of in known if len(of)]
        self._bank.put_beside(np.concatenate(repeated) if repeated else None)
        return bool(repeated)

    def save(self, folder: Path, name: str) -> None:
        self._bank.save(folder / f"{name}.faiss")


class Mixture:
    """The negative logarithm of the density of a mixture of Gaussians with full covariances."""

    def __init__(self, mixture: "GaussianMixture"):
        self._mixture = mixture

    @classmethod
    def fit(cls, vectors: np.ndarray, components: int, seed: int) -> "Mixture":
        from sklearn.mixture import GaussianMixture  # slow to import

        if len(vectors) < 2:
            raise DataError(f"{len(vectors)} normal objects are too few for a mixture of Gaussians")
        mixture = GaussianMixture(min(components, len(vectors)), random_state=seed)
        return cls(mixture.fit(vectors.astype(np.float64)))

    @classmethod
    def load(cls, folder: Path, name: str) -> "Mixture":
        from sklearn.mixture import GaussianMixture

        path = folder / f"{name}.safetensors"
        parameters = read_arrays(path)
        if set(parameters) != set(PARAMETERS):
            raise damaged(path, "train", f"it holds {', '.join(sorted(parameters))}")
        mixture = GaussianMixture(len(parameters["weights_"]))
        for parameter, values in parameters.items():
            setattr(mixture, parameter, values)
        return cls(mixture)

    def score(self, vectors: np.ndarray) -> np.ndarray:
        known, found = np.isfinite(vectors).all(axis=1), np.full(len(vectors), np.nan)
        if known.any():
            found[known] = -self._mixture.score_samples(vectors[known].astype(np.float64))
        return found

    def accept(self, objects: Sequence[np.ndarray]) -> bool:
        return False

    def save(self, folder: Path, name: str) -> None:
        with atomic(folder / f"{name}.safetensors") as temporary:
            save_file({parameter: getattr(self._mixture, parameter) for parameter in PARAMETERS}, temporary)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What a detector wrote as .safetensors; raises MissingArtifactError or DamagedArtifactError."""
    if not path.exists():
        raise missing(path, "train")
    try:
        return load_file(path)
    except Exception as error:  # safetensors has kinds of its own
        raise damaged(path, "train", error) from None
