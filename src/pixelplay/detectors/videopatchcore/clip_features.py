"""VideoPatchCore's features of clips (Ahn et al., ACCV 2024): spatial and temporal of objects, global of frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from pixelplay.backbones.frozen import Backbone
from pixelplay.detectors.videopatchcore import descriptors
from pixelplay.detectors.videopatchcore.noisy_frames import between, key_frames
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.crops import crop_batches, tube_rows
from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tubes import Tubes, tubes
from pixelplay.settings import Channels, Settings
from pixelplay.training.augmentation import Augmentation
from pixelplay.videos.video import Video
from pixelplay.videos.windows import gather

LOCAL = ("spatial", "temporal")  # streams of objects
STREAMS = (*LOCAL, "global")


class PatchSettings(Settings):
    image_size: Annotated[int, Field(ge=48, le=4096, multiple_of=16)]  # of the crops; 3x3 pooling needs 3x3 cells of 16
    channels: Channels  # of a local descriptor: CNL_POOL
    grid: Annotated[int, Field(ge=1, le=64)]  # cells a side that a tube has spatial descriptors of


@dataclass(frozen=True)
class ClipFeatures:
    """Vectors of one clip, float32, by stream; those of objects are absent where there is none."""

    clip: int  # row of the clip in the positions
    tubes: Tubes  # the K of this clip
    vectors: dict[str, np.ndarray]  # spatial (K, grid * grid, C), temporal (K, T - 1, C), global (T, D)


class PatchFeatures:
    """A backbone and how clips are brought before it.

    batch: images at a time. noise_above: noise level, grey levels of 255, of the frames whose place those of their clip
    take that are less noisy: see `clean_frames`; None: every frame is looked at.
    """

    def __init__(
        self,
        backbone: Backbone,
        settings: PatchSettings,
        config: TubeConfig,
        batch: int,
        noise_above: float | None = None,
    ):
        self.backbone, self._settings, self._config, self._batch = backbone, settings, config, batch
        self._noise_above = noise_above

    def identity(self, stream: str) -> dict[str, Any]:
        """What decides what a stream's vectors mean, as JSON."""
        settings = self._settings.model_dump()
        return {**self.backbone.identity, "stream": stream, **settings, "enlarge": self._config.enlarge}

    @torch.inference_mode()
    def clips(
        self, video: Video, boxes: Boxes, positions: np.ndarray, causal: bool, noise: "Noise | None" = None
    ) -> Iterator[ClipFeatures]:
        """Features of a video's clips (C, T), in order, around the selected `boxes`.

        A whole frame goes through the backbone once, however many clips it is in, and a frame that pads a clip once
        with the one that it repeats; a noisy frame not at all, if its clip has clean ones. At most T full-size frames
        are in memory. Raises DataError for features that are not finite.
        """
        clean = self._clean(video)
        every = tubes(boxes, key_frames(positions, causal, clean), video.size, self._config)
        first = np.searchsorted(every.clip, np.arange(len(positions) + 1))
        known: dict[int, torch.Tensor] = {}  # vectors of the whole frames of the clip before, by position
        for clip, frames in enumerate(gather(video.full_size(), positions)):
            part = slice(first[clip], first[clip + 1])
            own = Tubes(every.clip[part], every.box[part], every.square[part])
            inside, shares = between(positions[clip], clean)
            by_position = dict(zip(positions[clip], frames, strict=True))  # padding repeats a frame
            images = torch.from_numpy(np.stack([by_position[i] for i in inside]))  # uint8 (U, H, W, 3), U <= T
            if noise:
                images, known = noise.add(images, clip), {}  # each clip has noise of its own
            new = [row for row, position in enumerate(inside) if position not in known]
            maps, vectors = self._seen(images, own.square, new)
            seen = known | dict(zip(inside[new], vectors, strict=True))
            known = {position: seen[position] for position in inside}
            share = torch.from_numpy(shares).to(maps.device)  # (T, U)
            found = self._local(torch.einsum("tu,kcuhw->kcthw", share, maps.float())) if len(own) else {}
            whole = share @ torch.stack([known[position] for position in inside]).float()  # (T, D)
            found["global"] = descriptors.temporal_pyramid(whole[None])[0]
            where = f"video {video.id}, clip from frame {video.numbers[positions[clip][0]]}"
            checked = {s: descriptors.require_finite(v, f"{where}, {s}") for s, v in found.items()}
            yield ClipFeatures(clip, own, {s: v.float().cpu().numpy() for s, v in checked.items()})

    def _clean(self, video: Video) -> np.ndarray:
        """Which frames are seen as they are, bool [T]."""
        if video.noise is None or self._noise_above is None:
            return np.ones(len(video), bool)
        return video.noise <= self._noise_above

    def _seen(self, images: torch.Tensor, squares: np.ndarray, new: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the backbone sees in the frames uint8 (U, H, W, 3) of a clip, all crops in one go: maps of the tubes
        (K, C, U, H', W') cut by squares (K, 4), and vectors (N, D) of the N whole frames that are `new`.
        """
        settings, count = self._settings, len(images)
        images = images.to(self.backbone.mean.device)
        boxes, positions = tube_rows(torch.from_numpy(squares).to(images.device), count)
        tubes_end = len(boxes)
        frames = boxes.new_tensor([0, 0, images.shape[2], images.shape[1]]).expand(len(new), 4)
        boxes, positions = torch.cat([boxes, frames]), torch.cat([positions, positions.new_tensor(new)])
        if not len(boxes):
            return images.new_empty(0), images.new_empty(0)
        crops = crop_batches(images, boxes, positions, settings.image_size, self._batch)
        first, second = (torch.cat(stage) for stage in zip(*map(self.backbone, crops), strict=True))
        vectors = descriptors.frame_vectors(first[tubes_end:], second[tubes_end:])
        return descriptors.local_maps(first[:tubes_end], second[:tubes_end], count, settings.channels), vectors

    def _local(self, maps: torch.Tensor) -> dict[str, torch.Tensor]:
        """Vectors of objects by stream, from the maps of their tubes (K, C, T, H', W')."""
        spatial = descriptors.spatial_vectors(maps, self._settings.grid)
        return {"spatial": spatial, "temporal": descriptors.temporal_vectors(maps)}


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
