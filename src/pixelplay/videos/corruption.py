"""Corruption of single frames: flips, noise and gaps as in the Pixel Play '26 competition, and noise found and removed.

The rates and standard deviations of `CorruptionConfig` were estimated from the competition's frames.
The noise estimate follows J. Immerkaer, Fast Noise Variance Estimation, CVIU 64 (1996): his filter, the difference of
two Laplacians, hardly responds to the scene; the median, in place of his mean, ignores the edges that are left. It is
cheap enough for the decode pass (under 0.1 ms for 640x360 pixels). The strengths of the denoisers are those of the
highest signal-to-noise ratio on frames of Avenue and Ped2 with the competition's noise.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

from pixelplay.errors import ConfigError
from pixelplay.settings import alternatives
from pixelplay.videos.settings import CorruptionConfig, FrameFormat

KINDS = ("none", "flip", "heavy", "light", "missing")

KERNEL = np.array([1.0, -2.0, 1.0], np.float32)  # times its transpose: [[1, -2, 1], [-2, 4, -2], [1, -2, 1]]
GAIN = 6.0  # standard deviation of the filter's response to white noise of 1: the root of the sum of squares, 36
MAD = 0.6745  # median absolute deviation of a standard normal variable
STEP = 3  # pixels between samples, so that the responses of the 3x3 filter share no pixel
STRIPS = 32  # evenly spaced strips of three rows that are filtered: thousands of samples at a fraction of the cost

GRAY_SHARE = math.hypot(0.299, 0.587, 0.114)  # of each channel's noise that is left in the grey frame (BT.601 weights)
STRONG = 20.0  # noise level from which a median of 5x5 is better than one of 3x3


def draw_kinds(count: int, config: CorruptionConfig, rng: np.random.Generator) -> np.ndarray:
    """The corruption of each of `count` frames, drawn independently: (count,) str, entries of `KINDS`."""
    corrupted = [config.flip, config.heavy, config.light, config.missing]
    shares = np.array([max(0.0, 1.0 - sum(corrupted)), *corrupted])
    return rng.choice(np.array(KINDS), size=count, p=shares / shares.sum())


def corrupt(frame: np.ndarray, kind: str, config: CorruptionConfig, rng: np.random.Generator) -> np.ndarray:
    """A frame, (H, W) or (H, W, 3) uint8, with one kind of corruption; never changed in place.

    'none' returns the frame itself, 'flip' turns it top to bottom, 'heavy' and 'light' add Gaussian noise of `heavy_sd`
    or `light_sd` grey levels to every pixel and channel, and clip to 0..255. Raises ValueError for any other kind.
    """
    _require_frame(frame)
    match kind:
        case "none":
            return frame
        case "flip":
            return np.ascontiguousarray(frame[::-1])
        case "heavy" | "light":
            sd = config.heavy_sd if kind == "heavy" else config.light_sd
            noise = rng.standard_normal(frame.shape, dtype=np.float32) * np.float32(sd)
            return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)
        case "missing":
            raise ValueError("kind='missing': a missing frame has no pixels; leave it out instead of corrupting it")
    raise ValueError(f"kind={kind!r} is unknown; allowed here: {', '.join(k for k in KINDS if k != 'missing')}")


def noise_level(gray: np.ndarray) -> float:
    """Standard deviation of the noise of a grey frame, uint8 (H, W), in grey levels of 255, to within 0.25.

    Pixels at 0 or 255, whose noise is clipped, are left out (0.0 if there are no others). Raises ValueError.
    """
    if gray.dtype != np.uint8 or gray.ndim != 2:
        raise ValueError(f"frame is {gray.dtype} of shape {gray.shape}; it must be uint8, (H, W)")
    height = gray.shape[0]
    tops = np.linspace(0, max(height - STEP, 0), min(STRIPS, max(height // STEP, 1))).astype(int)
    strips = gray[np.minimum(tops[:, None] + np.arange(STEP), height - 1)].reshape(-1, gray.shape[1])  # (3 n, W)
    response = cv2.sepFilter2D(strips, cv2.CV_16S, KERNEL, KERNEL)[1::STEP, 1::STEP]  # int16, at most 8 x 255
    pixels = strips[1::STEP, 1::STEP]  # the middle row of each strip, whose neighbours are its own
    unclipped = np.abs(response[(pixels > 0) & (pixels < 255)])
    return float(np.median(unclipped)) / (GAIN * MAD) if len(unclipped) else 0.0


def noise_after_resize(level: float, size: tuple[int, int], frames: FrameFormat) -> float:
    """Noise level of frames of this working size, made by area averaging from originals of `size` (width, height).

    The mean of n pixels has white noise of 1/sqrt(n); enlarging leaves the noise as it is.
    """
    averaged = size[0] * size[1] / (frames.width * frames.height)
    return level / max(1.0, averaged) ** 0.5


def denoise(frame: np.ndarray, method: str, level: float) -> np.ndarray:
    """`frame`, uint8 (H, W) or (H, W, 3), denoised by one of `METHODS`; never changed in place.

    `level`: `noise_level` of the grey frame in this size; at 0 the frame is returned as it is. Channels are assumed to
    have independent noise, which is higher than that of their grey mean, unless all three are the same (grey footage
    read as colour). Raises ConfigError for an unknown method, ValueError for a wrong frame or level.
    """
    if method not in METHODS:
        raise ConfigError(f"restore.denoise.method={method!r}: unknown method; {alternatives(method, list(METHODS))}")
    _require_frame(frame)
    if not 0 <= level < math.inf:
        raise ValueError(f"level={level}: a noise level is 0 or more")
    if level == 0:
        return frame
    if frame.ndim == 2:
        return METHODS[method](frame, level)
    if (frame == frame[..., :1]).all():
        return np.repeat(METHODS[method](np.ascontiguousarray(frame[..., 0]), level)[..., None], 3, axis=2)
    return METHODS[method](frame, level / GRAY_SHARE)


def _require_frame(frame: np.ndarray) -> None:
    if frame.dtype != np.uint8 or frame.ndim < 2 or frame.shape[2:] not in ((), (3,)):
        raise ValueError(f"frame is {frame.dtype} of shape {frame.shape}; it must be uint8, (H, W) or (H, W, 3)")


def _bilateral(frame: np.ndarray, level: float) -> np.ndarray:
    channels = 1 if frame.ndim == 2 else 3  # OpenCV sums their differences
    return cv2.bilateralFilter(frame, d=7, sigmaColor=3 * level * math.sqrt(channels), sigmaSpace=2.5)


METHODS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {  # a new one is a function of frame and level
    "none": lambda frame, level: frame,
    "median": lambda frame, level: cv2.medianBlur(frame, 5 if level >= STRONG else 3),
    "bilateral": _bilateral,
    "nlmeans": lambda frame, level: cv2.fastNlMeansDenoising(
        frame, None, h=level, templateWindowSize=5, searchWindowSize=11
    ),
}
