"""A small VideoMAE of the run's own, for runs without pretrained weights: pre-trained on the run's normal footage.

Trained once for all detectors of a run that ask for the same one.
"""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field

from pixelplay.detectors.videomae.masks import random_masks
from pixelplay.detectors.videomae.model import clip_size, keep_quiet
from pixelplay.detectors.videomae.tokens import LOSS_MEAN, LOSS_STD
from pixelplay.errors import ConfigError
from pixelplay.run.atomic import atomic_folder
from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.settings import BatchSize, Channels, Epochs, Natural, Pixels, Rate, Settings, Window
from pixelplay.training.clips import Clips, OrderedBatches, ShuffledBatches, loader
from pixelplay.training.run import TrainingRun
from pixelplay.training.settings import TrainerConfig
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import VideoMAEConfig

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same footage and settings give another model

Share = Annotated[float, Field(gt=0, lt=1)]


class LayersSettings(Settings):
    """A stack of transformer layers."""

    width: Channels
    layers: Annotated[int, Field(ge=1, le=256)]
    heads: Annotated[int, Field(ge=1, le=1024)]


class PretrainingSettings(Settings):
    """How a VideoMAE of the run's own is built and trained; precision and loggers are the trainer's."""

    frames: Window  # of a clip
    tubelet: Window  # frames of a token
    patch: Pixels  # pixels of a token
    encoder: LayersSettings
    decoder: LayersSettings
    norm_pix_loss: bool  # each token is predicted less its mean colour, over its contrast
    mask_ratio: Share  # of the tokens that are hidden
    tube: bool  # the same places are hidden at all times
    clips_per_epoch: Natural  # of an epoch, at most
    max_epochs: Epochs
    batch_size: BatchSize  # clips
    learning_rate: Rate


def check_own(settings: PretrainingSettings, side: int, key: str) -> None:
    """Raise ConfigError, which names `key`, for sizes that don't fit each other; quick."""
    for name, value, of in (
        ("frames", settings.frames, settings.tubelet),
        ("encoder.width", settings.encoder.width, settings.encoder.heads),
        ("decoder.width", settings.decoder.width, settings.decoder.heads),
    ):
        if value % of:
            raise ConfigError(f"{key}.{name}={value}: must be divisible by {of}")
    if side % settings.patch:
        raise ConfigError(f"{key}.patch={settings.patch}: must divide the frames' side of {side} pixels")
    grid = (settings.frames // settings.tubelet, side // settings.patch, side // settings.patch)
    try:
        random_masks(0, [], grid, settings.mask_ratio, settings.tube)
    except ConfigError as error:
        raise ConfigError(f"{key}.mask_ratio={settings.mask_ratio}: {error}") from None


def own_videomae(
    videos: list[Video], heldout: list[Video], settings: PretrainingSettings, frames: FrameFormat, run: TrainingRun
) -> Path:
    """Folder of a VideoMAE pre-trained on clips of `videos`, in the layout of the hub's.

    frames: square and in colour. The folder lies in `run.shared`, named by all that the model depends on: who asks
    second finds it there. Killed, training goes on from the last epoch. Raises DataError where there is no footage.
    """
    footage = [[(video.id, video.key, video.start, len(video)) for video in part] for part in (videos, heldout)]
    trainer = _trainer(settings, run)
    learns = trainer.model_dump(exclude={"loggers", "wandb"})
    key = fingerprint(footage, settings.model_dump(), frames.model_dump(), learns, run.seed, VERSION)
    place = run.shared / f"videomae-{key}"
    if (place / "model").is_dir():
        log.info(f"{run.name}: takes the run's own VideoMAE from {place}/")
        return place / "model"
    for old in run.shared.glob(f"videomae-{KEYS}"):  # each detector keeps a copy of what it uses
        if old != place:
            shutil.rmtree(old)
    own = TrainingRun(f"{run.name}: VideoMAE", trainer, place / "training", run.device, run.seed)
    _train(videos, heldout, settings, frames, own, place / "model")
    return place / "model"


def _trainer(settings: PretrainingSettings, run: TrainingRun) -> TrainerConfig:
    """The run's trainer with the pre-training's own lengths."""
    names = ("max_epochs", "batch_size", "learning_rate")
    patience = {"patience": settings.max_epochs}  # the cosine ends where the loss is lowest
    return run.config.model_copy(update={name: getattr(settings, name) for name in names} | patience)


def _train(
    videos: list[Video],
    heldout: list[Video],
    settings: PretrainingSettings,
    frames: FrameFormat,
    run: TrainingRun,
    folder: Path,
) -> None:
    # Lightning and transformers take seconds to import, and only training needs both.
    from transformers import VideoMAEForPreTraining, VideoMAEImageProcessor

    from pixelplay.detectors.videomae.masked_pretraining import MaskedPretraining
    from pixelplay.training.fit import fit

    keep_quiet()
    config = _config(settings, frames.height)
    length, tubelet, patch, side = clip_size(config)
    grid = (length // tubelet, side // patch, side // patch)
    torch.manual_seed(run.seed)
    module = MaskedPretraining(
        VideoMAEForPreTraining(config),
        lambda names: random_masks(run.seed, names, grid, settings.mask_ratio, settings.tube),
        run.config,
    )
    clips, held = Clips(videos, frames, length, tubelet), Clips(heldout, frames, length, length)
    batches = ShuffledBatches(len(clips), settings.batch_size, run.seed, limit=settings.clips_per_epoch)
    fit(
        module,
        loader(clips, batches, run.device),
        loader(held, OrderedBatches(len(held), settings.batch_size), run.device),
        run,
    )
    size = {"height": side, "width": side}
    processor = VideoMAEImageProcessor(
        size={"shortest_edge": side}, crop_size=size, image_mean=list(LOSS_MEAN), image_std=list(LOSS_STD)
    )
    with atomic_folder(folder) as temporary:
        module.model.save_pretrained(temporary)
        processor.save_pretrained(temporary)


def _config(settings: PretrainingSettings, side: int) -> "VideoMAEConfig":
    from transformers import VideoMAEConfig

    encoder, decoder = settings.encoder, settings.decoder
    return VideoMAEConfig(
        image_size=side,
        patch_size=settings.patch,
        num_frames=settings.frames,
        tubelet_size=settings.tubelet,
        hidden_size=encoder.width,
        num_hidden_layers=encoder.layers,
        num_attention_heads=encoder.heads,
        intermediate_size=4 * encoder.width,  # as in VideoMAE's own, and in the decoder, too
        decoder_hidden_size=decoder.width,
        decoder_num_hidden_layers=decoder.layers,
        decoder_num_attention_heads=decoder.heads,
        decoder_intermediate_size=4 * decoder.width,
        norm_pix_loss=settings.norm_pix_loss,
        use_mean_pooling=False,  # its last layer is normalised, as in VideoMAE's own pre-training
    )
