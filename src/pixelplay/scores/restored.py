"""Weights of corrupted frames in smoothing: noisy and flipped frames may count less than others."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.scores.settings import CorruptedFramesConfig

COLUMNS = ("video", "frame", "noise_level", "flipped")


def frame_weights(
    restoration: pd.DataFrame,
    config: CorruptedFramesConfig,
    frames: Mapping[str, np.ndarray],
    name: str = "restoration.csv",
) -> dict[str, np.ndarray]:
    """Weights for smoothing, float64 (T,) by video: `config.weight` for noisy and flipped frames, 1 for the others.

    `restoration`: a row per frame as in restoration.csv, `noise_level` in grey levels of 255 before denoising (empty:
    unknown, so not noisy), `flipped` 0 or 1. `frames`: the frame numbers (T,) of each video. `name`: of the table's
    file, for errors. Raises DataError if a column is missing, or a frame has no row or several.
    """
    if missing := [column for column in COLUMNS if column not in restoration.columns]:
        raise DataError(f"{name}: column(s) {', '.join(missing)} missing: run prepare.py again")
    less = (restoration["noise_level"] > config.noise_above) | (restoration["flipped"] == 1)
    rows = restoration.assign(weight=np.where(less, config.weight, 1.0))
    by_video = {str(video): of.set_index("frame")["weight"] for video, of in rows.groupby("video", sort=False)}
    return {video: _of_frames(name, video, by_video.get(video), numbers) for video, numbers in frames.items()}


def weight_of(noise: float, flipped: bool, config: CorruptedFramesConfig) -> float:
    """`frame_weights` for one frame: its noise in grey levels before restoration, and whether it was flipped."""
    return config.weight if noise > config.noise_above or flipped else 1.0


def _of_frames(name: str, video: str, weights: pd.Series | None, numbers: np.ndarray) -> np.ndarray:
    known = np.empty(0, np.int64) if weights is None else weights.index.to_numpy()
    lacking = numbers[~np.isin(numbers, known)]
    if weights is None or lacking.size:
        raise DataError(f"{name} has no row for video {video!r}, frame {lacking[0]}: run prepare.py again")
    if weights.index.has_duplicates:
        raise DataError(f"{name} has a frame of video {video!r} more than once: run prepare.py again")
    return weights.loc[numbers].to_numpy()
