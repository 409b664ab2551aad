"""From distances to memory banks to one score per clip, scaled by the distances of normal footage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.detectors.videopatchcore.clip_features import STREAMS
from pixelplay.errors import DataError
from pixelplay.run.artifacts import damaged, read_table, write_table
from pixelplay.scores.normalise import unit

FILE = "calibration.parquet"
COLUMNS = ["source", "video", "clip", *STREAMS]
HELDOUT, FOLDS = "heldout", "folds"


@dataclass(frozen=True)
class Calibration:
    """Distances of normal clips to memory banks that have not seen them.

    clips: a row per clip: `source` (`heldout` footage or training footage in `folds`), `video`, `clip` (its index in
    the video), and a distance for each of `STREAMS`, float64, NaN without an object.
    """

    clips: pd.DataFrame

    @classmethod
    def of(cls, clips: pd.DataFrame, name: str) -> "Calibration":
        """Raises DataError, naming the detector, where a stream has no distance at all."""
        for stream in STREAMS:
            if not clips[stream].notna().any():
                raise DataError(
                    f"{name}/{stream}: no object was detected in held-out normal footage, so distances can't be "
                    "calibrated: lower objects.tubes.confidence, or set objects.method=both"
                )
        return cls(clips[COLUMNS].reset_index(drop=True))

    @classmethod
    def load(cls, folder: Path, name: str) -> "Calibration":
        """What `save` wrote; raises MissingArtifactError or DamagedArtifactError."""
        path = folder / FILE
        table = read_table(path, made_by="train")
        try:
            if list(table.columns) != COLUMNS or np.isinf(table[list(STREAMS)].to_numpy(np.float64)).any():
                raise DataError(f"columns {', '.join(map(str, table.columns))}, or an infinite distance")
            return cls.of(table, name)
        except (DataError, ValueError) as error:
            raise damaged(path, "train", error) from None

    def save(self, folder: Path) -> None:
        write_table(folder / FILE, self.clips)

    def normal(self, stream: str) -> np.ndarray:
        """All normal distances of a stream, float64 (N,)."""
        return self.clips[stream].dropna().to_numpy()

    def scale(self, stream: str, quantile: float) -> float:
        """This quantile of the normal distances."""
        scale = float(np.quantile(self.normal(stream), quantile))
        return scale if scale > 0 else 1.0

    def filled(self, distances: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Distances (C,) by stream, with the smallest normal distance for clips without objects."""
        return {s: np.where(np.isnan(d), self.normal(s).min(), d) for s, d in distances.items()}

    def score(
        self, distances: Mapping[str, np.ndarray], quantile: float, power: float, weights: Mapping[str, float]
    ) -> np.ndarray:
        """One score in [0, 1] per clip, (C,): the weighted sum of each stream's `unit` distance to this power.

        Distances are clipped at the quantile of the normal ones, so that outliers of one stream don't outweigh the
        others.
        """
        scaled = [share * unit(self.normal(s), quantile)(distances[s]) ** power for s, share in weights.items()]
        return sum(scaled, np.zeros(1))
