"""Sliding windows over a video, and the way back from window scores to frame scores.

Positions 0..T-1 index a video's frames. Every frame, the tail's too, is in at least one window; a video shorter than
a window is padded with copies of its last frame (or, causally, of its first), never dropped.
"""

from collections.abc import Iterable, Iterator

import numpy as np


def windows(frames: int, length: int, stride: int) -> np.ndarray:
    """Positions of each window, int64 [N, length]; the last window ends at the last frame whatever the stride.

    With fewer than `length` frames there is one window, and the last position fills it up. Raises ValueError for a
    stride that would skip frames.
    """
    _check(frames, length, stride)
    if stride > length:
        raise ValueError(f"stride={stride} would skip frames between windows of length={length}")
    last_start = max(frames - length, 0)
    starts = np.arange(0, last_start + 1, stride)
    if starts[-1] != last_start:
        starts = np.append(starts, last_start)
    return np.minimum(starts[:, None] + np.arange(length), frames - 1)


def causal_windows(frames: int, length: int, stride: int) -> np.ndarray:
    """Positions of each window, int64 [N, length]: windows that end at frames 0, stride, 2 stride, …

    Before the first frame there are copies of it, so a window never looks past the frame that it ends at.
    """
    _check(frames, length, stride)
    ends = np.arange(0, frames, stride)
    return np.maximum(ends[:, None] - np.arange(length - 1, -1, -1), 0)


def frames_of_clips(positions: np.ndarray, frames: int, causal: bool) -> np.ndarray:
    """Which frames each clip stands for, where a frame has the findings of one clip: clip c has the frames
    bounds[c], …, bounds[c + 1] - 1 of the bounds, int64 [C + 1], so that each frame has a clip and only one.

    `positions`: the clips, int [C, T], as `windows` or `causal_windows` gives them. A frame has the clip whose middle
    is nearest, the earlier of two; causally, the latest clip that ends at it or before.
    """
    if causal:
        return np.append(positions[:, -1], frames)
    middles = positions[:, positions.shape[1] // 2]
    between = (middles[:-1] + middles[1:]) // 2 + 1  # the first frame that the later of two is nearer to
    return np.concatenate([[0], between, [frames]])


def gather(frames: Iterable[np.ndarray], positions: np.ndarray) -> Iterator[list[np.ndarray]]:
    """The frames of each window, int [N, length], from a stream that is read once.

    Neither the first nor the last position of a window may lie before that of the window before; only frames between
    the two are held. Raises ValueError when the stream ends too early.
    """
    stream = enumerate(frames)
    held: dict[int, np.ndarray] = {}
    newest = -1
    for window in positions:
        first, last = int(window.min()), int(window.max())
        while newest < last:
            newest, frame = next(stream, (None, None))
            if newest is None or frame is None:
                raise ValueError(f"the stream ended before frame {last}")
            if newest >= first:
                held[newest] = frame
        held = {position: frame for position, frame in held.items() if position >= first}
        yield [held[int(position)] for position in window]


class FrameMean:
    """Mean, per frame, of the scores of all windows that cover it; windows may come in any number of batches.

    A window that was padded counts a repeated frame as often as the frame stands in it.
    """

    def __init__(self, frames: int):
        self._sum = np.zeros(frames)
        self._count = np.zeros(frames, np.int64)

    def add(self, positions: np.ndarray, scores: np.ndarray) -> None:
        """Add scores, float [N, length] for each frame of each window or [N] for whole windows, at int [N, length]."""
        scores = np.broadcast_to(scores[:, None] if scores.ndim == 1 else scores, positions.shape)
        np.add.at(self._sum, positions, scores)
        np.add.at(self._count, positions, 1)

    def result(self) -> np.ndarray:
        """float32 [T]; raises ValueError if some frame is in no window."""
        if not self._count.all():
            raise ValueError(f"{int((self._count == 0).sum())} of {len(self._count)} frames are in no window")
        return (self._sum / self._count).astype(np.float32)


def causal_scores(frames: int, stride: int, scores: np.ndarray) -> np.ndarray:
    """Frame scores, float32 [T], from the scores [N] of `causal_windows`: each frame has its latest window's."""
    return np.repeat(scores, stride)[:frames].astype(np.float32)


class FrameScores:
    """Frame scores of a stream from those of all windows, in order: by `FrameMean`, or causally by `causal_scores`."""

    def __init__(self, frames: int, stride: int, causal: bool):
        self._frames, self._stride = frames, stride
        self._mean = None if causal else FrameMean(frames)
        self._ends: list[np.ndarray] = []

    def add(self, positions: np.ndarray, scores: np.ndarray) -> None:
        """Add scores, float [N, L] for each frame of each window, at int [N, length]; causally only the last counts."""
        if self._mean is None:
            self._ends.append(scores[:, -1])
        else:
            self._mean.add(positions, scores)

    def result(self) -> np.ndarray:
        """float32 [T]; raises ValueError if some frame is in no window."""
        if self._mean is None:
            return causal_scores(self._frames, self._stride, np.concatenate(self._ends))
        return self._mean.result()


def _check(frames: int, length: int, stride: int) -> None:
    if min(frames, length, stride) < 1:
        raise ValueError(f"frames={frames}, length={length} and stride={stride} must each be at least 1")
