"""The distance to a memory: Euclidean, or Mahalanobis' with the covariance of normal vectors.

A pretrained network's channels are compared as they are (PatchCore: Roth et al., CVPR 2022). Where they vary much in
normal footage and where hardly at all, is what Mahalanobis' distance puts on one scale: unusual is what differs in what
is usually the same (Rippel, Mertens, Merhof, ICPR 2020; PaDiM: Defard et al., 2021).
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.linalg import solve_triangular

from pixelplay.errors import DataError
from pixelplay.settings import Settings

ROWS = 65536  # vectors in memory at a time

Metric = Literal["euclidean", "mahalanobis"]


class DistanceConfig(Settings):
    """Which distance, by where the features come from."""

    pretrained: Metric
    in_domain: Metric
    shrinkage: Annotated[float, Field(gt=0, le=1)]  # of the covariance, towards one variance for all


def whitening(groups: Sequence[np.ndarray], shrinkage: float) -> np.ndarray:
    """The matrix float32 (d, d) by which Euclidean distances of W x are Mahalanobis distances of x.

    groups: float32 (n, d), for instance a memory-mapped file per video, read twice in parts. The covariance of them all
    is shrunk: (1 - s) C + s tr(C) / d I, so that what never varies does not count infinitely. Where nothing varies at
    all, the identity. Raises DataError for a value that is not finite.
    """
    from sklearn.covariance import shrunk_covariance  # here, since importing scikit-learn takes seconds

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


def _parts(groups: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Copies in float64."""
    for group in groups:
        for start in range(0, len(group), ROWS):
            yield group[start : start + ROWS].astype(np.float64)
