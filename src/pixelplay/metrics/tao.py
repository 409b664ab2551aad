"""Object metrics of the source document, which calls them RBDC and TBDC: precision, recall and F1 at one threshold.

They are not the RBDC and TBDC of papers (`regions.py`), and named `tao_*` wherever they are shown.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from pixelplay.metrics.boxes import Detections, Regions, overlapping
from pixelplay.metrics.settings import TaoConfig


@dataclass(frozen=True)
class Rates:
    """All in [0, 1]; None where there is nothing to divide by, so that no figure stands for an empty set."""

    precision: float | None  # None: nothing was reported
    recall: float | None  # None: there was nothing to find
    f1: float | None  # harmonic mean of the two; 0 where nothing right was reported, None where both are None

    def as_dict(self) -> dict[str, float | None]:
        """Field names and values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class TaoMetrics:
    region: Rates
    track: Rates

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Named as they must be shown, ready for JSON."""
        return {"tao_region": self.region.as_dict(), "tao_track": self.track.as_dict()}


def tao_metrics(detections: Detections, truth: Regions, config: TaoConfig) -> TaoMetrics:
    """Region and track rates of detections that are all above the threshold.

    Regions: detections and ground-truth regions of a frame with an IoU of at least `config.iou` are paired one to one,
    as many as possible at all, so that no order of rows matters; precision is over detections, recall over regions.
    Tracks: a detected track matches a true one when they overlap that much in at least `config.matches` of
    `config.window` frames in a row; precision is the share of detected tracks that match any, recall the share of true
    tracks that any matches. A track of fewer boxes than `config.matches` can't match.
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
    """Of `reported` things `right` are right, of `present` things `found` were found: P = right / reported and so on.

    `right` and `found` are one number where reports and things are paired one to one.
    """
    precision = right / reported if reported else None
    recall = found / present if present else None
    if precision is None and recall is None:
        return Rates(None, None, None)
    both = (precision or 0.0) + (recall or 0.0)
    return Rates(precision, recall, 2 * (precision or 0.0) * (recall or 0.0) / both if both else 0.0)


def _matching_tracks(
    detected: np.ndarray, true: np.ndarray, frame: np.ndarray, config: TaoConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the detected and of the true track of every match; the inputs (P,) say who overlaps whom when."""
    meetings = np.unique(np.column_stack([detected, true, frame]), axis=0)  # each once, a pair's frames ascending
    reach = config.matches - 1
    first, last = meetings[: len(meetings) - reach], meetings[reach:]
    close = (first[:, :2] == last[:, :2]).all(axis=1) & (last[:, 2] - first[:, 2] < config.window)
    return first[close, 0], first[close, 1]
