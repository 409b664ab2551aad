"""The VideoMAE that a detector's settings choose: checked before any work, had or trained, and had again to score."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from pixelplay.detectors.base import About, identity_of, load_about, save_about
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videomae.hub import check_videomae, side_of
from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.pretrain import PretrainingSettings, check_own, own_videomae
from pixelplay.errors import ConfigError
from pixelplay.run.artifacts import damaged, missing
from pixelplay.settings import Settings
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

IN_DOMAIN = "in_domain"
FOLDER = "videomae"  # of a model of the run's own, in the folder of a trained detector


class ChosenSettings(Settings):
    videomae: Annotated[str, Field(min_length=1)]  # a hub name, a folder, or in_domain
    center_crop: bool  # the image processor's own short-side resize and centre crop; false: the whole frame
    pretraining: PretrainingSettings  # for in_domain


def check_chosen(name: str, config: DetectorConfig, settings: ChosenSettings) -> None:
    """Raise ConfigError for settings of a detector that don't fit, WeightsError for weights that are not to be had."""
    frames = config.frames
    if frames is None or frames.gray or not (settings.center_crop or frames.height == frames.width):
        raise ConfigError(
            f"detectors.{name}.frames: gray must be false and, unless training.center_crop=true, height equal to width"
        )
    if settings.videomae != IN_DOMAIN:
        check_videomae(settings.videomae)
        side = side_of(settings.videomae)
        if side is not None:
            _require_size(name, frames, settings, side)
        return
    if settings.center_crop:
        raise ConfigError(
            f"detectors.{name}.training.center_crop=true is for pretrained models: with weights.videomae=in_domain the "
            "model learns whole frames"
        )
    check_own(settings.pretraining, frames.height, f"detectors.{name}.training.pretraining")


def first_videomae(
    settings: ChosenSettings, config: DetectorConfig, videos: list[Video], heldout: list[Video], run: TrainingRun
) -> VideoMAE:
    """The chosen model, one of the run's own trained first where it has not been. For `Detector.fit`."""
    assert config.frames is not None
    source: str | Path = settings.videomae
    if settings.videomae == IN_DOMAIN:
        source = own_videomae(videos, heldout, settings.pretraining, config.frames, run)
    bf16 = autocast_bf16(run.config.precision, run.device)
    try:
        model = VideoMAE.load(source, run.device, bf16=bf16)
    except Exception as error:  # transformers raises all kinds for damaged settings
        if settings.videomae != IN_DOMAIN:
            raise
        log.warning(f"{run.name}: {source}/ is damaged and made again ({error})")
        shutil.rmtree(source)
        source = own_videomae(videos, heldout, settings.pretraining, config.frames, run)
        model = VideoMAE.load(source, run.device, bf16=bf16)
    _require_size(run.name, config.frames, settings, model.side)
    return model


def save_videomae(name: str, model: VideoMAE, used: torch.nn.Module, config: DetectorConfig, folder: Path) -> None:
    """Write detector.json, and the model itself where the run trained it. used: the part that the detector needs."""
    if config.training["videomae"] == IN_DOMAIN:
        model.save(folder / FOLDER)
    parameters = sum(p.numel() for p in used.parameters())
    about = About(name=name, bf16=model.bf16, parameters=parameters, videomae=model.identity)
    save_about(folder, about, _identity(config))


def load_videomae(settings: ChosenSettings, config: DetectorConfig, folder: Path, device: torch.device) -> VideoMAE:
    """The model that a detector saved in `folder` was trained with.

    Raises ConfigError for a detector of other settings or another VideoMAE, and MissingArtifactError or
    DamagedArtifactError for files of the run.
    """
    about = load_about(folder, _identity(config))
    source = settings.videomae
    if source == IN_DOMAIN:
        return _own(folder / FOLDER, device, about)
    model = VideoMAE.load(source, device, bf16=about.bf16)
    if model.identity != about.videomae:
        raise ConfigError(
            f"{folder} holds a detector trained with another VideoMAE ({about.videomae}) than {source} holds now "
            f"({model.identity}): train again"
        )
    return model


def _identity(config: DetectorConfig) -> dict[str, Any]:
    """Without the VideoMAE's name: `load_videomae` compares the weights, wherever they lie."""
    return identity_of(config, {key: value for key, value in config.training.items() if key != "videomae"})


def _own(folder: Path, device: torch.device, about: About) -> VideoMAE:
    """A model of the run's own; raises MissingArtifactError, or DamagedArtifactError."""
    if not folder.is_dir():
        raise missing(folder, "train")
    try:
        model = VideoMAE.load(folder, device, bf16=about.bf16)
    except Exception as error:  # transformers raises all kinds for damaged settings
        raise damaged(folder, "train", error) from None
    if model.identity != about.videomae:
        raise damaged(folder, "train", "it is not the model that the detector was trained with")
    return model


def clip_batches(
    model: VideoMAE, video: Video, frames: FrameFormat, crop: bool, positions: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Batches of clips: positions int64 (B, T) and the model's inputs, float32 (B, T, 3, side, side)."""
    array = video.frames(frames)
    for start in range(0, len(positions), size):
        batch = positions[start : start + size]
        yield batch, model.inputs(array[batch], crop)


def require_stride(name: str, part: str, stride: int, model: VideoMAE) -> None:
    if stride > model.frames:
        raise ConfigError(f"detectors.{name}.{part}.stride={stride}: would skip frames between clips of {model.frames}")


def _require_size(name: str, frames: FrameFormat, settings: ChosenSettings, side: int) -> None:
    """Frames are cached in the size that the model sees, so that none is resized twice; cropped ones no smaller."""
    fits = min(frames.height, frames.width) >= side if settings.center_crop else frames.height == side
    if not fits:
        raise ConfigError(
            f"detectors.{name}.frames: {frames.width}x{frames.height}, but weights.videomae={settings.videomae} sees "
            f"{side}x{side}: set weights.image_size={side}, or detectors.{name}.frames.height and .width"
            + (" (no smaller, to be cropped)" if settings.center_crop else "")
        )
