"""Pixel metrics as papers have them: each frame by itself, then averaged. Not comparable with those of pooled frames.

After the code of Huang et al., *Track Any Anomalous Object*, CVPR 2025, arXiv 2506.05175 (github.com/yu2hi13/TAO,
Benchmark_Metrics/pixel_level): frames without an anomalous pixel are left out, so that false alarms there cost nothing,
and a frame in which nothing is reported counts as 0.
"""

from collections import defaultdict

import numpy as np

FIGURES = ("auroc", "ap", "pr_auc")  # that code calls the area under the precision-recall curve AUPRO


class FrameAverages:
    """Sums of AUROC, AP and PR-AUC of frames with anomalous and normal pixels; memory grows with the videos alone."""

    def __init__(self) -> None:
        self._sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(FIGURES)))
        self._frames: dict[str, int] = defaultdict(int)

    def add(self, counted: np.ndarray, pixels: np.ndarray, video: str) -> None:
        """Add a frame; counted: (K, 2), its normal and anomalous pixels at each reported score, the lowest score first.

        pixels: (2,), all its normal and anomalous pixels; those that are in no row of `counted` are below all others.
        """
        if not pixels.all():
            return
        self._frames[video] += 1
        if len(counted):
            self._sums[video] += _figures(np.concatenate([pixels[None] - counted.sum(axis=0), counted]))

    def as_dict(self) -> dict[str, float | int | None]:
        """Ready for JSON: `auroc_per_frame`, the mean over frames, and `auroc_per_video`, the mean over videos of the
        means of their frames; likewise `ap_` and `pr_auc_`; None without a frame. `averaged_frames` and
        `averaged_videos` say over how many.
        """
        frames = sum(self._frames.values())
        count = {"averaged_frames": frames, "averaged_videos": len(self._frames)}
        if not frames:
            names = [f"{figure}_per_{of}" for of in ("frame", "video") for figure in FIGURES]
            return {**dict.fromkeys(names), **count}
        of_videos = np.array([self._sums[video] / number for video, number in self._frames.items()])
        means = {"frame": sum(self._sums.values(), np.zeros(len(FIGURES))) / frames, "video": of_videos.mean(axis=0)}
        named = {
            f"{f}_per_{of}": float(v) for of, values in means.items() for f, v in zip(FIGURES, values, strict=True)
        }
        return {**named, **count}


def _figures(counts: np.ndarray) -> np.ndarray:
    """AUROC, AP and PR-AUC of normal and anomalous pixels by rising score, (K, 2), both classes present: (3,)."""
    normal, anomalous = counts[::-1].T.astype(np.float64)  # the highest score first
    found, false = np.cumsum(anomalous), np.cumsum(normal)
    some = found + false > 0
    recall, precision = found[some] / found[-1], found[some] / (found + false)[some]
    auroc = (normal * (found - anomalous / 2)).sum() / (found[-1] * false[-1])
    steps = np.diff(recall, prepend=0.0)
    before = np.append(1.0, precision[:-1])  # the curve starts at recall 0, precision 1
    return np.array([auroc, (steps * precision).sum(), (steps * (before + precision) / 2).sum()])
