"""How far the simplest cues get on the rendered sample: frame differences, brightness, the largest moving blob.

A data set on which one of them does well would tell nothing about a detector; the sample is designed so that none is
more than 0.15 above the prevalence in average precision. Run: `python -m benchmarks trivial_baselines`.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import average_precision_score

from benchmarks.results import record
from pixelplay.cli import load_config
from pixelplay.synthetic.sample import render_sample

SAMPLE = Path("data/sample")
SMOOTHING = 5.0  # frames
MARGIN = 0.15  # average precision above prevalence that no cue may exceed
BLOB_BLUR = 2.0  # pixels, sigma
BLOB_THRESHOLD = 25  # grey levels away from the background
BACKGROUND_FRAMES = 60  # that a video's median background is taken from


@dataclass(frozen=True)
class Footage:
    """One test video: its frames as on disk and turned upright, (T, H, W) float32 grey, and labels (T,) uint8."""

    disk: np.ndarray
    upright: np.ndarray
    labels: np.ndarray


def main() -> None:
    """Record every cue's average precision, in either direction, raw and smoothed, against the prevalence."""
    if SAMPLE.is_dir():
        report(SAMPLE)
        return
    settings = load_config(["experiment=sample"]).dataset.sample
    assert settings is not None
    with tempfile.TemporaryDirectory() as folder:
        render_sample(Path(folder) / "sample", settings)
        report(Path(folder) / "sample")


def report(root: Path) -> None:
    """Record the table for the data set in `root`."""
    videos = list(read_videos(root))
    labels = np.concatenate([video.labels for video in videos])
    prevalence, limit = labels.mean(), labels.mean() + MARGIN
    rows = []
    for name, cue in CUES.items():
        scores = [cue(video) for video in videos]
        smooth = [gaussian_filter1d(score, SMOOTHING) for score in scores]
        row = [_precision(labels, sign, values) for sign in (1, -1) for values in (scores, smooth)]
        rows.append([name, *(f"{value:.3f}" for value in row), "yes" if max(row) <= limit else "NO"])
    record(
        "trivial_baselines",
        ["average precision of", "raw", "smoothed", "negated", "negated, smoothed", f"<= {limit:.3f}"],
        rows,
        ["opencv-python", "scikit-learn"],
        f"Sample data set, {len(videos)} test videos, {len(labels):,} frames, prevalence {prevalence:.3f}; "
        f"smoothed with a Gaussian of {SMOOTHING:g} frames.",
    )


def read_videos(root: Path) -> Iterator[Footage]:
    """Test videos in order; a frame that is nearer to the flipped background counts as flipped."""
    for folder in sorted((root / "test").iterdir()):
        files = sorted(folder.iterdir())
        disk = np.stack([cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]).astype(np.float32)
        background = _background(disk)
        flipped = [np.abs(f[::-1] - background).mean() < np.abs(f - background).mean() for f in disk]
        upright = np.stack([f[::-1] if turned else f for f, turned in zip(disk, flipped, strict=True)])
        labels = pd.read_csv(root / "test_labels" / f"{folder.name}.csv")["label"].to_numpy(np.uint8)
        yield Footage(disk, upright, labels)


def _background(frames: np.ndarray) -> np.ndarray:
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), BACKGROUND_FRAMES)).astype(int)
    return np.median(frames[chosen], axis=0)


def _difference(frames: np.ndarray) -> np.ndarray:
    change = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2))
    return np.concatenate([change[:1], change])  # the first frame takes the second one's


def _largest_blob(video: Footage) -> np.ndarray:
    background = _background(video.upright)
    areas = []
    for frame in video.upright:
        moved = np.abs(cv2.GaussianBlur(frame - background, (0, 0), BLOB_BLUR)) > BLOB_THRESHOLD
        _, _, blobs, _ = cv2.connectedComponentsWithStats(moved.astype(np.uint8))
        areas.append(blobs[1:, cv2.CC_STAT_AREA].max(initial=0))
    return np.array(areas, np.float64)


def _precision(labels: np.ndarray, sign: int, scores: list[np.ndarray]) -> float:
    return float(average_precision_score(labels, sign * np.concatenate(scores)))


CUES = {
    "frame difference, as on disk": lambda video: _difference(video.disk),
    "frame difference, flips undone": lambda video: _difference(video.upright),
    "mean brightness": lambda video: video.disk.mean(axis=(1, 2)),
    "largest moving blob": _largest_blob,
}
