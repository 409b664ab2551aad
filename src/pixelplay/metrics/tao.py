"""Object metrics of the reference solution: precision, recall and F1 of regions and tracks at one threshold.

It calls them RBDC and TBDC; they are not those of papers (`regions.py`), and are always shown as `tao_*`.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from pixelplay.metrics.boxes import Detections, Regions, overlapping
from pixelplay.metrics.settings import TaoConfig


@dataclass(frozen=True)
class Rates:
    """All in [0, 1]; None if there is nothing to divide by."""

    precision: float | None  # None: nothing was reported
    recall: float | None  # None: there was nothing to find
    f1: float | None  # harmonic mean of the two; 0 where nothing right was reported, None where both are None


@dataclass(frozen=True)
class TaoMetrics:
    region: Rates
    track: Rates

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        return {f"tao_{name}": rates for name, rates in asdict(self).items()}


def tao_metrics(detections: Detections, truth: Regions, config: TaoConfig) -> TaoMetrics:
    """Region and track rates of detections that are all above the threshold.

    Regions: maximum one-to-one matching of detections and regions of a frame with an IoU of at least `config.iou`;
    precision is over detections, recall over regions. Tracks: a detected track matches a true one if they overlap that
    much in at least `config.matches` of `config.window` frames in a row; precision is the share of detected tracks that
    match any, recall the share of true tracks that are matched.
    """
    found, region, _ = overlapping(detections.frame, detections.xyxy, truth.frame, truth.xyxy, config.iou)
    edges = csr_array((np.ones(len(found), bool), (found, region)), shape=(len(detections), len(truth)))
    pairs = int((maximum_bipartite_matching(edges) >= 0).sum()) if len(found) else 0
    one, other = _matching_tracks(detections.track[found], truth.track[region], truth.frame[region], config)
    return TaoMetrics(
        region=rates(pairs, len(detections), pairs, len(truth)),
        track=rates(
            len(np.unique(one)), len(np.unique(detections.track)), len(np.unique(other)), len(np.unique(truth.track))
        ),
    )


def rates(right: int, reported: int, found: int, present: int) -> Rates:
    """Precision `right` / `reported`, recall `found` / `present`, and their F1."""
    precision = right / reported if reported else None
    recall = found / present if present else None
    if precision is None and recall is None:
        return Rates(None, None, None)
    both = (precision or 0.0) + (recall or 0.0)
    return Rates(precision, recall, 2 * (precision or 0.0) * (recall or 0.0) / both if both else 0.0)


def _matching_tracks(
    detected: np.ndarray, true: np.ndarray, frame: np.ndarray, config: TaoConfig
) -> tuple[np.ndarray, np.ndarray]:
    """The detected and the true track of every match; the inputs (P,) are overlapping pairs and their frames."""
    meetings = np.unique(np.column_stack([detected, true, frame]), axis=0)  # each once, a pair's frames ascending
    reach = config.matches - 1
    first, last = meetings[: len(meetings) - reach], meetings[reach:]
    close = (first[:, :2] == last[:, :2]).all(axis=1) & (last[:, 2] - first[:, 2] < config.window)
    return first[close, 0], first[close, 1]
