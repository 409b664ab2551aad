"""The range of values that is shown as 0 to 255, for footage of more than 8 bits: 16-bit, thermal and float images.

A data set has one range, so that a temperature is the same grey level in all of its videos. It is estimated on training
footage (robustly: a few dead or burnt pixels do not count) and stored with every source, so that whoever reads the
footage later uses the same one.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pixelplay.errors import DataError

PERCENTILES = (0.1, 99.9)  # of all values of the frames that are looked at
FRAMES = 64  # looked at, evenly spaced over the training footage
VALUES = 2**16  # looked at of each frame, evenly spaced


class ValueRange(NamedTuple):
    """Values from `low` to `high` are shown as 0 to 255, linearly; those beyond, as 0 or 255."""

    low: float
    high: float

    def shown(self, image: np.ndarray) -> np.ndarray:
        """uint8 of the shape of `image`; NaN and minus infinity are 0, infinity is 255."""
        known = np.nan_to_num(image.astype(np.float64), nan=self.low, posinf=self.high, neginf=self.low)
        scaled = (known - self.low) * (255 / (self.high - self.low))
        return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def estimate(images: Iterable[np.ndarray], where: str) -> ValueRange | None:
    """The range of these images, of any type and shape; None where there is none. `where` is named in errors.

    Where the percentiles are one value, as in footage that is nearly all background, the extremes count. Raises
    DataError for images that have one value throughout, or no finite one.
    """
    samples = [image.ravel()[:: max(1, image.size // VALUES)].astype(np.float64) for image in images]
    if not samples:
        return None
    values = np.concatenate(samples)
    values = values[np.isfinite(values)]
    if not len(values) or values.min() == values.max():
        found = f"have the value {values[0]:g} throughout" if len(values) else "have no finite value"
        raise DataError(
            f"{where}: the training frames of more than 8 bits {found}, so no range of values can be estimated; "
            "replace them, or set dataset.value_range=[LOW,HIGH]"
        )
    low, high = np.percentile(values, PERCENTILES)
    if low == high:
        low, high = values.min(), values.max()
    return ValueRange(float(low), float(high))
