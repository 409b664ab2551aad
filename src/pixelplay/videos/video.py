"""A video as detectors see it: frames in order with their original numbers, cached in working sizes, and streamed from
the footage in their original size: these are never all in memory and never stored, however long the video is.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from pixelplay import requirements
from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.videos.corruption import denoise
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.npy_writer import open_frames
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.sources import Source

IMAGE_FOLDER = TypeAdapter(ImageFolder)  # made once: an index has hundreds

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


def video_file(path: Path) -> Source:
    """A video file as a source; raises MissingPackageError if PyAV is not installed."""
    requirements.require(["video"])
    from pixelplay.videos.video_file import VideoFile  # imported late: folders of images need no PyAV

    return VideoFile(path)


def recording_start(source: Source | None) -> datetime | None:
    """The time of day of a source's first frame, where its file knows that."""
    if source is None or isinstance(source, ImageFolder):
        return None
    from pixelplay.videos.packets import recorded_at  # folders of images need no PyAV

    return recorded_at(*source.files())


def source_from_json(fields: dict[str, Any]) -> Source:
    """The source with these fields (`dataclasses.asdict`); raises ValidationError or MissingPackageError."""
    return video_file(Path(fields["path"])) if "path" in fields else IMAGE_FOLDER.validate_python(fields)


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

    def block(self, start: int, stop: int) -> "Originals":
        part = slice(start, stop)
        return replace(self, shown=self.shown[part], flipped=self.flipped[part], noise=self.noise[part])

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame in order, restored, uint8 (H, W, 3) RGB; raises MissingArtifactError for one that is gone."""
        first = int(self.shown[0])
        images = enumerate(self.source.read(gray=False, color=True, start=first), first)
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
    return denoise(np.array(frame[::-1] if flipped else frame, order="C"), denoiser, noise)


def nearest(known: np.ndarray) -> np.ndarray:
    """For each position the nearest that is `known`, bool [T], the earlier of two: int64 [T]."""
    places = np.flatnonzero(known)
    last = (places[:-1] + places[1:]) // 2  # position that is not nearer to the later of two
    return places[np.searchsorted(last, np.arange(len(known)))]


@dataclass(frozen=True)
class Maps:
    """A file of feature maps, .npy, float16 [R, C, S, S], or of other values of boxes."""

    path: Path
    by_box: bool  # an item for each of the video's detected boxes; else one for each row of its table of tracks
    every: int = 1  # of the latter, rows of a track between two that were seen, and not interpolated; and in which
    noise_above: float | None = None  # frames none is seen: see `pixelplay.objects.tracks.cropped`


@dataclass(frozen=True, eq=False)
class Video:
    """Positions 0..T-1 index every array of a video; the frames' original `numbers` are used at the edges.

    A block of time is a Video too. It holds no ground truth, so that none can leak to a detector.
    """

    id: str
    split: str  # train | test | pseudo
    numbers: Int64s  # [T], strictly increasing
    size: tuple[int, int]  # width and height of the original frames, pixels
    folder: Path  # of the cached arrays
    restored: Path | None = None  # folder of the restored arrays, if any
    noise: NoiseLevels | None = None  # float32 [T], of each test or pseudo frame, grey levels of 255
    start: int = 0  # position of the first frame in the cached arrays
    key: str = ""  # changes with the footage and its restoration
    originals: Originals | None = None  # its frames in their original size; None for arrays without a source
    objects: tuple[Path, ...] = ()  # tables of detected boxes: see pixelplay.objects.boxes
    tracks: Path | None = None  # table of boxes followed through time: see pixelplay.objects.tracks
    features: Maps | None = None  # feature maps of the boxes: see pixelplay.objects.features
    crops: Maps | None = None  # the same of the tracks' crops by the run's backbone
    flow: Maps | None = None  # motion inside the tracks' boxes: see pixelplay.objects.flow
    seconds: Float64s | None = None  # [T], presentation times from the first frame on
    fps: float | None = None  # frames per second, on average where the rate varies

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def part(self) -> str:
        """The data set that it is of, where a run has several; else ""."""
        return self.id.rpartition("/")[0]

    def frames(self, frame_format: FrameFormat) -> np.ndarray:
        """Decoded, restored frames, memory-mapped: uint8 [T, H, W] grey or [T, H, W, 3] RGB."""
        path = (self.restored or self.folder) / f"{format_name(frame_format)}.npy"
        frames, stop = open_frames(path, frame_format), self.start + len(self)
        if frames is not None and len(frames) >= stop:
            return frames[self.start : stop]
        problem = "is damaged" if path.exists() else "is missing"
        if frames is not None:
            problem = f"holds {len(frames)} frames, not {stop}: the footage has changed since"
        raise MissingArtifactError(f"{path} {problem}: run `python src/prepare.py` with the same options")

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
