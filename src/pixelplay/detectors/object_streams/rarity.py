"""`object_class`: objects of a class that is rare in normal footage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pixelplay.detectors.folds import Folds
from pixelplay.detectors.object_streams.detector import NoScoring, ObjectDetector, Objects
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.objects.labels import confidences
from pixelplay.objects.motion import MOTION
from pixelplay.objects.tracks import by_track, tracks_of
from pixelplay.run.artifacts import read_model, write_json
from pixelplay.settings import Positive, Settings
from pixelplay.videos.video import Video

STREAM = "class"
FILE = "classes.json"


class ClassSettings(Settings):
    prior: Positive  # boxes
    folds: Folds


@dataclass(frozen=True, eq=False)
class Classified(Objects):
    """With what each object is: columns of `values` are the shares of no class, then of each of `names`, str (K,)."""

    names: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> "Classified":
        return Classified(self.tracks[chosen], self.values[chosen], self.names)


class Counts(BaseModel):
    """How many boxes of each class there are in normal footage, each counted for as much as it is sure."""

    model_config = ConfigDict(extra="forbid", strict=True)

    boxes: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=1)]


@dataclass(frozen=True)
class ClassModel:
    """Rarity of a class: minus the log of its share of normal boxes, as if there were `prior` more of each class, and
    of one that was never seen (additive smoothing, after Laplace).
    """

    counts: Mapping[str, float]
    prior: float

    def rarity(self, name: str) -> float:
        every = sum(self.counts.values()) + self.prior * (len(self.counts) + 1)
        return float(-np.log((self.counts.get(name, 0.0) + self.prior) / every))

    @property
    def usual(self) -> float:
        """The mean rarity of normal boxes: that of an object of which nothing is known."""
        return sum(count * self.rarity(name) for name, count in self.counts.items()) / sum(self.counts.values())

    def score(self, objects: Objects) -> dict[str, np.ndarray]:
        assert isinstance(objects, Classified)
        return {STREAM: objects.values @ np.array([self.usual, *map(self.rarity, objects.names.tolist())])}

    def save(self, folder: Path) -> None:
        write_json(folder / FILE, Counts(boxes=dict(self.counts)).model_dump())


class ObjectClass(ObjectDetector[ClassModel]):
    """One stream, the expected rarity of the object's class.

    A box of confidence p is of its class with probability p, and else of some class that nothing is known of; an object
    is what its boxes are on average, those of the whole track, or causally those up to now.
    """

    streams = (STREAM,)
    training = ClassSettings
    scoring = NoScoring

    def read(self, video: Video, causal: bool = False) -> Classified:
        tracks, (names, sure) = tracks_of(video), confidences(video)
        blob = names == MOTION  # which has no class
        seen = sure[:, ~blob].any(axis=1)
        sums = np.column_stack([seen, sure[:, ~blob]])  # boxes, and their confidence in each class
        for rows in by_track(tracks):
            total = sums[rows].cumsum(axis=0)
            sums[rows] = total if causal else total[-1]
        with np.errstate(invalid="ignore"):  # without such a box: NaN
            shares = sums[:, 1:] / sums[:, :1]
        values = np.column_stack([np.where(sums[:, 0] > 0, 1 - shares.sum(axis=1), np.nan), shares])
        found = Classified(tracks, values, names[~blob])
        return found[~tracks.interpolated] if causal else found  # not known until the later box is

    def learn(self, parts: Sequence[Objects], seed: int) -> ClassModel:
        counts: dict[str, float] = {}
        for part in parts:
            assert isinstance(part, Classified)
            for name, count in zip(part.names.tolist(), np.nansum(part.values[:, 1:], axis=0), strict=True):
                counts[name] = counts.get(name, 0.0) + float(count)
        seen = {name: count for name, count in sorted(counts.items()) if count}  # not those of other folds alone
        return ClassModel(seen, self._settings.prior)

    def load_model(self, folder: Path) -> ClassModel:
        return ClassModel(read_model(folder / FILE, Counts, made_by="train").boxes, self._settings.prior)


def check(name: str, config: DetectorConfig) -> None:
    """Raises ConfigError for settings that the algorithm refuses."""
    ObjectClass.check(name, config)


build = ObjectClass
