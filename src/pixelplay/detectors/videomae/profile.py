"""How far a VideoMAE's encoding of a moment is from the mean of normal footage (Tong et al., NeurIPS 2022).

No tokens are hidden. What is learned is one mean and one variance: the profile.
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
from pixelplay.detectors.videomae.source import ChosenSettings, ChosenVideoMAE, check_chosen
from pixelplay.errors import DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.progress import progress_bar
from pixelplay.settings import BatchSize, NonNegative, Settings, Window, validate
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video
from pixelplay.videos.windows import causal_windows, windows

log = logging.getLogger(__name__)

FILE = "profile.safetensors"
SMALLEST = 1e-12  # least variance, for channels that never change


class ProfileSettings(ChosenSettings):
    stride: Window  # frames between the starts of two training clips
    batch_size: BatchSize  # training clips; not scoring's, since rounding depends on it


class ProfileScoring(Settings):
    stride: Window  # frames between the starts of two clips
    batch_size: BatchSize  # clips
    distance: Literal["mse", "mahalanobis"]  # the default stream's
    variance_floor: NonNegative  # added to each variance, in mean variances


def check(name: str, config: DetectorConfig) -> tuple[ProfileSettings, ProfileScoring]:
    """The algorithm's typed settings; raises ConfigError, or WeightsError for weights not found."""
    settings = validate(ProfileSettings, config.training, f"detectors.{name}.training")
    scoring = validate(ProfileScoring, config.scoring, f"detectors.{name}.scoring")
    check_chosen(name, config, settings)
    return settings, scoring


class VideoMAEProfile:
    """See `Detector` for the contract. One stream per distance from the profile: `<name>/mse`, `<name>/mahalanobis`."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self.name = name
        self._settings, self._scoring = check(name, config)
        strides = {"training.stride": self._settings.stride, "scoring.stride": self._scoring.stride}
        self._chosen = ChosenVideoMAE(name, config, self._settings, device, strides)
        self._profile: Profile | None = None

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        identity = self._chosen.fit(videos, heldout.validation, run).identity
        paths = [run.folder / f"{identity}-{i:05d}.safetensors" for i in range(len(videos))]
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: profile") as bar:
            for video, path in zip(videos, paths, strict=True):
                if not self._is_made(path):  # a killed run goes on with the next video
                    self._profile_of(video).save(path)
                bar.update(len(video))
        self._profile = joined(Profile.load(path, identity) for path in paths)
        if self._profile is None:
            raise DataError(f"{self.name}: no normal footage to make a profile of")

    def score(self, video: Video, causal: bool = False) -> Scores:
        scoring, model = self._scoring, self._chosen.model
        positions = (causal_windows if causal else windows)(len(video), model.frames, scoring.stride)
        clips = (
            (batch, {key: moments.repeat(model.tubelet, axis=1) for key, moments in self._distances(vectors).items()})
            for batch, vectors in self._embeddings(video, positions, scoring.batch_size)
        )
        return Scores.of_clips(self.name, scoring.distance, video, clips, scoring.stride, causal)

    def save(self, folder: Path) -> None:
        assert self._profile is not None, "fit or load the detector before it is saved"
        self._chosen.save(folder, self._chosen.model.model.videomae)
        self._profile.save(folder / FILE)

    def load(self, folder: Path) -> None:
        self._profile = Profile.load(folder / FILE, self._chosen.load(folder).identity)

    def _is_made(self, path: Path) -> bool:
        try:
            Profile.load(path, self._chosen.model.identity)
        except MissingArtifactError:
            return False
        except DamagedArtifactError as error:
            log.warning(f"{self.name}: made again: {error}")
            return False
        return True

    def _profile_of(self, video: Video) -> Profile:
        model, settings = self._chosen.model, self._settings
        positions = windows(len(video), model.frames, settings.stride)
        batches = self._embeddings(video, positions, settings.batch_size)
        whole = joined(
            Profile.of(vectors.reshape(-1, vectors.shape[-1]), settings.videomae, model.identity)
            for _, vectors in batches
        )
        assert whole is not None, "a video has a frame, and so a clip"
        return whole

    def _embeddings(self, video: Video, positions: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of clips: positions int64 (B, T) and a vector for each tubelet, float32 (B, T', d)."""
        for batch, inputs in self._chosen.clips(video, positions, size):
            yield batch, self._chosen.model.embed(inputs).cpu().numpy()

    def _distances(self, embeddings: np.ndarray) -> dict[str, np.ndarray]:
        """Squared distances (B, T') of embeddings (B, T', d) from the profile, each the mean over d."""
        assert self._profile is not None, "fit or load the detector before it scores"
        squares = np.square(embeddings - self._profile.mean)
        variance = self._profile.variance
        floor = max(self._scoring.variance_floor * variance.mean(), SMALLEST)
        return {"mse": squares.mean(axis=-1), "mahalanobis": (squares / (variance + floor)).mean(axis=-1)}


build = VideoMAEProfile
