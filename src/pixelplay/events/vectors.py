"""What the object detectors compared of an event's objects, kept with the event.

With it the objects can be learnt as normal later, when the footage and its cache are gone.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixelplay.run.artifacts import damaged, missing
from pixelplay.run.atomic import atomic

ABOUT = ("frame", "track", "xyxy", "label")
VECTORS = "vectors/"  # names of vectors in the file begin so


@dataclass(frozen=True, eq=False)
class EventVectors:
    """N boxes of the tracks of an event, by frame and track."""

    frame: np.ndarray  # int64 (N,), frame numbers
    track: np.ndarray  # int64 (N,)
    xyxy: np.ndarray  # float32 (N, 4), pixels
    label: np.ndarray  # str (N,), class
    vectors: Mapping[str, np.ndarray]  # float32 (N, D): `crops`, features of a box's crop; `flow`, motion inside it

    def save(self, path: Path) -> None:
        arrays = {name: getattr(self, name) for name in ABOUT}
        arrays |= {f"{VECTORS}{name}": values for name, values in self.vectors.items()}
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path, made_by: str = "events") -> "EventVectors":
        """What `save` wrote; raises MissingArtifactError or DamagedArtifactError."""
        if not path.exists():
            raise missing(path, made_by)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                vectors = {name.removeprefix(VECTORS): arrays[name] for name in arrays if name.startswith(VECTORS)}
                found = cls(**{name: arrays[name] for name in ABOUT}, vectors=vectors)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise damaged(path, made_by, error) from None
        sizes = {len(values) for values in (found.frame, found.track, found.xyxy, found.label, *vectors.values())}
        if len(sizes) != 1:
            raise damaged(path, made_by, "arrays of different lengths")
        return found
