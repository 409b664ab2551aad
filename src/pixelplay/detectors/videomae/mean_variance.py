"""Mean and variance of vectors in one pass, with two vectors in memory: the normal profile.

Sums are combined as in Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm" (1979).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from pixelplay.errors import ConfigError
from pixelplay.run.artifacts import damaged, missing
from pixelplay.run.atomic import atomic

ABOUT = "profile"  # in the file's metadata, as JSON


@dataclass(frozen=True)
class Profile:
    """Mean and summed squared deviations from it, float64 (d,), of `count` vectors that a model made.

    model: its name, for people; identity: its fingerprint; profiles of different models can't be compared.
    """

    count: int
    mean: np.ndarray
    deviations: np.ndarray
    model: str
    identity: str

    @property
    def variance(self) -> np.ndarray:
        """Of the vectors, float64 (d,)."""
        return self.deviations / self.count

    @classmethod
    def of(cls, vectors: np.ndarray, model: str, identity: str) -> "Profile":
        """The profile of vectors (N, d), one or more."""
        values = vectors.astype(np.float64)
        mean = values.mean(axis=0)
        return cls(len(values), mean, np.square(values - mean).sum(axis=0), model, identity)

    def and_of(self, other: "Profile") -> "Profile":
        """The profile of the vectors of both; raises ConfigError for those of another model."""
        if other.identity != self.identity:
            raise ConfigError(f"profile of another model ({other.identity} instead of {self.identity}): train again")
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        deviations = self.deviations + other.deviations + np.square(apart) * (self.count * other.count / count)
        return Profile(count, mean, deviations, self.model, self.identity)

    def save(self, path: Path) -> None:
        about = json.dumps({"model": self.model, "identity": self.identity, "count": self.count})
        with atomic(path) as temporary:  # one entry: safetensors writes several in an order that differs by run
            save_file({"mean": self.mean, "deviations": self.deviations}, temporary, {ABOUT: about})

    @classmethod
    def load(cls, path: Path, identity: str) -> "Profile":
        """What `save` wrote; raises MissingArtifactError, or DamagedArtifactError, also for another model's profile."""
        if not path.is_file():
            raise missing(path, "train")
        try:
            with safe_open(path, "numpy") as file:
                about = json.loads(file.metadata()[ABOUT])
                arrays = (file.get_tensor("mean"), file.get_tensor("deviations"))
                profile = cls(int(about["count"]), *arrays, str(about["model"]), about["identity"])
            profile._check()
        except Exception as error:  # safetensors raises its own, plain Exceptions
            raise damaged(path, "train", error) from None
        if profile.identity != identity:
            raise damaged(path, "train", f"made by another model ({profile.identity}) than is used now ({identity})")
        return profile

    def _check(self) -> None:
        mean, deviations = self.mean, self.deviations
        if mean.ndim != 1 or mean.shape != deviations.shape or {mean.dtype, deviations.dtype} != {np.dtype(np.float64)}:
            raise ValueError(f"{mean.dtype} {mean.shape} and {deviations.dtype} {deviations.shape}, not float64 (d,)")
        if self.count < 1 or not np.isfinite([mean, deviations]).all() or (deviations < 0).any():
            raise ValueError("not a mean and a variance")


def joined(profiles: Iterable[Profile]) -> Profile | None:
    """The profile of the vectors of all; None for none."""
    rest = iter(profiles)
    first = next(rest, None)
    return None if first is None else reduce(Profile.and_of, rest, first)
