"""VideoPatchCore's features of clips (Ahn et al., ACCV 2024): spatial and temporal of objects, global of frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from pixelplay.backbones.frozen import Backbone, local_maps
from pixelplay.detectors.videopatchcore import descriptors
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.crops import crop_batches, tube_rows
from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tubes import Tubes, tubes
from pixelplay.settings import Channels, ImageSize, Settings
from pixelplay.training.clips import Augmentation
from pixelplay.videos.video import Video
from pixelplay.videos.windows import gather

LOCAL = ("spatial", "temporal")  # streams of objects
STREAMS = (*LOCAL, "global")


class PatchSettings(Settings):
    image_size: ImageSize  # of the crops; 3x3 pooling needs 3x3 cells of 16
    channels: Channels  # of a local descriptor: CNL_POOL
    grid: Annotated[int, Field(ge=1, le=64)]  # a tube has grid x grid spatial descriptors


@dataclass(frozen=True)
class ClipFeatures:
    """Vectors of one clip, float32, by stream; a clip without objects has global ones only."""

    clip: int  # row in the positions
    tubes: Tubes  # the K tubes of this clip
    vectors: dict[str, np.ndarray]  # spatial (K, grid * grid, C), temporal (K, T - 1, C), global (T, D)


class PatchFeatures:
    """Extracts features of clips with a backbone, `batch` images at a time.

    noise_above: noise level, in grey levels of 255, above which features of a frame are interpolated from those of the
    clean frames around it, since noise looks like motion and like unknown texture; None: all frames are used.
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
        """What a stream's vectors are, as JSON: banks and features of another identity don't match them."""
        settings = self._settings.model_dump()
        return {**self.backbone.identity, "stream": stream, **settings, "enlarge": self._config.enlarge}

    @torch.inference_mode()
    def clips(
        self, video: Video, boxes: Boxes, positions: np.ndarray, causal: bool, noise: "Noise | None" = None
    ) -> Iterator[ClipFeatures]:
        """Features of a video's clips (C, T), in order, around the selected `boxes`.

        Each whole frame goes through the backbone once, however many clips share it; noisy frames of clips with clean
        ones are skipped. At most T full-size frames are in memory. Raises DataError for features that are not finite.
        """
        clean = self._clean(video)
        every = tubes(boxes, key_frames(positions, causal, clean), video.size, self._config)
        first = np.searchsorted(every.clip, np.arange(len(positions) + 1))
        known: dict[int, torch.Tensor] = {}  # vectors of the previous clip's whole frames, by position
        for clip, frames in enumerate(gather(video.full_size(), positions)):
            part = slice(first[clip], first[clip + 1])
            own = Tubes(every.clip[part], every.box[part], every.square[part])
            inside, shares = between(positions[clip], clean)
            by_position = dict(zip(positions[clip], frames, strict=True))  # padding repeats a frame
            images = torch.from_numpy(np.stack([by_position[i] for i in inside]))  # uint8 (U, H, W, 3), U <= T
            if noise:
                images, known = noise.add(images, clip), {}  # other noise in each clip
            new = [row for row, position in enumerate(inside) if position not in known]
            maps, vectors = self._seen(images, own.square, new)
            seen = known | dict(zip(inside[new], vectors, strict=True))
            known = {position: seen[position] for position in inside}
            share = torch.from_numpy(shares).to(maps.device)  # (T, U)
            found = {}
            if len(own):
                local = torch.einsum("tu,kcuhw->kcthw", share, maps.float())
                found["spatial"] = descriptors.spatial_vectors(local, self._settings.grid)
                found["temporal"] = descriptors.temporal_vectors(local)
            whole = share @ torch.stack([known[position] for position in inside]).float()  # (T, D)
            found["global"] = descriptors.temporal_pyramid(whole[None])[0]
            where = f"video {video.id}, clip from frame {video.numbers[positions[clip][0]]}"
            checked = {s: descriptors.require_finite(v, f"{where}, {s}") for s, v in found.items()}
            yield ClipFeatures(clip, own, {s: v.float().cpu().numpy() for s, v in checked.items()})

    def _clean(self, video: Video) -> np.ndarray:
        """Which frames are used, bool [T]."""
        if video.noise is None or self._noise_above is None:
            return np.ones(len(video), bool)
        return video.noise <= self._noise_above

    def _seen(self, images: torch.Tensor, squares: np.ndarray, new: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (K, C, U, H', W') of the tubes around squares (K, 4) in a clip's frames, uint8 (U, H, W, 3), and vectors
        (N, D) of the N whole frames at the indices `new`; all crops go through the backbone together.
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
        return local_maps(first[:tubes_end], second[:tubes_end], count, settings.channels), vectors


@dataclass(frozen=True)
class Noise:
    """Noise on a share of the training clips, a function of the seed and the clip alone."""

    augmentation: Augmentation
    seed: tuple[int, ...]

    def add(self, images: torch.Tensor, clip: int) -> torch.Tensor:
        """A clip uint8 (T, H, W, 3), unchanged or with noise."""
        torch.manual_seed(int(np.random.SeedSequence([*self.seed, clip]).generate_state(1, np.uint64)[0] >> 1))
        noisy, _ = self.augmentation.apply(images[None].float().div_(255))
        return noisy[0].mul_(255).round_().to(torch.uint8)


def key_frames(positions: np.ndarray, causal: bool, clean: np.ndarray) -> np.ndarray:
    """The frame of each clip, int [C, T], that its objects are taken from: int64 [C].

    The `clean` one, bool [frames], nearest to the middle (causally: the last); of two, the earlier. Without a clean
    frame, the middle one itself.
    """
    middle = positions.shape[1] - 1 if causal else positions.shape[1] // 2
    away = np.abs(np.arange(positions.shape[1]) - middle)
    cost = np.where(clean[positions], away, positions.shape[1] + away)
    return np.take_along_axis(positions, cost.argmin(axis=1)[:, None], axis=1)[:, 0]


def between(positions: np.ndarray, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames of one clip, int [T], to extract features of, int64 [U], and weights float32 [T, U] that interpolate
    all frames from them linearly in time; each row sums to 1.

    These are the `clean` frames, bool [frames], or all where none is clean.
    """
    inside = np.unique(positions)  # padding repeats a frame
    seen = inside[clean[inside]] if clean[inside].any() else inside
    return seen, np.stack([np.interp(positions, seen, row) for row in np.eye(len(seen))], axis=1).astype(np.float32)
