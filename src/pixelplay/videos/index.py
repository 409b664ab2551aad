"""The index of a run: its videos, keys of the data, and which normal footage is held out. Written by `prepare`.

What is held out has a role, drawn by a seed, the same for every detector. Early stopping, calibration and
pseudo-anomalies never share footage, so that none is judged on what another has chosen. Blocks of time of one video
keep a gap between them, since windows reach across.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.run.artifacts import damaged, explained, read_json, write_json
from pixelplay.run.files import RunFiles
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.settings import HeldoutConfig
from pixelplay.videos.sources import Source
from pixelplay.videos.video import Originals, Video

if TYPE_CHECKING:
    from pixelplay.config import Config

OTHER_RATE = 0.02  # relative difference from which on two frame rates are told apart: 29.97 is 30
ROLES = ("calibration", "planting", "validation")  # in the order in which held-out videos are assigned


@dataclass(frozen=True)
class Heldout:
    """Normal footage that no detector is fitted on: whole videos, or blocks of time of them."""

    validation: list[Video] = field(default_factory=list)  # for early stopping
    calibration: list[Video] = field(default_factory=list)  # its scores set scales and thresholds
    planting: list[Video] = field(default_factory=list)  # pseudo-anomalies are planted in it

    def __iter__(self) -> Iterator[Video]:
        """All of it."""
        yield from (*self.calibration, *self.planting, *self.validation)


@dataclass(frozen=True)
class Index:
    dataset: str
    train_key: str  # changes with any file of a training video
    test_key: str  # changes with any file of a test video
    heldout: HeldoutConfig
    train: list[Video]
    test: list[Video]
    pseudo_key: str = ""  # changes with any clip with a pseudo-anomaly
    pseudo: list[Video] = field(default_factory=list)

    @property
    def every(self) -> list[Video]:
        return [*self.train, *self.test, *self.pseudo]

    @property
    def fit(self) -> list[Video]:
        """Normal footage that detectors are fitted on."""
        return self._split[0]

    @property
    def held(self) -> Heldout:
        """Normal footage that no detector is fitted on, by its role."""
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[list[Video], Heldout]:
        if not self.train:  # of new footage that a trained run scores
            return [], Heldout()
        parts: dict[str, list[Video]] = {}
        for video in self.train:
            parts.setdefault(video.part, []).append(video)
        fit, held = zip(*(_held_out_of(part, videos, self.heldout) for part, videos in parts.items()), strict=True)
        roles = {role: [video for one in held for video in getattr(one, role)] for role in ROLES}
        return [video for videos in fit for video in videos], Heldout(**roles)

    def save(self, path: Path) -> None:
        write_json(path, _adapter().dump_python(self, mode="json"))

    @classmethod
    def load(cls, path: Path) -> "Index":
        value = read_json(path, made_by="prepare")
        try:
            for video in [*value["train"], *value["test"], *value["pseudo"]]:
                if set(video) != {one.name for one in fields(Video)}:
                    raise ValueError("its videos have other fields")
            return _adapter().validate_python(value)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            problem = explained(error) if isinstance(error, ValidationError) else repr(error)
            raise damaged(path, "prepare", f"or written by another version of this project: {problem}") from None


@cache
def _adapter() -> TypeAdapter[Index]:
    return TypeAdapter(Index)


def load_index(config: "Config") -> Index:
    """The index that `prepare` wrote; raises MissingArtifactError if there is none, or it has other settings."""
    path = RunFiles.of(config).index
    index = Index.load(path)
    if (index.dataset, index.heldout) != (config.dataset.name, config.dataset.heldout):
        raise MissingArtifactError(f"{path} was made with other settings: run `python src/prepare.py` with these")
    return index


def camera(video: Video) -> tuple[tuple[int, int], int | None]:
    """Size and frames per second, by which footage of one camera differs from that of another, if it does."""
    return video.size, None if video.fps is None else round(video.fps)


def shown_as_learnt(source: Source, trained: Iterable[Video]) -> Source:
    """A source whose values of more than 8 bits are shown as those of the footage that a run has learnt from."""
    folders = [one.originals.source for one in trained if one.originals]
    levels = next((one.levels for one in folders if isinstance(one, ImageFolder) and one.levels), None)
    return replace(source, levels=levels) if isinstance(source, ImageFolder) and levels else source


def differences(trained: Iterable[Video], size: tuple[int, int], fps: float | None) -> list[str]:
    """In what footage of this frame size and rate (None: not known) differs from what a run has learnt from, in words.

    It can be scored all the same, but what is usual may look unusual.
    """
    videos = list(trained)
    sizes, rates = {video.size for video in videos}, {video.fps for video in videos if video.fps}
    found = []
    if size not in sizes:
        known = ", ".join(sorted("{}x{}".format(*one) for one in sizes))
        found.append(f"frames of {size[0]}x{size[1]} pixels, the run has learnt from {known}")
    if fps and rates and all(abs(fps / one - 1) > OTHER_RATE for one in rates):
        known = ", ".join(f"{one:.4g}" for one in sorted(rates))
        found.append(f"{fps:.4g} frames per second, the run has learnt from {known}")
    return [f"{one}: it is scored, but what is usual may look unusual" for one in found]


def _held_out_of(part: str, videos: list[Video], config: HeldoutConfig) -> tuple[list[Video], Heldout]:
    """`hold_out` of one part of a data set, as if it were alone, so that all roles have footage of each camera.

    A camera with too little footage is fitted on whole; where all have, their footage is held out as if of one.
    """
    cameras: dict[object, list[Video]] = {}
    for video in videos:
        cameras.setdefault(camera(video), []).append(video)
    fit, held = list[Video](), list[Heldout]()
    for footage in cameras.values() if len(cameras) > 1 else ():
        try:
            rest, out = hold_out(footage, config)
        except DataError:
            rest, out = footage, Heldout()
        fit += rest
        held.append(out)
    if any(any(out) for out in held):
        return fit, Heldout(**{role: [video for out in held for video in getattr(out, role)] for role in ROLES})
    try:
        return hold_out(videos, config)
    except DataError as error:
        raise DataError(f"{part}: {error}" if part else str(error)) from None


def trained_index(config: "Config") -> Index:
    """The index of the run that `checkpoints_of` names; raises MissingArtifactError if that is gone."""
    path = RunFiles.trained(config).index
    if not path.is_file():
        raise MissingArtifactError(
            f"checkpoints_of={config.checkpoints_of}: {path} is missing, which lists its footage"
        )
    return Index.load(path)


def seen(held: Iterable[Video], fitted: Iterable[Video]) -> Video | None:
    """The first of the videos, or blocks, `held` out of one run of which a frame is among those `fitted` on in another.

    Footage is known by where its files lie.
    """
    spans: dict[Path, list[tuple[int, int]]] = {}
    for video in fitted:
        if video.originals:
            spans.setdefault(_place(video.originals), []).append((video.start, video.start + len(video)))
    for video in held:
        known = spans.get(_place(video.originals), []) if video.originals else []
        if any(video.start < stop and start < video.start + len(video) for start, stop in known):
            return video
    return None


def _place(originals: Originals) -> Path:
    return originals.source.files()[0].resolve()


def hold_out(videos: list[Video], config: HeldoutConfig) -> tuple[list[Video], Heldout]:
    """Split training videos into those to fit on and those held out, both in the data set's order.

    Of `config.min_videos` or more, whole videos are held out: `config.share` of them, at least one for each role. Of
    fewer, a block of `config.share` at the beginning or the end of each, and the `config.gap` frames beside it stay
    unused. With one or two videos each block is divided among the roles, with gaps between them. Videos too short for
    that are fitted on. Raises DataError if nothing can be held out, or nothing is left to fit on.
    """
    rng = np.random.default_rng(config.seed)
    if len(videos) < max(config.min_videos, len(ROLES) + 1):
        return _blocks(videos, config, rng)
    count = min(max(len(ROLES), round(config.share * len(videos))), len(videos) - 1)
    role = {int(i): ROLES[k % len(ROLES)] for k, i in enumerate(rng.permutation(len(videos))[:count])}
    heldout = Heldout(**{name: [v for i, v in enumerate(videos) if role.get(i) == name] for name in ROLES})
    return [video for i, video in enumerate(videos) if i not in role], heldout


def _blocks(videos: list[Video], config: HeldoutConfig, rng: np.random.Generator) -> tuple[list[Video], Heldout]:
    """One block of each video that is long enough, for one role or for all of them."""
    one_role = [i for i, video in enumerate(videos) if len(video) > _held(video, config, 1) + config.gap]
    parts = 1 if len(one_role) >= len(ROLES) else len(ROLES)
    chosen = [i for i in one_role if len(videos[i]) > _held(videos[i], config, parts) + config.gap]
    if not chosen:
        longest = max((len(video) for video in videos), default=0)
        raise DataError(
            f"no normal footage can be held out of {len(videos)} training videos, the longest of {longest} frames: "
            f"blocks for {', '.join(ROLES)} and gaps of dataset.heldout.gap={config.gap} frames do not fit in. Add "
            "training footage, or lower dataset.heldout.gap (a detector's window) or dataset.heldout.share"
        )
    first_role = {int(i): k for k, i in enumerate(rng.permutation(chosen))}
    at_end = rng.random(len(videos)) < 0.5
    fit: list[Video] = []
    heldout = Heldout()
    for i, video in enumerate(videos):
        if i not in first_role:
            fit.append(video)
            continue
        held = _held(video, config, parts)
        start = len(video) - held if at_end[i] else 0
        for k, (first, stop) in enumerate(_parts(start, held, parts, config.gap)):
            getattr(heldout, ROLES[(first_role[i] + k) % len(ROLES)]).append(video.block(first, stop))
        fit.append(video.block(0, start - config.gap) if at_end[i] else video.block(held + config.gap, len(video)))
    return fit, heldout


def _held(video: Video, config: HeldoutConfig, parts: int) -> int:
    """Length of a video's block: its share in `parts` parts, and the gaps between these."""
    return max(parts, math.ceil(config.share * len(video))) + (parts - 1) * config.gap


def _parts(start: int, held: int, parts: int, gap: int) -> list[tuple[int, int]]:
    """First frame and stop of each part of a block, the first ones the longer."""
    lengths = [len(part) for part in np.array_split(np.arange(held - (parts - 1) * gap), parts)]
    starts = start + np.cumsum([0, *lengths[:-1]]) + gap * np.arange(parts)
    return [(int(at), int(at) + length) for at, length in zip(starts, lengths, strict=True)]
