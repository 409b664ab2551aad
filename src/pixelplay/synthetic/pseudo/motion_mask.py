"""What stands still in a piece of full-size footage, and what moves in it: by the difference from the median frame.

Finer than `pixelplay.objects.motion`, which gives boxes in a small working size: things are cut out along these masks.
"""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from pixelplay.synthetic.pseudo.settings import MovingConfig
from pixelplay.videos.background import median_frame

BLUR = 1.0  # pixels, sigma: against the sensor's noise
MAD = 0.6745  # median absolute deviation of a standard normal variable
STEP = 3  # pixels between those that the noise is estimated of, since neighbours are alike after blurring
LAG = 5  # frames between two that are compared for change: a slow walker has moved by then


@dataclass(frozen=True, eq=False)
class Blob:
    """A connected region that moves in one frame: left, top, width and height in pixels, and how many move."""

    x: int
    y: int
    width: int
    height: int
    area: int


@dataclass(frozen=True, eq=False)
class Scene:
    background: np.ndarray  # uint8 (H, W, 3) or (H, W), blurred
    config: MovingConfig

    @classmethod
    def of(cls, frames: np.ndarray, config: MovingConfig) -> "Scene":
        """The median of evenly spaced ones of the frames, uint8 (S, H, W, 3) or (S, H, W), memory-mapped for instance.

        Of an even number, the lower of the two middle values.
        """
        return cls(blurred(median_frame(frames, config.background_samples, method="lower")), config)

    def moving(self, frame: np.ndarray) -> np.ndarray:
        """Pixels of a frame that belong to something that moves, bool (H, W)."""
        return self.regions(blurred(frame))[0] > 0

    def regions(self, blurred: np.ndarray) -> tuple[np.ndarray, list[Blob]]:
        """The moving regions of a blurred frame: int32 (H, W), 0 where nothing moves, i + 1 in blob i of the list."""
        away = difference(blurred, self.background)
        noise = float(np.median(away[::STEP, ::STEP])) / MAD
        limit = max(self.config.threshold, self.config.n_sigma * noise)
        mask = (away > limit).astype(np.uint8)
        gap = max(1, round(self.config.close_share * min(mask.shape)))
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
        large = stats[:, cv2.CC_STAT_AREA] >= self.config.min_area * mask.size
        large[0] = False  # what does not move
        numbers = np.where(large, np.cumsum(large), 0).astype(np.int32)
        return numbers[labels], [Blob(*map(int, row)) for row in stats[large]]


@dataclass(frozen=True, eq=False)
class Survey:
    """What goes on in a piece of footage of S frames."""

    scene: Scene
    blobs: list[list[Blob]]  # of each frame
    used: np.ndarray  # float32 (H, W), share of the frames in which something moves there
    activity: np.ndarray  # float64 [S], share of the pixels that have changed within LAG frames

    @classmethod
    def of(cls, frames: np.ndarray, config: MovingConfig) -> "Survey":
        """`frames`: uint8 (S, H, W, 3), memory-mapped for instance; each is looked at once."""
        scene = Scene.of(frames, config)
        blobs, activity = [], []
        used = np.zeros(frames.shape[1:3], np.float32)
        newest: deque[np.ndarray] = deque(maxlen=LAG + 1)
        for frame in frames:
            newest.append(blurred(frame))
            labels, found = scene.regions(newest[-1])
            blobs.append(found)
            used += labels > 0
            changed = (difference(newest[-1], newest[0]) > config.threshold) & (labels > 0)
            activity.append(float(changed.mean()))
        return cls(scene, blobs, used / np.float32(len(frames)), np.array(activity))


def blurred(frame: np.ndarray) -> np.ndarray:
    """A frame without the finest of its noise, as scenes compare it."""
    return cv2.GaussianBlur(frame, (0, 0), BLUR)


def difference(frame: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of two frames, uint8 (H, W, 3) or (H, W), the absolute difference, of the channels' the largest: uint8 (H, W)."""
    absolute = cv2.absdiff(frame, other)
    if absolute.ndim == 2:
        return absolute
    first, second, third = cv2.split(absolute)
    return cv2.max(cv2.max(first, second), third)
