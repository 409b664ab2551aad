"""In-domain encoders: small backbones for runs without pretrained weights, trained on crops of its normal footage."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pixelplay.backbones.frozen import Backbone
from pixelplay.backbones.settings import EncoderSettings
from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.objects.crops import crop_batches, tube_rows
from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tracks import identities, tracks_of
from pixelplay.objects.tubes import squares
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import atomic
from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.training.clips import Augmentation
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.npy_writer import NpyWriter, is_npy
from pixelplay.videos.video import Video
from pixelplay.videos.windows import gather, windows

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same footage and settings give another encoder


class Encoder(nn.Module):
    """Images (N, 3, S, S) to maps (N, widths[2], S / 8, S / 8) and (N, widths[3], S / 16, S / 16).

    widths: channels after each of the four halvings of height and width. S must be a multiple of 16.
    """

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        stem, low, first, second = widths
        self.stem = nn.Sequential(_down(3, stem, stride=2), _down(stem, low, stride=2))
        self.first = nn.Sequential(_down(low, first, stride=2), _down(first, first, stride=1))
        self.second = nn.Sequential(_down(first, second, stride=2), _down(second, second, stride=1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)  # (N, widths[1], S / 4, S / 4)
        first = self.first(x)
        return first, self.second(first)


class Decoder(nn.Module):
    """Maps (N, widths[3], S / 16, S / 16) back to images (N, 3, S, S), in [-1, 1]."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.layers = nn.Sequential(
            *(_normed(nn.ConvTranspose2d(a, b, 4, 2, padding=1, bias=False)) for a, b in pairwise(reversed(widths))),
            nn.ConvTranspose2d(widths[0], 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def _down(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return _normed(nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False))


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True))


@dataclass(frozen=True)
class Cutting:
    """How pairs of crops are cut: objects and the whole frame, at a moment and `apart` frames later."""

    tubes: TubeConfig
    apart: int
    size: int  # pixels of a crop
    share: float  # of the pairs that are kept

    def places(self, video: Video) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Clips (C, apart + 1), and the objects in the middle frame of each: their clips (N,) and squares (N, 4)."""
        clips, tracks = windows(len(video), self.apart + 1, self.apart + 1), tracks_of(video)
        middles = clips[:, clips.shape[1] // 2]
        first, last = (np.searchsorted(tracks.position, middles, side) for side in ("left", "right"))
        rows = np.concatenate([np.arange(0), *map(np.arange, first, last)])
        square = squares(tracks.xyxy, video.size, self.tubes.enlarge)[rows]
        return clips, np.repeat(np.arange(len(clips)), last - first), square

    def write(self, video: Video, path: Path, device: torch.device, seed: tuple[int, ...]) -> None:
        """Write a video's pairs, uint8 (N, 2, size, size, 3), as .npy, atomically, with two frames in memory."""
        positions, clip_of, square = self.places(video)
        rng = np.random.default_rng(seed)
        kept, kept_frames = rng.random(len(clip_of)) < self.share, rng.random(len(positions)) < self.share
        with atomic(path) as temporary, NpyWriter(temporary, (2, self.size, self.size, 3), np.uint8) as writer:
            for clip, frames in enumerate(gather(video.full_size(), positions)):
                places = square[kept & (clip_of == clip)]
                if kept_frames[clip]:
                    places = np.concatenate([places, [[0, 0, *video.size]]])
                if len(places):
                    ends = torch.from_numpy(np.stack([frames[0], frames[-1]])).to(device)
                    rows = tube_rows(torch.from_numpy(places).to(device), 2)
                    crops = torch.cat(list(crop_batches(ends, *rows, self.size, 64)))  # (2 K, 3, size, size)
                    images = crops.mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1)
                    writer.extend(images.unflatten(0, (-1, 2)).cpu().numpy())


