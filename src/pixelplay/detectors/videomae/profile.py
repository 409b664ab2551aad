"""How far a VideoMAE's encoding of a moment is from the mean of normal footage (Tong et al., NeurIPS 2022).

Nothing is hidden and nothing is drawn. What is learnt is one mean and one variance: the profile.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from pixelplay.detectors.base import Scores
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videomae.mean_variance import Profile, joined
from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.source import (
    ChosenSettings,
    check_chosen,
    clip_batches,
    first_videomae,
    load_videomae,
    require_stride,
    save_videomae,
)
from pixelplay.errors import DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.progress import progress_bar
from pixelplay.settings import BatchSize, NonNegative, Settings, Window, validate
from pixelplay.training.run import TrainingRun
from pixelplay.videos.heldout import Heldout
from pixelplay.videos.video import Video
from pixelplay.videos.windows import FrameScores, causal_windows, windows

log = logging.getLogger(__name__)

DISTANCES = ("mse", "mahalanobis")
FILE = "profile.safetensors"
SMALLEST = 1e-12  # variance of numbers that are all the same


class ProfileSettings(ChosenSettings):
    stride: Window  # frames between the starts of two training clips


class ProfileScoring(Settings):
    stride: Window  # frames between the starts of two clips
    batch_size: BatchSize  # clips
    distance: Literal["mse", "mahalanobis"]  # the default stream's
    variance_floor: NonNegative  # added to each variance, in mean variances


def check(name: str, config: DetectorConfig) -> tuple[ProfileSettings, ProfileScoring]:
    """The algorithm's typed settings; raises ConfigError, or WeightsError for weights not to be had."""
    settings = validate(ProfileSettings, config.training, f"detectors.{name}.training")
    scoring = validate(ProfileScoring, config.scoring, f"detectors.{name}.scoring")
    check_chosen(name, config, settings)
    return settings, scoring


def build(name: str, config: DetectorConfig, device: torch.device) -> "VideoMAEProfile":
    return VideoMAEProfile(name, config, device)


class VideoMAEProfile:
    """See `Detector` for the contract. One stream per distance from the profile, `<name>/<distance>`."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self.name = name
        self._config = config
        self._settings, self._scoring = check(name, config)
        self._device = device
        self._model: VideoMAE | None = None
        self._profile: Profile | None = None

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        model = first_videomae(self._settings, self._config, videos, heldout.validation, run)
        self._use(model)
        paths = [run.folder / f"{model.identity}-{i:05d}.safetensors" for i in range(len(videos))]
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: profile") as bar:
            for video, path in zip(videos, paths, strict=True):
                if not self._is_made(path, model):  # a killed run goes on with the next video
                    self._profile_of(video, model).save(path)
                bar.update(len(video))
        self._profile = joined(Profile.load(path, model.identity) for path in paths)
        if self._profile is None:
            raise DataError(f"{self.name}: no normal footage to make a profile of")

    def score(self, video: Video, causal: bool = False) -> Scores:
        stride, model = self._scoring.stride, self._usable()
        positions = (causal_windows if causal else windows)(len(video), model.frames, stride)
        of_frames = {distance: FrameScores(len(video), stride, causal) for distance in DISTANCES}
        for batch, embeddings in self._embeddings(video, positions, self._scoring.batch_size):
            for distance, moments in self._distances(embeddings).items():  # (B, T')
                of_frames[distance].add(batch, moments.repeat(model.tubelet, axis=1))
        streams = {f"{self.name}/{distance}": scores.result() for distance, scores in of_frames.items()}
        default = streams[f"{self.name}/{self._scoring.distance}"]
        return Scores({self.name: default, **streams}).check(video, self.name)

    def save(self, folder: Path) -> None:
        model = self._usable()
        assert self._profile is not None, "fit or load the detector before it is saved"
        folder.mkdir(parents=True, exist_ok=True)
        self._profile.save(folder / FILE)
        save_videomae(self.name, model, model.model.videomae, self._config, folder)

    def load(self, folder: Path) -> None:
        model = load_videomae(self._settings, self._config, folder, self._device)
        self._use(model)
        self._profile = Profile.load(folder / FILE, model.identity)

    def _is_made(self, path: Path, model: VideoMAE) -> bool:
        try:
            Profile.load(path, model.identity)
        except MissingArtifactError:
            return False
        except DamagedArtifactError as error:
            log.warning(f"{self.name}: made again: {error}")
            return False
        return True

    def _profile_of(self, video: Video, model: VideoMAE) -> Profile:
        positions = windows(len(video), model.frames, self._settings.stride)
        parts = self._embeddings(video, positions, self._scoring.batch_size)
        name = self._settings.videomae
        whole = joined(Profile.of(e.reshape(-1, e.shape[-1]), name, model.identity) for _, e in parts)
        assert whole is not None, "a video has a frame, and so a clip"
        return whole

    def _embeddings(self, video: Video, positions: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of clips: positions int64 (B, T) and a vector for each tubelet, float32 (B, T', d)."""
        assert self._config.frames is not None
        model = self._usable()
        for batch, inputs in clip_batches(
            model, video, self._config.frames, self._settings.center_crop, positions, size
        ):
            yield batch, model.embed(inputs).cpu().numpy()

    def _distances(self, embeddings: np.ndarray) -> dict[str, np.ndarray]:
        """Squared distances (B, T') of embeddings (B, T', d) from the profile, each the mean over d."""
        assert self._profile is not None, "fit or load the detector before it scores"
        squares = np.square(embeddings - self._profile.mean)
        variance = self._profile.variance
        floor = max(self._scoring.variance_floor * variance.mean(), SMALLEST)
        return {"mse": squares.mean(axis=-1), "mahalanobis": (squares / (variance + floor)).mean(axis=-1)}

    def _usable(self) -> VideoMAE:
        assert self._model is not None, "fit or load the detector before it is used"
        return self._model

    def _use(self, model: VideoMAE) -> None:
        for part, stride in (("training", self._settings.stride), ("scoring", self._scoring.stride)):
            require_stride(self.name, part, stride, model)
        self._model = model
