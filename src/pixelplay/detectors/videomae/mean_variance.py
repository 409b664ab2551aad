"""The normal profile of vectors: their mean and variance, in one pass and the memory of two vectors.

Sums are put together as in Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm" (1979).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from pixelplay.errors import ConfigError
from pixelplay.run.artifacts import damaged, missing
from pixelplay.run.atomic import atomic

ABOUT = "profile"  # of the file's metadata, as JSON


@dataclass(frozen=True)
class Profile:
    """Mean and squared deviations from it, float64 (d,), of `count` vectors that a model made.

    model: its name, for people; identity: its fingerprint, which whatever is compared with the profile must have.
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
        """The profile of the vectors of both."""
        _require_same(self.identity, other.identity, "a profile to be joined with")
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        deviations = self.deviations + other.deviations + np.square(apart) * (self.count * other.count / count)
        return Profile(count, mean, deviations, self.model, self.identity)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        about = json.dumps({"model": self.model, "identity": self.identity, "count": self.count})
        with atomic(path) as temporary:  # one entry: safetensors writes several in an order that differs by run
            save_file({"mean": self.mean, "deviations": self.deviations}, temporary, {ABOUT: about})

    @classmethod
    def load(cls, path: Path, identity: str) -> "Profile":
        """What `save` wrote. Raises MissingArtifactError where nothing is, DamagedArtifactError where it is damaged or
        the profile of a model with another identity.
        """
        if not path.is_file():
            raise missing(path, "train")
        try:
            with safe_open(path, "numpy") as file:
                about = json.loads(file.metadata()[ABOUT])
                profile = cls(int(about["count"]), file.get_tensor("mean"), file.get_tensor("deviations"),
                              str(about["model"]), about["identity"])  # fmt: skip
            _require_sound(profile)
        except Exception as error:  # safetensors raises its own, plain Exceptions
            raise damaged(path, "train", error) from None
        if profile.identity != identity:
            raise damaged(path, "train", f"made by another model ({profile.identity}) than is at hand ({identity})")
        return profile


def joined(profiles: Iterable[Profile]) -> Profile | None:
    """The profile of the vectors of all; None for none."""
    whole: Profile | None = None
    for profile in profiles:
        whole = profile if whole is None else whole.and_of(profile)
    return whole


def _require_sound(profile: Profile) -> None:
    mean, deviations = profile.mean, profile.deviations
    if mean.ndim != 1 or mean.shape != deviations.shape or {mean.dtype, deviations.dtype} != {np.dtype(np.float64)}:
        raise ValueError(f"{mean.dtype} {mean.shape} and {deviations.dtype} {deviations.shape}, not two float64 (d,)")
    if profile.count < 1 or not np.isfinite([mean, deviations]).all() or (deviations < 0).any():
        raise ValueError("values that are no mean and variance")


def _require_same(identity: str, wanted: str, what: str) -> None:
    if identity != wanted:
        raise ConfigError(
            f"{what} is the profile of another model ({identity}) than the one at hand ({wanted}): train again"
        )
