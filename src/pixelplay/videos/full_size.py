"""A video's frames in their original size, decoded as a stream and treated like the cached ones: for detection, crops.

Never held in memory all at once and never stored: 10 hours of video must not need 10 hours' memory or disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pixelplay.errors import MissingArtifactError
from pixelplay.videos.denoise import denoise
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.sources import Source, video_file


@dataclass(frozen=True, eq=False)
class Originals:
    """Where the frames of a video (or of a block of time of it) are, and what is done to each before it is shown."""

    source: Source
    size: tuple[int, int]  # width and height in pixels that every frame has or is brought to
    shown: np.ndarray  # int64 [T], position in the source of the image that stands at each position; never decreasing
    flipped: np.ndarray  # bool [T], turned back
    noise: np.ndarray  # float32 [T], level as which a frame is denoised, grey levels of 255; 0: not denoised
    denoiser: str = "none"

    @classmethod
    def of(cls, source: Source, size: tuple[int, int], readable: np.ndarray) -> "Originals":
        """As decoded; `readable`, bool [T], says for which positions the source has an image."""
        return cls(source, size, nearest(readable), np.zeros(len(readable), bool), np.zeros(len(readable), np.float32))

    def restored(self, flipped: np.ndarray, noise: np.ndarray, denoiser: str) -> "Originals":
        return replace(self, flipped=flipped, noise=noise, denoiser=denoiser)

    def block(self, start: int, stop: int) -> "Originals":
        part = slice(start, stop)
        return replace(self, shown=self.shown[part], flipped=self.flipped[part], noise=self.noise[part])

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame in order, corrupted ones put right, uint8 (H, W, 3) RGB of `size`, an array of its own.

        Raises MissingArtifactError where an image is no longer there that `prepare` has read.
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

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source.as_json(),
            "shown": self.shown.tolist(),
            "flipped": np.flatnonzero(self.flipped).tolist(),
            "noise": [round(float(level), 2) for level in self.noise] if self.noise.any() else None,
            "denoiser": self.denoiser,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], size: tuple[int, int]) -> "Originals":
        shown = np.array(value["shown"], np.int64)
        noise = np.zeros(len(shown)) if value["noise"] is None else value["noise"]
        return cls(
            source=source_from_json(value["source"]),
            size=size,
            shown=shown,
            flipped=np.isin(np.arange(len(shown)), value["flipped"]),
            noise=np.array(noise, np.float32),
            denoiser=value["denoiser"],
        )


def put_right(frame: np.ndarray, flipped: bool, noise: float, denoiser: str) -> np.ndarray:
    """A copy of one frame, uint8 (H, W) or (H, W, 3), turned where `flipped`, denoised as one of this noise level."""
    upright = np.array(frame[::-1] if flipped else frame, order="C")
    return denoise(upright, denoiser, noise)


def nearest(known: np.ndarray) -> np.ndarray:
    """For each position the nearest one that is `known`, bool [T], the earlier of two: int64 [T]."""
    at, places = np.arange(len(known)), np.flatnonzero(known)
    after = np.searchsorted(places, at).clip(max=len(places) - 1)
    before = np.where(places[after] > at, (after - 1).clip(min=0), after)
    return np.where(at - places[before] <= np.abs(places[after] - at), places[before], places[after])


def source_from_json(value: dict[str, Any]) -> Source:
    """The source that `as_json` described."""
    if "path" in value:
        return video_file(Path(value["path"]))
    return ImageFolder.from_json(value)
