"""What thresholds are worth: their false-alarm rate on normal footage that they do not come from, and what they
find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.errors import DataError
from pixelplay.metrics.bootstrap import share_interval
from pixelplay.metrics.frames import one_class
from pixelplay.metrics.settings import BootstrapConfig, ThresholdsConfig
from pixelplay.metrics.tao import rates
from pixelplay.metrics.thresholds import Threshold, adaptive, evt, fixed, percentile, unpromised

CONSTANT = ("evt", "percentile", "fixed")
METHODS = (*CONSTANT, "adaptive")
PROMISING = ("evt", "percentile")  # those that a false-alarm rate is asked of
FOLDS = 5  # groups of normal videos, at most

Limit = Callable[[np.ndarray], np.ndarray | float]  # a video's scores (T,) -> its threshold or thresholds (T,)


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """One video's scores, float (T,), by ascending frame, and labels (T,), 0 or 1."""

    scores: np.ndarray
    labels: np.ndarray


def constant_threshold(method: str, normal: Sequence[np.ndarray], dataset: str, config: ThresholdsConfig) -> Threshold:
    """The threshold of one of `CONSTANT`; raises DataError where there is none.

    normal: scores (T,) of each held-out normal video, by ascending frame. The fixed threshold is the data set's own,
    and a data set that the configuration does not name has none.
    """
    if method == "evt":
        return evt(normal, config.evt, config.confidence)
    if method == "percentile":
        return percentile(normal, config.percentile, config.confidence)
    if dataset not in config.fixed:
        raise DataError(f"evaluate.thresholds.fixed names none for data set {dataset!r}")
    return fixed(np.concatenate(list(normal)), config.fixed[dataset])


def alarm_rates(
    normal: Sequence[np.ndarray],
    test: Sequence[LabelledScores],
    dataset: str,
    config: ThresholdsConfig,
    bootstrap: BootstrapConfig,
) -> dict[str, dict[str, object]]:
    """By method: threshold, parameters, and what it is worth; or the `reason` why it has none.

    normal: scores (T,) of each held-out normal video, by ascending frame; test: the labelled videos. The threshold is
    that of all normal scores, and these are its figures:

    - `false_alarms`: the share of held-out normal frames above it, measured crosswise, on every group of normal videos
      (with one video: each half) with the threshold of the others: on its own scores, it keeps its promise;
    - `false_alarms_unseen`: the share of test frames labelled normal above it; None without such frames;
    - `intervals` of both, over resampled videos;
    - `precision`, `recall`, `f1` of the labelled frames; precision and F1 are None where all labels are of one class,
      and `no_precision` says so;
    - `remark`: where the normal footage is too short to know its false-alarm rate.
    """
    if not normal:
        return {method: {"reason": "there is no held-out normal footage"} for method in METHODS}
    result: dict[str, dict[str, object]] = {}
    for method in METHODS:
        try:
            result[method] = _worth(method, normal, test, dataset, config, bootstrap)
        except DataError as error:
            result[method] = {"reason": str(error)}
    return result


def _worth(
    method: str,
    normal: Sequence[np.ndarray],
    test: Sequence[LabelledScores],
    dataset: str,
    config: ThresholdsConfig,
    bootstrap: BootstrapConfig,
) -> dict[str, object]:
    about, limit = _rule(method, normal, dataset, config)
    crosswise = _crosswise(method, normal, dataset, config)
    counts = {"false_alarms": crosswise, "false_alarms_unseen": _unseen(test, limit)}
    shares = {name: _share(of) for name, of in counts.items()}
    drawn = {name: share_interval(of, bootstrap) for name, of in counts.items()}
    found = {**about, **shares, "intervals": {**drawn, "level": bootstrap.level}, **_found(test, limit)}
    if method not in PROMISING:
        highest = drawn["false_alarms"][1] if drawn["false_alarms"] else None
        remark = unpromised(normal, config.evt.tail, highest)
        found |= {"remark": remark} if remark else {}
    return found


def _rule(
    method: str, normal: Sequence[np.ndarray], dataset: str, config: ThresholdsConfig
) -> tuple[dict[str, object], Limit]:
    """What there is to say of a threshold, and the threshold(s) for a video's scores."""
    if method == "adaptive":
        scores = np.concatenate(list(normal))
        about = {"method": method, "parameters": config.adaptive.model_dump()}
        return about, lambda video: adaptive(video, scores, config.adaptive)
    threshold = constant_threshold(method, normal, dataset, config)
    return threshold.as_dict(), lambda video: threshold.value


def _found(test: Sequence[LabelledScores], limit: Limit) -> dict[str, object]:
    """Precision, recall and F1 of all labelled frames, as far as their labels allow."""
    alarms = np.concatenate([video.scores > limit(video.scores) for video in test])
    labels = np.concatenate([video.labels for video in test]) > 0
    right = int((alarms & labels).sum())
    found = rates(right, int(alarms.sum()), right, int(labels.sum())).as_dict()
    reason = one_class(labels.astype(np.int64))
    return found if reason is None else {**found, "precision": None, "f1": None, "no_precision": reason}


def _crosswise(method: str, normal: Sequence[np.ndarray], dataset: str, config: ThresholdsConfig) -> np.ndarray:
    """Alarms and frames of each normal video, int64 (V, 2), at thresholds of the others."""
    videos = list(normal) if len(normal) > 1 else np.array_split(normal[0], 2)
    groups = min(FOLDS, len(videos))
    counts = np.zeros((len(videos), 2), np.int64)
    for group in range(groups):
        rest = [video for i, video in enumerate(videos) if i % groups != group]
        limit = _rule(method, rest, dataset, config)[1]
        for i in range(group, len(videos), groups):
            counts[i] = int((videos[i] > limit(videos[i])).sum()), len(videos[i])
    return counts


def _unseen(test: Sequence[LabelledScores], limit: Limit) -> np.ndarray:
    """Alarms and frames of the normal frames of each test video, int64 (V, 2)."""
    alarms = [int((video.scores > limit(video.scores))[video.labels == 0].sum()) for video in test]
    return np.column_stack([alarms, [int((video.labels == 0).sum()) for video in test]])


def _share(counts: np.ndarray) -> float | None:
    alarms, frames = counts.sum(axis=0)
    return float(alarms / frames) if frames else None
