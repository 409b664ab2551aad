"""The scores that a fusion gives frames whose class is known; what many fusions share is computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.metrics.frames import checked, one_class
from pixelplay.scores.fuse import (
    SCALE_OF,
    FrameWeights,
    Members,
    align,
    bounded,
    combine,
    compose,
    detector_of,
    process,
)
from pixelplay.scores.settings import FusionConfig
from pixelplay.scores.table import Splits, by_split


@dataclass(frozen=True, eq=False)
class Truth:
    """Frames of one split whose class is known, a video's frames together and in order."""

    videos: np.ndarray  # (N,) str, each frame's video
    frames: np.ndarray  # (N,) int64, original numbers
    labels: np.ndarray  # (N,) int64, 1 anomalous
    kinds: np.ndarray  # (N,) str, what kind of anomaly the video has; '' where nobody knows

    @classmethod
    def of(
        cls, labels: Sequence[tuple[str, np.ndarray, np.ndarray]], kinds: Mapping[str, str] | None = None
    ) -> "Truth":
        """From the id, the frame numbers (T,) and the 0/1 labels (T,) of each video.

        `kinds`: by video. Raises DataError when there is no frame, or all are of one class.
        """
        if not labels:
            raise DataError("there are no frames to measure on")
        videos = np.concatenate([np.full(len(frames), video, object) for video, frames, _ in labels])
        values = np.concatenate([of_video for _, _, of_video in labels])
        _, values, _ = checked(np.zeros(len(values)), values, videos)
        if reason := one_class(values):
            raise DataError(reason)
        known = kinds or {}
        kind = np.array([known.get(video, "") for video in videos], object)
        return cls(videos, np.concatenate([frames for _, frames, _ in labels]).astype(np.int64), values, kind)

    def __len__(self) -> int:
        return len(self.labels)


class Bench:
    """Raw scores of a run's streams, fused again and again; `truths` says for which frames, by split."""

    def __init__(self, streams: Mapping[str, pd.DataFrame], truths: Mapping[str, Truth], weights: FrameWeights):
        """`streams`: scores tables by stream, `weights` as `pixelplay.scores.fuse.process` takes them."""
        self.truths = dict(truths)
        self._tables, self._weights = dict(streams), weights
        self._raw: dict[str, Splits] = {}
        self._processed: dict[str, Splits] = {}
        self._sides: dict[str, dict[str, _Side]] = {}

    def scores(self, fusion: FusionConfig, split: str = "pseudo") -> np.ndarray:
        """Fused scores, float64 (N,), of the frames of `truths[split]`; `fusion.members` are all that is fused.

        Raises DataError when a member has no scores of one of these frames.
        """
        side, members = self._aligned(fusion)[split], list(fusion.members.values())
        shares = np.array([member.weight for member in members])
        scores, reference = (bounded(one, members, fusion) for one in (side.scores, side.reference))
        return combine(scores, shares, fusion, reference)

    def twins(self, split: str = "pseudo") -> dict[str, str]:
        """Streams that are another one of their detector over again, such as a default stream: by stream, which."""
        found: dict[str, str] = {}
        raw = {stream: rows[rows["split"] == split]["score"].to_numpy() for stream, rows in self._tables.items()}
        for stream in raw:
            for first in raw:
                if first == stream:
                    break
                alike = detector_of(first) == detector_of(stream) and np.array_equal(raw[first], raw[stream])
                if alike and first not in found:
                    found[stream] = first
        return found

    def _aligned(self, fusion: FusionConfig) -> dict[str, "_Side"]:
        parts = {s: self._process(s, fusion) for s in fusion.members}
        key = "\n".join(name for name, _ in parts.values())
        if key not in self._sides:
            members = align({stream: splits for stream, (_, splits) in parts.items()})
            self._sides[key] = {split: _side(members, split, truth) for split, truth in self.truths.items()}
        return self._sides[key]

    def _process(self, stream: str, fusion: FusionConfig) -> tuple[str, Splits]:
        """A member's processed scores, and the name under which they are kept."""
        member, composite = fusion.members[stream], fusion.composites.get(stream)
        source = f"{stream} {composite.model_dump_json() if composite else ''}"
        key = f"{source} {member.model_dump_json(exclude={'weight'})}"
        if key not in self._processed:
            if source not in self._raw:
                self._raw[source] = by_split(self._composed(stream, fusion) if composite else self._tables[stream])
            self._processed[key] = process(self._raw[source], member, self._weights)
        return key, self._processed[key]

    def _composed(self, stream: str, fusion: FusionConfig) -> pd.DataFrame:
        only = fusion.model_copy(update={"composites": {stream: fusion.composites[stream]}})
        return compose(self._tables, only, self._weights)[stream]


@dataclass(frozen=True, eq=False)
class _Side:
    """Processed scores of the members of one split."""

    scores: np.ndarray  # (M, N), of the frames of the truth
    reference: np.ndarray  # (M, R), among which `rank_mean` ranks


def _side(members: Mapping[str, Members], split: str, truth: Truth) -> _Side:
    if split not in members:
        raise DataError(f"there are no scores of split={split}: run `python src/score.py` with the same options")
    one = members[split]
    own = np.repeat(np.array(one.videos, object), np.diff([*one.starts, len(one.frames)]))
    place = pd.Series(np.arange(len(own)), index=pd.MultiIndex.from_arrays([own, one.frames]))
    wanted = pd.MultiIndex.from_arrays([truth.videos, truth.frames])
    at = place.reindex(wanted).to_numpy()
    lacking = np.flatnonzero(np.isnan(at))
    if lacking.size:
        video, frame = wanted[lacking[0]]
        raise DataError(
            f"stream {one.streams[0]!r} has no score for video {video!r}, frame {frame} [split {split}, {lacking.size} "
            "such row(s)]: run `python src/score.py` with the same options"
        )
    return _Side(one.scores[:, at.astype(np.int64)], members[SCALE_OF[split]].scores)
