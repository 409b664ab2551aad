"""The VideoMAE that a detector's settings choose: pretrained, or trained in the run; checked before any work."""

import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import torch
from pydantic import Field

from pixelplay.backbones.exports import AREA
from pixelplay.detectors.base import About, identity_of, load_about, save_about
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videomae.hub import check_videomae, side_of
from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.pretrain import PretrainingSettings, check_pretraining, pretrained_videomae
from pixelplay.errors import ConfigError
from pixelplay.run.artifacts import damaged, missing
from pixelplay.settings import Settings, SettingsT, validate
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

IN_DOMAIN = "in_domain"
FOLDER = "videomae"  # of a model trained in the run, in the detector's folder


class ChosenSettings(Settings):
    videomae: Annotated[str, Field(min_length=1)]  # a hub name, a folder, or in_domain
    center_crop: bool  # the image processor's own short-side resize and centre crop; false: the whole frame
    pretraining: PretrainingSettings  # for in_domain


ChosenT = TypeVar("ChosenT", bound=ChosenSettings)


def check_chosen(
    name: str, config: DetectorConfig, training: type[ChosenT], scoring: type[SettingsT]
) -> tuple[ChosenT, SettingsT]:
    """A detector's typed settings; ConfigError for impossible ones, WeightsError for weights not found."""
    settings = validate(training, config.training, f"detectors.{name}.training")
    typed_scoring = validate(scoring, config.scoring, f"detectors.{name}.scoring")
    frames = config.frames
    if frames is None or frames.gray or not (settings.center_crop or frames.height == frames.width):
        raise ConfigError(
            f"detectors.{name}.frames: gray must be false and, unless training.center_crop=true, height equal to width"
        )
    if settings.videomae != IN_DOMAIN:
        check_videomae(settings.videomae)
        if (side := side_of(settings.videomae)) is not None:
            _require_size(name, frames, settings, side)
    elif settings.center_crop:
        raise ConfigError(
            f"detectors.{name}.training.center_crop=true is for pretrained models: with weights.videomae=in_domain the "
            "model learns whole frames"
        )
    else:
        check_pretraining(settings.pretraining, frames.height, f"detectors.{name}.training.pretraining")
    return settings, typed_scoring


class ChosenVideoMAE:
    """The VideoMAE of one detector, whose strides may not skip frames between clips. `fit` or `load` it first."""

    def __init__(self, name: str, config: DetectorConfig, settings: ChosenSettings, device: torch.device):
        assert config.frames is not None, "see check_chosen"
        self.frames = config.frames
        self._name, self._config, self._settings, self._device = name, config, settings, device
        own = {key: value for key, value in config.training.items() if key != "videomae"}
        self._identity = identity_of(config, own)  # without the model's name: its weights are compared
        self._model: VideoMAE | None = None

    @property
    def model(self) -> VideoMAE:
        assert self._model is not None, "fit or load the detector before it is used"
        return self._model

    def fit(self, videos: list[Video], heldout: list[Video], run: TrainingRun) -> VideoMAE:
        """Load the model; with in_domain, train it first if no other detector of the run has."""
        load = partial(VideoMAE.load, device=run.device, bf16=autocast_bf16(run.config.precision, run.device))
        if self._settings.videomae != IN_DOMAIN:
            return self._use(load(self._settings.videomae))
        pretrained = partial(pretrained_videomae, videos, heldout, self._settings.pretraining, self.frames, run)
        source = pretrained()
        try:
            model = load(source)
        except Exception as error:  # transformers raises various errors for damaged settings
            log.warning(f"{run.name}: {source}/ is damaged and trained again ({error})")
            shutil.rmtree(source)
            model = load(pretrained())
        return self._use(model)

    def save(self, folder: Path, used: torch.nn.Module) -> None:
        """Write detector.json, and the model if it was trained in the run. used: the part that scores are made with."""
        if self._settings.videomae == IN_DOMAIN:
            self.model.save(folder / FOLDER)
        parameters = sum(p.numel() for p in used.parameters())
        about = About(name=self._name, bf16=self.model.bf16, parameters=parameters, videomae=self.model.identity)
        save_about(folder, about, self._identity)

    def load(self, folder: Path) -> VideoMAE:
        """The model that the detector saved in `folder` was trained with.

        Raises ConfigError for a detector with other settings or another VideoMAE, MissingArtifactError or
        DamagedArtifactError for a model trained in the run.
        """
        about = load_about(folder, self._identity)
        source, own = self._settings.videomae, folder / FOLDER
        if source != IN_DOMAIN:
            model = VideoMAE.load(source, self._device, bf16=about.bf16)
            if model.identity != about.videomae:
                raise ConfigError(
                    f"{folder} holds a detector trained with another VideoMAE ({about.videomae}) than {source} holds "
                    f"now ({model.identity}): train again"
                )
            return self._use(model)
        if not own.is_dir():
            raise missing(own, "train")
        try:
            model = VideoMAE.load(own, self._device, bf16=about.bf16)
        except Exception as error:  # transformers raises various errors for damaged settings
            raise damaged(own, "train", error) from None
        if model.identity != about.videomae:
            raise damaged(own, "train", "not the model that the detector was trained with")
        return self._use(model)

    def inputs(self, clips: np.ndarray) -> torch.Tensor:
        """The model's inputs, float32 (B, T, 3, side, side), of clips uint8 (B, T, H, W, 3) in the working size."""
        return self.model.inputs(clips, self._settings.center_crop)

    @property
    def resizing(self) -> dict[str, str]:
        """Of exported networks' `preprocessing`, where the image processor's own is not the whole frame's."""
        crop = (
            f"{AREA}, to {self.frames.width} x {self.frames.height}; then the short side bilinearly, the centre cropped"
        )
        return {"resize": crop} if self._settings.center_crop else {}

    def _use(self, model: VideoMAE) -> VideoMAE:
        _require_size(self._name, self.frames, self._settings, model.side)
        for part, settings in (("training", self._config.training), ("scoring", self._config.scoring)):
            if (stride := settings.get("stride", 1)) > model.frames:
                key = f"detectors.{self._name}.{part}.stride"
                raise ConfigError(f"{key}={stride}: would skip frames between clips of {model.frames}")
        self._model = model
        return model


def _require_size(name: str, frames: FrameFormat, settings: ChosenSettings, side: int) -> None:
    """Frames are cached in the size that the model sees, so that none is resized twice; cropped ones no smaller."""
    if not (min(frames.height, frames.width) >= side if settings.center_crop else frames.height == side):
        raise ConfigError(
            f"detectors.{name}.frames: {frames.width}x{frames.height}, but weights.videomae={settings.videomae} sees "
            f"{side}x{side}: set weights.image_size={side}, or detectors.{name}.frames.height and .width"
            + (" (no smaller, to be cropped)" if settings.center_crop else "")
        )
