"""Thresholds from scores of held-out normal footage alone; a score *above* its threshold is an alarm.

Peaks over threshold: Pickands, *Annals of Statistics*, 1975; as an alarm's threshold: Siffer et al., KDD 2017. The
others are the source document's: percentile, fixed, adaptive.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import genpareto, median_abs_deviation

from pixelplay.config import AdaptiveConfig, EvtConfig
from pixelplay.errors import DataError

GAUSSIAN_MAD = 1.4826  # makes the MAD of a normal distribution its standard deviation
FEWEST = 10  # scores in the tail that two parameters are fitted to


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it was made of."""

    method: str
    value: float
    parameters: dict[str, float]

    def as_dict(self) -> dict[str, object]:
        """Field names and values, ready for JSON."""
        return asdict(self)


def evt(normal: np.ndarray, config: EvtConfig) -> Threshold:
    """The score that a normal one exceeds with probability `config.risk`, by a generalised Pareto tail.

    normal: finite scores (N,). Those above their (1 - `config.tail`) quantile, `start`, are the peaks; their excess is
    fitted by maximum likelihood, and the fit's quantile taken where P(peak) P(excess > value - start) is the risk. If
    no more than that risk of the scores lies above `start`, which ties can bring about, it is `start` itself.
    Parameters: start, shape, scale, tail (the share of peaks), peaks (their number), risk.
    Raises DataError with fewer than 10 peaks, or where all have one value.
    """
    normal = _checked(normal)
    start = float(np.quantile(normal, 1 - config.tail))
    excess = normal[normal > start] - start
    if len(excess) < FEWEST or excess.min() == excess.max():
        what = f"only {len(excess)}" if len(excess) < FEWEST else f"{len(excess)} equal"
        raise DataError(
            f"evt: {what} of {len(normal)} normal scores are above their {1 - config.tail:g} quantile {start:.6g}, and "
            f"a tail is fitted to {FEWEST} different ones or more: raise evaluate.thresholds.evt.tail or hold out more "
            "normal footage (dataset.heldout.share)"
        )
    share = len(excess) / len(normal)
    shape, scale = _fit(excess)
    value = start + float(genpareto.isf(min(config.risk / share, 1.0), shape, scale=scale))
    if not np.isfinite([value, shape, scale]).all():
        raise DataError(f"evt: no tail fits the {len(excess)} highest of {len(normal)} normal scores: use a percentile")
    parameters = {
        "start": start,
        "shape": shape,
        "scale": scale,
        "tail": share,
        "peaks": float(len(excess)),
        "risk": config.risk,
    }
    return Threshold("evt", value, parameters)


def percentile(normal: np.ndarray, percent: float) -> Threshold:
    """The score that `percent` of normal scores (N,), finite, are at or below, linear in between."""
    return Threshold("percentile", float(np.percentile(_checked(normal), percent)), {"percent": percent})


def fixed(normal: np.ndarray, deviations: float) -> Threshold:
    """A number of robust standard deviations above the median of normal scores (N,), finite: a threshold in the units
    of calibrated scores (`normalise.method=calibrated`), where the source document states it.

    The deviation is 1.4826 MAD; where more than half of the scores are one number their standard deviation, and 1 where
    all are.
    """
    normal = _checked(normal)
    centre = float(np.median(normal))
    scale = float(median_abs_deviation(normal, scale=1 / GAUSSIAN_MAD))
    if not scale:
        scale = float(normal.std()) if normal.min() < normal.max() else 1.0
    parameters = {"centre": centre, "scale": scale, "deviations": deviations}
    return Threshold("fixed", centre + deviations * scale, parameters)


def adaptive(scores: np.ndarray, normal: np.ndarray, config: AdaptiveConfig) -> np.ndarray:
    """A threshold for each frame of one video, (T,): mean + `deviations` standard deviations of the scores before it.

    Of the last `config.window` scores of this video, that is, and not of those that were alarms themselves, since a
    long anomaly would soon count as normal. At first the window holds that many quantiles of the normal scores (N,).
    Only frames before a frame decide on it. Both inputs finite.
    """
    window = np.quantile(_checked(normal), (np.arange(config.window) + 0.5) / config.window)
    limits = np.empty(len(scores))
    oldest = 0  # the quantiles leave from the lowest up: the first thresholds are rather high than low
    for frame, score in enumerate(np.asarray(scores, np.float64)):
        limits[frame] = window.mean() + config.deviations * window.std()
        if score <= limits[frame]:
            window[oldest] = score
            oldest = (oldest + 1) % config.window
    return limits


def _fit(excess: np.ndarray) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution by maximum likelihood, from the moments' estimate on."""
    ratio = excess.mean() ** 2 / excess.var()
    shape, _, scale = genpareto.fit(excess, 0.5 * (1 - ratio), floc=0, scale=0.5 * excess.mean() * (1 + ratio))
    return float(shape), float(scale)


def _checked(normal: np.ndarray) -> np.ndarray:
    normal = np.asarray(normal, np.float64)
    if not normal.size:
        raise DataError("there are no scores of held-out normal footage to derive a threshold from")
    bad = np.flatnonzero(~np.isfinite(normal))
    if bad.size:
        raise DataError(f"{bad.size} of {normal.size} normal scores are not finite, the first at {bad[0]}")
    return normal
