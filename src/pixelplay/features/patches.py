"""VideoPatchCore's features of clips (Ahn et al., ACCV 2024): spatial and temporal of objects, global of frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from pixelplay.config import Natural, Settings, TubeConfig
from pixelplay.models import patch_features
from pixelplay.models.backbones import Backbone
from pixelplay.models.crops import crop_batches, tube_rows
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.tubes import Tubes, tubes
from pixelplay.training.augmentation import Augmentation
from pixelplay.videos.video import Video
from pixelplay.videos.windows import gather

LOCAL = ("spatial", "temporal")  # streams of objects
STREAMS = (*LOCAL, "global")


class PatchSettings(Settings):
    image_size: Annotated[int, Field(ge=48, multiple_of=16)]  # pixels of the crops; 3x3 pooling needs 3x3 at stride 16
    channels: Natural  # of a local descriptor: CNL_POOL
    grid: Natural  # cells a side that a tube has spatial descriptors of


@dataclass(frozen=True)
class ClipFeatures:
    """Vectors of one clip, float32, by stream; those of objects are absent where there is none."""

    clip: int  # row of the clip in the positions
    tubes: Tubes  # the K of this clip
    vectors: dict[str, np.ndarray]  # spatial (K, grid * grid, C), temporal (K, T - 1, C), global (T, D)


class PatchFeatures:
    """A backbone and how clips are brought before it; `batch`: images at a time."""

    def __init__(self, backbone: Backbone, settings: PatchSettings, config: TubeConfig, batch: int):
        self.backbone, self._settings, self._config, self._batch = backbone, settings, config, batch

    def identity(self, stream: str) -> dict[str, Any]:
        """What decides what a stream's vectors mean, as JSON."""
        settings = self._settings.model_dump()
        return {**self.backbone.identity, "stream": stream, **settings, "enlarge": self._config.enlarge}

    @torch.inference_mode()
    def clips(
        self, video: Video, boxes: Boxes, positions: np.ndarray, causal: bool, noise: "Noise | None" = None
    ) -> Iterator[ClipFeatures]:
        """Features of a video's clips (C, T), in order, around the selected `boxes`.

        At most T full-size frames are in memory. Raises DataError for features that are not finite.
        """
        every = tubes(boxes, positions, video.size, self._config, causal)
        first = np.searchsorted(every.clip, np.arange(len(positions) + 1))
        for clip, frames in enumerate(gather(video.full_size(), positions)):
            part = slice(first[clip], first[clip + 1])
            own = Tubes(every.clip[part], every.box[part], every.square[part])
            images = torch.from_numpy(np.stack(frames))  # uint8 (T, H, W, 3)
            vectors = self._vectors(noise.add(images, clip) if noise else images, own.square)
            where = f"video {video.id}, clip from frame {video.numbers[positions[clip][0]]}"
            checked = {s: patch_features.require_finite(v, f"{where}, {s}") for s, v in vectors.items()}
            yield ClipFeatures(clip, own, {s: v.float().cpu().numpy() for s, v in checked.items()})

    def _vectors(self, images: torch.Tensor, squares: np.ndarray) -> dict[str, torch.Tensor]:
        """Vectors by stream of one clip, uint8 (T, H, W, 3), and the squares of its tubes (K, 4)."""
        settings, count = self._settings, len(images)
        images = images.to(self.backbone.mean.device)
        whole = [[0, 0, images.shape[2], images.shape[1]]]
        boxes = torch.from_numpy(np.concatenate([squares, whole])).to(images.device)
        crops = crop_batches(images, *tube_rows(boxes, count), settings.image_size, self._batch)
        first, second = (torch.cat(stage) for stage in zip(*map(self.backbone, crops), strict=True))
        frames = patch_features.frame_vectors(first[-count:], second[-count:])  # the last T rows are whole frames
        vectors = {"global": patch_features.temporal_pyramid(frames[None])[0]}
        if len(squares):
            maps = patch_features.local_maps(first[:-count], second[:-count], count, settings.channels)  # (K, C, T, …)
            vectors["spatial"] = patch_features.spatial_vectors(maps, settings.grid)
            vectors["temporal"] = patch_features.temporal_vectors(maps)
        return vectors


@dataclass(frozen=True)
class Noise:
    """Noise on a share of the training clips; which ones, and which noise, depends on the seed and the clip alone."""

    augmentation: Augmentation
    seed: tuple[int, ...]

    def add(self, images: torch.Tensor, clip: int) -> torch.Tensor:
        """A clip uint8 (T, H, W, 3) as it is, or with noise."""
        torch.manual_seed(int(np.random.SeedSequence([*self.seed, clip]).generate_state(1, np.uint64)[0] >> 1))
        fed, _ = self.augmentation.apply(images[None].float().div_(255))
        return fed[0].mul_(255).round_().to(torch.uint8)
