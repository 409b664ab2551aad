"""How many anomalous regions and tracks are found: RBDC and TBDC of papers, and the reference solution's rates.

RBDC and TBDC weigh them against false alarms per frame, in one sweep over the scores from the top: Ramachandra and
Jones, *Street Scene*, WACV 2020; Georgescu et al., TPAMI 2021. The reference solution calls precision, recall and F1 at
one threshold by the same names; they are not those of papers, and always shown as `tao_*`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from pixelplay.errors import DataError
from pixelplay.metrics.boxes import Detections, Regions, overlapping
from pixelplay.metrics.settings import RegionConfig, TaoConfig

Rates = dict[str, float | None]

MAX_FPR = 1.0  # false positives per frame up to which both papers integrate


@dataclass(frozen=True, eq=False)
class RegionCurve:
    """Rates at falling thresholds, each float64 (K + 1,): (0, 0, 0), then one point for each distinct score."""

    fpr: np.ndarray  # false positives per frame; not limited by 1
    rbdr: np.ndarray  # share of regions that are found
    tbdr: np.ndarray  # share of tracks that are found


def region_metrics(detections: Detections, truth: Regions, frames: int, config: RegionConfig) -> dict[str, float | int]:
    """`rbdc` and `tbdc` over `frames` frames with known truth, including those without any box.

    Areas under `region_curve` for 0 to 1 false positives per frame, in [0, 1]; with the numbers of `regions`, `tracks`,
    `detections` and `frames`. Raises DataError if there is no region, or a box
    lies in no frame 0..frames-1.
    """
    curve = region_curve(detections, truth, frames, config)
    rbdc, tbdc = (area_to(MAX_FPR, curve.fpr, found) for found in (curve.rbdr, curve.tbdr))
    counts = {"regions": len(truth), "tracks": len(np.unique(truth.track)), "detections": len(detections)}
    return {"rbdc": rbdc, "tbdc": tbdc, **counts, "frames": frames}


def region_curve(detections: Detections, truth: Regions, frames: int, config: RegionConfig) -> RegionCurve:
    """Region and track detection rates against false positives per frame, at every distinct score.

    A region is found by a detection in its frame with an IoU of at least `config.iou`, a track if at least
    `config.track_share` of its regions are. A detection without such a region is a false positive; one whose regions
    were found before counts as neither. Equal scores enter together, so the order of rows has no influence. Code that
    counts both end pixels of boxes has slightly other IoUs.
    """
    _check(detections, truth, frames)
    hit, region, _ = overlapping(detections.frame, detections.xyxy, truth.frame, truth.xyxy, config.iou)
    found_at = np.full(len(truth), -np.inf)  # the highest threshold at which each region is found
    np.maximum.at(found_at, region, detections.score[hit])
    false = np.ones(len(detections), bool)
    false[hit] = False
    track_at = _tracks_found_at(found_at, truth.track, config.track_share)
    thresholds = np.unique(detections.score)[::-1]

    def reached(scores: np.ndarray) -> np.ndarray:
        """How many scores are at or above each threshold, after a 0."""
        below = np.searchsorted(np.sort(scores), thresholds)
        return np.concatenate([[0], len(scores) - below])

    return RegionCurve(
        fpr=reached(detections.score[false]) / frames,
        rbdr=reached(found_at) / len(truth),
        tbdr=reached(track_at) / len(track_at),
    )


def area_to(limit: float, x: np.ndarray, y: np.ndarray) -> float:
    """Area under the line through points (K,), `x` rising from 0, up to the limit, to which the last y holds."""
    inside = int(np.searchsorted(x, limit, side="right"))
    x_in, y_in = x[:inside], y[:inside]
    if x_in[-1] < limit:
        end = y[-1] if inside == len(x) else np.interp(limit, x[inside - 1 : inside + 1], y[inside - 1 : inside + 1])
        x_in, y_in = np.append(x_in, limit), np.append(y_in, end)
    return float(np.trapezoid(y_in, x_in))


def _tracks_found_at(found_at: np.ndarray, track: np.ndarray, share: float) -> np.ndarray:
    """The highest threshold at which `share` of each track's regions are found, float64 (K,)."""
    order = np.lexsort((-found_at, track))  # by track, the regions that are found first in front
    _, first, size = np.unique(track[order], return_index=True, return_counts=True)
    needed = np.maximum(np.ceil(share * size), 1).astype(np.int64)
    needed -= (needed > 1) & ((needed - 1) / size >= share)  # 0.1 * 30 is a little more than 3 in floating point
    return found_at[order][first + needed - 1]


def _check(detections: Detections, truth: Regions, frames: int) -> None:
    if not len(truth):
        raise DataError("there is no anomalous region in the ground truth: RBDC and TBDC need one to be found")
    for what, frame in (("detection", detections.frame), ("ground-truth region", truth.frame)):
        outside = np.flatnonzero((frame < 0) | (frame >= frames))
        if outside.size:
            raise DataError(f"{what} {outside[0]} is in frame {frame[outside[0]]}; frames are 0..{frames - 1}")


def tao_metrics(detections: Detections, truth: Regions, config: TaoConfig) -> dict[str, Rates]:
    """The reference solution's rates of regions, `tao_region`, and tracks, `tao_track`; all detections are reported.

    Regions: maximum one-to-one matching of detections and regions of a frame with an IoU of at least `config.iou`;
    precision is over detections, recall over regions. Tracks: a detected track matches a true one if they overlap that
    much in at least `config.matches` of `config.window` frames in a row; precision is the share of detected tracks that
    match any, recall the share of true tracks that are matched.
    """
    found, region, _ = overlapping(detections.frame, detections.xyxy, truth.frame, truth.xyxy, config.iou)
    edges = csr_array((np.ones(len(found), bool), (found, region)), shape=(len(detections), len(truth)))
    pairs = int((maximum_bipartite_matching(edges) >= 0).sum()) if len(found) else 0
    one, other = _matching_tracks(detections.track[found], truth.track[region], truth.frame[region], config)
    tracks = (len(np.unique(track)) for track in (one, detections.track, other, truth.track))
    return {"tao_region": rates(pairs, len(detections), pairs, len(truth)), "tao_track": rates(*tracks)}


def rates(right: int, reported: int, found: int, present: int) -> Rates:
    """`precision`, right / reported, `recall`, found / present, and `f1`, their harmonic mean: all in [0, 1].

    None if there is nothing to divide by; F1 is 0 where nothing right was reported, None where both others are.
    """
    precision, recall = (part / whole if whole else None for part, whole in ((right, reported), (found, present)))
    p, r = precision or 0.0, recall or 0.0
    f1 = 2 * p * r / (p + r) if p + r else 0.0
    return {"precision": precision, "recall": recall, "f1": None if precision is None and recall is None else f1}


def _matching_tracks(
    detected: np.ndarray, true: np.ndarray, frame: np.ndarray, config: TaoConfig
) -> tuple[np.ndarray, np.ndarray]:
    """The detected and the true track of every match; the inputs (P,) are overlapping pairs and their frames."""
    meetings = np.unique(np.column_stack([detected, true, frame]), axis=0)  # each once, a pair's frames ascending
    reach = config.matches - 1
    first, last = meetings[: len(meetings) - reach], meetings[reach:]
    close = (first[:, :2] == last[:, :2]).all(axis=1) & (last[:, 2] - first[:, 2] < config.window)
    return first[close, 0], first[close, 1]
