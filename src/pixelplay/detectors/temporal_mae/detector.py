"""Objects as the temporal masked autoencoder sees them: unusual is what it cannot reconstruct from the track's other
moments, and what changes from one moment to the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pixelplay.backbones.exports import Exported
from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.detectors.along_tracks import ByStream, ObjectStream, naming
from pixelplay.detectors.base import About, Scores, identity_of, load_about, save_about
from pixelplay.detectors.calibration import Calibration
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.stream import StreamFormat
from pixelplay.detectors.temporal_mae.exported import exported
from pixelplay.detectors.temporal_mae.network import TemporalMAE
from pixelplay.detectors.temporal_mae.raw_scores import STREAMS, raw_scores, smoothed
from pixelplay.detectors.temporal_mae.sequences import TrackWindows
from pixelplay.detectors.temporal_mae.settings import TemporalMAEScoring, TemporalMAESettings
from pixelplay.detectors.temporal_mae.stream import Averages, RawScores, causal_scores
from pixelplay.errors import ConfigError, DataError
from pixelplay.objects.features import features_of
from pixelplay.objects.labels import tracks_so_far
from pixelplay.objects.tracks import highest, object_rows, tracks_of
from pixelplay.progress import progress_bar
from pixelplay.run.artifacts import damaged
from pixelplay.settings import validate
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

WEIGHTS = "weights.safetensors"
ABOUT = ["video", "frame", "track"]  # columns that say which object a row of the calibration is about
CHECKPOINTS = ("best", "last")  # epochs: that with the lowest held-out loss, and the last one


def check(name: str, config: DetectorConfig) -> tuple[TemporalMAESettings, TemporalMAEScoring]:
    """The algorithm's typed settings; raises ConfigError for impossible ones."""
    settings = validate(TemporalMAESettings, config.training, f"detectors.{name}.training")
    window = settings.window
    scoring = validate(TemporalMAEScoring, config.scoring, f"detectors.{name}.scoring")
    if scoring.stride > window:
        key = f"detectors.{name}.scoring.stride"
        raise ConfigError(f"{key}={scoring.stride}: would skip frames between windows of {window}")
    other = scoring.checkpoint
    if other not in CHECKPOINTS and not (Path(other) / "detector.json").is_file():
        raise ConfigError(
            f"detectors.{name}.scoring.checkpoint={other}: must be best, last, or the folder of another trained "
            f"{name}, such as checkpoints/ped2/{name}, which holds a detector.json"
        )
    return settings, scoring


@dataclass(frozen=True)
class Trained:
    """A checkpoint, and raw scores that it gives normal objects."""

    model: TemporalMAE
    calibration: Calibration

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_network(self.model, folder / WEIGHTS)
        self.calibration.save(folder)


