"""Bring the raw scores of different detectors to one scale.

A normaliser is a function `(reference, config) -> map`: it learns from reference scores (R,), at least one, and returns
the function that maps any scores (N,). The reference is the scores to be normalised (`FITTED_ON_SCORES`) or held-out
normal footage (`FITTED_ON_NORMAL`); both registries are indexed by `config.method`.
"""

from collections.abc import Callable

import numpy as np

from pixelplay.errors import DataError
from pixelplay.scores.settings import NormaliseConfig

GAUSSIAN_MAD = 1.4826  # 1 / Phi^-1(3/4): makes the MAD of a normal distribution its standard deviation

Map = Callable[[np.ndarray], np.ndarray]


def normalise(
    scores: np.ndarray, heldout: np.ndarray | None, config: NormaliseConfig, reference: np.ndarray | None = None
) -> np.ndarray:
    """Scores (N,) by `config.method`, then clipped to `config.clip` if that is set; float64 (N,).

    `heldout` (C,): the same stream's scores on held-out normal footage, for the methods of `FITTED_ON_NORMAL`; the
    others learn from `reference` (R,), by default the scores themselves. Raises DataError if a method has nothing to
    learn from, anything is NaN or infinite, or the scores span more than float64 can hold.
    """
    scores = _finite(scores, "scores")
    heldout = _finite(np.empty(0) if heldout is None else heldout, "calibration scores")
    reference = scores if reference is None else _finite(reference, "reference scores")
    return _map(heldout, config, reference)(scores) if scores.size else scores.copy()


def fitted(heldout: np.ndarray, config: NormaliseConfig, reference: np.ndarray) -> Map:
    """`normalise` for finite scores that are still to come, with what it learns from learnt once; raises as it does."""
    return _map(_finite(heldout, "calibration scores"), config, _finite(reference, "reference scores"))


