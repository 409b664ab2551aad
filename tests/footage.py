"""Small footage for the tests: frames and videos written in real file formats, and sources made of arrays."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from pydantic import TypeAdapter

from pixelplay.objects.tracks import Tracks
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.settings import DatasetConfig, FrameFormat, HeldoutConfig
from pixelplay.videos.sources import Frame
from pixelplay.videos.video import Video

WIDTH, HEIGHT = 64, 48
GRAY = FrameFormat(height=12, width=16, gray=True)
SMALL_GRAY = FrameFormat(height=8, width=9, gray=True)
COLOR = FrameFormat(height=10, width=14, gray=False)


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A smooth random picture, uint8 (H, W, 3) RGB: codecs need something like a photograph."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 0)


def encoded(suffix: str, seed: int = 0, options: tuple[int, ...] = (), image: np.ndarray | None = None) -> bytes:
    """The bytes of an image file."""
    image = picture(seed) if image is None else image
    ok, data = cv2.imencode(suffix, image[..., ::-1] if image.ndim == 3 else image, list(options))
    assert ok
    return data.tobytes()


def write_frames(folder: Path, numbers: Iterable[int], name: str = "{:03d}.png", seed: int = 0) -> list[Path]:
    """One picture for each number, in files called `name`; frame n of a seed is always the same picture."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name.format(number) for number in numbers]
    for path, number in zip(paths, numbers, strict=True):
        path.write_bytes(encoded(path.suffix, seed=1000 * seed + number))
    return paths


def write_video(path: Path, frames: int, codec: str = "MJPG", seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (WIDTH, HEIGHT))
    assert writer.isOpened(), path
    for number in range(frames):
        writer.write(np.ascontiguousarray(picture(1000 * seed + number)[..., ::-1]))
    writer.release()


def folder_video(folder: Path, split: str = "train") -> RawVideo:
    return RawVideo(folder.name, split, ImageFolder.scan(folder))


def dataset(
    layout: str, root: Path | None, candidates: tuple[str, ...] = (), tracks: Path | None = None
) -> DatasetConfig:
    heldout = HeldoutConfig(share=0.2, min_videos=8, gap=2, seed=0)
    return DatasetConfig(
        name=layout,
        layout=layout,
        root=root,
        candidates=list(candidates),
        tracks=tracks,
        max_unreadable=0.05,
        on_unreadable="stop",
        heldout=heldout,
        noise_share=0.0,
        sample=None,
    )


def levels(count: int, height: int = 8, width: int = 8) -> Iterator[np.ndarray]:
    """Plain grey frames, uint8 (H, W), that tell their position: frame t is t modulo 251 everywhere."""
    for t in range(count):
        yield np.full((height, width), t % 251, np.uint8)


@dataclass(frozen=True)
class GeneratedSource:
    """A source of `count` plain frames (see `levels`) that come from nowhere; `file` stands for what they come from."""

    file: Path
    count: int
    height: int = 8
    width: int = 8
    unreadable: frozenset[int] = field(default=frozenset())

    def expected_frames(self) -> int:
        return self.count

    def fps(self) -> float | None:
        return None

    def files(self) -> list[Path]:
        return [self.file]

    def remarks(self, decoded: int) -> list[tuple[str, str, str]]:
        return []

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        for number, image in islice(enumerate(levels(self.count, self.height, self.width)), start, None):
            if number in self.unreadable:
                yield Frame(number, f"#{number}", None, None, "cannot be decoded")
            else:
                yield Frame(
                    number, f"#{number}", image if gray else None, np.dstack([image] * 3) if color else None, None
                )


def through_json(video: Video) -> Video:
    """The video as an index gives it back."""
    return TypeAdapter(Video).validate_json(TypeAdapter(Video).dump_json(video))


def generated(folder: Path, count: int, **options: object) -> RawVideo:
    """A training video of plain frames."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "source"
    file.touch()
    return RawVideo("generated", "train", GeneratedSource(file, count, **options))  # type: ignore[arg-type]


def followed(*rows: tuple[float, ...], interpolated: Collection[int] = ()) -> Tracks:
    """Tracks of persons, of rows position, track, x1, y1, x2, y2; those that are detected have the boxes 0, 1, 2, …

    interpolated: rows, in the order of the table.
    """
    values = np.array(sorted(rows), np.float64).reshape(-1, 6)
    count = len(values)
    between = np.isin(np.arange(count), list(interpolated))
    return Tracks(
        position=values[:, 0].astype(np.int64),
        xyxy=values[:, 2:].astype(np.float32),
        label=np.full(count, "person"),
        confidence=np.ones(count, np.float32),
        track=values[:, 1].astype(np.int64),
        interpolated=between,
        box=np.where(between, -1, np.cumsum(~between) - 1),
    )
