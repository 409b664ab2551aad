"""Bring the raw scores of different detectors to one scale, over the whole test set at once.

A normaliser is a function `(scores, calibration, config) -> scores` in `NORMALISERS`, found by `config.method`; a new
one is a function here, its entry there, and its name in `NormaliseConfig.method`.
"""

from collections.abc import Callable

import numpy as np

from pixelplay.config import NormaliseConfig
from pixelplay.errors import DataError

GAUSSIAN_MAD = 1.4826  # 1 / Phi^-1(3/4): makes the MAD of a normal distribution its standard deviation


def normalise(scores: np.ndarray, calibration: np.ndarray | None, config: NormaliseConfig) -> np.ndarray:
    """Scores (N,) by `config.method`, in float64 (N,).

    `calibration` (C,) are the same stream's scores on held-out normal footage; only `calibrated` reads them.
    Raises DataError when either has a NaN or an infinite value, or spans more than float64 can hold.
    """
    scores = _finite(scores, "scores")
    calibration = _finite(np.empty(0) if calibration is None else calibration, "calibration scores")
    with np.errstate(over="ignore", invalid="ignore"):  # told below, with a remedy, instead of by a warning
        result = NORMALISERS[config.method](scores, calibration, config)
    if not np.isfinite(result).all():
        raise DataError(
            f"normalising by {config.method!r} overflows: scores span {scores.min():.3g} to {scores.max():.3g}; "
            "rescale the stream"
        )
    return result


def unchanged(scores: np.ndarray, calibration: np.ndarray, config: NormaliseConfig) -> np.ndarray:
    """`none`: the raw scores, in float64."""
    return scores.copy()


def minmax(scores: np.ndarray, calibration: np.ndarray, config: NormaliseConfig) -> np.ndarray:
    """Smallest score to 0, greatest to 1. Constant scores give zeros."""
    return _to_unit(scores, scores.min(), scores.max()) if scores.size else scores.copy()


def percentile(scores: np.ndarray, calibration: np.ndarray, config: NormaliseConfig) -> np.ndarray:
    """The `config.low`-th percentile to 0, the `config.high`-th to 1, clipped to [0, 1].

    Where both percentiles are the same number, the map is its own limit: 1 above that number and 0 elsewhere, so
    constant scores give zeros and rare outliers are kept.
    """
    if not scores.size:
        return scores.copy()
    low, high = np.percentile(scores, [config.low, config.high])
    if low == high:
        return (scores > high).astype(np.float64)
    return np.clip(_to_unit(scores, low, high), 0.0, 1.0)


def calibrated(scores: np.ndarray, calibration: np.ndarray, config: NormaliseConfig) -> np.ndarray:
    """Robust z through held-out normal footage: (x - median(c)) / (1.4826 MAD(c)), not clipped.

    Scores equal to the calibration's median give 0. When the MAD is 0 (more than half of the calibration scores are
    one number) the scale is their standard deviation, and 1 when they are all the same. Raises DataError without
    calibration scores. Robust z: Iglewicz and Hoaglin, *How to Detect and Handle Outliers*, 1993.
    """
    if not calibration.size:
        raise DataError(
            "normalise.method=calibrated needs scores of held-out normal footage, and there are none: run score.py, "
            "which writes them as split=calibration, with dataset.heldout.share above 0; or choose another method"
        )
    centre = np.median(calibration)
    return (scores - centre) / _robust_scale(calibration, centre)


def _robust_scale(calibration: np.ndarray, centre: float) -> float:
    mad = np.median(np.abs(calibration - centre))
    if mad > 0:
        return float(GAUSSIAN_MAD * mad)
    # Not by std == 0: rounding leaves some 1e-17 of standard deviation in a constant array.
    return float(calibration.std()) if calibration.min() < calibration.max() else 1.0


def _to_unit(scores: np.ndarray, low: float, high: float) -> np.ndarray:
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise DataError(f"{what} must be one-dimensional, not of shape {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(f"{what}: {bad.size} of {values.size} are not finite, the first at {bad[0]}: {values[bad[0]]}")
    return values


NORMALISERS: dict[str, Callable[[np.ndarray, np.ndarray, NormaliseConfig], np.ndarray]] = {
    "none": unchanged,
    "minmax": minmax,
    "percentile": percentile,
    "calibrated": calibrated,
}
