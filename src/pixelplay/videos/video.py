"""A video as detectors see it: frames in order with their original numbers, backed by cached arrays."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.videos.full_size import Float64s, Int64s, NoiseLevels, Originals
from pixelplay.videos.npy_writer import frames_in
from pixelplay.videos.settings import FrameFormat


@dataclass(frozen=True)
class Maps:
    """A file of feature maps, .npy, float16 [R, C, S, S]."""

    path: Path
    by_box: bool  # a map for each of the video's detected boxes; else one for each row of its table of tracks


@dataclass(frozen=True, eq=False)
class Video:
    """Positions 0..T-1 index every array of a video; the frames' original `numbers` are used at the edges.

    A block of time is a Video too: it starts at position `start` of the cached arrays. It holds no ground truth, so
    that none can leak to a detector (see `pixelplay.videos.truth`).
    """

    id: str
    split: str  # train | test | pseudo
    numbers: Int64s  # [T], strictly increasing
    size: tuple[int, int]  # width and height of the original frames, pixels
    folder: Path  # of the cached arrays
    restored: Path | None = None  # folder of the restored arrays, if any
    noise: NoiseLevels | None = None  # float32 [T], of each test or pseudo frame, grey levels of 255
    start: int = 0
    key: str = ""  # changes with the footage and its restoration
    originals: Originals | None = None  # its frames in their original size; None for arrays without a source
    objects: tuple[Path, ...] = ()  # tables of detected boxes: see pixelplay.objects.boxes
    tracks: Path | None = None  # table of boxes followed through time: see pixelplay.objects.tracks
    features: Maps | None = None  # feature maps of the boxes: see pixelplay.objects.features
    seconds: Float64s | None = None  # [T], presentation times from the first frame on
    fps: float | None = None  # frames per second, on average where the rate varies

    def __len__(self) -> int:
        return len(self.numbers)

    def frames(self, frame_format: FrameFormat) -> np.ndarray:
        """Decoded, restored frames, memory-mapped: uint8 [T, H, W] grey or [T, H, W, 3] RGB."""
        path = (self.restored or self.folder) / f"{format_name(frame_format)}.npy"
        count = frames_in(path, frame_format)
        if count is None:
            problem = "damaged" if path.exists() else "missing"
            raise MissingArtifactError(f"{path} is {problem}: run `python src/prepare.py` with the same options")
        if self.start + len(self) > count:
            raise MissingArtifactError(
                f"{path} holds {count} frames, not {self.start + len(self)}: the footage has changed since; "
                "run `python src/prepare.py` with the same options"
            )
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array[self.start : self.start + len(self)]

    def full_size(self) -> Iterator[np.ndarray]:
        """Restored frames in their original size as a stream: T arrays, uint8 (H, W, 3) RGB."""
        if self.originals is None:
            raise DataError(f"video {self.id}: it has cached frames only, no source of full-size frames")
        return self.originals.frames()

    def block(self, start: int, stop: int) -> "Video":
        """Frames start..stop-1 as a video."""
        if not 0 <= start < stop <= len(self):
            raise DataError(f"video {self.id}: no block {start}..{stop} in {len(self)} frames")
        return replace(
            self,
            numbers=self.numbers[start:stop],
            seconds=None if self.seconds is None else self.seconds[start:stop],
            start=self.start + start,
            noise=None if self.noise is None else self.noise[start:stop],
            originals=self.originals.block(start, stop) if self.originals else None,
        )


def format_name(frame_format: FrameFormat) -> str:
    """`128x128-gray`: width, height and colour, as in the cache's file names."""
    return f"{frame_format.width}x{frame_format.height}-{'gray' if frame_format.gray else 'rgb'}"
