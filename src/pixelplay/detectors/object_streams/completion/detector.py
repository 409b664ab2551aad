"""`event_completion`: objects whose erased moment, and its motion, a network cannot complete from those beside it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.detectors.exports import Exported
from pixelplay.detectors.object_streams.completion.exported import exported
from pixelplay.detectors.object_streams.completion.network import CompletionNet
from pixelplay.detectors.object_streams.completion.raw_scores import STREAMS, raw_scores
from pixelplay.detectors.object_streams.completion.settings import CompletionScoring, CompletionSettings, CubeConfig
from pixelplay.detectors.object_streams.detector import Objects, ObjectScorer
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.objects.tracks import tracks_of
from pixelplay.training.clips import OrderedBatches, ShuffledBatches, loader
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, eq=False)
class Footage(Objects):
    """Objects, which the network sees in their video; values: float32 (N, 0)."""

    video: Video
    causal: bool


@dataclass(frozen=True)
class CompletionModel:
    network: CompletionNet
    cube: CubeConfig
    batch_size: int

    def score(self, objects: Objects) -> dict[str, np.ndarray]:
        assert isinstance(objects, Footage), "as `EventCompletion.read` returns them"
        return raw_scores(self.network, objects.video, objects.tracks, self.cube, self.batch_size, objects.causal)

    def save(self, folder: Path) -> None:
        save_network(self.network, folder / WEIGHTS)


class EventCompletion(ObjectScorer[CompletionModel]):
    """Streams `/appearance` and `/motion`, the errors of the completed patch and of its flow."""

    streams = STREAMS
    training = CompletionSettings
    scoring = CompletionScoring

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        super().__init__(name, config, device)
        self._device = device

    def read(self, video: Video, causal: bool = False) -> Footage:
        tracks = tracks_of(video)
        if causal:  # a box between two others is not known until the later one is
            tracks = tracks[~tracks.interpolated]
        return Footage(tracks, np.empty((len(tracks), 0), np.float32), video, causal)

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        from pixelplay.detectors.object_streams.completion.store import stored_cubes  # slow to import, with Lightning
        from pixelplay.detectors.object_streams.completion.training import Training
        from pixelplay.training.fit import fit

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
        fit(
            Training(network, settings, run.config, run.seed),
            loader(train, ShuffledBatches(len(train), settings.batch_size, run.seed), self._device),
            loader(held, OrderedBatches(len(held), settings.batch_size), self._device),
            run,
        )
        self._model = self._used(network)
        self._set_calibration(self._heldout(heldout.calibration))

    def load_model(self, folder: Path) -> CompletionModel:
        network = self._new_network()
        load_network(network, folder / WEIGHTS, made_by="train")
        return self._used(network)

    def networks(self) -> dict[str, Exported]:
        """See `Exports`."""
        return {"completion": exported(self._trained.network, self._settings.cube)}

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self._trained.network.parameters())

    def _new_network(self) -> CompletionNet:
        return CompletionNet(self._settings.cube.steps, self._settings.widths)

    def _used(self, network: CompletionNet) -> CompletionModel:
        return CompletionModel(network.to(self._device).eval(), self._settings.cube, self._scoring.batch_size)


def check(name: str, config: DetectorConfig) -> None:
    """Raises ConfigError for settings that the algorithm refuses."""
    EventCompletion.check(name, config)


build = EventCompletion
