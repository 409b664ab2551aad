"""Thresholds from scores of held-out normal footage alone; a score *above* its threshold is an alarm.

Peaks over threshold, with as many independent peaks as the footage has (`tails.py`); percentile, fixed and the one of
`adaptive.py` follow the reference solution.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import beta, median_abs_deviation

from pixelplay.errors import DataError
from pixelplay.events.adaptive import checked
from pixelplay.events.settings import EvtConfig, ThresholdsConfig
from pixelplay.events.tails import Peaks, Tail, fit_tail, peaks_above

CONSTANT = ("evt", "percentile", "fixed")
PROMISING = ("evt", "percentile")  # with a requested false-alarm rate
GAUSSIAN_MAD = 1.4826  # makes the MAD of a normal distribution its standard deviation
FEWEST = 10  # independent peaks needed to estimate a false-alarm rate


@dataclass(frozen=True)
class Threshold:
    """A threshold, its parameters, and how far it can be trusted."""

    method: str
    value: float
    parameters: dict[str, float]
    expected: float | None = None  # false alarms per normal frame, at most, at the configured confidence
    remark: str | None = None  # why the requested rate can't be promised

    def as_dict(self) -> dict[str, object]:
        """Field names and values, ready for JSON, without those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def constant_threshold(
    method: str, normal: Sequence[np.ndarray], dataset: str, config: ThresholdsConfig, what: str = "frames"
) -> Threshold:
    """The threshold of one of `CONSTANT`; arguments as in `evt`, and the fixed threshold is the data set's own.

    Raises DataError if there is none.
    """
    if method == "evt":
        return evt(normal, config.evt, config.confidence, what)
    if method == "percentile":
        return percentile(normal, config.percentile, config.confidence, what)
    if dataset not in config.fixed:
        raise DataError(f"events.thresholds.fixed names none for data set {dataset!r}")
    return fixed(np.concatenate(list(normal)), config.fixed[dataset])


def evt(normal: Sequence[np.ndarray], config: EvtConfig, confidence: float, what: str = "frames") -> Threshold:
    """The upper confidence limit of the score that a normal one exceeds with `config.false_alarm_rate`.

    normal: finite scores (T,) of each held-out video, by ascending frame. Those above their (1 - `config.tail`)
    quantile, `start`, are fitted by a generalised Pareto tail, counted as the independent peaks among them. The value
    is the upper end of the quantile's one-sided profile-likelihood interval; `estimate` is the quantile itself. With
    fewer than 10 independent peaks, or if no tail fits, it is the greatest score instead, and `expected` the upper
    limit of the rate above that: 1 - (1 - confidence)^(1 / n) for n independent frames.
    Parameters: start, tail (the share above it), risk, confidence, peaks (independent ones), clusters, run_length,
    extremal_index, effective_frames, and of a fit shape, scale and estimate. `what`: what scores are of, for the
    remark. Raises DataError without scores.
    """
    _, scores = checked(normal)
    rate, (peaks, start, tail) = config.false_alarm_rate, tail_of(normal, config.tail)
    parameters = {"start": start, "tail": peaks.share, "risk": rate, "confidence": confidence, **_about(peaks)}
    if tail is not None:
        parameters |= {"shape": tail.shape, "scale": tail.scale, "estimate": tail.exceeded_by(rate)}
        value = tail.upper_limit(rate, peaks.independent, confidence)
        return Threshold("evt", value, parameters, rate, _remark(peaks, what))
    expected = 1 - (1 - confidence) ** (1 / peaks.effective_frames)
    remark = _remark(peaks, what, _unknown(rate, expected) if expected > rate else None)
    return Threshold("evt", float(scores.max()), parameters, expected, remark)


