"""In-domain encoders: backbones for runs without pretrained weights, trained on crops of the run's normal footage."""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pixelplay.backbones.encoder import Decoder, Encoder
from pixelplay.backbones.frozen import Backbone
from pixelplay.backbones.settings import EncoderSettings
from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.backbones.views import Pairs, Views
from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.objects.boxes import boxes_of
from pixelplay.objects.crops import crop_batches, tube_rows
from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tubes import Tubes, select, tubes
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import atomic
from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.training.augmentation import Augmentation
from pixelplay.training.clips import OrderedBatches, ShuffledBatches, loader
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.npy_writer import NpyWriter, is_npy
from pixelplay.videos.video import Video
from pixelplay.videos.windows import gather, windows

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same footage and settings give another encoder


@dataclass(frozen=True)
class Cutting:
    """How pairs of crops are cut: objects and the whole frame, at a moment and `apart` frames later."""

    tubes: TubeConfig
    apart: int
    size: int  # pixels of a crop
    share: float  # of the pairs that are kept

    def write(self, video: Video, path: Path, device: torch.device, seed: tuple[int, ...]) -> None:
        """Write a video's pairs, uint8 (N, 2, size, size, 3), as .npy, atomically, with two frames in memory."""
        positions = windows(len(video), self.apart + 1, self.apart + 1)
        every = _tubes(video, positions, self.tubes)
        rng = np.random.default_rng(seed)
        kept, kept_frames = rng.random(len(every)) < self.share, rng.random(len(positions)) < self.share
        with atomic(path) as temporary, NpyWriter(temporary, (2, self.size, self.size, 3), np.uint8) as writer:
            for clip, frames in enumerate(gather(video.full_size(), positions)):
                squares = every.square[kept & (every.clip == clip)]
                if kept_frames[clip]:
                    squares = np.concatenate([squares, [[0, 0, *video.size]]])
                if len(squares):
                    ends = torch.from_numpy(np.stack([frames[0], frames[-1]])).to(device)
                    rows = tube_rows(torch.from_numpy(squares).to(device), 2)
                    crops = torch.cat(list(crop_batches(ends, *rows, self.size, 64)))  # (2 K, 3, size, size)
                    images = crops.mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1)
                    writer.extend(images.unflatten(0, (-1, 2)).cpu().numpy())


def shared_encoder(fit_on: list[Video], heldout: list[Video], settings: EncoderSettings, run: TrainingRun) -> Path:
    """File of an encoder trained on normal footage with known boxes, for `load_encoder`.

    It lies in `run.shared`, in a folder named by all that the encoder depends on, so that whoever asks for the same one
    finds it there. A killed training goes on from the last video or epoch. Raises DataError where there is nothing to
    cut.
    """
    footage = [_footage(videos, settings.tubes) for videos in (fit_on, heldout)]
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


def train_encoder(fit_on: list[Video], heldout: list[Video], settings: EncoderSettings, run: TrainingRun) -> Encoder:
    """An encoder trained on normal footage with known boxes, in eval mode on the CPU.

    A killed run goes on from the last video or epoch in `run.folder`. Raises DataError where there is nothing to cut.
    """
    from pixelplay.backbones.contrastive import Contrast, CropReconstruction, EncoderTraining  # slow to import
    from pixelplay.training.fit import fit

    seen = settings.image_size
    size = seen + 2 * round(settings.shift * seen)  # with room for a view to be shifted
    wider = settings.tubes.model_copy(update={"enlarge": settings.tubes.enlarge * size / seen})
    there = sum(_pairs_in(video, wider, settings.frame_gap) for video in [*fit_on, *heldout])
    cutting = Cutting(wider, settings.frame_gap, size, min(1.0, settings.max_pairs / max(there, 1)))
    names = ("max_epochs", "batch_size", "learning_rate", "weight_decay")
    lengths = {name: getattr(settings, name) for name in names} | {"patience": settings.max_epochs}  # never stops early
    run = replace(run, name=f"{run.name}: encoder", config=run.config.model_copy(update=lengths))
    train = Pairs(_cut(fit_on, run.folder / "pairs", cutting, run))
    held = Pairs(_cut(heldout, run.folder / "heldout", cutting, run))
    torch.manual_seed(run.seed)
    encoder = Encoder(settings.widths)
    noise = Augmentation(settings.noise_amplitude, settings.noise_share, "clean", 0.0)
    views = Views(seen, settings.color_jitter, noise)
    if settings.objective == "contrast":
        objective = Contrast(encoder, settings.contrast_channels, settings.temperature, views)
    else:
        objective = CropReconstruction(encoder, Decoder(settings.widths), views)
    fit(
        EncoderTraining(objective, run.config, run.seed),
        loader(train, ShuffledBatches(len(train), settings.batch_size, run.seed), run.device),
        loader(held, OrderedBatches(len(held), settings.batch_size), run.device),
        run,
    )
    return encoder.cpu().eval()


def as_backbone(encoder: Encoder, bf16: bool) -> Backbone:
    """The encoder, frozen; its input is normalised as in its training, from [0, 1] to [-1, 1]."""
    return Backbone("in_domain", encoder, mean=[0.5] * 3, std=[0.5] * 3, bf16=bf16)


def _footage(videos: Sequence[Video], config: TubeConfig) -> list[tuple[object, ...]]:
    """What decides the crops of videos apart from settings: their frames, and the boxes in them."""
    boxes = [select(boxes_of(video), config) for video in videos]
    digests = [hashlib.sha256(one.position.tobytes() + one.xyxy.tobytes()).hexdigest() for one in boxes]
    return [(v.id, v.key, v.start, len(v), digest) for v, digest in zip(videos, digests, strict=True)]


def _pairs_in(video: Video, config: TubeConfig, apart: int) -> int:
    positions = windows(len(video), apart + 1, apart + 1)
    return len(positions) + len(_tubes(video, positions, config))


def _tubes(video: Video, positions: np.ndarray, config: TubeConfig) -> Tubes:
    """Around the objects of the middle frame of each clip (C, T)."""
    return tubes(select(boxes_of(video), config), positions[:, positions.shape[1] // 2], video.size, config)


def _cut(videos: list[Video], folder: Path, cutting: Cutting, run: TrainingRun) -> list[np.ndarray]:
    """Pairs of each video, memory-mapped; what is on disk already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:05d}.npy" for i in range(len(videos))]
    with progress_bar(sum(map(len, videos)), "frame", f"{run.name}: crops") as bar:
        for i, (video, path) in enumerate(zip(videos, paths, strict=True)):
            if not is_npy(path):
                cutting.write(video, path, run.device, (run.seed, i))
            bar.update(len(video))
    arrays = [np.load(path, mmap_mode="r") for path in paths]
    return [array for array in arrays if len(array)]
