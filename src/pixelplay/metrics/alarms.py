"""What thresholds are worth: how often they cry wolf on normal footage they have not seen, and what they find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.config import ThresholdsConfig
from pixelplay.errors import DataError
from pixelplay.metrics.rates import rates
from pixelplay.metrics.thresholds import Threshold, adaptive, evt, fixed, percentile

CONSTANT = ("evt", "percentile", "fixed")
METHODS = (*CONSTANT, "adaptive")
FOLDS = 5  # groups of normal videos, at most


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """One video's scores, float (T,), by ascending frame, and labels (T,), 0 or 1."""

    scores: np.ndarray
    labels: np.ndarray


def constant_threshold(method: str, normal: np.ndarray, dataset: str, config: ThresholdsConfig) -> Threshold:
    """The threshold of one of `CONSTANT` for normal scores (N,); raises DataError where they give none.

    The fixed one is the data set's own, and a data set that the configuration does not name has none.
    """
    if method == "evt":
        return evt(normal, config.evt)
    if method == "percentile":
        return percentile(normal, config.percentile)
    if dataset not in config.fixed:
        raise DataError(f"evaluate.thresholds.fixed names none for data set {dataset!r}")
    return fixed(normal, config.fixed[dataset])


def alarm_rates(
    normal: Sequence[np.ndarray], test: Sequence[LabelledScores], dataset: str, config: ThresholdsConfig
) -> dict[str, dict[str, object]]:
    """By method: threshold, parameters, false_alarms, precision, recall, f1; or the `reason` why it has none.

    normal: scores (T,) of each held-out normal video; test: the labelled videos. The threshold is that of all normal
    scores. false_alarms, the share of normal frames above it, is measured crosswise, on every group of normal videos
    (with one video: each half) with the threshold of the others: on the scores it was made of, it keeps its promise.
    """
    if not normal:
        return {method: {"reason": "there is no held-out normal footage"} for method in METHODS}
    result: dict[str, dict[str, object]] = {}
    for method in METHODS:
        try:
            about, limit = _rule(method, normal, dataset, config)
            false_alarms = _false_alarms(method, normal, dataset, config)
        except DataError as error:
            result[method] = {"reason": str(error)}
            continue
        alarms = np.concatenate([video.scores > limit(video.scores) for video in test])
        labels = np.concatenate([video.labels for video in test]) > 0
        right = int((alarms & labels).sum())
        found = rates(right, int(alarms.sum()), right, int(labels.sum()))
        result[method] = {**about, "false_alarms": false_alarms, **found.as_dict()}
    return result


def _rule(
    method: str, normal: Sequence[np.ndarray], dataset: str, config: ThresholdsConfig
) -> tuple[dict[str, object], Callable[[np.ndarray], np.ndarray | float]]:
    """What there is to say of a threshold, and the threshold(s) for a video's scores (T,)."""
    scores = np.concatenate(list(normal))
    if method == "adaptive":
        about = {"method": method, "parameters": config.adaptive.model_dump()}
        return about, lambda video: adaptive(video, scores, config.adaptive)
    threshold = constant_threshold(method, scores, dataset, config)
    return threshold.as_dict(), lambda video: threshold.value


def _false_alarms(method: str, normal: Sequence[np.ndarray], dataset: str, config: ThresholdsConfig) -> float:
    videos = list(normal) if len(normal) > 1 else np.array_split(normal[0], 2)
    groups = min(FOLDS, len(videos))
    alarms = 0
    for group in range(groups):
        rest = [video for i, video in enumerate(videos) if i % groups != group]
        limit = _rule(method, rest, dataset, config)[1]
        alarms += sum(int((video > limit(video)).sum()) for video in videos[group::groups])
    return alarms / sum(map(len, videos))
