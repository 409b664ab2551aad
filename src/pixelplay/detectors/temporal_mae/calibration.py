"""From raw scores of tracked objects to one score, calibrated on objects of held-out normal footage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.detectors.temporal_mae.settings import TemporalMAEScoring
from pixelplay.errors import DataError
from pixelplay.objects.tracks import Tracks, by_track, fill
from pixelplay.run.artifacts import damaged, read_table, write_table
from pixelplay.scores.normalise import unit
from pixelplay.scores.settings import SmoothConfig
from pixelplay.scores.smooth import ema

FILE = "calibration.parquet"
STREAMS = ("reconstruction", "embedding")

Raw = Mapping[str, np.ndarray]  # by stream, float64 (N,), a score for each row of a table of tracks


@dataclass(frozen=True)
class Calibration:
    """Raw scores of normal objects that the network has not seen.

    objects: a row for each: `video`, `frame`, `track`, and each of `STREAMS`, float64, NaN where it has no score.
    """

    objects: pd.DataFrame

    @classmethod
    def of(cls, objects: pd.DataFrame, name: str) -> "Calibration":
        """Raises DataError, naming the detector, where a stream has no score at all."""
        for stream in STREAMS:
            if not objects[stream].notna().any():
                raise DataError(
                    f"{name}/{stream}: no object with feature maps was followed in held-out normal footage, so scores "
                    "can't be calibrated: lower objects.yolo.confidence, or set objects.method=both"
                )
        return cls(objects.reset_index(drop=True))

    @classmethod
    def load(cls, folder: Path, name: str) -> "Calibration":
        """What `save` wrote; raises MissingArtifactError or DamagedArtifactError."""
        path = folder / FILE
        table = read_table(path, made_by="train")
        try:
            if list(table.columns) != ["video", "frame", "track", *STREAMS]:
                raise DataError(f"columns {', '.join(map(str, table.columns))}")
            if np.isinf(table[list(STREAMS)].to_numpy(np.float64)).any():
                raise DataError("an infinite score")
            return cls.of(table, name)
        except (DataError, ValueError) as error:
            raise damaged(path, "train", error) from None

    def save(self, folder: Path) -> None:
        write_table(folder / FILE, self.objects)

    def normal(self, stream: str) -> np.ndarray:
        """All normal scores of a stream, float64 (N,)."""
        return self.objects[stream].dropna().to_numpy()

    def filled(self, raw: Raw, tracks: Tracks, causal: bool) -> Raw:
        """Without NaN: see `fill`; a track without any score has the normal median."""
        return {s: fill(raw[s], tracks, float(np.median(self.normal(s))), causal) for s in STREAMS}

    @property
    def lowest(self) -> Raw:
        """The lowest normal score of each stream, (1,): what a frame without objects has."""
        return {stream: self.normal(stream).min(keepdims=True) for stream in STREAMS}

    def combined(self, filled: Raw, scoring: TemporalMAEScoring) -> np.ndarray:
        """alpha u(reconstruction) + (1 - alpha) u(embedding), float64 (N,) in [0, 1], of scores without NaN.

        u is `unit`: the lowest score of a normal object becomes 0, their `scoring.quantile` 1, clipped. Normal scores
        are about log-normal, the embedding's with the wider spread: in robust standard deviations (`robust_z`) its
        outliers would outweigh every reconstruction error.
        """
        weights = {"reconstruction": scoring.alpha, "embedding": 1 - scoring.alpha}
        scaled = {stream: unit(self.normal(stream), scoring.quantile)(filled[stream]) for stream in STREAMS}
        return sum((share * scaled[stream] for stream, share in weights.items()), np.zeros(1))


def smoothed(scores: np.ndarray, tracks: Tracks, decay: float) -> np.ndarray:
    """Scores (N,) of the rows of `tracks`, averaged along each track: s_t = decay s_(t-1) + (1 - decay) x_t.

    As `pixelplay.scores.smooth.ema`: a gap of frames fades what was before it, and the first scores of a track are
    averages of the few there are.
    """
    config = SmoothConfig(method="ema", decay=decay, window=1, sigma=1.0, polyorder=0)
    result = scores.copy()
    for rows in by_track(tracks):
        result[rows] = ema(scores[rows], tracks.position[rows], np.ones(len(rows)), config)
    return result
