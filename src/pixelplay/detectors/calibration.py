"""Raw scores of normal footage, by which a detector puts its streams on one scale and combines them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.objects.tracks import Tracks, fill
from pixelplay.run.artifacts import damaged, read_table, write_table
from pixelplay.scores.normalise import unit

FILE = "calibration.parquet"

Combination = Callable[[Mapping[str, np.ndarray]], np.ndarray]  # of scores (N,) by stream: one, (N,)


@dataclass(frozen=True)
class Calibration:
    """Raw scores of normal clips or objects by models that have not seen them.

    table: a row for each: the columns `about`, and each of `streams`, float64, NaN where it has no score.
    """

    table: pd.DataFrame
    streams: tuple[str, ...]

    @classmethod
    def of(cls, table: pd.DataFrame, about: Sequence[str], streams: Sequence[str], hint: str) -> Self:
        """Raises DataError, which ends with `hint`, where a stream has no score at all."""
        for stream in streams:
            if not table[stream].notna().any():
                raise DataError(f"{stream}: no object was followed in held-out normal footage to calibrate by: {hint}")
        return cls(table[[*about, *streams]].reset_index(drop=True), tuple(streams))

    @classmethod
    def load(cls, folder: Path, about: Sequence[str], streams: Sequence[str]) -> Self:
        """What `save` wrote; raises MissingArtifactError or DamagedArtifactError."""
        path = folder / FILE
        table = read_table(path, made_by="train")
        try:
            if list(table.columns) != [*about, *streams]:
                raise DataError(f"columns {', '.join(map(str, table.columns))}")
            if np.isinf(table[list(streams)].to_numpy(np.float64)).any():
                raise DataError("an infinite score")
            return cls.of(table, about, streams, "train again")
        except (DataError, ValueError) as error:
            raise damaged(path, "train", error) from None

    def save(self, folder: Path) -> None:
        write_table(folder / FILE, self.table)

    def normal(self, stream: str) -> np.ndarray:
        """All normal scores of a stream, float64 (N,)."""
        return self._normal[stream]

    @cached_property
    def _normal(self) -> dict[str, np.ndarray]:
        return {stream: self.table[stream].dropna().to_numpy(np.float64) for stream in self.streams}

    @property
    def lowest(self) -> dict[str, np.ndarray]:
        """The lowest normal score of each stream, (1,): what a frame without objects has."""
        return {stream: self.normal(stream).min(keepdims=True) for stream in self.streams}

    @property
    def medians(self) -> dict[str, float]:
        """The median normal score of each stream: what an object of which nothing is known has."""
        return {stream: float(np.median(self.normal(stream))) for stream in self.streams}

    def filled(self, raw: Mapping[str, np.ndarray], tracks: Tracks, causal: bool) -> dict[str, np.ndarray]:
        """Scores (N,) of the rows of `tracks` without NaN: see `fill`; a track without any has the normal median."""
        return {s: fill(raw[s], tracks, median, causal) for s, median in self.medians.items()}

    def combination(self, weights: Mapping[str, float], quantile: float, power: float = 1.0) -> Combination:
        """The sum over `weights` of weight times u(score) to this power, float64 (N,), of scores without NaN.

        u is `unit`: the lowest normal score becomes 0, their `quantile` 1, clipped, so that outliers of one stream
        don't outweigh the others.
        """
        maps = {stream: unit(self.normal(stream), quantile) for stream in weights}

        def combined(scores: Mapping[str, np.ndarray]) -> np.ndarray:
            parts = [share * maps[stream](scores[stream]) ** power for stream, share in weights.items()]
            return sum(parts, np.zeros(1))

        return combined
