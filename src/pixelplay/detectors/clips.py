"""What detectors of clips share: frame scores from those of all clips, causally, or frame by frame."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from pixelplay.detectors.base import Scores
from pixelplay.detectors.stream import MomentScores, StreamFormat
from pixelplay.objects.moments import Moment
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video
from pixelplay.videos.windows import CausalWindow, FrameScores, causal_windows, windows

T = TypeVar("T")

# From B clips, uint8 (B, L, H, W) or (B, L, H, W, 3), and the numbers (B,) of their last frames, their reconstructions
# and error maps, both float32 (B, L, H, W).
Pictures = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class ClipDetector(ABC):
    """See `Detector` for the contract. Streams: one for each key of `clip_scores`, `<name>/<key>`."""

    def __init__(self, name: str, frames: FrameFormat | None, stride: int, batch_size: int, default: str):
        """stride: frames between the starts of two clips. default: the key of the detector's default stream."""
        assert frames is not None, "the detector's check refuses that"
        self.name, self.frames = name, frames
        self.stride, self._batch_size, self._default = stride, batch_size, default

    @property
    @abstractmethod
    def length(self) -> int:
        """Frames of a clip."""

    @abstractmethod
    def clip_scores(self, clips: np.ndarray, footage: str, last: np.ndarray, causal: bool) -> Mapping[str, np.ndarray]:
        """By key the scores (B, L) of the frames of clips uint8 (B, L, H, W), in colour (B, L, H, W, 3).

        Causally only the last frame's count, and others may be missing. footage: id of the video; last: int (B,), the
        numbers of the clips' last frames.
        """

    def score(self, video: Video, causal: bool = False) -> Scores:
        found: dict[str, FrameScores] = {}
        positions = (causal_windows if causal else windows)(len(video), self.length, self.stride)
        for batch, clips in self.clips(video, positions, self._batch_size):
            for key, values in self.clip_scores(clips, video.id, video.numbers[batch[:, -1]], causal).items():
                found.setdefault(key, FrameScores(len(video), self.stride, causal)).add(batch, values)
        streams = self.named({key: values.result() for key, values in found.items()})
        return Scores(streams).check(video, self.name)

    def stream(self, footage: StreamFormat) -> "ClipStream":
        """See `Streams`."""
        return ClipStream(self, footage.name)

    def named(self, scores: Mapping[str, T]) -> dict[str, T]:
        """What there is of each key, under the full names of the streams, the default one first."""
        return {self.name: scores[self._default], **{f"{self.name}/{key}": one for key, one in scores.items()}}

    def clips(self, video: Video, positions: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of the clips at positions int64 (N, L): positions (B, L), and frames as `clip_scores` takes."""
        frames = video.frames(self.frames)
        for start in range(0, len(positions), batch_size):
            batch = positions[start : start + batch_size]
            yield batch, frames[batch]

    def means_over_clips(
        self, video: Video, positions: Sequence[int], pictures: Pictures
    ) -> tuple[np.ndarray, np.ndarray]:
        """For `Reconstructs`: means over all clips, float32 (N, H, W), of the pictures of the frames at N positions."""
        every = windows(len(video), self.length, self.stride)
        covering = every[np.isin(every, positions).any(axis=1)]
        sums: list[Any] = [0] * len(positions)  # of both, (2, H, W)
        counts = np.zeros(len(positions))
        for batch, clips in self.clips(video, covering, self._batch_size):
            both = np.stack(pictures(clips, video.numbers[batch[:, -1]]))  # (2, B, L, H, W)
            for row, position in enumerate(positions):
                inside = batch == position  # (B, L)
                sums[row] = sums[row] + both[:, inside].sum(axis=1, dtype=np.float64)
                counts[row] += inside.sum()
        shown, errors = np.stack([of / count for of, count in zip(sums, counts, strict=True)], axis=1)
        return shown.astype(np.float32), errors.astype(np.float32)


class ClipStream:
    """Of a detector of clips: what its `score` gives causally."""

    def __init__(self, detector: ClipDetector, footage: str):
        self._detector, self._footage = detector, footage
        self._window = CausalWindow[np.ndarray](detector.length, detector.stride)
        self._latest = MomentScores({})

    @property
    def stride(self) -> int:
        return self._detector.stride

    def step(self, moment: Moment) -> MomentScores:
        detector, clip = self._detector, self._window.add(moment.frames[self._detector.frames])
        if clip is not None:
            scores = detector.clip_scores(np.stack(clip)[None], self._footage, np.array([moment.number]), True)
            last = {key: float(np.float32(values[0, -1])) for key, values in scores.items()}
            self._latest = MomentScores(detector.named(last))
        return self._latest
