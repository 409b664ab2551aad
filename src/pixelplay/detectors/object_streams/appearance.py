"""`object_appearance`: objects that look unlike all of normal footage."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from pixelplay.detectors.folds import Folds
from pixelplay.detectors.object_streams.accepted import objects_of
from pixelplay.detectors.object_streams.detector import NoScoring, ObjectDetector, Objects
from pixelplay.detectors.object_streams.models import Density, DensityConfig, fit_density, load_density
from pixelplay.detectors.stream import StreamFormat
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.features import crop_vectors
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import cropped, tracks_of
from pixelplay.settings import NonNegative, Settings, Window
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

STREAM = "appearance"
IN_DOMAIN = "in_domain"  # weights.backbone, where an encoder is trained in the run


class AppearanceSettings(Settings):
    crops_by: str  # weights.backbone
    every: Window  # the others' vectors lie between those of cropped rows, and teach nothing new
    noise_above: NonNegative | None
    density: DensityConfig
    folds: Folds


@dataclass(frozen=True)
class AppearanceModel:
    density: Density

    def score(self, objects: Objects) -> dict[str, np.ndarray]:
        return {STREAM: self.density.score(objects.values)}

    def accept(self, objects: Sequence[Objects]) -> bool:
        return self.density.accept([one.values for one in objects])

    def save(self, folder: Path) -> None:
        self.density.save(folder, STREAM)


@dataclass(frozen=True, eq=False)
class Crops(Objects):
    """With which of the rows were cropped, bool [N]."""

    cropped: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Self:
        return replace(super().__getitem__(chosen), cropped=self.cropped[chosen])

    @property
    def known(self) -> np.ndarray:
        return super().known & self.cropped


class ObjectAppearance(ObjectDetector[AppearanceModel]):
    """One stream, the distance to the nearest normal crops in the features of the run's backbone."""

    streams = (STREAM,)
    training = AppearanceSettings
    scoring = NoScoring

    def read(self, video: Video, causal: bool = False) -> Crops:
        settings, tracks, values = self._settings, tracks_of(video), crop_vectors(video)
        found = Crops(tracks, values, cropped(video, settings.every, settings.noise_above, causal))
        if not causal:
            return found
        found = found.so_far(video)
        return replace(found, values=np.where(found.cropped[:, None], found.values, np.nan))  # the one before is used

    def reader(self, footage: StreamFormat) -> Callable[[Moment], Objects]:
        return crops_at

    @property
    def folds(self) -> int:
        if self._settings.crops_by == IN_DOMAIN and self._settings.folds:
            log.info(f"train: {self.name}: no folds, the encoder has seen all footage; held-out footage calibrates")
            return 0
        return self._settings.folds

    def learn(self, parts: Sequence[Objects], seed: int) -> AppearanceModel:
        vectors = [part.values[part.known] for part in parts]
        return AppearanceModel(fit_density(np.concatenate(vectors), self._settings.density, {"stream": STREAM}, seed))

    def load_model(self, folder: Path) -> AppearanceModel:
        return AppearanceModel(load_density(folder, STREAM, self._settings.density, {"stream": STREAM}))

    def accept(self, events: Sequence[EventVectors]) -> bool:
        """See `Accepts`."""
        return self._trained.accept(objects_of(events, "crops"))


def crops_at(moment: Moment) -> Objects:
    assert moment.crops is not None, "a detector asks for them with crops=True in its Spec"
    return Objects(moment.tracks, moment.crops)


check, build = ObjectAppearance.check, ObjectAppearance
