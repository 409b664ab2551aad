"""What all detectors of this family do: learn from normal objects, calibrate by folds, score each row of the tracks."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import pandas as pd

from pixelplay.detectors.along_tracks import ByStream, ObjectStream, naming
from pixelplay.detectors.base import About, Scores, identity_of, load_about, save_about
from pixelplay.detectors.calibration import Calibration
from pixelplay.detectors.folds import rows_apart
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.stream import StreamFormat
from pixelplay.errors import ConfigError, DataError
from pixelplay.objects.labels import tracks_so_far
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import MORE, Tracks, highest, object_rows, tracks_of
from pixelplay.settings import PositiveShare, Settings, Share, validate
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

ABOUT = ["source", "video", "frame", "track"]  # columns that say which object a row of the calibration is about
HELDOUT, FOLDS = "heldout", "folds"


class NoScoring(Settings):
    """Of the detectors with one stream."""


class ObjectScoring(Settings):
    """Of the detectors with several streams."""

    quantile: PositiveShare  # of normal scores, from which on a scaled score is 1
    weights: dict[str, Share]  # of the streams in the detector's own score


@dataclass(frozen=True, eq=False)
class Objects:
    """What a detector reads of a video: N rows of tracks, and a row of values of each, (N, D), NaN where unknown."""

    tracks: Tracks
    values: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Self:
        return replace(self, tracks=self.tracks[chosen], values=self.values[chosen])

    def so_far(self, video: Video) -> Self:
        """Of those in all rows of the video's tracks those that are known without later frames: `tracks_so_far`."""
        tracks, known = tracks_so_far(video)
        return replace(self[known], tracks=tracks)

    @property
    def known(self) -> np.ndarray:
        """The rows that there is something to learn from, bool (N,)."""
        return np.asarray(np.isfinite(self.values).all(axis=1))


class Model(Protocol):
    """What is usual."""

    def score(self, objects: Objects) -> Mapping[str, np.ndarray]:
        """By stream the raw score of each row, (N,), higher = less usual, NaN where it has none."""
        ...

    def save(self, folder: Path) -> None: ...


M = TypeVar("M", bound=Model)


class ObjectScorer(ABC, Generic[M]):
    """See `Detector` for the contract; a frame has the highest score of its objects, without any the lowest normal one.

    Streams: where `streams` has one, the detector's own is its raw score; of several there are `<name>/<stream>`, and
    the detector's own combines them.
    """

    streams: ClassVar[tuple[str, ...]]
    training: ClassVar[type[Settings]]
    scoring: ClassVar[type[Settings]]

    def __init__(self, name: str, config: DetectorConfig, device: "torch.device"):
        self.name, self._config, self._device = name, config, device
        self._settings, self._scoring = self.check(name, config)
        self._model: M | None = None
        self._calibration: Calibration | None = None

    @classmethod
    def check(cls, name: str, config: DetectorConfig) -> tuple[Any, Any]:
        """The typed settings of training and scoring; raises ConfigError for impossible ones."""
        training = validate(cls.training, config.training, f"detectors.{name}.training")
        scoring = validate(cls.scoring, config.scoring, f"detectors.{name}.scoring")
        if isinstance(scoring, ObjectScoring) and set(scoring.weights) != set(cls.streams):
            key, streams = f"detectors.{name}.scoring.weights", ", ".join(cls.streams)
            raise ConfigError(f"{key}={scoring.weights}: there must be one for each of {streams}")
        return training, scoring

    @abstractmethod
    def read(self, video: Video, causal: bool = False) -> Objects:
        """Of every row of the video's tracks; with `causal`, each from what its frame and earlier ones show."""

    @abstractmethod
    def reader(self, footage: StreamFormat) -> Callable[[Moment], Objects]:
        """Of a new stream: what gives the objects of one moment after another, as `read` does causally."""

    @abstractmethod
    def load_model(self, folder: Path) -> M: ...

    def recalibrate(self, videos: list[Video]) -> None:
        self._set_calibration(self._heldout(videos))

    def score(self, video: Video, causal: bool = False) -> Scores:
        objects = self.read(video, causal)
        return self._scores(video, objects.tracks, self._trained.score(objects), causal)

    def stream(self, footage: StreamFormat) -> ObjectStream:
        model, read = self._trained, self.reader(footage)
        return ObjectStream(lambda moment: model.score(read(moment)), self._calibrated, self._naming())

    def save(self, folder: Path) -> None:
        self._trained.save(folder)
        self._calibrated.save(folder)
        save_about(folder, About(name=self.name, bf16=False, parameters=self.parameters), identity_of(self._config))

    def load(self, folder: Path) -> None:
        load_about(folder, identity_of(self._config))
        self._model = self.load_model(folder)
        self._calibration = Calibration.load(folder, ABOUT, self.streams)

    @property
    def parameters(self) -> int:
        """Of its network, which most have none of."""
        return 0

    @property
    def _trained(self) -> M:
        assert self._model is not None, "fit or load the detector before it is used"
        return self._model

    @property
    def _calibrated(self) -> Calibration:
        assert self._calibration is not None, "fit or load the detector before it is used"
        return self._calibration

    def _nothing(self, footage: str) -> DataError:
        return DataError(f"{self.name}: no object was followed in {footage} footage: {MORE}")

    def _heldout(self, videos: Sequence[Video]) -> list[pd.DataFrame]:
        """Raw scores of the objects of normal footage that the model has not seen, a table for each video."""
        return [self._normal(self._trained, video, self.read(video)).assign(source=HELDOUT) for video in videos]

    def _set_calibration(self, normal: list[pd.DataFrame]) -> None:
        hint = f"{self.name} needs objects there: {MORE}"
        self._calibration = Calibration.of(pd.concat(normal, ignore_index=True), ABOUT, self.streams, hint)

    def _normal(self, model: M, video: Video, objects: Objects) -> pd.DataFrame:
        tracks = objects.tracks
        about = {"video": video.id, "frame": video.numbers[tracks.position], "track": tracks.track}
        return pd.DataFrame({**about, **model.score(objects)})

    def _scores(self, video: Video, tracks: Tracks, raw: Mapping[str, np.ndarray], causal: bool) -> Scores:
        calibration, named = self._calibrated, self._naming()
        of_objects, least = named(calibration.filled(raw, tracks, causal)), named(calibration.lowest)
        frames = {s: highest(of, tracks, len(video), float(least[s][0])) for s, of in of_objects.items()}
        rows = [object_rows(video, tracks, stream, of) for stream, of in of_objects.items()]
        return Scores(frames, pd.concat(rows, ignore_index=True)).check(video, self.name)

    def _naming(self) -> Callable[[ByStream], dict[str, np.ndarray]]:
        """From raw scores by stream, without NaN, to those of all streams of the detector by their full names."""
        if len(self.streams) == 1:
            return lambda scores: {self.name: scores[self.streams[0]]}
        return naming(self.name, self._calibrated, self._scoring.weights, self._scoring.quantile)


