"""Renders clips of held-out normal footage with planted anomalies to disk, losslessly, and reads them back as videos.

Every clip depends on its kind, its seed and the footage alone, so any number of threads writes the same bytes.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel, model_validator

from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.run.artifacts import read_model, write_json
from pixelplay.run.atomic import atomic_folder
from pixelplay.run.locks import turn
from pixelplay.synthetic.pseudo.kinds import KINDS, LEAST, Event, Length, NoUseError, Piece, length_in, needed
from pixelplay.synthetic.pseudo.motion_mask import Scene, Survey
from pixelplay.synthetic.pseudo.settings import PseudoConfig
from pixelplay.videos.corruption import KINDS as CORRUPTIONS
from pixelplay.videos.corruption import corrupt, draw_kinds
from pixelplay.videos.denoise import GRAY_SHARE
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.npy_writer import NpyWriter
from pixelplay.videos.settings import CorruptionConfig
from pixelplay.videos.truth_files import FrameLabels, LabelFile, PixelMasks
from pixelplay.videos.video import Video

SPLIT = "pseudo"
TRIES = 8  # pieces of the held-out footage that are tried before a clip is left out
LONG = 0.5  # of the longest clip that can be had: shorter ones are not made
EVERY = 5  # of the frames in which is looked for what is usual, the one that is looked at
SMALL = 320  # pixels of width in which they are looked at
SAME = 0.9  # correlation of two backgrounds from which on they are of the same scene
NAME = "{:05d}.png"
SHORTEST = Length(LEAST, 1)


@dataclass(frozen=True)
class Clip:
    """What was planted where; `left_out` says why there is nothing."""

    kind: str
    seed: int
    folder: Path  # frames/ and masks/ (the upright scene's, of anomalous frames only)
    left_out: str | None = None
    source: str = ""  # the held-out training video
    shown: tuple[int, ...] = ()  # of each frame, the number of the frame of the source
    first: int = 0  # anomalous are the frames first, …, stop - 1
    stop: int = 0
    corruption: tuple[str, ...] = ()  # of each frame: see pixelplay.videos.corruption

    @property
    def id(self) -> str:
        return clip_id(self.kind, self.seed)

    def raw(self) -> RawVideo:
        """The clip as the frame cache takes it; its frames are numbered from 0."""
        masks = {t: NAME.format(t) for t in range(self.first, self.stop)}
        return RawVideo(
            self.id,
            SPLIT,
            ImageFolder.scan(self.folder / "frames"),
            LabelFile(self.folder / "clip.json", partial(_labels, self)),
            PixelMasks("images", str(self.folder / "masks"), masks),
        )


class Recorded(BaseModel):
    """What clip.json says of a clip; the rest is known."""

    left_out: str | None
    source: str
    shown: tuple[int, ...]
    first: int
    stop: int
    corruption: tuple[str, ...]

    @model_validator(mode="after")
    def _of_one_length(self) -> "Recorded":
        if len(self.corruption) != len(self.shown) or not 0 <= self.first <= self.stop <= len(self.shown):
            raise ValueError(f"{len(self.shown)} frames, {len(self.corruption)} corruptions, {self.first}:{self.stop}")
        if bool(self.shown) == bool(self.left_out) or not set(self.corruption) <= set(CORRUPTIONS):
            raise ValueError("neither a clip nor left out, or an unknown corruption")
        return self


def clip_id(kind: str, seed: int) -> str:
    return f"{kind}-{seed}"


def _labels(clip: Clip) -> FrameLabels:
    numbers = np.arange(len(clip.shown))
    anomalous = (numbers >= clip.first) & (numbers < clip.stop)
    return FrameLabels(clip.folder / "clip.json", numbers, anomalous.astype(np.uint8))


def render_clips(
    heldout: Sequence[Video],
    training: Sequence[Video],
    config: PseudoConfig,
    corruption: CorruptionConfig,
    folder: Path,
    workers: int,
    advance: Callable[[int], Any] = lambda clips: None,
) -> list[Clip]:
    """The clips of `config`, each below `folder` in a folder of its name; what is there already is kept.

    `heldout`: normal videos, or blocks of time of them, that the clips are made of. `training`: all training videos,
    in which is looked where things usually move. `corruption`: its levels are those of the grey frame. A clip is
    there whole or not at all. `advance` is told of clips that are done.
    """
    jobs = [(kind, seed) for kind in config.kinds for seed in config.seeds]

    def make(place: Path, kind: str, seed: int) -> None:
        shutil.rmtree(place, ignore_errors=True)
        with atomic_folder(place) as unfinished:
            pieces = _pieces(heldout, training, config, kind, seed, unfinished / "piece.npy")
            clip = _render(pieces, Clip(kind, seed, unfinished), config, corruption)
            record = Recorded.model_validate(clip, from_attributes=True)
            write_json(unfinished / "clip.json", record.model_dump(mode="json"))
            (unfinished / "piece.npy").unlink(missing_ok=True)

    def one(kind: str, seed: int) -> Clip:
        place = folder / clip_id(kind, seed)
        if not _is_there(place):
            with turn(place, f"clip {place.name}"):
                if not _is_there(place):  # another run may have rendered it
                    make(place, kind, seed)
        advance(1)
        return _read(place, kind, seed)

    with ThreadPoolExecutor(workers) as pool:  # OpenCV and NumPy work outside the GIL
        waiting = [pool.submit(one, *job) for job in jobs]
        try:
            return [job.result() for job in waiting]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _is_there(place: Path) -> bool:
    """Whether a clip was rendered, and nobody has deleted frames of it since."""
    try:
        record = read_model(place / "clip.json", Recorded, made_by="prepare")
    except (MissingArtifactError, DamagedArtifactError):
        return False
    return all((place / "frames" / NAME.format(t)).is_file() for t in range(len(record.shown)))


def _read(place: Path, kind: str, seed: int) -> Clip:
    return Clip(kind, seed, place, **dict(read_model(place / "clip.json", Recorded, made_by="prepare")))


def _render(
    pieces: Iterator[tuple[Video, Piece, Length]], clip: Clip, config: PseudoConfig, corruption: CorruptionConfig
) -> Clip:
    """Write frames and masks into the clip's folder; returns it with what was planted, or why no piece had a use."""
    event_rng, corruption_rng = _generators(clip.kind, clip.seed)[1:]
    reason = f"no held-out video has the {needed(SHORTEST, clip.kind, config)} frames that it takes"
    for block, piece, length in pieces:
        try:
            event = KINDS[clip.kind].plant(piece, length, config, event_rng)
        except NoUseError as error:
            where = f"{block.id}, frames {block.numbers[0]} to {block.numbers[-1]}"
            reason = f"{error} ({where}, the last of {TRIES} pieces of held-out footage that were tried)"
            continue
        kinds = draw_kinds(length.frames, corruption, corruption_rng)
        _write(clip.folder, piece, event, kinds, corruption, corruption_rng)
        return replace(
            clip,
            source=block.id,
            shown=tuple(block.numbers[event.shown].tolist()),
            first=event.first,
            stop=event.stop,
            corruption=tuple(kinds.tolist()),
        )
    return replace(clip, left_out=reason)


