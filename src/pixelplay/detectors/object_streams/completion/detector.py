"""`event_completion`: objects whose erased moment, and its motion, a network cannot complete from those beside it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pixelplay.backbones.exports import Exported
from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.detectors.object_streams.completion.cubes import Cubes, CubesSoFar, cut
from pixelplay.detectors.object_streams.completion.exported import exported
from pixelplay.detectors.object_streams.completion.network import CompletionNet
from pixelplay.detectors.object_streams.completion.raw_scores import STREAMS, raw_scores
from pixelplay.detectors.object_streams.completion.settings import CompletionScoring, CompletionSettings, CubeConfig
from pixelplay.detectors.object_streams.detector import Objects, ObjectScorer
from pixelplay.detectors.stream import StreamFormat
from pixelplay.objects.labels import tracks_so_far
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import Tracks, tracks_of
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, eq=False)
class Seen(Objects):
    """Objects as the network sees them; values: float32 (N, 0).

    cubes: gives those of all objects but those in a video's first frame. erased: each in turn, step of their cubes.
    """

    cubes: Callable[[], Iterable[Cubes]]
    erased: Sequence[int]
    batch_size: int | None = None  # see `raw_scores`

    @classmethod
    def last(cls, tracks: Tracks, cubes: Callable[[], Iterable[Cubes]], config: CubeConfig) -> "Seen":
        """Causally: the object's own moment is the last one of its cube."""
        return cls(tracks, np.empty((len(tracks), 0), np.float32), cubes, [config.before])


@dataclass(frozen=True)
class CompletionModel:
    network: CompletionNet

    def score(self, objects: Objects) -> dict[str, np.ndarray]:
        assert isinstance(objects, Seen), "as `EventCompletion.read` returns them"
        return raw_scores(self.network, objects.cubes(), len(objects.tracks), objects.erased, objects.batch_size)

    def save(self, folder: Path) -> None:
        save_network(self.network, folder / WEIGHTS)


class EventCompletion(ObjectScorer[CompletionModel]):
    """Streams `/appearance` and `/motion`, the errors of the completed patch and of its flow."""

    streams = STREAMS
    training = CompletionSettings
    scoring = CompletionScoring

    def read(self, video: Video, causal: bool = False) -> Seen:
        cube, tracks = self._settings.cube, tracks_so_far(video)[0] if causal else tracks_of(video)

        def cubes() -> Iterable[Cubes]:
            return cut(video, tracks, np.arange(len(tracks)), cube, 0 if causal else cube.after)

        if causal:
            return Seen.last(tracks, cubes, cube)
        return Seen(tracks, np.empty((len(tracks), 0), np.float32), cubes, cube.erased, self._scoring.batch_size)

    def reader(self, footage: StreamFormat) -> Callable[[Moment], Seen]:
        cube = self._settings.cube
        so_far = CubesSoFar(cube, footage.size)

        def read(moment: Moment) -> Seen:
            cubes = so_far.step(moment.image, moment.tracks.xyxy)
            return Seen.last(moment.tracks, lambda: cubes, cube)

        return read

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        from pixelplay.detectors.object_streams.completion.store import stored_cubes  # slow to import, with Lightning
        from pixelplay.detectors.object_streams.completion.training import Training
        from pixelplay.training.fit import fit_on

        settings = self._settings
        run = replace(run, config=settings.trainer(run.config))
        train = stored_cubes("cubes", videos, settings, run)
        held = stored_cubes("heldout-cubes", heldout.validation, settings, run)
        for cubes, footage in ((train, "training"), (held, "held-out")):
            if not len(cubes):
                raise self._nothing(footage)
        torch.manual_seed(run.seed)
        network = self._new_network()
        network.standardise(train.scale(settings.cube.before))
        fit_on(Training(network, settings, run.config, run.seed), train, held, run)
        self._model = CompletionModel(network.to(self._device).eval())
        self._set_calibration(self._heldout(heldout.calibration))

    def load_model(self, folder: Path) -> CompletionModel:
        network = self._new_network()
        load_network(network, folder / WEIGHTS, made_by="train")
        return CompletionModel(network.to(self._device).eval())

    def networks(self) -> dict[str, Exported]:
        """See `Exports`."""
        return {"completion": exported(self._trained.network, self._settings.cube)}

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self._trained.network.parameters())

    def _new_network(self) -> CompletionNet:
        return CompletionNet(self._settings.cube.steps, self._settings.widths)


check, build = EventCompletion.check, EventCompletion
