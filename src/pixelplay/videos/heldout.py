"""Normal footage that no detector is fitted on, by role: drawn by a seed, the same for every detector.

Early stopping, calibration and pseudo-anomalies never share footage, so that none is judged on what another has chosen.
Blocks of time of one video keep a gap between them, since windows reach across.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.settings import HeldoutConfig
from pixelplay.videos.video import Video

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


def hold_out(videos: list[Video], config: HeldoutConfig) -> tuple[list[Video], Heldout]:
    """Split training videos into those to fit on and those held out, both in the data set's order.

    With `config.min_videos` or more, whole videos are held out: `config.share` of them, at least one for each role and
    never all. With fewer, a block of `config.share` at the beginning or the end of each video is held out, and the
    `config.gap` frames beside it stay unused. From three videos on a block has one role; with one or two videos each
    block is divided among the roles, with gaps between them. Videos too short for that are fitted on. Raises DataError
    if nothing can be held out, or nothing is left to fit on.
    """
    rng = np.random.default_rng(config.seed)
    if len(videos) >= max(config.min_videos, len(ROLES) + 1):
        return _whole_videos(videos, config, rng)
    return _blocks(videos, config, rng)


def _whole_videos(videos: list[Video], config: HeldoutConfig, rng: np.random.Generator) -> tuple[list[Video], Heldout]:
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
