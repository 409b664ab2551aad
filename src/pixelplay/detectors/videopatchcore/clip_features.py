"""VideoPatchCore's features of clips (Ahn et al., ACCV 2024): spatial and temporal of objects, global of frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from pixelplay.backbones.frozen import Backbone, local_maps
from pixelplay.detectors.videopatchcore import descriptors
from pixelplay.objects.crops import crop_batches
from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tracks import Tracks
from pixelplay.objects.tubes import Tubes, tubes
from pixelplay.settings import Channels, ImageSize, Settings
from pixelplay.training.clips import Augmentation
from pixelplay.videos.video import Video
from pixelplay.videos.windows import gather

LOCAL = ("spatial", "temporal")  # streams of objects
STREAMS = (*LOCAL, "global")
Crop = tuple[int, ...]  # position of the frame, x1, y1, x2, y2


class PatchSettings(Settings):
    image_size: ImageSize  # of the crops; 3x3 pooling needs 3x3 cells of 16
    channels: Channels  # of a local descriptor: CNL_POOL
    grid: Annotated[int, Field(ge=1, le=64)]  # a tube has grid x grid spatial descriptors


@dataclass(frozen=True)
class ClipFeatures:
    """Vectors of one clip, float32, by stream; a clip without objects has global ones only."""

    clip: int  # row in the positions
    tubes: Tubes  # the K tubes of this clip
    shown: int  # index in the clip of the frame that stands for it in pictures: see `key_frame`
    vectors: dict[str, np.ndarray]  # spatial (K, grid * grid, C), temporal (K, T - 1, C), global (T, D)


@dataclass(frozen=True)
class Clip:
    """What vectors are made of: T frames, of which padding repeats some, and the tubes in them."""

    positions: np.ndarray  # int (T,)
    frames: Sequence[np.ndarray]  # T x uint8 (H, W, 3)
    clean: np.ndarray  # bool (T,): which are used
    tubes: Tubes


@dataclass
class Known:
    """What the backbone has made of a clip, for the next one of the same footage."""

    frames: dict[int, torch.Tensor] = field(default_factory=dict)  # vectors of whole frames, by position
    crops: dict[Crop, torch.Tensor] = field(default_factory=dict)  # maps


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
        self.backbone, self.config, self._settings, self._batch = backbone, config, settings, batch
        self._noise_above = noise_above

    def identity(self, stream: str) -> dict[str, Any]:
        """What a stream's vectors are, as JSON: banks and features of another identity don't match them."""
        settings = self._settings.model_dump()
        return {**self.backbone.identity, "stream": stream, **settings, "enlarge": self.config.enlarge}

    def clips(
        self, video: Video, tracks: Tracks, positions: np.ndarray, causal: bool, noise: "Noise | None" = None
    ) -> Iterator[ClipFeatures]:
        """Features of a video's clips (C, T), in order, and of the `tracks` in them.

        Each whole frame and each object in it goes through the backbone once, however many clips share them; noisy
        frames of clips with clean ones are skipped. At most T full-size frames are in memory. Raises DataError for
        features that are not finite.
        """
        clean = self.clean(np.zeros(len(video)) if video.noise is None else video.noise)
        every = tubes(tracks, positions, video.size, self.config, causal)
        known = Known()
        for i, (frames, own) in enumerate(zip(gather(video.full_size(), positions), every, strict=True)):
            clip, change = Clip(positions[i], frames, clean[positions[i]], own), None
            if noise:
                known, change = Known(), partial(noise.add, clip=i)  # other noise in each clip
            where = f"video {video.id}, clip from frame {video.numbers[positions[i][0]]}"
            yield ClipFeatures(i, own, key_frame(clip.clean, causal), self.vectors(clip, known, where, change))

    @torch.inference_mode()
    def vectors(
        self, clip: Clip, known: Known, where: str, change: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> dict[str, np.ndarray]:
        """The vectors of a clip, as in `ClipFeatures`.

        known: of the clip before, whose place this clip's takes. where: the clip, in errors. change: of its frames,
        uint8 (U, H, W, 3). Raises DataError for features that are not finite.
        """
        inside, shares = between(clip.positions, clip.clean)
        by_position = dict(zip(clip.positions, clip.frames, strict=True))  # padding repeats a frame
        images = torch.from_numpy(np.stack([by_position[i] for i in inside]))  # uint8 (U, H, W, 3), U <= T
        images = change(images) if change else images
        new = [row for row, position in enumerate(inside) if position not in known.frames]
        square = clip.tubes.square[:, np.searchsorted(clip.positions, inside)]  # (K, U, 4)
        crops = [(int(t), *box) for of_track in square.tolist() for t, box in zip(inside, of_track, strict=True)]
        new_crops = [row for row, crop in enumerate(crops) if crop not in known.crops]
        maps, vectors = self._seen(images, square.reshape(-1, 4)[new_crops], np.array(new_crops) % len(inside), new)
        seen = known.frames | dict(zip(inside[new], vectors, strict=True))
        known.frames = {position: seen[position] for position in inside}
        seen_maps = known.crops | {crops[row]: of_crop for row, of_crop in zip(new_crops, maps, strict=True)}
        known.crops = {crop: seen_maps[crop] for crop in crops}
        share = torch.from_numpy(shares).to(vectors.device)  # (T, U)
        found = {}
        if len(clip.tubes):
            of_tubes = torch.stack([known.crops[crop] for crop in crops]).unflatten(0, square.shape[:2])
            local = torch.einsum("tu,kuchw->kcthw", share, of_tubes.float())
            found["spatial"] = descriptors.spatial_vectors(local, self._settings.grid)
            found["temporal"] = descriptors.temporal_vectors(local)
        whole = share @ torch.stack([known.frames[position] for position in inside]).float()  # (T, D)
        found["global"] = descriptors.temporal_pyramid(whole[None])[0]
        checked = {s: descriptors.require_finite(v, f"{where}, {s}") for s, v in found.items()}
        return {s: v.float().cpu().numpy() for s, v in checked.items()}

    def clean(self, noise: np.ndarray) -> np.ndarray:
        """Which frames are used, bool (N,), by their noise, grey levels of 255."""
        return np.full(len(noise), True) if self._noise_above is None else noise <= self._noise_above

    def _seen(
        self, images: torch.Tensor, squares: np.ndarray, rows: np.ndarray, new: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (M, C, H', W') of the squares (M, 4) in the frames `rows` (M,) of a clip, uint8 (U, H, W, 3), and
        vectors (N, D) of the N whole frames at the indices `new`; all crops go through the backbone together.
        """
        settings, images = self._settings, images.to(self.backbone.mean.device)
        boxes, positions = (torch.from_numpy(of.astype(np.int64)).to(images.device) for of in (squares, rows))
        count = len(boxes)
        frames = boxes.new_tensor([0, 0, images.shape[2], images.shape[1]]).expand(len(new), 4)
        boxes, positions = torch.cat([boxes, frames]), torch.cat([positions, positions.new_tensor(new)])
        if not len(boxes):
            return images.new_empty(0), images.new_empty(0)
        crops = crop_batches(images, boxes, positions, settings.image_size, self._batch)
        first, second = (torch.cat(stage) for stage in zip(*map(self.backbone, crops), strict=True))
        vectors = descriptors.frame_vectors(first[count:], second[count:])
        return local_maps(first[:count], second[:count], settings.channels), vectors


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


def key_frame(clean: np.ndarray, causal: bool) -> int:
    """The index of the frame that stands for a clip: of its `clean` ones, bool (T,), the nearest to the middle
    (causally: to the last), the earlier of two; without a clean one, the middle one itself.
    """
    middle = len(clean) - 1 if causal else len(clean) // 2
    away = np.abs(np.arange(len(clean)) - middle)
    return int(np.where(clean, away, len(clean) + away).argmin())


def between(positions: np.ndarray, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames of one clip, int [T], to extract features of, int64 [U], and weights float32 [T, U] that interpolate
    all frames from them linearly in time; each row sums to 1.

    These are the `clean` frames, bool [T], or all where none is clean.
    """
    inside, first = np.unique(positions, return_index=True)  # padding repeats a frame
    usable = clean[first]
    seen = inside[usable] if usable.any() else inside
    return seen, np.stack([np.interp(positions, seen, row) for row in np.eye(len(seen))], axis=1).astype(np.float32)
