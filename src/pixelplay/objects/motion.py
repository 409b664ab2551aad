"""Moving blobs: what differs from the median background of the video. Needs no weights and knows no classes, so it also
finds what YOLO was never trained on; it does not find what stands still.

Frames are brought to the background's brightness by the medians of its dark and its bright third (Tukey's resistant
line, Exploratory Data Analysis, 1977), robust to people who walk through the view. A pixel moves if it is brighter or
darker than the whole background near it, by more than the frame's noise.

Colour is split into brightness and chromaticity, as Horprasert, Harwood and Davis do (*A statistical approach for
real-time robust background subtraction and shadow detection*, ICCV 1999 workshops): what has another colour moves, too,
and what is only a little darker is a shadow. In grey footage shadows count as moving.

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
VERSION = 3  # of what is found; raise it when that changes
MAD = 0.6745  # median absolute deviation of a standard normal variable
GAIN = (0.5, 2.0)  # plausible changes of the light
FLAT = 8.0  # grey levels between dark and bright, below which the gain comes from their sum, not from their contrast
COLOURLESS = 8.0  # grey levels between channels: a background in which nine tenths of the pixels have less is grey
BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue; ITU-R BT.601, as in OpenCV
RAYLEIGH = 1.1774  # median of the length of two independent standard normal variables
SMOOTH = 1.0  # columns, sigma, of a blob's thickness before its minimum is found
STEP = 3  # medians are taken of every third pixel, since blurred neighbours are alike


def detect(video: Video, config: MotionConfig, advance: Callable[[int], Any] = lambda frames: None) -> Boxes:
    """Moving blobs of every frame; `advance(n)` is called after n frames.

    In recorded footage the background is the median of later frames, too; see `CausalBackground` for others.
    """
    frames = video.frames(config.frames)  # uint8 [T, H, W] or, in colour, [T, H, W, 3], memory-mapped
    found: list[Boxes] = []
    for block in np.array_split(np.arange(len(frames)), max(1, round(len(frames) / config.background_frames))):
        background = Background.of(frames[block[0] : block[-1] + 1], config)
        found += [blob_boxes(frames[t], background, config, video.size, t) for t in block]
        advance(len(block))
    return join(found)


def blob_boxes(
    frame: np.ndarray, background: "Background", config: MotionConfig, size: tuple[int, int], position: int
) -> Boxes:
    """Moving blobs of one frame, uint8 (H, W) or (H, W, 3), in pixels of its original `size` (width, height)."""
    across, down = size[0] / config.frames.width, size[1] / config.frames.height
    scale = np.array([across, down, across, down], np.float32)
    xyxy, confidence = blobs(frame, background, config)
    boxes = Boxes.of(np.full(len(xyxy), position), xyxy * scale, [MOTION] * len(xyxy), confidence)
    return clip(boxes, size)


@dataclass(frozen=True, eq=False)
class Background:
    """The still scene, blurred: float32 (H, W) each, grey levels."""

    image: np.ndarray
    darkest: np.ndarray  # minimum and
    brightest: np.ndarray  # maximum of the pixels nearby, which the camera's jitter may bring here
    dark: np.ndarray  # int64 (n,), the dark third of the pixels that are compared, in rows
    bright: np.ndarray  # int64 (n,), the bright third
    colour: np.ndarray | None = None  # float32 (3, H, W), red, green, blue; None for grey footage

    @classmethod
    def of(cls, frames: np.ndarray, config: MotionConfig) -> "Background":
        """Median of evenly spaced ones of the frames, uint8 [T, H, W] or [T, H, W, 3]."""
        return cls.of_median(median_frame(frames, config.background_samples), config)

    @classmethod
    def of_median(cls, median: np.ndarray, config: MotionConfig) -> "Background":
        """Of a median frame, (H, W) grey levels or (H, W, 3)."""
        picture = _blurred(median, config)
        image = brightness(picture)
        low, high = np.quantile(image, [1 / 3, 2 / 3])
        compared = np.zeros(image.shape, bool)
        compared[::STEP, ::STEP] = True
        near = np.ones((2 * config.jitter_px + 1,) * 2, np.uint8)
        dark, bright = np.flatnonzero(compared & (image <= low)), np.flatnonzero(compared & (image >= high))
        coloured = picture.ndim == 3 and float(np.quantile(np.ptp(picture, axis=2), 0.9)) > COLOURLESS
        colour = np.stack(cv2.split(picture)) if coloured else None
        return cls(image, cv2.erode(image, near), cv2.dilate(image, near), dark, bright, colour)

    def lit(self, image: np.ndarray) -> np.ndarray:
        """`image`, float32 (H, W), in the light of the background: without its gain and offset."""
        return self._lit(image, self.image)

    def distortion(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How a picture, float32 (H, W, 3), differs from a coloured background: float32 (H, W) each. The factor of its
        brightness, and what is left of the difference then, the chromaticity's, in grey levels.
        """
        assert self.colour is not None
        channels = zip(cv2.split(picture), self.colour, strict=True)
        lit = np.stack([self._lit(channel, still) for channel, still in channels])
        length = np.sqrt((self.colour * self.colour).sum(axis=0)).clip(min=1)
        along = (lit * self.colour).sum(axis=0) / length
        across = (lit * lit).sum(axis=0) - along * along
        return along / length, np.sqrt(across.clip(min=0))

    def _lit(self, image: np.ndarray, still: np.ndarray) -> np.ndarray:
        (dark, bright), (seen_dark, seen_bright) = (
            [float(np.median(of.ravel()[part])) for part in (self.dark, self.bright)] for of in (still, image)
        )
        if abs(bright - dark) > FLAT:  # a channel may be bright where the whole is dark
            gain = (seen_bright - seen_dark) / (bright - dark)
        else:
            gain = (seen_bright + seen_dark) / max(bright + dark, 1.0)
        gain = min(max(gain, GAIN[0]), GAIN[1])
        offset = ((seen_dark - gain * dark) + (seen_bright - gain * bright)) / 2
        return (image - np.float32(offset)) / np.float32(gain)


