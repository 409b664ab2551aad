"""`object_place`: objects that are where, at that size and speed, such objects usually are not.

A kernel density over foot position, size and speed (Rosenblatt, *Remarks on some nonparametric estimates of a density
function*, 1956), whose kernel is as wide as people are high at the scored object's row: a balloon estimator (Terrell
and Scott, *Variable kernel density estimation*, Annals of Statistics 1992). The kernel is Student's t, so that one
normal object far from all others does not stretch the scale of all scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from pixelplay.detectors.folds import Folds
from pixelplay.detectors.object_streams.accepted import objects_of
from pixelplay.detectors.object_streams.detector import NoScoring, ObjectDetector, Objects
from pixelplay.detectors.object_streams.heights import LEAST, UsualHeight
from pixelplay.detectors.object_streams.models import read_arrays
from pixelplay.detectors.stream import StreamFormat
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.features import flow_of
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import tracks_of
from pixelplay.run.artifacts import damaged
from pixelplay.run.atomic import atomic
from pixelplay.settings import Natural, Positive, Settings
from pixelplay.videos.video import Video

STREAM = "place"
FILE = "places.safetensors"
ALL, CLASS = "all", "class "  # keys in it: points of all objects, and of each class
AXES = 4  # x, y, size, speed
CHUNK = 512  # objects that are compared with all points at a time


class Bandwidth(Settings):
    """Widths of the kernel."""

    position: Positive  # heights of a person at that row
    size: Positive  # of log(height)
    speed: Positive  # of log(slow + speed)


class PlaceSettings(Settings):
    bandwidth: Bandwidth
    freedom: Positive
    slow: Positive  # heights per second
    count: Natural
    fewest: Natural
    folds: Folds


@dataclass(frozen=True, eq=False)
class Place:
    """Where an accepted object was."""

    key: str  # of the points of objects of its class
    points: np.ndarray  # float32 (n, AXES)
    usual: float  # score of what is there


@dataclass(frozen=True)
class PlaceModel:
    """Where normal objects were: their feet, sizes and speeds, float32 (n, AXES), of all and of the frequent classes.

    scikit-learn's KernelDensity has one width for the whole picture, and a coreset of `fit_density` keeps where objects
    ever were but not how often: hence the sum over a random sample, which is short.
    """

    settings: PlaceSettings
    heights: UsualHeight
    points: Mapping[str, np.ndarray]
    accepted: list["Place"] = field(default_factory=list)

    @classmethod
    def of(cls, parts: Sequence[Objects], settings: PlaceSettings, seed: int) -> "PlaceModel":
        heights = yardstick(parts)
        labels = np.concatenate([part.tracks.label for part in parts])
        points = np.concatenate([described(part, heights.at(part.tracks), settings.slow) for part in parts])
        known = np.isfinite(points).all(axis=1)
        labels, points = labels[known], points[known]
        names, counts = np.unique(labels, return_counts=True)
        frequent = {CLASS + name: points[labels == name] for name in names[counts >= settings.fewest]}
        chosen = {key: sample(of, settings.count, seed) for key, of in {ALL: points, **frequent}.items()}
        return cls(settings, heights, chosen)

    @classmethod
    def load(cls, folder: Path, settings: PlaceSettings) -> "PlaceModel":
        """What `save` wrote; raises MissingArtifactError or DamagedArtifactError."""
        points = read_arrays(folder / FILE)
        if ALL not in points or any(of.ndim != 2 or of.shape[1] != AXES or not len(of) for of in points.values()):
            raise damaged(folder / FILE, "train", f"not points of {AXES} numbers")
        return cls(settings, UsualHeight.load(folder), points)

    def save(self, folder: Path) -> None:
        self.heights.save(folder)
        with atomic(folder / FILE) as temporary:
            save_file(dict(self.points), temporary)

    def score(self, objects: Objects) -> dict[str, np.ndarray]:
        usual = self._usual_heights(objects)
        points, widths = described(objects, usual, self.settings.slow), self._widths(usual)
        known, found = np.isfinite(points).all(axis=1), np.full(len(points), np.nan)
        for name in np.unique(objects.tracks.label):
            rows = np.flatnonzero(known & (objects.tracks.label == name))
            key, freedom = self._key(name), self.settings.freedom
            found[rows] = improbability(points[rows], widths[rows], self.points[key], freedom)
            for one in self.accepted:
                if one.key == key:
                    own = one.usual + improbability(points[rows], widths[rows], one.points, freedom)
                    found[rows] = np.minimum(found[rows], own)
        return {STREAM: found}

    def accept(self, objects: Sequence[Objects], usual: float) -> bool:
        """Each object has a density of its own, since among thousands of points its own would count for nothing: where
        it was, objects score as low as `usual`. An object then has its lowest score.
        """
        accepted = []
        for one in objects:
            points = described(one, self._usual_heights(one), self.settings.slow)
            known = np.isfinite(points).all(axis=1)
            for name in np.unique(one.tracks.label[known]):
                accepted.append(Place(self._key(name), points[known & (one.tracks.label == name)], usual))
        self.accepted[:] = accepted
        return bool(accepted)

    def _key(self, name: str) -> str:
        """Of the points that objects of a class are compared with."""
        return CLASS + name if CLASS + name in self.points else ALL

    def _usual_heights(self, objects: Objects) -> np.ndarray:
        """Of a person at each object's row, (N,); above the highest row of normal objects as there, since a line that
        goes on may come to nothing.
        """
        heights = self.heights
        assert heights.slope is not None and heights.intercept is not None, "see yardstick"
        return heights.at(objects.tracks).clip(min=heights.slope * self.points[ALL][:, 1].min() + heights.intercept)

    def _widths(self, usual: np.ndarray) -> np.ndarray:
        """Of the kernel around each object, float32 (N, AXES), in the units of `described`."""
        band = self.settings.bandwidth
        place = band.position * usual
        size, speed = np.full((2, len(place)), [[band.size], [band.speed]])
        return np.stack([place, place, size, speed], axis=1, dtype=np.float32)


class ObjectPlace(ObjectDetector[PlaceModel]):
    """One stream, minus the log density of normal objects of the same class, 0 where it can't be higher."""

    streams = (STREAM,)
    training = PlaceSettings
    scoring = NoScoring

    def read(self, video: Video, causal: bool = False) -> Objects:
        found = Objects(tracks_of(video), flow_of(video)[:, :1])
        return found.so_far(video) if causal else found

    def reader(self, footage: StreamFormat) -> Callable[[Moment], Objects]:
        return speed_at

    def learn(self, parts: Sequence[Objects], seed: int) -> PlaceModel:
        return PlaceModel.of(parts, self._settings, seed)

    def load_model(self, folder: Path) -> PlaceModel:
        return PlaceModel.load(folder, self._settings)

    def accept(self, events: Sequence[EventVectors]) -> bool:
        """See `Accepts`."""
        objects = [replace(one, values=one.values[:, :1]) for one in objects_of(events, "flow")]
        return self._trained.accept(objects, self._calibrated.medians[STREAM])