class ObjectDetector(ObjectScorer[M]):
    """One whose model is learnt in seconds, so that it is learnt again for each fold of its calibration."""

    training: ClassVar[type[Settings]]  # with `folds`

    @property
    def folds(self) -> int:
        """Of training footage, for calibration."""
        return self._settings.folds

    @abstractmethod
    def learn(self, parts: Sequence[Objects], seed: int) -> M:
        """A model of normal objects, a part for each video; raises DataError where there is nothing to learn from."""

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        parts = [self.read(video) for video in videos]
        if not any(part.known.any() for part in parts):
            raise self._nothing("training")
        self._model = self.learn(parts, run.seed)
        folds = [one.assign(source=FOLDS) for one in self._by_folds(videos, parts, run.seed)]
        self._set_calibration([*self._heldout(heldout.calibration), *folds])

    def calibrate(self, videos: list[Video]) -> list[Scores]:
        """See `Calibrates`; [] without folds."""
        rows = self._calibrated.table
        by_video = dict(list(rows[rows["source"] == FOLDS].groupby("video", sort=False)))
        if not by_video:
            return []
        return [self._of_folds(video, by_video.get(video.id, rows[:0])) for video in videos]

    def _by_folds(self, videos: Sequence[Video], parts: Sequence[Objects], seed: int) -> list[pd.DataFrame]:
        """Scores of the training footage, each fold's by a model of the rest; [] without folds."""
        folds = rows_apart(videos, [part.tracks for part in parts], self.folds)
        found = []
        for inside, apart in folds:
            rest = [part[rows] for part, rows in zip(parts, apart, strict=True)]
            if not any(part.known.any() for part in rest):
                log.info(f"train: {self.name}: too little footage for {self.folds} folds; held-out footage calibrates")
                return []
            model = self.learn(rest, seed)
            for video, part, rows in zip(videos, parts, inside, strict=True):
                found.append(self._normal(model, video, part[rows]))
        return found

    def _of_folds(self, video: Video, rows: pd.DataFrame) -> Scores:
        tracks = tracks_of(video)
        key = pd.MultiIndex.from_arrays([video.numbers[tracks.position], tracks.track])
        raw = rows.set_index(["frame", "track"])[list(self.streams)].reindex(key)
        return self._scores(video, tracks, {s: raw[s].to_numpy(np.float64) for s in self.streams}, False)