def tail_of(normal: Sequence[np.ndarray], share: float) -> tuple[Peaks, float, Tail | None]:
    """The peaks among the `share` highest normal scores, the score that these begin above, and their fitted tail.

    None with fewer than 10 independent peaks, or if no tail fits.
    """
    videos, scores = checked(normal)
    start = float(np.quantile(scores, 1 - share))
    peaks = peaks_above(start, videos)
    enough = peaks.independent >= FEWEST
    return peaks, start, fit_tail(start, peaks.share, scores[scores > start] - start) if enough else None


def percentile(normal: Sequence[np.ndarray], percent: float, confidence: float, what: str = "frames") -> Threshold:
    """The `percent` percentile of normal scores, whatever the confidence.

    normal as in `evt`. `expected` is the upper limit of the share of normal scores above it (Clopper and Pearson, 1934,
    with as many frames as are independent); the remark says if the footage is too short to know that share.
    """
    _, scores = checked(normal)
    value, rate = float(np.percentile(scores, percent)), 1 - percent / 100
    peaks, expected = exceeded(value, normal, confidence)
    remark = _remark(peaks, what, _unknown(rate, expected) if peaks.independent < FEWEST else None)
    return Threshold("percentile", value, {"percent": percent, **_about(peaks)}, expected, remark)


def exceeded(value: float, normal: Sequence[np.ndarray], confidence: float) -> tuple[Peaks, float]:
    """The peaks above a threshold, and the upper limit of the share of scores above it."""
    peaks = peaks_above(value, checked(normal)[0])
    others = peaks.effective_frames - peaks.independent
    return peaks, float(beta.ppf(confidence, peaks.independent + 1, others)) if others > 0 else 1.0


def unpromised(normal: Sequence[np.ndarray], tail: float, highest: float | None, what: str = "frames") -> str | None:
    """The remark on a threshold without a requested rate, if the footage is too short to know its false-alarm rate.

    normal as in `evt`, peaks are counted among the `tail` highest; highest: the upper end of the measured rate, if
    known.
    """
    videos, scores = checked(normal)
    peaks = peaks_above(float(np.quantile(scores, 1 - tail)), videos)
    expect = "" if highest is None else f"; expect up to {_percent(highest)}"
    few = f"its false-alarm rate cannot be estimated{expect}" if peaks.independent < FEWEST else None
    return _remark(peaks, what, few)


def fixed(normal: np.ndarray, deviations: float) -> Threshold:
    """The median of normal scores (N,), finite, plus a number of robust standard deviations.

    These are the units of `normalise.method=calibrated`, as in the reference solution. The deviation is 1.4826 MAD; if
    more than half of the scores are equal, their standard deviation, or 1 if all are.
    """
    _, normal = checked([normal])
    centre = float(np.median(normal))
    scale = float(median_abs_deviation(normal, scale=1 / GAUSSIAN_MAD))
    if not scale:
        scale = float(normal.std()) if normal.min() < normal.max() else 1.0
    parameters = {"centre": centre, "scale": scale, "deviations": deviations}
    return Threshold("fixed", centre + deviations * scale, parameters)


def _about(peaks: Peaks) -> dict[str, float]:
    names = ("clusters", "run_length", "extremal_index", "effective_frames")
    return {"peaks": peaks.independent, **{name: getattr(peaks, name) for name in names}}


def _remark(peaks: Peaks, what: str, problem: str | None = None) -> str | None:
    """The footage and what is wrong with it: the problem, or else that it is one video; None if nothing is."""
    if problem is None and peaks.videos < 2:
        problem = "how scores differ between videos is unknown, and more false alarms are likely"
    independent = max(1, int(peaks.independent))
    videos = f"{peaks.videos} videos" if peaks.videos > 1 else "one video"
    footage = f"{peaks.frames:,} normal {what} of {videos}, {independent} independent peak{'s' * (independent > 1)}"
    return problem and f"{footage}: {problem}"


def _unknown(rate: float, expected: float) -> str:
    return f"{_percent(rate)} cannot be estimated; expect up to {_percent(expected)}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2g} %" if rate < 0.995 else "100 %"
