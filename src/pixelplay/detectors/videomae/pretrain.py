"""In-domain VideoMAEs, for runs without pretrained weights: masked pre-training (Tong et al., NeurIPS 2022) on normal
footage, with the model's own loss. All detectors of a run that ask for the same one share it.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field

from pixelplay.detectors.videomae.model import keep_quiet
from pixelplay.detectors.videomae.tokens import LOSS_MEAN, LOSS_STD, Grid, normalised, random_masks
from pixelplay.errors import ConfigError
from pixelplay.run.atomic import atomic_folder
from pixelplay.settings import Channels, Natural, PartialShare, Pixels, Settings, Window
from pixelplay.training.clips import Clips
from pixelplay.training.run import ScheduleSettings, TrainingRun, keyed_folder
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # slow to import
    from transformers import VideoMAEConfig

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same footage and settings give another model


class LayersSettings(Settings):
    """A stack of transformer layers."""

    width: Channels
    layers: Annotated[int, Field(ge=1, le=256)]
    heads: Annotated[int, Field(ge=1, le=1024)]


class PretrainingSettings(ScheduleSettings):
    """How an in-domain VideoMAE is built and trained; batches are of clips."""

    frames: Window  # of a clip
    tubelet: Window  # frames of a token
    patch: Pixels  # pixels of a token
    encoder: LayersSettings
    decoder: LayersSettings
    norm_pix_loss: bool  # each token is predicted less its mean colour, over its contrast
    mask_ratio: PartialShare  # of the tokens that are hidden
    tube: bool  # the same places are hidden at all times
    clips_per_epoch: Natural  # of an epoch, at most

    def grid(self, side: int) -> Grid:
        """Tokens of a clip whose images have this side."""
        return self.frames // self.tubelet, side // self.patch, side // self.patch


def check_pretraining(settings: PretrainingSettings, side: int, key: str) -> None:
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
    try:
        random_masks(0, [], settings.grid(side), settings.mask_ratio, settings.tube)
    except ConfigError as error:
        raise ConfigError(f"{key}.mask_ratio={settings.mask_ratio}: {error}") from None


def pretrained_videomae(
    videos: list[Video], heldout: list[Video], settings: PretrainingSettings, frames: FrameFormat, run: TrainingRun
) -> Path:
    """Folder of a VideoMAE pre-trained on clips of `videos`, in the layout of the hub's.

    frames: square and in colour. The folder lies in `run.shared`, named by all that the model depends on, so that a
    second detector finds it there. A killed training goes on from the last epoch. Raises DataError without footage.
    """
    footage = [[(video.id, video.key, video.start, len(video)) for video in part] for part in (videos, heldout)]
    decisive = footage, settings.model_dump(), frames.model_dump(), run.config.precision, run.seed, VERSION
    place = keyed_folder(run.shared, "videomae", *decisive)  # each detector keeps a copy of what it uses
    if (place / "model").is_dir():
        log.info(f"{run.name}: uses the in-domain VideoMAE in {place}/")
    else:
        name, config = f"{run.name}: VideoMAE", settings.trainer(run.config)
        own = replace(run, name=name, config=config, folder=place / "training")
        clips = Clips(videos, frames, settings.frames, settings.tubelet)
        held = Clips(heldout, frames, settings.frames, settings.frames)
        _train(clips, held, settings, frames.height, own, place / "model")
    return place / "model"


def _train(clips: Clips, held: Clips, settings: PretrainingSettings, side: int, run: TrainingRun, folder: Path) -> None:
    # slow to import
    from transformers import VideoMAEForPreTraining, VideoMAEImageProcessor

    from pixelplay.training.fit import TrainingModule, fit_on

    keep_quiet()
    torch.manual_seed(run.seed)
    model = VideoMAEForPreTraining(_config(settings, side))

    class Pretraining(TrainingModule):
        """Predicts the hidden tokens of clips uint8 (B, T, S, S, 3), each under a mask of its own."""

        def __init__(self) -> None:
            super().__init__(run.config)
            self.model = model

        def loss(self, batch: torch.Tensor, epoch: int | None, step: int) -> torch.Tensor:
            names = [f"{'held-out' if epoch is None else epoch} {step} {row}" for row in range(len(batch))]
            masks = random_masks(run.seed, names, settings.grid(side), settings.mask_ratio, settings.tube)
            return model(normalised(batch, LOSS_MEAN, LOSS_STD), bool_masked_pos=masks.to(batch.device)).loss

    fit_on(Pretraining(), clips, held, run, limit=settings.clips_per_epoch)
    sizes = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    processor = VideoMAEImageProcessor(**sizes, image_mean=list(LOSS_MEAN), image_std=list(LOSS_STD))
    with atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
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
        intermediate_size=4 * encoder.width,  # VideoMAE's own factor, in the decoder too
        decoder_hidden_size=decoder.width,
        decoder_num_hidden_layers=decoder.layers,
        decoder_num_attention_heads=decoder.heads,
        decoder_intermediate_size=4 * decoder.width,
        norm_pix_loss=settings.norm_pix_loss,
        use_mean_pooling=False,  # normalises its last layer, as VideoMAE's own pre-training does
    )
