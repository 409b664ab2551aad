"""Feature maps of tracked objects by a backbone: of crops of some rows of each track, interpolated in between."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from pixelplay.backbones.frozen import Backbone
from pixelplay.objects.crops import crop_batches
from pixelplay.objects.pyramid import as_stored
from pixelplay.objects.settings import FeaturesConfig
from pixelplay.objects.tracks import Tracks, by_track, cropped
from pixelplay.objects.tubes import squares
from pixelplay.objects.yolo import batches
from pixelplay.videos.video import Video

FRAMES = 16  # in memory at a time


@dataclass(frozen=True)
class ObjectMaps:
    """What turns a video's tracks into maps: both stages of a backbone, averaged to cells x cells, in turn."""

    backbone: Backbone
    config: FeaturesConfig

    @property
    def channels(self) -> int:
        """Of a map."""
        size = self.config.image_size
        return sum(stage.shape[1] for stage in self.backbone(self.backbone.mean.new_zeros(1, 3, size, size)))

    def of(
        self, video: Video, tracks: Tracks, advance: Callable[[int], Any] = lambda frames: None
    ) -> Iterator[np.ndarray]:
        """Maps float16 [n, C, cells, cells] of the rows of a video's tracks, in order, n at a time.

        Rows of a track are cropped as `pixelplay.objects.tracks.cropped` says; maps of rows in between are those of the
        two nearest, interpolated linearly in time, and of rows after the last one its own. `advance(n)` is called after
        n frames.
        """
        near = neighbours(tracks, cropped(video, self.config.every, self.config.noise_above))
        latest = np.maximum.accumulate(near.after)  # a row that its maps and those before can be made from
        earliest = np.minimum.accumulate(near.before[::-1])[::-1]
        square = squares(tracks.xyxy, video.size, self.config.enlarge)
        crops = np.unique(np.concatenate([near.before, near.after]))
        known: dict[int, np.ndarray] = {}
        done = 0
        for start, frames in batches(video.full_size(), FRAMES):
            here = tracks.rows(start, start + len(frames))
            rows = crops[slice(*np.searchsorted(crops, [here.start, here.stop]))]
            seen = self.seen(frames, square[rows], tracks.position[rows] - start)
            known.update(zip(rows.tolist(), seen, strict=True))
            ready = int(np.searchsorted(latest, here.stop))
            if ready > done:
                part = slice(done, ready)
                yield _mixed(known, near.before[part], near.after[part], near.weight[part])
                oldest = earliest[ready] if ready < len(tracks) else here.stop
                known = {row: one for row, one in known.items() if row >= oldest}
                done = ready
            advance(len(frames))

    def seen(self, frames: Sequence[np.ndarray], square: np.ndarray, position: np.ndarray) -> Iterator[np.ndarray]:
        """The map, float16 [C, cells, cells], of each of the squares, int64 [K, 4], in the frames at `position` [K].

        frames: uint8 (H, W, 3), of one size. For the squares see `pixelplay.objects.tubes`.
        """
        if not len(square):
            return
        device, config = self.backbone.mean.device, self.config
        images = torch.from_numpy(np.stack(frames)).to(device)
        boxes, positions = (torch.from_numpy(values).to(device) for values in (square, position))
        for crops in crop_batches(images, boxes, positions, config.image_size, config.batch_size):
            pooled = [F.adaptive_avg_pool2d(stage, config.cells) for stage in self.backbone(crops)]
            yield from as_stored(torch.cat(pooled, dim=1))


@dataclass(frozen=True)
class Neighbours:
    """For each of N rows of tracks the rows that are cropped in its place: its own, or two of the same track."""

    before: np.ndarray  # int64 [N]
    after: np.ndarray  # int64 [N]
    weight: np.ndarray  # float32 [N], of the map of `after`, in [0, 1)


def neighbours(tracks: Tracks, chosen: np.ndarray) -> Neighbours:
    """The nearest `chosen` rows, bool [N], before and after each row in its track, which has one at least."""
    before, after = np.empty((2, len(tracks)), np.int64)
    for rows in by_track(tracks):
        own = rows[chosen[rows]]
        at = np.searchsorted(tracks.position[own], tracks.position[rows], side="right")
        before[rows] = own[(at - 1).clip(min=0)]
        after[rows] = np.where(chosen[rows], rows, own[at.clip(max=len(own) - 1)])
    time = tracks.position
    gap = np.maximum(time[after] - time[before], 1)
    weight = np.where(after > before, (time - time[before]) / gap, 0.0)
    return Neighbours(before, after, weight.clip(0, 1).astype(np.float32))


def _mixed(known: dict[int, np.ndarray], before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Maps float16 [n, C, cells, cells] between those of `before` and `after`, int64 [n]; `weight`: of the latter."""
    one, other = (np.stack([known[row] for row in rows.tolist()]).astype(np.float32) for rows in (before, after))
    return (one + (other - one) * weight[:, None, None, None]).astype(np.float16)
