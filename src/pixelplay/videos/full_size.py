"""A video's frames in their original size, decoded as a stream and restored like the cached ones.

They are never all in memory and never stored: 10 hours of video must not need 10 hours' memory or disk.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import cv2
import numpy as np
from pydantic import PlainSerializer, PlainValidator

from pixelplay.errors import MissingArtifactError
from pixelplay.videos.footage import source_from_json
from pixelplay.videos.noise import denoise
from pixelplay.videos.sources import Source

# Arrays as fields of an index: lists in its JSON, noise levels with two digits.
_LIST = PlainSerializer(np.ndarray.tolist)
Int64s = Annotated[np.ndarray, PlainValidator(lambda values: np.array(values, np.int64)), _LIST]
Float64s = Annotated[np.ndarray, PlainValidator(lambda values: np.array(values, np.float64)), _LIST]
Bools = Annotated[np.ndarray, PlainValidator(lambda values: np.array(values, bool)), _LIST]
NoiseLevels = Annotated[
    np.ndarray,
    PlainValidator(lambda values: np.array(values, np.float32)),
    PlainSerializer(lambda levels: [round(float(level), 2) for level in levels]),
]


@dataclass(frozen=True, eq=False)
class Originals:
    """Where the frames of a video (or of a block of it) are, and how each is restored."""

    source: Annotated[Source, PlainValidator(source_from_json), PlainSerializer(asdict)]
    size: tuple[int, int]  # width and height in pixels that every frame has or is resized to
    shown: Int64s  # [T], position in the source of the image that stands at each position; never decreasing
    flipped: Bools  # [T], turned upright
    noise: NoiseLevels  # float32 [T], level for which a frame is denoised, grey levels of 255; 0: not denoised
    denoiser: str = "none"

    @classmethod
    def of(cls, source: Source, size: tuple[int, int], readable: np.ndarray) -> "Originals":
        """As decoded; `readable`, bool [T]: the positions at which the source has an image."""
        return cls(source, size, nearest(readable), np.zeros(len(readable), bool), np.zeros(len(readable), np.float32))

    def restored(self, flipped: np.ndarray, noise: np.ndarray, denoiser: str) -> "Originals":
        return replace(self, flipped=flipped, noise=noise, denoiser=denoiser)

    def block(self, start: int, stop: int) -> "Originals":
        part = slice(start, stop)
        return replace(self, shown=self.shown[part], flipped=self.flipped[part], noise=self.noise[part])

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame in order, restored: uint8 (H, W, 3) RGB of `size`, each an array of its own.

        Raises MissingArtifactError if an image that `prepare` has read can no longer be read.
        """
        images = enumerate(self.source.read(gray=False, color=True, start=int(self.shown[0])), int(self.shown[0]))
        at, image = -1, None
        for t, wanted in enumerate(self.shown):
            while at < wanted:
                at, frame = next(images, (wanted, None))
                image = frame.color if frame else None
            if image is None:
                raise MissingArtifactError(
                    f"{self.source.files()[0].parent}: the footage has changed since it was prepared (image {wanted} "
                    "can no longer be read): run `python src/prepare.py` with the same options"
                )
            if image.shape[1::-1] != self.size:
                image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)
            yield put_right(image, bool(self.flipped[t]), float(self.noise[t]), self.denoiser)


def put_right(frame: np.ndarray, flipped: bool, noise: float, denoiser: str) -> np.ndarray:
    """A restored copy of one frame, uint8 (H, W) or (H, W, 3): turned if `flipped`, denoised for this noise level."""
    upright = np.array(frame[::-1] if flipped else frame, order="C")
    return denoise(upright, denoiser, noise)


def nearest(known: np.ndarray) -> np.ndarray:
    """For each position the nearest that is `known`, bool [T], the earlier of two: int64 [T]."""
    at, places = np.arange(len(known)), np.flatnonzero(known)
    after = np.searchsorted(places, at).clip(max=len(places) - 1)
    before = np.where(places[after] > at, (after - 1).clip(min=0), after)
    return np.where(at - places[before] <= np.abs(places[after] - at), places[before], places[after])
