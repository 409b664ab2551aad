"""Denoisers by name, each as strong as the frame is noisy. A new one is a function and an entry in `METHODS`.

The strengths are those of the highest signal-to-noise ratio on frames of Avenue and Ped2 with the competition's noise.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

from pixelplay.errors import ConfigError
from pixelplay.settings import alternatives

GRAY_SHARE = math.hypot(0.299, 0.587, 0.114)  # of each channel's noise that is left in the grey frame (BT.601 weights)
STRONG = 20.0  # noise level from which on a median of 5x5 is better than one of 3x3


def denoise(frame: np.ndarray, method: str, level: float) -> np.ndarray:
    """`frame`, uint8 (H, W) or (H, W, 3), without its noise as far as may be; never changed in place.

    `level`: noise level of the grey frame as `pixelplay.videos.noise` estimates it, in this size, grey levels of 255;
    with 0 the frame stays as it is. Channels of a colour frame are taken to have independent noise, whose level is
    higher than that of their grey mean, unless all three are the same: grey footage read as colour.
    Raises ConfigError for an unknown method, ValueError for what is no such frame or level.
    """
    if method not in METHODS:
        raise ConfigError(f"restore.denoise.method={method!r}: unknown method; {alternatives(method, list(METHODS))}")
    if frame.dtype != np.uint8 or frame.ndim < 2 or frame.shape[2:] not in ((), (3,)):
        raise ValueError(f"frame is {frame.dtype} of shape {frame.shape}; it must be uint8, (H, W) or (H, W, 3)")
    if not 0 <= level < math.inf:
        raise ValueError(f"level={level}: a noise level is 0 or more")
    if level == 0:
        return frame
    if frame.ndim == 2:
        return METHODS[method](frame, level)
    if (frame == frame[..., :1]).all():
        return np.repeat(METHODS[method](np.ascontiguousarray(frame[..., 0]), level)[..., None], 3, axis=2)
    return METHODS[method](frame, level / GRAY_SHARE)


def _none(frame: np.ndarray, level: float) -> np.ndarray:
    return frame


def _median(frame: np.ndarray, level: float) -> np.ndarray:
    return cv2.medianBlur(frame, 5 if level >= STRONG else 3)


def _bilateral(frame: np.ndarray, level: float) -> np.ndarray:
    channels = 1 if frame.ndim == 2 else 3  # OpenCV sums their differences
    return cv2.bilateralFilter(frame, d=7, sigmaColor=3 * level * math.sqrt(channels), sigmaSpace=2.5)


def _nlmeans(frame: np.ndarray, level: float) -> np.ndarray:
    return cv2.fastNlMeansDenoising(frame, None, h=level, templateWindowSize=5, searchWindowSize=11)


METHODS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "none": _none,
    "median": _median,
    "bilateral": _bilateral,
    "nlmeans": _nlmeans,
}
