"""False-alarm rates of thresholds on normal footage that they do not come from, and their precision and recall."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pixelplay.errors import DataError
from pixelplay.events.adaptive import adaptive
from pixelplay.events.settings import ThresholdsConfig
from pixelplay.events.thresholds import CONSTANT, PROMISING, constant_threshold, unpromised
from pixelplay.metrics.frames import one_class, share_interval
from pixelplay.metrics.regions import rates
from pixelplay.metrics.settings import BootstrapConfig

METHODS = (*CONSTANT, "adaptive")
FOLDS = 5  # groups of normal videos, at most

Limit = Callable[[np.ndarray], np.ndarray | float]  # a video's scores (T,) -> its threshold or thresholds (T,)
Rule = Callable[[Sequence[np.ndarray]], tuple[dict[str, object], Limit]]  # normal videos -> description, and limit


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """One video's scores, float (T,), by ascending frame, and labels (T,), 0 or 1."""

    scores: np.ndarray
    labels: np.ndarray


def alarm_rates(
    normal: Sequence[np.ndarray],
    test: Sequence[LabelledScores],
    dataset: str,
    config: ThresholdsConfig,
    bootstrap: BootstrapConfig,
) -> dict[str, dict[str, object]]:
    """By method: threshold, parameters and figures; or the `reason` why there is none.

    normal: scores (T,) of each held-out normal video, by ascending frame; test: the labelled videos.

    - `false_alarms`: share of held-out normal frames above it, cross-validated over videos (with one: its halves);
    - `false_alarms_unseen`: share of test frames labelled normal above it; None without such frames;
    - `intervals` of both, over resampled videos;
    - `precision`, `recall`, `f1` of the labelled frames; None, with `no_precision`, if all labels are of one class;
    - `remark`: if the normal footage is too short to know the false-alarm rate.
    """
    if not normal:
        return {method: {"reason": "there is no held-out normal footage"} for method in METHODS}
    result: dict[str, dict[str, object]] = {}
    for method in METHODS:
        try:
            rule = partial(_rule, method, dataset=dataset, config=config)
            about, limit = rule(normal)
            rates_of = {"false_alarms": _crosswise(rule, normal), "false_alarms_unseen": _unseen(test, limit)}
            totals = {name: counts.sum(axis=0).tolist() for name, counts in rates_of.items()}
            shares = {name: alarms / frames if frames else None for name, (alarms, frames) in totals.items()}
            drawn = {name: share_interval(counts, bootstrap) for name, counts in rates_of.items()}
            found = {**about, **shares, "intervals": {**drawn, "level": bootstrap.level}, **_found(test, limit)}
            highest = drawn["false_alarms"][1] if drawn["false_alarms"] else None
            if method not in PROMISING and (remark := unpromised(normal, config.evt.tail, highest)):
                found["remark"] = remark
            result[method] = found
        except DataError as error:
            result[method] = {"reason": str(error)}
    return result


def _rule(
    method: str, normal: Sequence[np.ndarray], dataset: str, config: ThresholdsConfig
) -> tuple[dict[str, object], Limit]:
    if method == "adaptive":
        scores = np.concatenate(list(normal))
        about = {"method": method, "parameters": config.adaptive.model_dump()}
        return about, lambda video: adaptive(video, scores, config.adaptive)
    threshold = constant_threshold(method, normal, dataset, config)
    return threshold.as_dict(), lambda video: threshold.value


def _found(test: Sequence[LabelledScores], limit: Limit) -> dict[str, object]:
    alarms = np.concatenate([video.scores > limit(video.scores) for video in test])
    labels = np.concatenate([video.labels for video in test]).astype(np.int64)
    right = int(alarms @ labels)
    found: dict[str, object] = {**rates(right, int(alarms.sum()), right, int(labels.sum()))}
    reason = one_class(labels)
    return found if reason is None else {**found, "precision": None, "f1": None, "no_precision": reason}


def _crosswise(rule: Rule, normal: Sequence[np.ndarray]) -> np.ndarray:
    """Alarms and frames of each normal video, int64 (V, 2), at thresholds from the other folds."""
    videos = list(normal) if len(normal) > 1 else np.array_split(normal[0], 2)
    folds = np.arange(len(videos)) % min(FOLDS, len(videos))
    limits = [rule([videos[i] for i in np.flatnonzero(folds != fold)])[1] for fold in range(folds.max() + 1)]
    limited = [(video, limits[fold](video)) for video, fold in zip(videos, folds, strict=True)]
    return np.array([(int((video > limit).sum()), len(video)) for video, limit in limited])


def _unseen(test: Sequence[LabelledScores], limit: Limit) -> np.ndarray:
    """Alarms and frames among the frames labelled normal of each test video, int64 (V, 2)."""
    normal = [(video.scores > limit(video.scores))[video.labels == 0] for video in test]
    return np.array([(int(alarms.sum()), len(alarms)) for alarms in normal])
