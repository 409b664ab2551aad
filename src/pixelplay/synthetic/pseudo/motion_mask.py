"""What moves in a piece of full-size footage: masks of what differs from the median frame.

Finer than the boxes of `pixelplay.objects.motion` in its small working size: things are cut out along these masks.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import cv2
import numpy as np

from pixelplay.objects.boxes import overlap
from pixelplay.synthetic.pseudo.settings import MovingConfig, PseudoConfig
from pixelplay.videos.background import median_frame
from pixelplay.videos.video import Video

BLUR = 1.0  # pixels, sigma: against the sensor's noise
MAD = 0.6745  # median absolute deviation of a standard normal variable
STEP = 3  # every third pixel is used to estimate the noise, since blurred neighbours are alike
EVERY = 3  # every third frame is searched for what is usual: a walker at 10 frames/s overlaps himself in the next one
SMALL = 320  # pixels of width of these frames
STILL = 0.1  # of its height: what has not moved further stands still
STOOD = 6  # steps of EVERY frames, in which a walker moves by 0.6 of his height at 25 frames/s (1.4 m/s)
SAME = 0.9  # correlation of the backgrounds of two videos of the same scene, at least
GROWTH = 1.5  # a region that grows or shrinks by this factor has met another, or lost a part
LAG = 5  # frames between two that are compared for change: even a slow walker has moved

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Blob:
    """A connected region that moves in one frame."""

    xyxy: Box  # pixels, x2 and y2 exclusive
    area: int  # pixels that move


@dataclass(frozen=True, eq=False)
class Scene:
    background: np.ndarray  # uint8 (H, W, 3) or (H, W), blurred
    config: MovingConfig

    @classmethod
    def of(cls, frames: np.ndarray, config: MovingConfig) -> "Scene":
        """The (lower) median of evenly spaced frames, uint8 (S, H, W, 3) or (S, H, W), memory-mapped for instance."""
        return cls(blurred(median_frame(frames, config.background_samples, method="lower")), config)

    def moving(self, frame: np.ndarray) -> np.ndarray:
        """Pixels of a frame that belong to something that moves, bool (H, W)."""
        return self.regions(blurred(frame))[0] > 0

    def regions(self, blurred: np.ndarray) -> tuple[np.ndarray, list[Blob]]:
        """The moving regions of a blurred frame: int32 (H, W), 0 where nothing moves, i + 1 in blob i; the blobs."""
        away = difference(blurred, self.background)
        noise = float(np.median(away[::STEP, ::STEP])) / MAD
        limit = max(self.config.threshold, self.config.n_sigma * noise)
        mask = (away > limit).astype(np.uint8)
        gap = max(1, round(self.config.close_share * min(mask.shape)))
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
        large = stats[:, cv2.CC_STAT_AREA] >= self.config.min_area * mask.size
        large[0] = False  # the background
        numbers = np.where(large, np.cumsum(large), 0).astype(np.int32)
        rows = stats[large].tolist()  # left, top, width, height, area
        blobs = [Blob((x, y, x + width, y + height), area) for x, y, width, height, area in rows]
        return numbers[np.asarray(labels, np.int32)], blobs


@dataclass(frozen=True, eq=False)
class Survey:
    """Where and when something moves in a piece of footage of S frames."""

    scene: Scene
    blobs: list[list[Blob]]  # of each frame
    used: np.ndarray  # float32 (H, W), share of the frames in which something moves there
    activity: np.ndarray  # float64 [S], share of the pixels that have changed within LAG frames

    @classmethod
    def of(cls, frames: np.ndarray, config: MovingConfig) -> "Survey":
        """`frames`: uint8 (S, H, W, 3), memory-mapped for instance; each is read once."""
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


@dataclass(frozen=True, eq=False)
class Usual:
    """Where things usually move in footage of one scene, and which way."""

    moved: np.ndarray  # float32 (H, W), share of the frames in which something moves there
    steps: np.ndarray  # float64 (K, 6): see `steps_of`, over EVERY frames
    stood: np.ndarray  # float64 (L, 4): see `stood_in`


def blurred(frame: np.ndarray) -> np.ndarray:
    """A frame without its finest noise, as it is compared with a scene."""
    return cv2.GaussianBlur(frame, (0, 0), BLUR)


def difference(frame: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The absolute difference of two frames, uint8 (H, W, 3) or (H, W), largest over the channels: uint8 (H, W)."""
    absolute = cv2.absdiff(frame, other)
    if absolute.ndim == 2:
        return absolute
    first, second, third = cv2.split(absolute)
    return cv2.max(cv2.max(first, second), third)