def _pieces(
    heldout: Sequence[Video], training: Sequence[Video], config: PseudoConfig, kind: str, seed: int, path: Path
) -> Iterator[tuple[Video, Piece, Length]]:
    """Pieces of held-out footage at random places, and how long a clip each makes; each replaces the last at `path`."""
    rng = _generators(kind, seed)[0]
    lengths = [length_in(len(video), kind, config) for video in heldout]
    longest = max((length.frames for length in lengths if length), default=0)
    usable = [(v, n) for v, n in zip(heldout, lengths, strict=True) if n and n.frames >= LONG * longest]
    shares = np.array([len(video) for video, _ in usable], np.float64)
    for _ in range(TRIES if usable else 0):
        video, length = usable[int(rng.choice(len(usable), p=shares / shares.sum()))]
        count = needed(length, kind, config)
        start = int(rng.integers(0, len(video) - count + 1))
        block = video.block(start, start + count)
        frames = _decoded(block, path)
        yield block, Piece(frames, Survey.of(frames, config.moving), partial(_usual, training, block, config)), length


def _generators(kind: str, seed: int) -> list[np.random.Generator]:
    """For where a clip is taken from, for what happens in it, and for its corruption."""
    return np.random.default_rng([seed, list(KINDS).index(kind)]).spawn(3)


