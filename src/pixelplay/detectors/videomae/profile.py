"""How far a VideoMAE's encoding of a moment is from the mean of normal footage (Tong et al., NeurIPS 2022).

No tokens are hidden. What is learned is one mean and one variance, in one pass: the profile. Sums are combined as in
Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm" (1979).
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from pixelplay.backbones.exports import Exported
from pixelplay.detectors.clips import ClipDetector
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videomae.exported import encoder
from pixelplay.detectors.videomae.source import ChosenSettings, ChosenVideoMAE, check_chosen
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.progress import progress_bar
from pixelplay.run.artifacts import damaged, missing
from pixelplay.run.atomic import atomic
from pixelplay.settings import BatchSize, NonNegative, Settings, Window
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows

log = logging.getLogger(__name__)

FILE = "profile.safetensors"
ABOUT = "profile"  # in the file's metadata, as JSON
SMALLEST = 1e-12  # least variance, for channels that never change


@dataclass(frozen=True)
class Profile:
    """Mean and summed squared deviations from it, float64 (d,), of `count` vectors that a model made.

    model: its name, for people; identity: its fingerprint; profiles of different models can't be compared.
    """

    count: int
    mean: np.ndarray
    deviations: np.ndarray
    model: str
    identity: str

    @property
    def variance(self) -> np.ndarray:
        """Of the vectors, float64 (d,)."""
        return self.deviations / self.count

    @classmethod
    def of(cls, vectors: np.ndarray, model: str, identity: str) -> "Profile":
        """The profile of vectors (N, d), one or more."""
        values = vectors.astype(np.float64)
        mean = values.mean(axis=0)
        return cls(len(values), mean, np.square(values - mean).sum(axis=0), model, identity)

    def and_of(self, other: "Profile") -> "Profile":
        """The profile of the vectors of both; raises ConfigError for those of another model."""
        if other.identity != self.identity:
            raise ConfigError(f"profile of another model ({other.identity} instead of {self.identity}): train again")
        count, apart = self.count + other.count, other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        deviations = self.deviations + other.deviations + np.square(apart) * (self.count * other.count / count)
        return Profile(count, mean, deviations, self.model, self.identity)

    def save(self, path: Path) -> None:
        about = json.dumps({"model": self.model, "identity": self.identity, "count": self.count})
        with atomic(path) as temporary:  # one entry: safetensors writes several in an order that differs by run
            save_file({"mean": self.mean, "deviations": self.deviations}, temporary, {ABOUT: about})

    @classmethod
    def load(cls, path: Path, identity: str) -> "Profile":
        """What `save` wrote; raises MissingArtifactError, or DamagedArtifactError, also for another model's profile."""
        if not path.is_file():
            raise missing(path, "train")
        try:
            with safe_open(path, "numpy") as file:
                about = json.loads(file.metadata()[ABOUT])
                mean, deviations = file.get_tensor("mean"), file.get_tensor("deviations")
            profile = cls(int(about["count"]), mean, deviations, str(about["model"]), about["identity"])
            kinds = [f"{x.dtype} {x.shape}" for x in (mean, deviations)]
            if kinds != 2 * [f"float64 ({mean.size},)"]:
                raise ValueError(f"{' and '.join(kinds)}, not float64 (d,)")
            if profile.count < 1 or not np.isfinite([mean, deviations]).all() or (deviations < 0).any():
                raise ValueError("not a mean and a variance")
        except Exception as error:  # safetensors raises its own, plain Exceptions
            raise damaged(path, "train", error) from None
        if profile.identity != identity:
            raise damaged(path, "train", f"made by another model ({profile.identity}) than is used now ({identity})")
        return profile


def joined(profiles: Iterable[Profile]) -> Profile:
    """The profile of the vectors of all, one or more."""
    return reduce(Profile.and_of, profiles)


class ProfileSettings(ChosenSettings):
    stride: Window  # frames between the starts of two training clips
    batch_size: BatchSize  # training clips; not scoring's, since rounding depends on it