class TemporalMAEDetector:
    """See `Detector` for the contract. Streams: `<name>`, and raw `<name>/reconstruction` and `<name>/embedding`.

    A frame has the highest score of its objects; without objects, the lowest normal one. Every row of the table of
    tracks has a score in each stream (see `Calibration.filled`); in the default stream, the frame's are smoothed along
    the track and the objects' are not.
    """

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self.name = name
        self._config = config
        self._settings, self._scoring = check(name, config)
        self._device = device
        self._checkpoint = self._scoring.checkpoint if self._scoring.checkpoint in CHECKPOINTS else "best"
        self._trained: dict[str, Trained] = {}  # by checkpoint

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        from pixelplay.detectors.temporal_mae.training import Training  # slow to import
        from pixelplay.training.fit import fit_on

        settings = self._settings
        run = replace(run, config=settings.trainer(run.config))
        shape = settings.window, settings.stride, settings.heads.future
        train, held = TrackWindows(videos, *shape), TrackWindows(heldout.validation, *shape)
        for windows, footage in ((train, "training"), (held, "held-out")):
            if not len(windows):
                raise DataError(
                    f"{self.name}: no object with feature maps was followed in {footage} footage: lower "
                    "objects.yolo.confidence, or set objects.method=both"
                )
        torch.manual_seed(run.seed)
        model = self._new_model(train.channels)
        model.standardise(train.statistics())
        fit_on(Training(model, settings, run.config, run.seed), train, held, run)
        last = self._new_model(train.channels)
        state = torch.load(run.folder / "last.ckpt", map_location="cpu", weights_only=True)["state_dict"]
        last.load_state_dict({name.removeprefix("model."): tensor for name, tensor in state.items()})
        for name, one in zip(CHECKPOINTS, (model, last), strict=True):
            self._trained[name] = self._calibrated(one.to(self._device).eval(), heldout.calibration)

    def recalibrate(self, videos: list[Video]) -> None:
        self._trained = {name: self._calibrated(one.model, videos) for name, one in self._trained.items()}

    @torch.inference_mode()
    def score(self, video: Video, causal: bool = False) -> Scores:
        scoring, calibration, named = self._scoring, self._used.calibration, self._naming()
        tracks, features = tracks_of(video), features_of(video, causal)
        if causal:
            tracks, known = tracks_so_far(video)
            raw = causal_scores(self._used.model, tracks, replace(features, row=features.row[known]))
        else:
            raw = raw_scores(self._used.model, tracks, features, scoring.stride, scoring.batch_size)
        objects, least = named(calibration.filled(raw, tracks, causal)), named(calibration.lowest)
        frames = objects | {self.name: smoothed(objects[self.name], tracks, scoring.decay)}
        streams = {name: highest(frames[name], tracks, len(video), float(least[name][0])) for name in frames}
        rows = [object_rows(video, tracks, name, scores) for name, scores in objects.items()]
        return Scores(streams, pd.concat(rows, ignore_index=True)).check(video, self.name)

    def stream(self, footage: StreamFormat) -> ObjectStream:
        raw, averages = RawScores(self._used.model), Averages(self._scoring.decay)
        return ObjectStream(
            raw.at,
            self._used.calibration,
            self._naming(),
            lambda scores, moment: {self.name: averages.at(scores[self.name], moment)},
        )

    def save(self, folder: Path) -> None:
        model = self._used.model
        for name, one in self._trained.items():
            one.save(folder / name)
        parameters = sum(p.numel() for p in model.parameters())
        about = About(name=self.name, bf16=False, parameters=parameters, channels=len(model.mean))
        save_about(folder, about, identity_of(self._config))

    def load(self, folder: Path) -> None:
        """As the contract says; where `scoring.checkpoint` names another folder, what that one holds."""
        if self._scoring.checkpoint not in CHECKPOINTS:
            folder = Path(self._scoring.checkpoint)
        about = load_about(folder, identity_of(self._config))
        if about.channels is None:
            raise damaged(folder / "detector.json", "train", "it does not say how many channels the maps have")
        for name in CHECKPOINTS:
            model = self._new_model(about.channels)
            load_network(model, folder / name / WEIGHTS, made_by="train")
            calibration = Calibration.load(folder / name, ABOUT, STREAMS)
            self._trained[name] = Trained(model.to(self._device).eval(), calibration)

    def networks(self) -> dict[str, Exported]:
        """See `Exports`: those of the epoch that scores."""
        return exported(self._used.model)

    @property
    def _used(self) -> "Trained":
        assert self._trained, "fit or load the detector before it is used"
        return self._trained[self._checkpoint]

    def _naming(self) -> Callable[[ByStream], dict[str, np.ndarray]]:
        """From raw scores by stream, without NaN, to those of all streams of the detector by their full names."""
        return naming(self.name, self._used.calibration, self._scoring.weights, self._scoring.quantile)

    def _new_model(self, channels: int) -> TemporalMAE:
        settings = self._settings
        return TemporalMAE(channels, settings.window, settings.pooling, settings.transformer, settings.heads)

    def _calibrated(self, model: TemporalMAE, videos: list[Video]) -> "Trained":
        hint = f"{self.name} needs feature maps there: lower objects.yolo.confidence, or set objects.method=both"
        return Trained(model, Calibration.of(self._normal(model, videos), ABOUT, STREAMS, hint))

    @torch.inference_mode()
    def _normal(self, model: TemporalMAE, videos: list[Video]) -> pd.DataFrame:
        """Raw scores of the objects of held-out normal footage, in training's windows, whatever scoring's are."""
        settings, parts = self._settings, []
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: held-out footage") as bar:
            for video in videos:
                tracks = tracks_of(video)
                raw = raw_scores(model, tracks, features_of(video), settings.stride, settings.batch_size)
                about = {"video": video.id, "frame": video.numbers[tracks.position], "track": tracks.track}
                parts.append(pd.DataFrame({**about, **raw}))
                bar.update(len(video))
        return pd.concat(parts, ignore_index=True)


build = TemporalMAEDetector
