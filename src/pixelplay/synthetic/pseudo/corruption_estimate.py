"""How corrupted the test footage is, from what restoration found in it: as much is done to pseudo-anomalies."""

import numpy as np
import pandas as pd

from pixelplay.videos.settings import CorruptionConfig


def estimate_corruption(found: pd.DataFrame, above: float) -> CorruptionConfig:
    """Shares of flipped, heavily and lightly noisy frames, and the two levels of the noise, in grey levels of 255.

    `found`: a row per test frame with the columns flipped (0 or 1) and noise_level; a frame is noisy whose level is
    greater than `above`. A flipped frame counts as flipped alone, and frames that are missing are not counted: the
    numbers of frames do not tell them from frames that were never taken. Raises ValueError for a table without a row.
    """
    if found.empty:
        raise ValueError("there is no test frame to estimate the corruption from")
    flipped = found["flipped"].to_numpy() > 0
    levels = found["noise_level"].to_numpy(dtype=np.float64)
    light, heavy = two_levels(levels[(levels > above) & ~flipped])
    return CorruptionConfig(
        flip=round(float(flipped.mean()), 6),
        heavy=round(len(heavy) / len(found), 6),
        light=round(len(light) / len(found), 6),
        missing=0.0,
        heavy_sd=round(float(heavy.mean()), 2) if len(heavy) else 0.0,
        light_sd=round(float(light.mean()), 2) if len(light) else 0.0,
    )


def two_levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values, float (N,), in two groups, low and high, with the least sum of squared distances to their means.

    Exact, since groups of numbers on a line lie side by side (Fisher, On Grouping for Maximum Homogeneity, JASA 1958).
    Of one value, or of equal ones, all are high.
    """
    ordered = np.sort(values)
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return ordered[:0], ordered
    low = np.arange(1, len(ordered))  # size of the lower group
    sums = np.cumsum(ordered)
    between = sums[:-1] ** 2 / low + (sums[-1] - sums[:-1]) ** 2 / (len(ordered) - low)  # all that depends on the cut
    cut = int(low[between.argmax()])
    return ordered[:cut], ordered[cut:]
