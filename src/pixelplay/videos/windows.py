"""Sliding windows over the positions 0..T-1 of a video, and frame scores from window scores.

Every frame is in at least one window; a video shorter than a window is padded, never dropped.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

Item = TypeVar("Item")


def windows(frames: int, length: int, stride: int) -> np.ndarray:
    """Positions of each window, int64 [N, length]; the last one ends at the last frame whatever the stride.

    A video of fewer frames has one window, filled up with its last. Raises ValueError for a stride that skips frames.
    """
    _check(frames, length, stride)
    if stride > length:
        raise ValueError(f"stride={stride} would skip frames between windows of length={length}")
    last = max(frames - length, 0)
    starts = np.append(np.arange(0, last, stride), last)
    return np.minimum(starts[:, None] + np.arange(length), frames - 1)


def causal_windows(frames: int, length: int, stride: int) -> np.ndarray:
    """Positions of windows that end at frames 0, stride, 2 stride, …, int64 [N, length]; padded with the first one."""
    _check(frames, length, stride)
    ends = np.arange(0, frames, stride)
    return np.maximum(ends[:, None] - np.arange(length - 1, -1, -1), 0)


def frames_of_clips(positions: np.ndarray, frames: int, causal: bool) -> np.ndarray:
    """Assigns each frame to one clip: clip c has frames bounds[c], …, bounds[c + 1] - 1 of bounds, int64 [C + 1].

    `positions`: int [C, T], from `windows` or `causal_windows`. A frame belongs to the clip whose middle is nearest, or
    the earlier of two; causally, to the latest clip that ends at it or before.
    """
    if causal:
        return np.append(positions[:, -1], frames)
    middles = positions[:, positions.shape[1] // 2]
    between = (middles[:-1] + middles[1:]) // 2 + 1  # the first frame that the later of two is nearer to
    return np.concatenate([[0], between, [frames]])


def gather(frames: Iterable[np.ndarray], positions: np.ndarray) -> Iterator[list[np.ndarray]]:
    """The frames of each window, int [N, length], from a stream that is read once; only a window's are kept in memory.

    First and last positions must not decrease from window to window. Raises ValueError if the stream ends too early.
    """
    stream = enumerate(frames)
    held: dict[int, np.ndarray] = {}
    newest = -1
    for window in positions:
        first, last = int(window.min()), int(window.max())
        unread = last - newest
        for newest, frame in islice(stream, unread):
            if newest >= first:
                held[newest] = frame
        if newest < last:
            raise ValueError(f"the stream ended before frame {last}")
        held = {position: frame for position, frame in held.items() if position >= first}
        yield [held[int(position)] for position in window]


class CausalWindow(Generic[Item]):
    """The windows of `causal_windows` over a stream, of frames or whatever else there is one of for each frame.

    It keeps the latest `length` items. Raises ValueError for a length or a stride below 1.
    """

    def __init__(self, length: int, stride: int):
        _check(1, length, stride)
        self.stride = stride
        self._items: deque[Item] = deque(maxlen=length)
        self._left = 0  # items until a window ends

    def add(self, item: Item) -> list[Item] | None:
        """The window that ends with this item, the next of the stream; None where none does."""
        self._items.extend([item] * (1 if self._items else self._items.maxlen or 1))
        ends, self._left = self._left == 0, (self._left or self.stride) - 1
        return list(self._items) if ends else None


class FrameScores:
    """Frame scores from the scores of all windows, in order and in batches of any size.

    A frame has the mean of all windows that cover it (a window padded with a frame counts as often as the frame stands
    in it), or causally the score of the latest window that has ended.
    """

    def __init__(self, frames: int, stride: int, causal: bool):
        self._frames, self._stride, self._causal = frames, stride, causal
        self._sum = np.zeros(frames)
        self._count = np.zeros(frames, np.int64)
        self._ends: list[np.ndarray] = []

    def add(self, positions: np.ndarray, scores: np.ndarray) -> None:
        """Add scores, [N, length] per frame (causally the last one's counts) or [N], of windows int [N, length]."""
        scores = scores[:, None] if scores.ndim == 1 else scores
        if self._causal:
            self._ends.append(scores[:, -1])
        else:
            np.add.at(self._sum, positions, scores)
            np.add.at(self._count, positions, 1)

    def result(self) -> np.ndarray:
        """float32 [T]; raises ValueError if some frame is in no window."""
        if self._causal:
            return np.repeat(np.concatenate(self._ends), self._stride)[: self._frames].astype(np.float32)
        if not self._count.all():
            raise ValueError(f"{int((self._count == 0).sum())} of {len(self._count)} frames are in no window")
        return (self._sum / self._count).astype(np.float32)


def _check(frames: int, length: int, stride: int) -> None:
    if min(frames, length, stride) < 1:
        raise ValueError(f"frames={frames}, length={length} and stride={stride} must each be at least 1")