class ProfileScoring(Settings):
    stride: Window  # frames between the starts of two clips
    batch_size: BatchSize  # clips
    distance: Literal["mse", "mahalanobis"]  # the default stream's
    variance_floor: NonNegative  # added to each variance, in mean variances


def check(name: str, config: DetectorConfig) -> tuple[ProfileSettings, ProfileScoring]:
    return check_chosen(name, config, ProfileSettings, ProfileScoring)


class VideoMAEProfile(ClipDetector):
    """See `Detector` for the contract. One stream per distance from the profile: `<name>/mse`, `<name>/mahalanobis`."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self._settings, scoring = check(name, config)
        super().__init__(name, config.frames, scoring.stride, scoring.batch_size, scoring.distance)
        self._scoring, self._chosen = scoring, ChosenVideoMAE(name, config, self._settings, device)
        self._profile: Profile | None = None

    @property
    def length(self) -> int:
        return self._chosen.model.frames

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        if not videos:
            raise DataError(f"{self.name}: no normal footage to make a profile of")
        identity = self._chosen.fit(videos, heldout.validation, run).identity
        paths = [run.folder / f"{identity}-{i:05d}.safetensors" for i in range(len(videos))]
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: profile") as bar:
            for video, path in zip(videos, paths, strict=True):  # a killed run goes on with the next video
                try:
                    Profile.load(path, identity)
                except (MissingArtifactError, DamagedArtifactError) as error:
                    if path.is_file():
                        log.warning(f"{self.name}: made again: {error}")
                    self._profile_of(video).save(path)
                bar.update(len(video))
        self._profile = joined(Profile.load(path, identity) for path in paths)

    def clip_scores(self, clips: np.ndarray, footage: str, last: np.ndarray, causal: bool) -> dict[str, np.ndarray]:
        """Squared distances of the frames from the profile, each its tubelet's, the mean over d."""
        assert self._profile is not None, "fit or load the detector before it scores"
        model = self._chosen.model
        squares = np.square(self._embedded(clips) - self._profile.mean)  # (B, T', d)
        variance = self._profile.variance
        floor = max(self._scoring.variance_floor * variance.mean(), SMALLEST)
        distances = {"mse": squares.mean(axis=-1), "mahalanobis": (squares / (variance + floor)).mean(axis=-1)}
        return {key: moments.repeat(model.tubelet, axis=1) for key, moments in distances.items()}

    def save(self, folder: Path) -> None:
        assert self._profile is not None, "fit or load the detector before it is saved"
        self._chosen.save(folder, self._chosen.model.model.videomae)
        self._profile.save(folder / FILE)

    def load(self, folder: Path) -> None:
        self._profile = Profile.load(folder / FILE, self._chosen.load(folder).identity)

    def networks(self) -> dict[str, Exported]:
        """See `Exports`."""
        scoring = self._scoring
        squares = "(vectors - mean) ** 2, mean and variance (deviations / count) as in profile.safetensors"
        after = {
            "mse": f"mean over the width of {squares}",
            "mahalanobis": "the same over (variance + variance_floor times the mean of all variances)",
            "variance_floor": scoring.variance_floor,
            "distance": scoring.distance,
            "score": "that of the last moment; between two clips it stays",
        }
        return {"encoder": encoder(self._chosen.model, {"stride": scoring.stride} | self._chosen.resizing, after)}

    def _profile_of(self, video: Video) -> Profile:
        settings, identity = self._settings, self._chosen.model.identity
        positions = windows(len(video), self.length, settings.stride)
        clips = (clips for _, clips in self.clips(video, positions, settings.batch_size))
        vectors = (np.concatenate(self._embedded(batch)) for batch in clips)  # each (B T', d)
        return joined(Profile.of(x, settings.videomae, identity) for x in vectors)

    def _embedded(self, clips: np.ndarray) -> np.ndarray:
        return self._chosen.model.embed(self._chosen.inputs(clips)).cpu().numpy()


build = VideoMAEProfile
