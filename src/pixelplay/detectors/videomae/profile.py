"""How far a VideoMAE's encoding of a moment is from the mean of normal footage (Tong et al., NeurIPS 2022).

No tokens are hidden. What is learned is one mean and one variance, in one pass: the profile. Sums are combined as in
Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm" (1979).
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from pixelplay.backbones.exports import Exported
from pixelplay.detectors.base import Scores
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.stream import ClipStream, StreamFormat
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
from pixelplay.videos.windows import CausalWindow, causal_windows, windows

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


def joined(profiles: Iterable[Profile]) -> Profile | None:
    """The profile of the vectors of all; None for none."""
    whole = None
    for profile in profiles:
        whole = profile if whole is None else whole.and_of(profile)
    return whole


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


class VideoMAEProfile:
    """See `Detector` for the contract. One stream per distance from the profile: `<name>/mse`, `<name>/mahalanobis`."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self.name = name
        self._settings, self._scoring = check(name, config)
        self._chosen = ChosenVideoMAE(name, config, self._settings, device)
        self._profile: Profile | None = None

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
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
        if self._profile is None:
            raise DataError(f"{self.name}: no normal footage to make a profile of")

    def score(self, video: Video, causal: bool = False) -> Scores:
        scoring, model = self._scoring, self._chosen.model
        positions = (causal_windows if causal else windows)(len(video), model.frames, scoring.stride)
        batches = self._chosen.clips(video, positions, scoring.batch_size)
        clips = ((batch, self._distances(inputs)) for batch, inputs in batches)
        return Scores.of_clips(self.name, scoring.distance, video, clips, scoring.stride, causal)

    def stream(self, footage: StreamFormat) -> ClipStream:
        """See `Streams`."""
        window = CausalWindow[np.ndarray](self._chosen.model.frames, self._scoring.stride)

        def score(clip: np.ndarray, number: int) -> dict[str, np.ndarray]:
            return self._distances(self._chosen.inputs(clip))

        return ClipStream(self.name, self._scoring.distance, self._chosen.frames, window, score)

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
        model, settings = self._chosen.model, self._settings
        positions = windows(len(video), model.frames, settings.stride)
        clips = self._chosen.clips(video, positions, settings.batch_size)
        vectors = (np.concatenate(model.embed(inputs).cpu().numpy()) for _, inputs in clips)  # each (B T', d)
        whole = joined(Profile.of(x, settings.videomae, model.identity) for x in vectors)
        assert whole is not None, "a video has a frame, and so a clip"
        return whole

    def _distances(self, inputs: torch.Tensor) -> dict[str, np.ndarray]:
        """Squared distances (B, T) of the frames of clips from the profile, each its tubelet's, the mean over d."""
        assert self._profile is not None, "fit or load the detector before it scores"
        model = self._chosen.model
        squares = np.square(model.embed(inputs).cpu().numpy() - self._profile.mean)  # (B, T', d)
        variance = self._profile.variance
        floor = max(self._scoring.variance_floor * variance.mean(), SMALLEST)
        distances = {"mse": squares.mean(axis=-1), "mahalanobis": (squares / (variance + floor)).mean(axis=-1)}
        return {key: moments.repeat(model.tubelet, axis=1) for key, moments in distances.items()}


build = VideoMAEProfile
