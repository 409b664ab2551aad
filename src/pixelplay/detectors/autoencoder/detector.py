"""Detectors that reconstruct clips: a network trained on normal clips reconstructs unusual ones badly.

After Hasan et al., CVPR 2016. `conv_ae`, `denoising_ae` and `st_ae` are configurations of this algorithm.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch.nn import functional as F

from pixelplay.backbones.exports import Exported
from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.detectors.autoencoder.exported import exported
from pixelplay.detectors.autoencoder.network import NETWORKS, Network
from pixelplay.detectors.base import About, identity_of, load_about, save_about
from pixelplay.detectors.clips import ClipDetector
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import ConfigError
from pixelplay.settings import BatchSize, Channels, Pixels, Settings, Share, Window, one_of, validate
from pixelplay.training.clips import Augmentation, Clips, NoiseSettings, as_input
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

POOLINGS = ("mean", "max", "topk", "patch_max")


class TargetedNoise(NoiseSettings):
    target: Literal["noisy", "clean"]  # what a noisy clip's reconstruction is compared with


class AutoencoderSettings(Settings):
    network: Annotated[str, one_of(f"{__name__}:NETWORKS")]
    window: Annotated[int, Field(ge=2, le=10_000)]
    stride: Window
    widths: Annotated[list[Channels], Field(min_length=1, max_length=12)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    noise: TargetedNoise
    vertical_flip: Share  # of the training clips

    @model_validator(mode="after")
    def _windows_fit(self) -> "AutoencoderSettings":
        if self.stride > self.window:
            raise ValueError(f"stride={self.stride} would skip frames between windows of {self.window}")
        halvings = len(self.widths) - 1  # of time
        if self.network == "conv3d" and self.window % 2**halvings:
            why = f"each of the {len(self.widths)} widths but the last halves time in a conv3d network"
            raise ValueError(f"window={self.window}: must be divisible by {2**halvings}, since {why}")
        return self


class AutoencoderScoring(Settings):
    batch_size: BatchSize
    pooling: Annotated[str, one_of(f"{__name__}:POOLINGS")]
    patch: Pixels
    topk: Annotated[float, Field(gt=0, le=1)]


def check(name: str, config: DetectorConfig) -> tuple[AutoencoderSettings, AutoencoderScoring]:
    """The algorithm's typed settings; raises ConfigError for impossible ones."""
    settings = validate(AutoencoderSettings, config.training, f"detectors.{name}.training")
    scoring = validate(AutoencoderScoring, config.scoring, f"detectors.{name}.scoring")
    if config.frames is None or not config.frames.gray:
        raise ConfigError(f"detectors.{name}.frames: the autoencoder needs a size and frames.gray=true")
    factor = 2 ** len(settings.widths)
    for side in ("height", "width"):
        if (pixels := getattr(config.frames, side)) % factor:
            why = f"each of the {len(settings.widths)} widths halves it"
            raise ConfigError(f"detectors.{name}.frames.{side}={pixels}: must be divisible by {factor}, since {why}")
    return settings, scoring


class AutoencoderDetector(ClipDetector):
    """See `Detector` for the contract. One stream per pooling of the error map (`pool_errors`), `<name>/<pooling>`."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self._settings, scoring = check(name, config)
        super().__init__(name, config.frames, self._settings.stride, scoring.batch_size, scoring.pooling)
        self._scoring, self._identity, self._device = scoring, identity_of(config), device
        self._model: Network | None = None
        self._bf16 = False

    @property
    def length(self) -> int:
        return self._settings.window

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        from pixelplay.training.fit import Reconstruction, fit_on  # slow to import

        settings, noise = self._settings, self._settings.noise
        augmentation = Augmentation(noise.amplitude, noise.share, noise.target, settings.vertical_flip)
        torch.manual_seed(run.seed)
        model = self._new_model()
        parts = (videos, heldout.validation)
        clips, held = (Clips(part, self.frames, settings.window, settings.stride) for part in parts)
        fit_on(Reconstruction(model, augmentation, run.config, run.seed), clips, held, run)
        self._model, self._bf16 = model.to(self._device).eval(), autocast_bf16(run.config.precision, self._device)

    @torch.inference_mode()
    def clip_scores(self, clips: np.ndarray, footage: str, last: np.ndarray, causal: bool) -> dict[str, np.ndarray]:
        given, output = self._reconstructed(clips)
        errors = output.sub_(given).square_()  # (B, L, H, W)
        scores = pool_errors(errors[:, -1:] if causal else errors, self._scoring.patch, self._scoring.topk)
        return {pooling: values.cpu().numpy() for pooling, values in scores.items()}

    @torch.inference_mode()
    def reconstruct(self, video: Video, positions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """See `Reconstructs`."""

        def pictures(clips: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            given, output = self._reconstructed(clips)
            return output.cpu().numpy(), (output - given).square_().cpu().numpy()

        return self.means_over_clips(video, positions, pictures)

    def save(self, folder: Path) -> None:
        assert self._model is not None, "fit or load the detector before it is saved"
        save_network(self._model, folder / "weights.safetensors")
        about = About(name=self.name, bf16=self._bf16, parameters=sum(p.numel() for p in self._model.parameters()))
        save_about(folder, about, self._identity)

    def load(self, folder: Path) -> None:
        about = load_about(folder, self._identity)
        model = self._new_model()
        load_network(model, folder / "weights.safetensors", made_by="train")
        self._model, self._bf16 = model.to(self._device).eval(), about.bf16

    def networks(self) -> dict[str, Exported]:
        """See `Exports`."""
        assert self._model is not None, "fit or load the detector before it is exported"
        settings, scoring = self._settings, self._scoring.model_dump()
        return {"autoencoder": exported(self._model, self.frames, settings.window, settings.stride, scoring)}

    def _reconstructed(self, clips: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Clips uint8 (B, L, H, W) as the network's inputs, and its reconstructions of them, both (B, L, H, W)."""
        assert self._model is not None, "fit or load the detector before it scores"
        given = as_input(torch.from_numpy(clips).to(self._device), self._model.memory_format)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            return given, self._model(given)

    def _new_model(self) -> Network:
        settings = self._settings
        return NETWORKS[settings.network](settings.window, settings.widths, settings.dropout)


def pool_errors(errors: torch.Tensor, patch: int, topk: float) -> dict[str, torch.Tensor]:
    """All poolings of error maps (..., H, W), each (...), in one pass.

    mean: over the map. max: the largest pixel. topk: mean of the largest share `topk` of the pixels.
    patch_max: the largest mean over patch x patch squares that overlap by half, cropped at the right and lower edges;
    on a map smaller than `patch`, squares are as large as its shorter side.
    """
    height, width = errors.shape[-2:]
    flat = errors.reshape(-1, 1, height, width)
    largest = flat.flatten(1).topk(max(1, round(topk * height * width)), dim=1).values  # sorted, (N, k)
    side = min(patch, height, width)
    patches = F.avg_pool2d(flat, side, stride=max(1, side // 2), ceil_mode=True)  # (N, 1, rows, columns)
    pooled = (flat.mean(dim=(1, 2, 3)), largest[:, 0], largest.mean(dim=1), patches.amax(dim=(1, 2, 3)))
    return {name: values.reshape(errors.shape[:-2]) for name, values in zip(POOLINGS, pooled, strict=True)}


build = AutoencoderDetector
