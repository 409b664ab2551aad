"""RBDC and TBDC of 100,000 detections: ours against a direct implementation, which recomputes the rates at every step.

`python -c "from benchmarks.regions import main; main(scale=0.05)"` tries it out on less, and records nothing.
"""

import numpy as np

from benchmarks.results import medians, record
from pixelplay.metrics.boxes import Detections, Regions
from pixelplay.metrics.regions import region_metrics
from pixelplay.metrics.settings import RegionConfig

DETECTIONS, FRAMES, TRACKS, LENGTH = 100_000, 15_000, 100, 60  # of the order of Avenue's test videos; frames a track
WIDTH, HEIGHT, SIDE = 640, 360, 40  # pixels
CONFIG = RegionConfig(iou=0.1, track_share=0.1)
REPEATS = 3


def draw(scale: float) -> tuple[Detections, Regions, int]:
    """Tracks that walk to the right, and detections, of which every tenth is near one of their regions."""
    rng = np.random.default_rng(0)
    tracks, frames, count = max(1, int(scale * TRACKS)), int(scale * FRAMES), int(scale * DETECTIONS)
    starts = rng.integers(0, frames - LENGTH, tracks)
    corner = rng.uniform(0, (WIDTH - LENGTH - SIDE, HEIGHT - SIDE), (tracks, 2))
    steps = np.arange(LENGTH)
    frame = (starts[:, None] + steps).ravel()
    low = (corner[:, None] + np.stack([steps, np.zeros(LENGTH)], axis=1)).reshape(-1, 2)
    truth = Regions(frame, np.concatenate([low, low + SIDE], axis=1), np.repeat(np.arange(tracks), LENGTH))
    place = rng.uniform(0, (WIDTH - SIDE, HEIGHT - SIDE), (count, 2))
    seen_in = rng.integers(0, frames, count)
    near = rng.integers(0, len(truth), len(seen_in[::10]))
    place[::10], seen_in[::10] = low[near] + rng.normal(0, SIDE / 4, (len(near), 2)), frame[near]
    score = rng.normal(size=count)
    score[::10] += 1
    boxes = np.concatenate([place, place + SIDE], axis=1)
    return Detections(seen_in, boxes, score, np.arange(count)), truth, frames


def direct(detections: Detections, truth: Regions, frames: int) -> tuple[float, float]:
    """RBDC and TBDC as their definition reads: detection by detection, all rates computed anew after each."""
    of_frame = {frame: np.flatnonzero(truth.frame == frame) for frame in np.unique(truth.frame)}
    sizes = np.bincount(truth.track)
    found, false, points = np.zeros(len(truth), bool), 0, [(0.0, 0.0, 0.0)]
    for row in np.argsort(-detections.score, kind="stable"):
        regions = of_frame.get(detections.frame[row], np.empty(0, np.int64))
        hit = regions[overlaps(detections.xyxy[row], truth.xyxy[regions]) >= CONFIG.iou]
        false += not len(hit)
        found[hit] = True
        share = np.bincount(truth.track[found], minlength=len(sizes)) / sizes
        points.append((false / frames, found.mean(), (share >= CONFIG.track_share).mean()))
    inside = [point for point in points if point[0] <= 1]  # one false positive a step: 1 itself is among them, or never
    fpr, rbdr, tbdr = np.array([*inside, (1.0, *inside[-1][1:])]).T
    return float(np.trapezoid(rbdr, fpr)), float(np.trapezoid(tbdr, fpr))


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = (np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])).clip(min=0)
    common = sides.prod(axis=1)
    return common / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - common)


def main(scale: float = 1.0) -> None:
    detections, truth, frames = draw(scale)
    found: dict[str, tuple[float, float]] = {}

    def ours() -> None:
        metrics = region_metrics(detections, truth, frames, CONFIG)
        found["ours"] = metrics["rbdc"], metrics["tbdc"]

    def peer() -> None:
        found["direct"] = direct(detections, truth, frames)

    times = medians({"direct": peer, "ours": ours}, REPEATS)
    rows = [
        [name, f"{seconds:.3f}", f"{times['direct'] / seconds:.0f}x", *(f"{value:.12f}" for value in found[name])]
        for name, seconds in times.items()
    ]
    record(
        "regions",
        ["", "seconds", "speed-up", "RBDC", "TBDC"],
        rows,
        ["numpy"],
        f"{len(detections):,} detections against {len(truth):,} regions of {TRACKS} tracks in {frames:,} frames; "
        f"median of {REPEATS}.",
        kept=scale == 1,
    )
