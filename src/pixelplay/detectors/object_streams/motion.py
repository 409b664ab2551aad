"""`object_motion`: objects that move unusually fast, or in unusual directions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pixelplay.detectors.folds import Folds
from pixelplay.detectors.object_streams.accepted import objects_of
from pixelplay.detectors.object_streams.detector import ObjectDetector, Objects, ObjectScoring
from pixelplay.detectors.object_streams.heights import UsualHeight
from pixelplay.detectors.object_streams.models import Density, DensityConfig, fit_density, load_density
from pixelplay.detectors.stream import StreamFormat
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.features import flow_of
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import tracks_of
from pixelplay.settings import Positive, Settings
from pixelplay.videos.video import Video

STREAMS = ("magnitude", "direction")


class MotionSettings(Settings):
    size: Literal["usual", "own"]  # the height by which flow is divided
    slow: Positive  # heights per second
    density: DensityConfig
    folds: Folds


@dataclass(frozen=True)
class MotionModel:
    """What is usual of speeds and directions."""

    heights: UsualHeight
    slow: float
    densities: dict[str, Density]

    def score(self, objects: Objects) -> dict[str, np.ndarray]:
        vectors = described(objects, self.heights, self.slow)
        return {stream: self.densities[stream].score(vectors[stream]) for stream in STREAMS}

    def accept(self, objects: Sequence[Objects]) -> bool:
        vectors = [described(one, self.heights, self.slow) for one in objects]
        return all([self.densities[stream].accept([one[stream] for one in vectors]) for stream in STREAMS])

    def save(self, folder: Path) -> None:
        self.heights.save(folder)
        for stream, density in self.densities.items():
            density.save(folder, stream)


class ObjectMotion(ObjectDetector[MotionModel]):
    """Streams `/magnitude`, the mean speed of the pixels in the box, and `/direction`, its shares by direction.

    Speeds are divided by the height that a person has at that row of the picture, so that near and far objects compare.
    """

    streams = STREAMS
    training = MotionSettings
    scoring = ObjectScoring

    def read(self, video: Video, causal: bool = False) -> Objects:
        found = Objects(tracks_of(video), flow_of(video))  # flow comes from the frame before: it is causal
        return found.so_far(video) if causal else found

    def reader(self, footage: StreamFormat) -> Callable[[Moment], Objects]:
        return flow_at

    def learn(self, parts: Sequence[Objects], seed: int) -> MotionModel:
        heights = UsualHeight.of([part.tracks for part in parts], self._settings.size == "usual")
        vectors = [described(part, heights, self._settings.slow) for part in parts]
        densities = {
            stream: fit_density(
                np.concatenate([one[stream] for one in vectors]), self._settings.density, self._identity(stream), seed
            )
            for stream in STREAMS
        }
        return MotionModel(heights, self._settings.slow, densities)

    def load_model(self, folder: Path) -> MotionModel:
        density = self._settings.density
        found = {stream: load_density(folder, stream, density, self._identity(stream)) for stream in STREAMS}
        return MotionModel(UsualHeight.load(folder), self._settings.slow, found)

    def accept(self, events: Sequence[EventVectors]) -> bool:
        """See `Accepts`."""
        return self._trained.accept(objects_of(events, "flow"))

    def _identity(self, stream: str) -> dict[str, Any]:
        return {"stream": stream, "size": self._settings.size, "slow": self._settings.slow}


def flow_at(moment: Moment) -> Objects:
    assert moment.flow is not None, "a detector asks for it with flow=True in its Spec"
    return Objects(moment.tracks, moment.flow)


def described(objects: Objects, heights: UsualHeight, slow: float) -> dict[str, np.ndarray]:
    """What the densities are of, by stream, float32 (N, D).

    Of speeds v in heights per second, log(slow + v), since twice as fast is as unusual for a walker as for a car; and
    what share of slow + v each direction has, which is nothing for what stands still.
    """
    values = (objects.values / heights.at(objects.tracks)[:, None]).astype(np.float32)
    raised = values[:, :1] + slow
    return {"magnitude": np.log(raised), "direction": values[:, 1:] / raised}


check, build = ObjectMotion.check, ObjectMotion
