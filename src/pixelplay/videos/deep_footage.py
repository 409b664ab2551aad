"""Footage of more than 8 bits a value (16-bit, thermal, float): gives a data set its range of values.

Estimated on training footage, robustly against dead or burnt pixels, and stored with every source for later stages.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.background import evenly_spaced
from pixelplay.videos.image_file import ValueRange
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo

PERCENTILES = (0.1, 99.9)  # of all values of the frames that are looked at
FRAMES = 64  # looked at, evenly spaced over the training footage
VALUES = 2**16  # looked at in each frame, evenly spaced


def with_value_range(
    videos: list[RawVideo], wanted: Sequence[float] | None
) -> tuple[list[RawVideo], ValueRange | None]:
    """The videos, all folders of images with the data set's range of values, and that range.

    It is `wanted`, or estimated on evenly spaced training frames (see `estimate`). If none of these has more than 8
    bits a value, the videos stay as they are, and the range is None.
    """
    folders = [raw.source for raw in videos if raw.split == "train" and isinstance(raw.source, ImageFolder)]
    places = [(folder, at) for folder in folders for at in range(folder.expected_frames())]
    looked_at = (places[i] for i in evenly_spaced(len(places), FRAMES))
    images = (image for folder, at in looked_at if (image := folder.deep_values(at)) is not None)
    if wanted is None:
        levels = estimate(images, str(folders[0].folder.parent) if folders else "")
    else:
        levels = ValueRange(*wanted) if next(images, None) is not None else None
    if levels is None:
        return videos, None
    sources = [replace(v.source, levels=levels) if isinstance(v.source, ImageFolder) else v.source for v in videos]
    return [replace(raw, source=source) for raw, source in zip(videos, sources, strict=True)], levels


def estimate(images: Iterable[np.ndarray], where: str) -> ValueRange | None:
    """The range of these images, of any type and shape; None without images. `where` is named in errors.

    If the percentiles coincide (nearly all background), the extremes count. Raises DataError for images of one value.
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
