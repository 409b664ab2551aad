"""Renders clips of held-out normal footage with pseudo-anomalies to disk, losslessly, and reads them back as videos.

Every clip depends on its kind, its seed and the footage alone, so any number of threads writes the same bytes.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
from pixelplay.synthetic.pseudo.motion_mask import Survey, usual_motion
from pixelplay.synthetic.pseudo.settings import PseudoConfig
from pixelplay.videos.corruption import GRAY_SHARE, corrupt, draw_kinds
from pixelplay.videos.corruption import KINDS as CORRUPTIONS
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.mask_files import MaskFiles
from pixelplay.videos.npy_writer import NpyWriter
from pixelplay.videos.settings import CorruptionConfig
from pixelplay.videos.truth_files import FrameLabels, LabelFile
from pixelplay.videos.video import Video

SPLIT = "pseudo"
TRIES = 8  # pieces of the held-out footage that are tried before a clip is left out
LONG = 0.5  # of the longest possible clip: shorter ones are not made
NAME = "{:05d}.png"
SHORTEST = Length(LEAST, 1)


class Planted(BaseModel):
    """clip.json: what was planted, or why nothing was."""

    left_out: str | None
    source: str  # the held-out training video
    shown: tuple[int, ...]  # of each frame, the number of the frame of the source
    first: int  # anomalous are the frames first, …, stop - 1
    stop: int
    corruption: tuple[str, ...]  # of each frame: see pixelplay.videos.corruption

    @model_validator(mode="after")
    def _of_one_length(self) -> "Planted":
        if len(self.corruption) != len(self.shown) or not 0 <= self.first <= self.stop <= len(self.shown):
            raise ValueError(f"{len(self.shown)} frames, {len(self.corruption)} corruptions, {self.first}:{self.stop}")
        if bool(self.shown) == bool(self.left_out) or not set(self.corruption) <= set(CORRUPTIONS):
            raise ValueError("neither a clip nor left out, or an unknown corruption")
        return self


class Clip(Planted):
    kind: str
    seed: int
    folder: Path  # frames/ and masks/ (the upright scene's, of anomalous frames only)

    @property
    def id(self) -> str:
        return self.folder.name

    def raw(self) -> RawVideo:
        """The clip as the frame cache takes it; its frames are numbered from 0."""
        return RawVideo(
            self.id,
            SPLIT,
            ImageFolder.scan(self.folder / "frames"),
            LabelFile(self.folder / "clip.json", self._labels),
            MaskFiles("images", str(self.folder / "masks"), {t: NAME.format(t) for t in range(self.first, self.stop)}),
        )

    def _labels(self) -> FrameLabels:
        numbers = np.arange(len(self.shown))
        anomalous = (numbers >= self.first) & (numbers < self.stop)
        return FrameLabels(self.folder / "clip.json", numbers, anomalous.astype(np.uint8))


def render_clips(
    heldout: Sequence[Video],
    training: Sequence[Video],
    config: PseudoConfig,
    corruption: CorruptionConfig,
    folder: Path,
    workers: int,
    advance: Callable[[int], Any] = lambda clips: None,
) -> list[Clip]:
    """The clips of `config`, each in a folder of its name below `folder`; existing ones are kept.

    `heldout`: normal videos, or blocks of time of them, that the clips are made of. `training`: all training videos,
    which show where things usually move. `corruption`: its levels are those of the grey frame. A clip is written whole
    or not at all. `advance(n)` is called after n clips.
    """

    def one(job: tuple[str, int]) -> Clip:
        kind, seed = job
        place = folder / f"{kind}-{seed}"
        if not _is_there(place):
            with turn(place, f"clip {place.name}"):
                if not _is_there(place):  # another run may have rendered it
                    shutil.rmtree(place, ignore_errors=True)
                    _render(place, kind, seed, heldout, training, config, corruption)
        advance(1)
        return Clip(kind=kind, seed=seed, folder=place, **dict(_read(place)))

    with ThreadPoolExecutor(workers) as pool:  # OpenCV and NumPy work outside the GIL
        return list(pool.map(one, [(kind, seed) for kind in config.kinds for seed in config.seeds]))


def _is_there(place: Path) -> bool:
    """Whether a clip was rendered, and has all its frames."""
    try:
        planted = _read(place)
    except (MissingArtifactError, DamagedArtifactError):
        return False
    return all((place / "frames" / NAME.format(t)).is_file() for t in range(len(planted.shown)))


def _read(place: Path) -> Planted:
    return read_model(place / "clip.json", Planted, made_by="prepare")


def _render(
    place: Path,
    kind: str,
    seed: int,
    heldout: Sequence[Video],
    training: Sequence[Video],
    config: PseudoConfig,
    corruption: CorruptionConfig,
) -> None:
    """Write a clip, made of the first piece in which something can be planted, or the reason why there is none."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    place_rng, event_rng, corruption_rng = rng.spawn(3)
    planted: dict[str, Any] = {"source": "", "shown": (), "first": 0, "stop": 0, "corruption": ()}
    reason: str | None = f"no held-out video has the {needed(SHORTEST, kind, config)} frames that it takes"
    with atomic_folder(place) as folder:
        path = folder / "piece.npy"
        for block, piece, length in _pieces(heldout, training, config, kind, place_rng, path):
            try:
                event = KINDS[kind](piece, length, config, event_rng)
            except NoUseError as error:
                where = f"{block.id}, frames {block.numbers[0]} to {block.numbers[-1]}"
                reason = f"{error} ({where}, the last of {TRIES} pieces of held-out footage that were tried)"
                continue
            kinds = draw_kinds(length.frames, corruption, corruption_rng).tolist()
            _write(folder, piece, event, kinds, corruption, corruption_rng)
            shown = block.numbers[event.shown].tolist()
            planted = dict(source=block.id, shown=shown, first=event.first, stop=event.stop, corruption=kinds)
            reason = None
            break
        path.unlink(missing_ok=True)
        write_json(folder / "clip.json", Planted(left_out=reason, **planted).model_dump(mode="json"))


