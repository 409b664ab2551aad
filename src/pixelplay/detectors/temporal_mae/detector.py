"""Objects as the temporal masked autoencoder sees them: unusual is what it cannot reconstruct from the track's other
moments, and what changes from one moment to the next.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.detectors.base import About, Scores, identity_of, load_about, save_about
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.temporal_mae.calibration import STREAMS, Calibration, Raw, smoothed
from pixelplay.detectors.temporal_mae.losses import consecutive
from pixelplay.detectors.temporal_mae.network import TemporalMAE
from pixelplay.detectors.temporal_mae.sequences import (
    TrackWindows,
    causal_sequences,
    read_maps,
    sequences,
)
from pixelplay.detectors.temporal_mae.settings import TemporalMAEScoring, TemporalMAESettings
from pixelplay.errors import ConfigError, DataError
from pixelplay.objects.boxes import COORDINATES
from pixelplay.objects.features import Features, features_of
from pixelplay.objects.tracks import Tracks, tracks_of
from pixelplay.progress import progress_bar
from pixelplay.run.artifacts import damaged
from pixelplay.settings import validate
from pixelplay.training.clips import OrderedBatches, ShuffledBatches, loader
from pixelplay.training.run import TrainingRun
from pixelplay.videos.heldout import Heldout
from pixelplay.videos.video import Video

WEIGHTS = "weights.safetensors"


def check(name: str, config: DetectorConfig) -> tuple[TemporalMAESettings, TemporalMAEScoring]:
    """The algorithm's typed settings; raises ConfigError for impossible ones."""
    settings = validate(TemporalMAESettings, config.training, f"detectors.{name}.training")
    window = settings.window
    scoring = validate(TemporalMAEScoring, config.scoring, f"detectors.{name}.scoring")
    if scoring.stride > window:
        key = f"detectors.{name}.scoring.stride"
        raise ConfigError(f"{key}={scoring.stride}: would skip frames between windows of {window}")
    return settings, scoring


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
        self._model: TemporalMAE | None = None
        self._calibration: Calibration | None = None

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        from pixelplay.detectors.temporal_mae.training import Training  # slow to import
        from pixelplay.training.fit import fit

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
        fit(
            Training(model, settings, run.config, run.seed),
            loader(train, ShuffledBatches(len(train), settings.batch_size, run.seed), self._device),
            loader(held, OrderedBatches(len(held), settings.batch_size), self._device),
            run,
        )
        self._use(model)
        self._calibration = Calibration.of(self._normal(heldout.calibration), self.name)

    @torch.inference_mode()
    def score(self, video: Video, causal: bool = False) -> Scores:
        calibration, scoring = self._calibrated, self._scoring
        tracks = tracks_of(video)
        raw = self._raw(tracks, features_of(video), causal, scoring.stride, scoring.batch_size)
        filled = calibration.filled(raw, tracks, causal)
        combined = calibration.combined(filled, scoring)
        lowest = calibration.lowest
        objects = {self.name: combined, **{f"{self.name}/{stream}": filled[stream] for stream in STREAMS}}
        frames = objects | {self.name: smoothed(combined, tracks, scoring.decay)}
        least = {self.name: calibration.combined(lowest, scoring)}
        least |= {f"{self.name}/{stream}": lowest[stream] for stream in STREAMS}
        streams = {name: _highest(frames[name], tracks, len(video), float(least[name][0])) for name in frames}
        return Scores(streams, _table(video, tracks, objects)).check(video, self.name)

    def save(self, folder: Path) -> None:
        model = self._network
        save_network(model, folder / WEIGHTS)
        self._calibrated.save(folder)
        parameters = sum(p.numel() for p in model.parameters())
        about = About(name=self.name, bf16=False, parameters=parameters, channels=len(model.mean))
        save_about(folder, about, identity_of(self._config))

    def load(self, folder: Path) -> None:
        about = load_about(folder, identity_of(self._config))
        if about.channels is None:
            raise damaged(folder / "detector.json", "train", "it does not say how many channels the maps have")
        model = self._new_model(about.channels)
        load_network(model, folder / WEIGHTS, made_by="train")
        self._use(model)
        self._calibration = Calibration.load(folder, self.name)

    @property
    def _network(self) -> TemporalMAE:
        assert self._model is not None, "fit or load the detector before it is used"
        return self._model

    @property
    def _calibrated(self) -> Calibration:
        assert self._calibration is not None, "fit or load the detector before it is used"
        return self._calibration

    def _new_model(self, channels: int) -> TemporalMAE:
        settings = self._settings
        return TemporalMAE(channels, settings.window, settings.pooling, settings.transformer, settings.heads)

    def _use(self, model: TemporalMAE) -> None:
        self._model = model.to(self._device).eval()

    @torch.inference_mode()
    def _normal(self, videos: list[Video]) -> pd.DataFrame:
        """Raw scores of the objects of held-out normal footage, in training's windows, whatever scoring's are."""
        settings, parts = self._settings, []
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: held-out footage") as bar:
            for video in videos:
                tracks = tracks_of(video)
                raw = self._raw(tracks, features_of(video), False, settings.stride, settings.batch_size)
                about = {"video": video.id, "frame": video.numbers[tracks.position], "track": tracks.track}
                parts.append(pd.DataFrame({**about, **raw}))
                bar.update(len(video))
        return pd.concat(parts, ignore_index=True)

    def _raw(self, tracks: Tracks, features: Features, causal: bool, stride: int, batch_size: int) -> Raw:
        """Means over the windows that cover a row, causally of the window that ends there; NaN where it has none."""
        length = self._settings.window
        every = causal_sequences(tracks, features, length) if causal else sequences(tracks, features, length, stride)
        sums, counts = np.zeros((2, len(tracks))), np.zeros((2, len(tracks)))
        steps = slice(length - 1, None) if causal else slice(None)
        for rows, real in _full_batches(every.rows, batch_size):
            maps = torch.from_numpy(read_maps(features, rows)).to(self._device)
            found = self._window_scores(maps, torch.from_numpy(rows >= 0).to(self._device), steps)
            at = rows[:real, steps]
            for i, values in enumerate(found):
                scored = values[:real].cpu().double().numpy()  # (n, K)
                there = (at >= 0) & np.isfinite(scored)
                np.add.at(sums[i], at[there], scored[there])
                np.add.at(counts[i], at[there], 1)
        with np.errstate(invalid="ignore"):
            return dict(zip(STREAMS, sums / counts, strict=True))

    def _window_scores(
        self, maps: torch.Tensor, valid: torch.Tensor, steps: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Of K steps of windows of maps (B, T, C, S, S): reconstruction errors, each step masked alone in turn, and
        1 - cosine with the embedding of the step before, unmasked, NaN where there is none; both (B, K).
        """
        model = self._network
        count, length = valid.shape
        hidden = torch.eye(length, dtype=torch.bool, device=valid.device)[steps]  # (K, T)
        turns = len(hidden)
        tokens, targets = model.tokens(maps), model.targets(maps)  # (B, T, d), (B, T, C)
        encoded = model.encode(
            tokens.repeat_interleave(turns, 0), valid.repeat_interleave(turns, 0), hidden.repeat(count, 1)
        )  # (B * K, T, d)
        masked = encoded[hidden.repeat(count, 1)].unflatten(0, (count, turns))  # (B, K, d)
        errors = (model.reconstruction(masked) - targets[:, steps]).square().mean(dim=-1)
        embedded = model.embed(model.encode(tokens, valid, torch.zeros_like(valid)))  # (B, T, E)
        before = consecutive(valid)  # (B, T)
        earlier = embedded.gather(1, before.clamp(min=0)[..., None].expand_as(embedded))
        apart = (1 - (embedded * earlier).sum(dim=-1)).clamp(min=0).masked_fill(before < 0, torch.nan)
        return errors, apart[:, steps]


def _full_batches(rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of exactly `size` windows, the last filled up with copies, and how many are none.

    Rounding depends on the shape of a batch: so the footage that follows changes no causal score.
    """
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield np.pad(part, ((0, size - len(part)), (0, 0)), mode="edge"), len(part)


def _highest(scores: np.ndarray, tracks: Tracks, frames: int, least: float) -> np.ndarray:
    """Of the objects of each frame, float32 (T,); `least` for a frame without any."""
    result = np.full(frames, -np.inf)
    np.maximum.at(result, tracks.position, scores)
    return np.where(np.isinf(result), least, result).astype(np.float32)


def _table(video: Video, tracks: Tracks, objects: Raw) -> pd.DataFrame:
    """`Scores.objects`: every row of the table of tracks, in each stream."""
    rows = pd.DataFrame({"frame": video.numbers[tracks.position], "track": tracks.track})
    rows[COORDINATES] = tracks.xyxy
    rows["class"] = pd.Series(tracks.label.tolist(), dtype="str")
    parts = [rows.assign(stream=name, score=scores.astype(np.float32)) for name, scores in objects.items()]
    return pd.concat(parts, ignore_index=True)


build = TemporalMAEDetector
