"""`object_class`: objects of a class that is rare in normal footage."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pixelplay.detectors.folds import Folds
from pixelplay.detectors.object_streams.accepted import objects_of
from pixelplay.detectors.object_streams.detector import NoScoring, ObjectDetector, Objects
from pixelplay.detectors.stream import StreamFormat
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.labels import confidences
from pixelplay.objects.moments import Moment
from pixelplay.objects.motion import MOTION
from pixelplay.objects.tracks import Tracks, by_track, tracks_of
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

    @classmethod
    def of(cls, tracks: Tracks, boxes: np.ndarray, sure: np.ndarray, names: np.ndarray) -> "Classified":
        """boxes: float64 (N,), how many of each object had a class up to that row. sure: float64 (N, K), the sums of
        their confidence in each of `names`.
        """
        with np.errstate(invalid="ignore"):  # without such a box: NaN
            shares = sure / boxes[:, None]
        values = np.column_stack([np.where(boxes > 0, 1 - shares.sum(axis=1), np.nan), shares])
        return cls(tracks, values, names)


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
    accepted: list[str] = field(default_factory=list)  # classes of accepted objects

    def rarity(self, name: str) -> float:
        return float(-np.log((self.counts.get(name, 0.0) + self.prior) / self._every))

    @cached_property
    def _every(self) -> float:
        return sum(self.counts.values()) + self.prior * (len(self.counts) + 1)

    @cached_property
    def usual(self) -> float:
        """The mean rarity of normal boxes: that of an object of which nothing is known."""
        return sum(count * self.rarity(name) for name, count in self.counts.items()) / sum(self.counts.values())

    def score(self, objects: Objects) -> dict[str, np.ndarray]:
        assert isinstance(objects, Classified)
        return {STREAM: objects.values @ np.array([self.usual, *map(self._rarity_now, objects.names.tolist())])}

    def accept(self, objects: Sequence[Objects]) -> bool:
        """Classes are all that it knows of objects: those of accepted ones are no rarer than normal objects are."""
        self.accepted[:] = sorted({name for one in objects for name in one.tracks.label.tolist()} - {MOTION})
        return bool(self.accepted)

    def _rarity_now(self, name: str) -> float:
        return min(self.rarity(name), self.usual) if name in self.accepted else self.rarity(name)

    def save(self, folder: Path) -> None:
        write_json(folder / FILE, Counts(boxes=dict(self.counts)).model_dump())


@dataclass
class Sums:
    """Of the boxes of a track up to now that have a class."""

    boxes: int = 0
    sure: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))  # confidence by class


class ClassesSoFar:
    """What `ObjectClass.read` knows causally, moment by moment."""

    def __init__(self) -> None:
        self._sums: dict[int, Sums] = {}  # by track

    def at(self, moment: Moment) -> Classified:
        for track in moment.ended:
            self._sums.pop(track, None)
        tracks = moment.tracks
        own = [self._sums.setdefault(track, Sums()) for track in tracks.track.tolist()]
        for sums, name, sure in zip(own, moment.labels.tolist(), tracks.confidence.tolist(), strict=True):
            if name != MOTION and sure > 0:
                sums.boxes += 1
                sums.sure[name] += sure
        names = sorted({name for sums in own for name in sums.sure})
        sure = np.array([[sums.sure.get(name, 0.0) for name in names] for sums in own]).reshape(len(own), len(names))
        return Classified.of(tracks, np.array([float(sums.boxes) for sums in own]), sure, np.array(names, np.str_))


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
        found = Classified.of(tracks, sums[:, 0], sums[:, 1:], names[~blob])
        return found.so_far(video) if causal else found

    def reader(self, footage: StreamFormat) -> Callable[[Moment], Classified]:
        return ClassesSoFar().at

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

    def accept(self, events: Sequence[EventVectors]) -> bool:
        """See `Accepts`."""
        return self._trained.accept(objects_of(events))


check, build = ObjectClass.check, ObjectClass