def shared_encoder(fit_on: list[Video], heldout: list[Video], settings: EncoderSettings, run: TrainingRun) -> Path:
    """File of an encoder trained on normal footage with known boxes, for `load_encoder`.

    It lies in `run.shared`, in a folder named by all that the encoder depends on, so that whoever asks for the same one
    finds it there. A killed training goes on from the last video or epoch. Raises DataError where there is nothing to
    cut.
    """
    footage = [identities(videos, ("position", "xyxy")) for videos in (fit_on, heldout)]  # whichever box is whose
    precise = autocast_bf16(run.config.precision, run.device)
    folder = run.shared / f"encoder-{fingerprint(VERSION, settings.model_dump(), *footage, precise, run.seed)}"
    path = folder / "encoder.safetensors"
    try:
        load_encoder(path, settings)
        log.info(f"{run.name}: uses the in-domain encoder in {folder}/")
        return path
    except MissingArtifactError:
        pass
    except DamagedArtifactError as error:
        log.warning(f"{run.name}: the encoder is trained again: {error}")
    unfinished = folder / "training"
    for old in run.shared.glob(f"encoder-{KEYS}/training"):
        if old != unfinished:
            shutil.rmtree(old)
    save_network(train_encoder(fit_on, heldout, settings, replace(run, folder=unfinished)), path)
    shutil.rmtree(unfinished)  # crops and checkpoints: much larger than the encoder
    return path


def load_encoder(path: Path, settings: EncoderSettings) -> Encoder:
    """What `shared_encoder` wrote, in eval mode on the CPU; raises MissingArtifactError or DamagedArtifactError."""
    encoder = Encoder(settings.widths)
    load_network(encoder, path, made_by="train")
    return encoder.eval()


def train_encoder(videos: list[Video], heldout: list[Video], settings: EncoderSettings, run: TrainingRun) -> Encoder:
    """An encoder trained on normal footage with known boxes, in eval mode on the CPU.

    A killed run goes on from the last video or epoch in `run.folder`. Raises DataError where there is nothing to cut.
    """
    # slow to import
    from pixelplay.backbones.contrastive import Contrast, CropReconstruction, EncoderTraining, Pairs, Views
    from pixelplay.training.fit import fit_on

    seen = settings.image_size
    size = seen + 2 * round(settings.shift * seen)  # with room for a view to be shifted
    wider = settings.tubes.model_copy(update={"enlarge": settings.tubes.enlarge * size / seen})
    cutting = Cutting(wider, settings.frame_gap, size, 1.0)
    there = sum(sum(map(len, cutting.places(video)[:2])) for video in [*videos, *heldout])
    cutting = replace(cutting, share=min(1.0, settings.max_pairs / max(there, 1)))
    run = replace(run, name=f"{run.name}: encoder", config=settings.trainer(run.config))
    train = Pairs(_cut(videos, run.folder / "pairs", cutting, run))
    held = Pairs(_cut(heldout, run.folder / "heldout", cutting, run))
    torch.manual_seed(run.seed)
    encoder = Encoder(settings.widths)
    noise = Augmentation(settings.noise_amplitude, settings.noise_share, "clean", 0.0)
    views = Views(seen, settings.color_jitter, noise)
    if settings.objective == "contrast":
        objective = Contrast(encoder, settings.contrast_channels, settings.temperature, views)
    else:
        objective = CropReconstruction(encoder, Decoder(settings.widths), views)
    fit_on(EncoderTraining(objective, run.config, run.seed), train, held, run)
    return encoder.cpu().eval()


def as_backbone(encoder: Encoder, bf16: bool) -> Backbone:
    """The encoder, frozen; its input is normalised as in its training, from [0, 1] to [-1, 1]."""
    return Backbone("in_domain", encoder, mean=[0.5] * 3, std=[0.5] * 3, bf16=bf16)


def _cut(videos: list[Video], folder: Path, cutting: Cutting, run: TrainingRun) -> list[np.ndarray]:
    """Pairs of each video, memory-mapped; what is on disk already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:05d}.npy" for i in range(len(videos))]
    with progress_bar(sum(map(len, videos)), "frame", f"{run.name}: crops") as bar:
        for i, (video, path) in enumerate(zip(videos, paths, strict=True)):
            if not is_npy(path):
                cutting.write(video, path, run.device, (run.seed, i))
            bar.update(len(video))
    return [pairs for pairs in (np.load(path, mmap_mode="r") for path in paths) if len(pairs)]
