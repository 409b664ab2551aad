"""Moving blobs: what differs from the median background of the video. Needs no weights and knows no classes, so it also
finds what YOLO was never trained on; it does not find what stands still.

Frames are brought to the background's brightness by the medians of its dark and its bright third (Tukey's resistant
line, Exploratory Data Analysis, 1977), robust to people who walk through the view. A pixel moves if it is brighter or
darker than the whole background near it, by more than the frame's noise.

A group of people who walk side by side is one blob. It is cut where it is thin between two thicker parts, as W4 splits
groups by the vertical projection of the silhouette (Haritaoglu, Harwood, Davis, TPAMI 2000).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pixelplay.objects.boxes import Boxes, clip, join
from pixelplay.objects.settings import MotionConfig, SplitConfig
from pixelplay.videos.background import evenly_spaced, median_frame
from pixelplay.videos.video import Video

MOTION = "motion"  # the class of every blob
VERSION = 2  # of what is found; raise it when that changes
MAD = 0.6745  # median absolute deviation of a standard normal variable
GAIN = (0.5, 2.0)  # plausible changes of the light
FLAT = 8.0  # grey levels between dark and bright, below which a background has too little contrast for a gain
SMOOTH = 1.0  # columns, sigma, of a blob's thickness before its minimum is found
STEP = 3  # medians are taken of every third pixel, since blurred neighbours are alike


def detect(video: Video, config: MotionConfig, advance: Callable[[int], Any] = lambda frames: None) -> Boxes:
    """Moving blobs of every frame; `advance(n)` is called after n frames.

    In recorded footage the background is the median of later frames, too; see `CausalBackground` for others.
    """
    frames = video.frames(config.frames)  # uint8 [T, H, W], memory-mapped
    found: list[Boxes] = []
    for block in np.array_split(np.arange(len(frames)), max(1, round(len(frames) / config.background_frames))):
        background = Background.of(frames[block[0] : block[-1] + 1], config)
        found += [blob_boxes(frames[t], background, config, video.size, t) for t in block]
        advance(len(block))
    return join(found)


def blob_boxes(
    frame: np.ndarray, background: "Background", config: MotionConfig, size: tuple[int, int], position: int
) -> Boxes:
    """Moving blobs of one grey frame, uint8 (H, W), in pixels of its original `size` (width, height)."""
    across, down = size[0] / config.frames.width, size[1] / config.frames.height
    scale = np.array([across, down, across, down], np.float32)
    xyxy, confidence = blobs(frame, background, config)
    boxes = Boxes.of(np.full(len(xyxy), position), xyxy * scale, [MOTION] * len(xyxy), confidence)
    return clip(boxes, size)


@dataclass(frozen=True, eq=False)
class Background:
    """The still scene, blurred: float32 (H, W) each."""

    image: np.ndarray
    darkest: np.ndarray  # minimum and
    brightest: np.ndarray  # maximum of the pixels nearby, which the camera's jitter may bring here
    dark: np.ndarray  # bool (H, W), the dark third of the pixels that are compared
    bright: np.ndarray  # bool (H, W), the bright third

    @classmethod
    def of(cls, frames: np.ndarray, config: MotionConfig) -> "Background":
        """Median of evenly spaced ones of grey frames, uint8 [T, H, W]."""
        return cls.of_median(median_frame(frames, config.background_samples), config)

    @classmethod
    def of_median(cls, median: np.ndarray, config: MotionConfig) -> "Background":
        """Of a median frame, (H, W) grey levels."""
        image = _blurred(median, config)
        low, high = np.quantile(image, [1 / 3, 2 / 3])
        compared = np.zeros(image.shape, bool)
        compared[::STEP, ::STEP] = True
        near = np.ones((2 * config.jitter_px + 1,) * 2, np.uint8)
        dark, bright = compared & (image <= low), compared & (image >= high)
        return cls(image, cv2.erode(image, near), cv2.dilate(image, near), dark, bright)

    def lit(self, image: np.ndarray) -> np.ndarray:
        """`image`, float32 (H, W), in the light of the background: without its gain and offset."""
        dark, bright = (float(np.median(self.image[part])) for part in (self.dark, self.bright))
        seen_dark, seen_bright = (float(np.median(image[part])) for part in (self.dark, self.bright))
        gain = 1.0
        if bright - dark > FLAT:
            gain = min(max((seen_bright - seen_dark) / (bright - dark), GAIN[0]), GAIN[1])
        offset = ((seen_dark - gain * dark) + (seen_bright - gain * bright)) / 2
        return (image - np.float32(offset)) / np.float32(gain)


class CausalBackground:
    """The still scene as known so far: the median of past frames, evenly spaced over `config.background_frames`.

    Before there are so many, median frames of normal footage stand for them: those of `scenes`, uint8 (H, W), that show
    the same scene, so that more than half of the first frame is as near to them as pixels that do not move.
    """

    def __init__(self, config: MotionConfig, scenes: Sequence[np.ndarray] = ()):
        self._config, self._scenes = config, scenes
        self._every = max(1, config.background_frames // config.background_samples)
        # Pixel by pixel, so that medians are fast; the newest sample takes the place of the oldest.
        self._samples = np.empty((config.frames.height, config.frames.width, config.background_samples), np.uint8)
        self._taken = self._seen = 0
        self._background: Background | None = None

    def step(self, frame: np.ndarray) -> Background:
        """The background of the next frame, uint8 (H, W), of which it may be a sample itself."""
        if self._background is None:
            alike = [scene for scene in self._scenes if self._shows(frame, scene)]
            count = self._samples.shape[2] - 1 if alike else 0  # one is of the footage itself
            for k in np.linspace(0, len(alike) - 1, count).round().astype(int):  # each as often as another
                self._take(alike[k])
        if self._background is None or self._seen % self._every == 0:
            self._take(frame)
            self._background = Background.of_median(self._median(), self._config)
        self._seen += 1
        return self._background

    def _shows(self, frame: np.ndarray, scene: np.ndarray) -> bool:
        background = Background.of_median(scene, self._config)
        difference = background.lit(_blurred(frame, self._config)) - background.image
        return float(np.median(np.abs(difference))) < self._config.threshold

    def _take(self, frame: np.ndarray) -> None:
        self._samples[..., self._taken % self._samples.shape[2]] = frame
        self._taken += 1

    def _median(self) -> np.ndarray:
        """As `median_frame` has it, float64 (H, W), but by radix sort, several times as fast."""
        known = self._samples[..., : self._taken]
        ranked, count = np.sort(known, axis=2, kind="stable"), known.shape[2]
        return (ranked[..., (count - 1) // 2] + ranked[..., count // 2].astype(np.float64)) / 2


def scenes(videos: Iterable[Video], config: MotionConfig) -> dict[tuple[int, int], list[np.ndarray]]:
    """The median frame, uint8 (H, W), of each of these videos, but at most `config.background_samples` of those with
    frames of one size (width, height), by that size.
    """
    by_size: dict[tuple[int, int], list[Video]] = {}
    for video in videos:
        by_size.setdefault(video.size, []).append(video)
    most = config.background_samples

    def median(video: Video) -> np.ndarray:
        return median_frame(video.frames(config.frames), most, method="lower")

    return {size: [median(of[k]) for k in evenly_spaced(len(of), most)] for size, of in by_size.items()}


def blobs(frame: np.ndarray, background: Background, config: MotionConfig) -> tuple[np.ndarray, np.ndarray]:
    """Blobs of one grey frame, uint8 (H, W): boxes, float32 [N, 4] in its pixels, and their confidences, float32 [N].

    The confidence is d / (d + threshold) with d the blob's mean difference from the background, so 0.5 and more.
    """
    image = background.lit(_blurred(frame, config))
    difference = np.maximum(image - background.brightest, background.darkest - image)
    noise = float(np.median(np.abs(image - background.image)[::STEP, ::STEP])) / MAD
    threshold = max(config.threshold, config.n_sigma * noise)
    mask = (difference > threshold).astype(np.uint8)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((config.close_px, 1), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=4)
    large = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= config.min_area)  # 0 is what does not move
    boxes, means = [], []
    for blob in large:
        x, y, width, height = stats[blob, :4]
        window = slice(y, y + height), slice(x, x + width)
        shape = labels[window] == blob
        for part in parts(shape, config.split):
            if np.count_nonzero(shape[part]) < config.min_area:
                continue
            rows, columns = part
            boxes.append([x + columns.start, y + rows.start, x + columns.stop, y + rows.stop])
            means.append(difference[window][part][shape[part] & (mask[window][part] > 0)].mean())
    mean = np.array(means, np.float32)
    return np.array(boxes, np.float32).reshape(-1, 4), mean / (mean + np.float32(threshold))


def parts(blob: np.ndarray, config: SplitConfig) -> list[tuple[slice, slice]]:
    """Rows and columns of the parts of one blob, bool (H, W), from left to right; of the blob itself if it is no group.

    A part wider than `config.min_aspect` times its height is cut at its thinnest column, relative to the thickest on
    either side, if that is below `config.valley` of both. No part is narrower than `config.min_width` times the height
    of what it was cut from.
    """
    from scipy.ndimage import gaussian_filter1d  # slow to import

    rows, columns = (np.flatnonzero(blob.any(axis=axis)) for axis in (1, 0))
    y, x = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    height, width = y.stop - y.start, x.stop - x.start
    margin = max(2, round(config.min_width * height))
    if width <= max(config.min_aspect * height, 2 * margin):
        return [(y, x)]
    thickness = gaussian_filter1d(blob[y, x].sum(axis=0, dtype=np.float64), SMOOTH)  # (width,) rows
    left, right = np.maximum.accumulate(thickness), np.maximum.accumulate(thickness[::-1])[::-1]
    depth = thickness / np.minimum(left, right)
    column = margin + int(depth[margin : width - margin].argmin())
    if depth[column] >= config.valley:
        return [(y, x)]
    cut = x.start + column
    right = [(y, slice(x.start + cut, x.stop + cut)) for y, x in parts(blob[:, cut:], config)]
    return [*parts(blob[:, :cut], config), *right]


def _blurred(frame: np.ndarray, config: MotionConfig) -> np.ndarray:
    return cv2.GaussianBlur(frame.astype(np.float32), (0, 0), config.blur)
