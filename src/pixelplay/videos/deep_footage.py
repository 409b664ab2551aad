"""Footage of more than 8 bits a value: finds it among the training videos and gives a data set its range of values."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.value_range import FRAMES, ValueRange, estimate


def with_value_range(
    videos: list[RawVideo], wanted: Sequence[float] | None
) -> tuple[list[RawVideo], ValueRange | None]:
    """The videos, all folders of images with the data set's range of values, and the range.

    That is `wanted`, or the range of evenly spaced training frames. Where none of these has more than 8 bits a value,
    the videos are as they were, and the range is None. Raises DataError for training frames of one value throughout.
    """
    folders = [raw.source for raw in videos if raw.split == "train" and isinstance(raw.source, ImageFolder)]
    images = _deep_images(folders)
    if wanted is None:
        where = str(folders[0].folder.parent) if folders else ""
        levels = estimate(images, where)
    else:
        levels = ValueRange(*wanted) if next(images, None) is not None else None
    if levels is None:
        return videos, None
    sources = [replace(v.source, levels=levels) if isinstance(v.source, ImageFolder) else v.source for v in videos]
    return [replace(raw, source=source) for raw, source in zip(videos, sources, strict=True)], levels


def _deep_images(folders: list[ImageFolder]) -> Iterator[np.ndarray]:
    """The evenly spaced frames that have more than 8 bits a value."""
    places = [(folder, at) for folder in folders for at in range(folder.expected_frames())]
    chosen = np.linspace(0, len(places) - 1, min(FRAMES, len(places))).round().astype(int)
    for folder, at in (places[i] for i in chosen):
        image = folder.deep_values(at)
        if image is not None:
            yield image