def matched(lasts: Sequence[Blob], blobs: Sequence[Blob]) -> Iterator[tuple[int, int]]:
    """Which region becomes which in a later frame: they overlap each other most, and have about the same size."""
    if not lasts or not blobs:
        return
    common = overlap(*(np.array([blob.xyxy for blob in some]) for some in (lasts, blobs)))  # (lasts, blobs)
    for i, j in enumerate(common.argmax(axis=1).tolist()):
        alike = 1 / GROWTH <= blobs[j].area / lasts[i].area <= GROWTH
        if common[i, j] > 0 and common[:, j].argmax() == i and alike:
            yield i, j


def steps_of(blobs: Sequence[Sequence[Blob]]) -> np.ndarray:
    """Boxes x1, y1, x2, y2 of regions, and how far right and down each one's middle is in the next frame: (K, 6)."""
    pairs = [(a[i].xyxy, b[j].xyxy) for a, b in pairwise(blobs) for i, j in matched(a, b)]
    before, after = (np.array([pair[k] for pair in pairs], np.float64).reshape(-1, 4) for k in (0, 1))
    moves = (after - before).reshape(-1, 2, 2).mean(axis=1)
    return np.hstack([before, moves])


def stood_in(blobs: Sequence[Sequence[Blob]]) -> np.ndarray:
    """Boxes of regions that were in one place for STOOD steps from frame to frame, at least: float64 (L, 4)."""
    found: list[Box] = []
    since: dict[int, tuple[Box, int]] = {}  # where a region of the last frame stands, and how long
    for before, after in pairwise(blobs):
        now = {}
        for i, j in matched(before, after):
            box, steps = since.get(i, (before[i].xyxy, 0))
            moved = np.subtract(after[j].xyxy, box).reshape(2, 2).mean(axis=0)
            stands = np.abs(moved).max() <= STILL * (box[3] - box[1])
            now[j] = (box, steps + 1) if stands else (after[j].xyxy, 0)
            found += [box] if now[j][1] == STOOD else []
        since = now
    return np.array(found, np.float64).reshape(-1, 4)


def usual_motion(training: Sequence[Video], block: Video, config: PseudoConfig) -> Usual:
    """Where and which way things move in training footage of the same scene.

    Of `config.context_frames` frames: those around the block in its own video, then those of videos listed next to it.
    """
    width, height = block.size
    own = next((i for i, video in enumerate(training) if video.id == block.id), 0)
    moved, count, left = np.zeros((height, width), np.float32), 0, config.context_frames
    steps, stood = [np.empty((0, 6))], [np.empty((0, 4))]
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
            found = [scene.regions(blurred(frame)) for frame in frames]
            share = np.array([labels > 0 for labels, _ in found]).sum(axis=0, dtype=np.float32)
            moved += cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
            count += len(frames)
            scale, blobs = [width / frames.shape[2], height / frames.shape[1]], [blobs for _, blobs in found]
            steps.append(steps_of(blobs) * np.tile(scale, 3))
            stood.append(stood_in(blobs) * np.tile(scale, 2))
    return Usual(moved / np.float32(max(count, 1)), np.concatenate(steps), np.concatenate(stood))


def _small(video: Video) -> np.ndarray:
    """Evenly spaced frames of a video, small and grey: uint8 (n, h, w)."""
    width, height = video.size
    size = min(SMALL, width), max(1, round(height * min(SMALL, width) / width))
    some = islice(video.full_size(), 0, None, EVERY)
    gray = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in some)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in gray])


def _same_scene(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two backgrounds, uint8 (h, w), agree up to the light."""
    if (one == other).all():
        return True
    return bool(one.std() and other.std() and np.corrcoef(one.ravel(), other.ravel())[0, 1] > SAME)
