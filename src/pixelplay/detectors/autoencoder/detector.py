"""Detectors that reconstruct clips: what a network trained on normal clips reconstructs badly is unusual.

After Hasan et al., CVPR 2016. One algorithm; `conv_ae`, `denoising_ae` and `st_ae` are configurations of it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.detectors.autoencoder.error_pooling import POOLINGS, pool_errors
from pixelplay.detectors.autoencoder.network import ConvAutoencoder, SpatioTemporalAutoencoder
from pixelplay.detectors.base import About, Scores, identity_of, load_about, save_about
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import ConfigError
from pixelplay.settings import BatchSize, Channels, Pixels, Settings, Share, Window, validate
from pixelplay.training.augmentation import Augmentation
from pixelplay.training.clips import Clips, OrderedBatches, ShuffledBatches, as_input, loader
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.heldout import Heldout
from pixelplay.videos.video import Video
from pixelplay.videos.windows import FrameScores, causal_windows, windows

Network = ConvAutoencoder | SpatioTemporalAutoencoder
NETWORKS = {"conv2d": ConvAutoencoder, "conv3d": SpatioTemporalAutoencoder}


class NoiseSettings(Settings):
    """Uniform noise in +-amplitude of the range [0, 1], added to this share of the training clips."""

    amplitude: Share
    share: Share
    target: Literal["noisy", "clean"]  # what a noisy clip's reconstruction is compared with


class AutoencoderSettings(Settings):
    network: Literal["conv2d", "conv3d"]
    window: Annotated[int, Field(ge=2, le=10_000)]
    stride: Window
    widths: Annotated[list[Channels], Field(min_length=1, max_length=12)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    noise: NoiseSettings
    vertical_flip: Share  # of the training clips

    @model_validator(mode="after")
    def _windows_fit(self) -> "AutoencoderSettings":
        if self.stride > self.window:
            raise ValueError(f"stride={self.stride} would skip frames between windows of {self.window}")
        halvings = len(self.widths) - 1  # of time
        if self.network == "conv3d" and self.window % 2**halvings:
            raise ValueError(
                f"window={self.window}: must be divisible by {2**halvings}, since each of the {len(self.widths)} "
                "widths but the last halves time in a conv3d network"
            )
        return self


class AutoencoderScoring(Settings):
    batch_size: BatchSize
    pooling: Literal["mean", "max", "topk", "patch_max"]
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
        if getattr(config.frames, side) % factor:
            raise ConfigError(
                f"detectors.{name}.frames.{side}={getattr(config.frames, side)}: must be divisible by {factor}, "
                f"since each of the {len(settings.widths)} widths halves it"
            )
    return settings, scoring


def build(name: str, config: DetectorConfig, device: torch.device) -> "AutoencoderDetector":
    return AutoencoderDetector(name, config, device)


class AutoencoderDetector:
    """See `Detector` for the contract. One stream per pooling of the error map, `<name>/<pooling>`."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self.name = name
        self._config = config
        self._settings, self._scoring = check(name, config)
        self._device = device
        self._model: Network | None = None
        self._bf16 = False

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        # Lightning takes seconds to import, and only training needs it.
        from pixelplay.detectors.autoencoder.reconstruction import Reconstruction
        from pixelplay.training.fit import fit

        settings, batch_size = self._settings, run.config.batch_size
        torch.manual_seed(run.seed)
        model = self._new_model()
        noise = settings.noise
        augmentation = Augmentation(noise.amplitude, noise.share, noise.target, settings.vertical_flip)
        module = Reconstruction(model, augmentation, run.config, run.seed)
        assert self._config.frames is not None
        clips = Clips(videos, self._config.frames, settings.window, settings.stride)
        held = Clips(heldout.validation, self._config.frames, settings.window, settings.stride)
        fit(
            module,
            loader(clips, ShuffledBatches(len(clips), batch_size, run.seed), self._device),
            loader(held, OrderedBatches(len(held), batch_size), self._device),
            run,
        )
        self._use(model, autocast_bf16(run.config.precision, self._device))

    @torch.inference_mode()
    def score(self, video: Video, causal: bool = False) -> Scores:
        settings, scoring = self._settings, self._scoring
        positions = (causal_windows if causal else windows)(len(video), settings.window, settings.stride)
        of_frames = {pooling: FrameScores(len(video), settings.stride, causal) for pooling in POOLINGS}
        for batch, clips, output in self._reconstructed(video, positions):
            errors = output.sub_(clips).square_()  # (B, T, H, W)
            pooled = pool_errors(errors[:, -1:] if causal else errors, scoring.patch, scoring.topk)
            for pooling, values in pooled.items():  # (B, T) or, causally, (B, 1)
                of_frames[pooling].add(batch, values.cpu().numpy())
        streams = {f"{self.name}/{pooling}": scores.result() for pooling, scores in of_frames.items()}
        return Scores({self.name: streams[f"{self.name}/{scoring.pooling}"], **streams}).check(video, self.name)

    @torch.inference_mode()
    def reconstruct(self, video: Video, positions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """See `Reconstructs`."""
        asked = np.array(positions, np.int64)
        all_windows = windows(len(video), self._settings.window, self._settings.stride)
        covering = all_windows[np.isin(all_windows, asked).any(axis=1)]
        assert self._config.frames is not None
        shape = (len(asked), self._config.frames.height, self._config.frames.width)
        reconstructions, errors, count = np.zeros(shape), np.zeros(shape), np.zeros((len(asked), 1, 1))
        for batch, clips, output in self._reconstructed(video, covering):
            for row, position in enumerate(asked):
                of_frame = torch.from_numpy(batch == position)  # (B, T)
                reconstructions[row] += output[of_frame].sum(0).cpu().numpy()
                errors[row] += (output[of_frame] - clips[of_frame]).square_().sum(0).cpu().numpy()
                count[row] += int(of_frame.sum())
        return (reconstructions / count).astype(np.float32), (errors / count).astype(np.float32)

    def save(self, folder: Path) -> None:
        assert self._model is not None, "fit or load the detector before it is saved"
        folder.mkdir(parents=True, exist_ok=True)
        save_network(self._model, folder / "weights.safetensors")
        about = About(name=self.name, bf16=self._bf16, parameters=sum(p.numel() for p in self._model.parameters()))
        save_about(folder, about, identity_of(self._config))

    def load(self, folder: Path) -> None:
        about = load_about(folder, identity_of(self._config))
        model = self._new_model()
        load_network(model, folder / "weights.safetensors", made_by="train")
        self._use(model, about.bf16)

    def _reconstructed(
        self, video: Video, positions: np.ndarray
    ) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
        """Batches of window positions (B, T), their clips and what the network makes of them, both (B, T, H, W)."""
        assert self._model is not None, "fit or load the detector before it scores"
        assert self._config.frames is not None
        frames = video.frames(self._config.frames)
        for start in range(0, len(positions), self._scoring.batch_size):
            batch = positions[start : start + self._scoring.batch_size]
            clips = as_input(torch.from_numpy(frames[batch]).to(self._device), self._model.memory_format)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
                output = self._model(clips)
            yield batch, clips, output

    def _new_model(self) -> Network:
        settings = self._settings
        return NETWORKS[settings.network](settings.window, settings.widths, settings.dropout)

    def _use(self, model: Network, bf16: bool) -> None:
        self._model = model.to(self._device).eval()
        self._bf16 = bf16