class CausalBackground:
    """The still scene as known so far: the median of past frames, evenly spaced over `config.background_frames`.

    Before there are so many, median frames of normal footage stand for them: those of `scenes`, frames themselves, that
    show the same scene, so that more than half of the first frame is as near to them as pixels that do not move.
    """

    def __init__(self, config: MotionConfig, scenes: Sequence[np.ndarray] = ()):
        self._config, self._scenes = config, scenes
        self._every = max(1, config.background_frames // config.background_samples)
        # Pixel by pixel, so that medians are fast; the newest sample takes the place of the oldest.
        self._samples = np.empty((*config.frames.shape, config.background_samples), np.uint8)
        self._taken = self._seen = 0
        self._background: Background | None = None

    def step(self, frame: np.ndarray) -> Background:
        """The background of the next frame, uint8 (H, W) or (H, W, 3), of which it may be a sample itself."""
        if self._background is None:
            alike = [scene for scene in self._scenes if self._shows(frame, scene)]
            count = self._samples.shape[-1] - 1 if alike else 0  # one is of the footage itself
            for k in np.linspace(0, len(alike) - 1, count).round().astype(int):  # each as often as another
                self._take(alike[k])
        if self._background is None or self._seen % self._every == 0:
            self._take(frame)
            self._background = Background.of_median(self._median(), self._config)
        self._seen += 1
        return self._background

    def _shows(self, frame: np.ndarray, scene: np.ndarray) -> bool:
        background = Background.of_median(scene, self._config)
        difference = background.lit(brightness(_blurred(frame, self._config))) - background.image
        return float(np.median(np.abs(difference))) < self._config.threshold

    def _take(self, frame: np.ndarray) -> None:
        self._samples[..., self._taken % self._samples.shape[-1]] = frame
        self._taken += 1

    def _median(self) -> np.ndarray:
        """As `median_frame` has it, float64, but by radix sort, several times as fast."""
        known = self._samples[..., : self._taken]
        ranked, count = np.sort(known, axis=-1, kind="stable"), known.shape[-1]
        return (ranked[..., (count - 1) // 2] + ranked[..., count // 2].astype(np.float64)) / 2


def scenes(videos: Iterable[Video], config: MotionConfig) -> dict[tuple[int, int], list[np.ndarray]]:
    """The median frame, uint8, of each of these videos, but at most `config.background_samples` of those with
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
    """Blobs of one frame, uint8 (H, W) or (H, W, 3): boxes, float32 [N, 4] in its pixels, and confidences, float32 [N].

    The confidence is m / (m + 1) with m the blob's mean of `moving`, so 0.5 and more.
    """
    strength = moving(_blurred(frame, config), background, config)
    mask = (strength > 1).astype(np.uint8)
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
            means.append(strength[window][part][shape[part] & (mask[window][part] > 0)].mean())
    mean = np.array(means, np.float32)
    return np.array(boxes, np.float32).reshape(-1, 4), mean / (mean + 1)


def moving(picture: np.ndarray, background: Background, config: MotionConfig) -> np.ndarray:
    """How far each pixel of a blurred picture, float32 (H, W) or (H, W, 3), differs from the background, in thresholds:
    float32 (H, W), above 1 where something moves. Shadows do not.
    """
    image = background.lit(brightness(picture))
    strength = np.maximum(image - background.brightest, background.darkest - image)
    strength /= _threshold(np.abs(image - background.image), MAD, config)
    if background.colour is None:
        return strength
    factor, chroma = background.distortion(picture)
    shadow = (factor < 1) & (factor > config.shadow.min_brightness) & (chroma < config.shadow.max_chroma)
    strength[shadow] = 0
    return np.maximum(strength, chroma / _threshold(chroma, RAYLEIGH, config))


def _threshold(difference: np.ndarray, median: float, config: MotionConfig) -> np.float32:
    """From here on a difference is no noise; `median`: that of noise with a standard deviation of 1."""
    noise = float(np.median(difference[::STEP, ::STEP])) / median
    return np.float32(max(config.threshold, config.n_sigma * noise))


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


def brightness(picture: np.ndarray) -> np.ndarray:
    """Of a picture, float32 (H, W) or (H, W, 3): float32 (H, W)."""
    return picture if picture.ndim == 2 else picture @ BRIGHTNESS


def _blurred(frame: np.ndarray, config: MotionConfig) -> np.ndarray:
    return cv2.GaussianBlur(frame.astype(np.float32), (0, 0), config.blur)
