"""A video as the detectors see it: an ordered set of frames with their original numbers, cached arrays behind it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.videos.full_size import Originals
from pixelplay.videos.npy_writer import frames_in
from pixelplay.videos.settings import FrameFormat


@dataclass(frozen=True, eq=False)
class Video:
    """Positions 0..T-1 index every array of a video; `numbers` are the frames' original numbers, used at the edges.

    A block of time of a video is a Video too: it starts at position `start` of the cached arrays. No ground truth is in
    it: what a detector is given cannot leak (see `pixelplay.videos.truth`).
    """

    id: str
    split: str  # train | test | pseudo
    numbers: np.ndarray  # int64 [T], strictly increasing
    size: tuple[int, int]  # width and height of the original frames, pixels
    folder: Path  # of the cached arrays
    restored: Path | None = None  # of the arrays in which corrupted frames were put right, where there are such
    noise: np.ndarray | None = None  # float32 [T], noise level of each test or pseudo frame, grey levels of 255
    start: int = 0
    key: str = ""  # changes with the footage and with what was put right in it
    originals: Originals | None = None  # its frames in their original size; None for arrays that no file stands behind
    objects: tuple[Path, ...] = ()  # tables of boxes that were found in it: see pixelplay.objects.boxes
    seconds: np.ndarray | None = None  # float64 [T], when frames are shown, from the first frame of the footage on
    fps: float | None = None  # frames per second of the footage, on average where that varies

    def __len__(self) -> int:
        return len(self.numbers)

    def frames(self, frame_format: FrameFormat) -> np.ndarray:
        """Decoded frames, corrupted ones put right, memory-mapped: uint8 [T, H, W] grey or [T, H, W, 3] RGB."""
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

    def has_frames(self, formats: Iterable[FrameFormat]) -> bool:
        """Whether a whole video (no block) has sound arrays of all its frames, decoded and restored, in all formats."""
        folders = [folder for folder in (self.folder, self.restored) if folder]
        paths = [(folder / f"{format_name(f)}.npy", f) for folder in folders for f in formats]
        return all(frames_in(path, f) == len(self) for path, f in paths)

    def full_size(self) -> Iterator[np.ndarray]:
        """Frames in their original size as a stream, treated like `frames`: T arrays, uint8 (H, W, 3) RGB."""
        if self.originals is None:
            raise DataError(f"video {self.id}: no files are known behind its cached frames")
        return self.originals.frames()

    def block(self, start: int, stop: int) -> "Video":
        """Frames start..stop-1 as a video of their own."""
        if not 0 <= start < stop <= len(self):
            raise DataError(f"video {self.id}: no block {start}..{stop} in {len(self)} frames")
        noise = None if self.noise is None else self.noise[start:stop]
        return replace(
            self,
            numbers=self.numbers[start:stop],
            seconds=None if self.seconds is None else self.seconds[start:stop],
            start=self.start + start,
            noise=noise,
            originals=self.originals.block(start, stop) if self.originals else None,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "split": self.split,
            "size": list(self.size),
            "seconds": self.seconds.tolist() if self.seconds is not None else None,
            "fps": self.fps,
            "folder": str(self.folder),
            "restored": str(self.restored) if self.restored else None,
            "key": self.key,
            "originals": self.originals.as_json() if self.originals else None,
            "numbers": self.numbers.tolist(),
            "noise": [round(float(level), 2) for level in self.noise] if self.noise is not None else None,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Video":
        size = (value["size"][0], value["size"][1])
        return cls(
            id=value["id"],
            split=value["split"],
            numbers=np.array(value["numbers"], np.int64),
            size=size,
            seconds=np.array(value["seconds"], np.float64) if value["seconds"] is not None else None,
            fps=value["fps"],
            folder=Path(value["folder"]),
            restored=Path(value["restored"]) if value["restored"] else None,
            key=value["key"],
            originals=Originals.from_json(value["originals"], size) if value["originals"] else None,
            noise=np.array(value["noise"], np.float32) if value["noise"] is not None else None,
        )


def format_name(frame_format: FrameFormat) -> str:
    """`128x128-gray`: width, height and colour, as in the cache's file names."""
    return f"{frame_format.width}x{frame_format.height}-{'gray' if frame_format.gray else 'rgb'}"
