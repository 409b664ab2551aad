"""Renders clips of held-out normal footage with pseudo-anomalies to disk, losslessly, and reads them back as videos.

Every clip depends on its kind, its seed and the footage alone, so any number of threads writes the same bytes.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel, model_validator

from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.run.artifacts import read_model, write_json
from pixelplay.run.atomic import atomic_folder
from pixelplay.run.locks import turn
from pixelplay.synthetic.pseudo.events import LEAST, Event, Length, NoUseError, Piece, length_in, needed
from pixelplay.synthetic.pseudo.kinds import KINDS
from pixelplay.synthetic.pseudo.motion_mask import Survey, Usual, usual_motion
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
        path, numbers = self.folder / "clip.json", np.arange(len(self.shown))
        anomalous = (numbers >= self.first) & (numbers < self.stop)
        labels = FrameLabels(path, numbers, anomalous.astype(np.uint8))
        return RawVideo(
            self.id,
            SPLIT,
            ImageFolder.scan(self.folder / "frames"),
            LabelFile(path, lambda: labels),
            MaskFiles("images", str(self.folder / "masks"), {t: NAME.format(t) for t in range(self.first, self.stop)}),
        )


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
    usual = cache(lambda i: usual_motion(training, heldout[i], config))
    planter = _Planter(heldout, usual, config, corruption)

    def one(job: tuple[str, int]) -> Clip:
        kind, seed = job
        place = folder / f"{kind}-{seed}"
        planted = _read(place)
        if planted is None:
            with turn(place, f"clip {place.name}"):
                planted = _read(place) or planter.render(place, kind, seed)  # another run may have rendered it
        advance(1)
        return Clip(kind=kind, seed=seed, folder=place, **dict(planted))

    with ThreadPoolExecutor(workers) as pool:  # OpenCV and NumPy work outside the GIL
        return list(pool.map(one, [(kind, seed) for kind in config.kinds for seed in config.seeds]))


def _read(place: Path) -> Planted | None:
    """What was planted in a clip; None if it was not rendered, is damaged, or lacks a frame."""
    try:
        planted = read_model(place / "clip.json", Planted, made_by="prepare")
    except (MissingArtifactError, DamagedArtifactError):
        return None
    return planted if all((place / "frames" / NAME.format(t)).is_file() for t in range(len(planted.shown))) else None


@dataclass(frozen=True, eq=False)
class _Planter:
    """Makes clips of held-out footage, as `render_clips` says."""

    heldout: Sequence[Video]
    usual: Callable[[int], Usual]  # of the footage around the i-th held-out video
    config: PseudoConfig
    corruption: CorruptionConfig

    def render(self, place: Path, kind: str, seed: int) -> Planted:
        """Write a clip of the first piece in which something can be planted, or the reason why there is none."""
        place_rng, event_rng, corruption_rng = np.random.default_rng([seed, list(KINDS).index(kind)]).spawn(3)
        reason = f"no held-out video has the {needed(SHORTEST, kind, self.config)} frames that it takes"
        planted = None
        shutil.rmtree(place, ignore_errors=True)
        with atomic_folder(place) as folder:
            path = folder / "piece.npy"
            for block, piece, length in self._pieces(kind, place_rng, path):
                try:
                    event = KINDS[kind](piece, length, self.config, event_rng)
                except NoUseError as error:
                    where = f"{block.id}, frames {block.numbers[0]} to {block.numbers[-1]}"
                    reason = f"{error} ({where}, the last of {TRIES} pieces of held-out footage that were tried)"
                    continue
                corruption = self._write(folder, piece, event, corruption_rng)
                shown = block.numbers[event.shown].tolist()
                facts = dict(shown=shown, first=event.first, stop=event.stop, corruption=corruption)
                planted = Planted(left_out=None, source=block.id, **facts)
                break
            path.unlink(missing_ok=True)
            planted = planted or Planted(left_out=reason, source="", shown=(), first=0, stop=0, corruption=())
            write_json(folder / "clip.json", planted.model_dump(mode="json"))
        return planted

    def _pieces(self, kind: str, rng: np.random.Generator, path: Path) -> Iterator[tuple[Video, Piece, Length]]:
        """Pieces of footage at random places, and how long a clip each makes; each replaces the last at `path`."""
        lengths = [length_in(len(video), kind, self.config) for video in self.heldout]
        longest = max((length.frames for length in lengths if length), default=0)
        usable = [(i, n) for i, n in enumerate(lengths) if n and n.frames >= LONG * longest]
        shares = np.array([len(self.heldout[i]) for i, _ in usable], np.float64)
        for _ in range(TRIES if usable else 0):
            which, length = usable[int(rng.choice(len(usable), p=shares / shares.sum()))]
            video = self.heldout[which]
            count = needed(length, kind, self.config)
            start = int(rng.integers(0, len(video) - count + 1))
            block = video.block(start, start + count)
            path.unlink(missing_ok=True)  # an array that is still mapped keeps its own file
            with NpyWriter(path, (*video.size[::-1], 3), np.uint8) as writer:
                for frame in block.full_size():
                    writer.append(frame)
            frames = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: each is read more than once
            usual = partial(self.usual, which)
            yield block, Piece(frames, Survey.of(frames, self.config.moving), usual), length

    def _write(self, folder: Path, piece: Piece, event: Event, rng: np.random.Generator) -> list[str]:
        """Write frames and masks as PNG, grey footage as grey images; returns the corruption of each frame."""
        kinds = draw_kinds(len(event.shown), self.corruption, rng).tolist()
        gray = all((frame == frame[..., :1]).all() for frame in piece.frames)
        share = 1.0 if gray else GRAY_SHARE  # of each channel's noise that remains in the grey frame
        levels = {name: getattr(self.corruption, name) / share for name in ("heavy_sd", "light_sd")}
        corruption = self.corruption.model_copy(update=levels)
        for name in ("frames", "masks"):
            (folder / name).mkdir()
        for t, (position, kind) in enumerate(zip(event.shown, kinds, strict=True)):
            frame = np.asarray(piece.frames[position])
            if event.first <= t < event.stop:
                frame, mask = event.change(t - event.first, frame)
                _write_png(folder / "masks" / NAME.format(t), mask.astype(np.uint8) * 255)
            frame = frame[..., 0] if gray else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
            _write_png(folder / "frames" / NAME.format(t), corrupt(frame, kind, corruption, rng))
        return kinds


def _write_png(path: Path, image: np.ndarray) -> None:
    data = cv2.imencode(".png", image)[1]  # default compression: a stronger one takes twice as long to save 7 %
    path.write_bytes(data.tobytes())