def _decoded(video: Video, path: Path) -> np.ndarray:
    """A video's full-size frames as a memory-mapped array, uint8 (S, H, W, 3): each is read more than once."""
    width, height = video.size
    path.unlink(missing_ok=True)  # an array that is still mapped keeps its own file
    with NpyWriter(path, (height, width, 3), np.uint8) as writer:
        for frame in video.full_size():
            writer.append(frame)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _usual(training: Sequence[Video], block: Video, config: PseudoConfig) -> np.ndarray:
    """Share of the frames in which something moves at a place, float32 (H, W), in training footage of the same scene.

    Looks at `config.context_frames` frames: those around the block in its own video, then videos listed next to it.
    """
    width, height = block.size
    own = next((i for i, video in enumerate(training) if video.id == block.id), 0)
    moved, count, left = np.zeros((height, width), np.float32), 0, config.context_frames
    here: np.ndarray | None = None  # the background of the block's own video
    for i in sorted(range(len(training)), key=lambda i: abs(i - own)):
        if left <= 0:
            break
        middle = block.start + len(block) // 2 if i == own else left // 2
        start = max(0, min(middle - left // 2, len(training[i]) - left))
        part = training[i].block(start, min(start + left, len(training[i])))
        left -= len(part)
        frames = _small(part)
        scene = Scene.of(frames, config.moving)
        here = scene.background if here is None else here
        if part.size == block.size and _same_scene(scene.background, here):
            share = np.sum([scene.moving(frame) for frame in frames], axis=0, dtype=np.float32)
            moved += cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
            count += len(frames)
    return moved / np.float32(max(count, 1))


def _small(video: Video) -> np.ndarray:
    """Some frames of a video, evenly spaced and small: uint8 (n, h, w), grey."""
    width, height = video.size
    size = min(SMALL, width), max(1, round(height * min(SMALL, width) / width))
    frames = [
        cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for frame in islice(video.full_size(), 0, None, EVERY)
    ]
    return np.stack(frames)


def _same_scene(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two backgrounds, uint8 (h, w), agree up to the light."""
    if (one == other).all():
        return True
    return bool(one.std() and other.std() and np.corrcoef(one.ravel(), other.ravel())[0, 1] > SAME)


def _write(
    folder: Path, piece: Piece, event: Event, kinds: np.ndarray, corruption: CorruptionConfig, rng: np.random.Generator
) -> None:
    """Frames and masks as PNG; grey footage as grey images."""
    gray = all((frame == frame[..., :1]).all() for frame in piece.frames)
    share = 1.0 if gray else GRAY_SHARE  # of each channel's noise that is left in the grey frame
    levels = {"heavy_sd": corruption.heavy_sd / share, "light_sd": corruption.light_sd / share}
    corruption = corruption.model_copy(update=levels)
    for name in ("frames", "masks"):
        (folder / name).mkdir()
    for t, position in enumerate(event.shown):
        frame = np.asarray(piece.frames[position])
        if event.first <= t < event.stop:
            frame, mask = event.change(t - event.first, frame)
            _write_png(folder / "masks" / NAME.format(t), mask.astype(np.uint8) * 255)
        frame = frame[..., 0] if gray else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        _write_png(folder / "frames" / NAME.format(t), corrupt(frame, str(kinds[t]), corruption, rng))


def _write_png(path: Path, image: np.ndarray) -> None:
    ok, data = cv2.imencode(".png", image)  # as it is by default: stronger compression takes twice as long to save 7 %
    assert ok, path
    path.write_bytes(data.tobytes())