def _map(heldout: np.ndarray, config: NormaliseConfig, reference: np.ndarray) -> Map:
    with np.errstate(over="ignore", invalid="ignore"):  # an error below says what to do
        learnt = _learnt(config, reference, heldout)

    def of(scores: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            result = learnt(scores)
            result = result if config.clip is None else np.clip(result, config.clip[0], config.clip[1])
        if not np.isfinite(result).all():
            raise DataError(
                f"normalising by {config.method!r} overflows: scores span {scores.min():.3g} to {scores.max():.3g}; "
                "rescale the stream"
            )
        return result

    return of


def unchanged(reference: np.ndarray, config: NormaliseConfig) -> Map:
    """`none`: the raw scores, in float64."""
    return np.copy


def minmax(reference: np.ndarray, config: NormaliseConfig) -> Map:
    """Smallest reference score to 0, greatest to 1, linear beyond. Constant references give zeros."""
    low, high = reference.min(), reference.max()
    return lambda scores: _to_unit(scores, low, high)


def percentile(reference: np.ndarray, config: NormaliseConfig) -> Map:
    """The `config.low`-th percentile to 0, the `config.high`-th to 1, clipped to [0, 1]; see `_clipped_unit`."""
    return _clipped_unit(*np.percentile(reference, [config.low, config.high]))


def rank(reference: np.ndarray, config: NormaliseConfig | None = None) -> Map:
    """Share of the reference below a score, ties counted half, in [0, 1].

    Of R references without ties the k-th smallest gets (k - 1/2) / R; constant scores get 1/2.
    """
    ordered = np.sort(reference)

    def ranks(scores: np.ndarray) -> np.ndarray:
        below, not_above = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
        return (below + not_above) / (2 * len(ordered))

    return ranks


def robust_z(reference: np.ndarray, config: NormaliseConfig) -> Map:
    """(x - median) / (1.4826 MAD) of the reference, MAD being the median absolute deviation from the median.

    If the MAD is 0 (more than half of the references are equal) the scale is their standard deviation, or 1 if all are
    equal. Iglewicz and Hoaglin, *How to Detect and Handle Outliers*, 1993.
    """
    centre = np.median(reference)
    mad = np.median(np.abs(reference - centre))
    scale = float(GAUSSIAN_MAD * mad) if mad > 0 else _deviation(reference)
    return lambda scores: (scores - centre) / scale


def z_score(reference: np.ndarray, config: NormaliseConfig) -> Map:
    """(x - mean) / standard deviation of the reference; the scale is 1 if all are equal."""
    centre = np.clip(reference.mean(), reference.min(), reference.max())  # the mean of a constant is that constant
    scale = _deviation(reference)
    return lambda scores: (scores - centre) / scale


def calibrated_minmax(reference: np.ndarray, config: NormaliseConfig) -> Map:
    """Smallest reference score to 0, their `config.quantile` to 1, clipped to [0, 1]; see `unit`."""
    return unit(reference, config.quantile)


def unit(reference: np.ndarray, quantile: float) -> Map:
    """(x - min) / (q - min) clipped to [0, 1], where q is that quantile of the reference; see `_clipped_unit`."""
    return _clipped_unit(reference.min(), np.quantile(reference, quantile))


def calibrated_tail(reference: np.ndarray, config: NormaliseConfig) -> Map:
    """How rare a score is among R normal ones, in [0, 1]: log p / log `config.min_p`, at most 1.

    p = (1 + references at or above the score) / (R + 1) is its conformal p-value; with few references it stays above
    `config.min_p`, and no score reaches 1. Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*, 2005.
    """
    ordered, count = np.sort(reference), len(reference)

    def tail(scores: np.ndarray) -> np.ndarray:
        p = (1 + count - np.searchsorted(ordered, scores, side="left")) / (count + 1)
        return np.minimum(np.log(p) / np.log(config.min_p), 1.0)

    return tail


def _learnt(config: NormaliseConfig, reference: np.ndarray, heldout: np.ndarray) -> Map:
    if config.method in FITTED_ON_SCORES:
        if not reference.size:
            raise DataError(f"normalise.method={config.method} has no scores to learn from")
        return FITTED_ON_SCORES[config.method](reference, config)
    if not heldout.size:
        raise DataError(
            f"normalise.method={config.method} needs scores of held-out normal footage, and there are none: run "
            "score.py, which writes them as split=calibration; for scores without any, such as external files, choose "
            f"one of {', '.join(FITTED_ON_SCORES)}"
        )
    return FITTED_ON_NORMAL[config.method](heldout, config)


def _deviation(values: np.ndarray) -> float:
    # Not by std == 0: rounding leaves some 1e-17 of standard deviation in a constant array.
    return float(values.std()) if values.min() < values.max() else 1.0


def _to_unit(scores: np.ndarray, low: float, high: float) -> np.ndarray:
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)


def _clipped_unit(low: float, high: float) -> Map:
    """`low` to 0, `high` to 1, clipped to [0, 1]. If they are equal, the limit: 1 above and 0 elsewhere."""
    if low == high:
        return lambda scores: (scores > high).astype(np.float64)
    return lambda scores: np.clip(_to_unit(scores, low, high), 0.0, 1.0)


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise DataError(f"{what} must be one-dimensional, not of shape {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(f"{what}: {bad.size} of {values.size} are not finite, the first at {bad[0]}: {values[bad[0]]}")
    return values


FITTED_ON_SCORES: dict[str, Callable[[np.ndarray, NormaliseConfig], Map]] = {
    "none": unchanged,
    "minmax": minmax,
    "percentile": percentile,
    "rank": rank,
    "robust_z": robust_z,
}
FITTED_ON_NORMAL: dict[str, Callable[[np.ndarray, NormaliseConfig], Map]] = {
    "calibrated": robust_z,
    "calibrated_z": z_score,
    "calibrated_minmax": calibrated_minmax,
    "calibrated_tail": calibrated_tail,
}