def _pieces(
    heldout: Sequence[Video],
    training: Sequence[Video],
    config: PseudoConfig,
    kind: str,
    rng: np.random.Generator,
    path: Path,
) -> Iterator[tuple[Video, Piece, Length]]:
    """Pieces of held-out footage at random places, and how long a clip each makes; each replaces the last at `path`."""
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
        usual = partial(usual_motion, training, block, config)
        yield block, Piece(frames, Survey.of(frames, config.moving), usual), length


def _decoded(video: Video, path: Path) -> np.ndarray:
    """A video's full-size frames as a memory-mapped array, uint8 (S, H, W, 3): each is read more than once."""
    width, height = video.size
    path.unlink(missing_ok=True)  # an array that is still mapped keeps its own file
    with NpyWriter(path, (height, width, 3), np.uint8) as writer:
        for frame in video.full_size():
            writer.append(frame)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _write(
    folder: Path,
    piece: Piece,
    event: Event,
    kinds: Sequence[str],
    corruption: CorruptionConfig,
    rng: np.random.Generator,
) -> None:
    """Frames and masks as PNG; grey footage as grey images."""
    gray = all((frame == frame[..., :1]).all() for frame in piece.frames)
    share = 1.0 if gray else GRAY_SHARE  # of each channel's noise that remains in the grey frame
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
        _write_png(folder / "frames" / NAME.format(t), corrupt(frame, kinds[t], corruption, rng))


def _write_png(path: Path, image: np.ndarray) -> None:
    ok, data = cv2.imencode(".png", image)  # default compression: a stronger one takes twice as long to save 7 %
    assert ok, path
    path.write_bytes(data.tobytes())