def speed_at(moment: Moment) -> Objects:
    assert moment.flow is not None, "a detector asks for it with flow=True in its Spec"
    return Objects(moment.tracks, moment.flow[:, :1])


def yardstick(parts: Sequence[Objects]) -> UsualHeight:
    """The height of a person by row, and where no line can be estimated, the median height of all objects in each."""
    heights = UsualHeight.of([part.tracks for part in parts], estimate=True)
    if heights.slope is not None:
        return heights
    boxes = np.concatenate([part.tracks.xyxy for part in parts])
    return UsualHeight(slope=0.0, intercept=max(LEAST, float(np.median(boxes[:, 3] - boxes[:, 1]))))


def described(objects: Objects, usual: np.ndarray, slow: float) -> np.ndarray:
    """Of each object float32 (N, AXES): x and y of its foot in pixels, and the logarithms of its height in `usual` ones
    of a person at that row, pixels (N,), and of `slow` + its speed in these per second.
    """
    x1, y1, x2, y2 = objects.tracks.xyxy.T
    size = np.log((y2 - y1).clip(min=LEAST) / usual)
    return np.stack([(x1 + x2) / 2, y2, size, np.log(slow + objects.values[:, 0] / usual)], axis=1, dtype=np.float32)


def sample(points: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most `count` of the points, drawn at random."""
    if len(points) <= count:
        return points
    return points[np.sort(np.random.default_rng(seed).choice(len(points), count, replace=False))]


def improbability(queries: np.ndarray, widths: np.ndarray, points: np.ndarray, freedom: float) -> np.ndarray:
    """Minus the log of the mean over all points (n, AXES) of (1 + d^2 / freedom)^(-(freedom + AXES) / 2), at least 0:
    float64 (N,).

    d: distance of a query (N, AXES) to a point, each axis divided by the query's width there (N, AXES). It is minus
    the log density of a multivariate t up to the kernel's own peak, which is the same for all.
    """
    found = np.empty(len(queries))
    for start in range(0, len(queries), CHUNK):
        part = slice(start, start + CHUNK)
        squared = np.zeros((len(queries[part]), len(points)), np.float32)
        for query, width, axis in zip(queries[part].T, widths[part].T, points.T, strict=True):
            squared += ((query[:, None] - axis) / width[:, None]) ** 2
        kernel = np.exp(-(freedom + AXES) / 2 * np.log1p(squared / freedom), dtype=np.float64)  # float32 may underflow
        found[part] = -np.log(kernel.mean(axis=1))
    return found


check, build = ObjectPlace.check, ObjectPlace
