"""The distance to a memory bank: Euclidean, or Mahalanobis with the covariance of the normal vectors.

Euclidean as in PatchCore (Roth et al., CVPR 2022). Mahalanobis weights deviations in directions that hardly vary in
normal footage more (Rippel, Mertens, Merhof, ICPR 2020; PaDiM: Defard et al., 2021).
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
    """The metric, by where the backbone comes from."""

    pretrained: Metric
    in_domain: Metric
    shrinkage: Annotated[float, Field(gt=0, le=1)]  # of the covariance, towards a multiple of the identity


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


def _parts(groups: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Copies in float64."""
    for group in groups:
        for start in range(0, len(group), ROWS):
            yield group[start : start + ROWS].astype(np.float64)
