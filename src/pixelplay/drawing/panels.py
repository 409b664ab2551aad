"""Grids of frames as one PNG: a row per frame, a column per view of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from pixelplay.drawing.annotate import TALLEST, picture_size
from pixelplay.drawing.figures import write_figure

WIDTH, TITLE_HEIGHT = 3.4, 0.3  # inches
PICTURE_WIDTH = 320  # pixels of a frame in it


@dataclass(frozen=True)
class View:
    """A picture: grey (H, W) or RGB (H, W, 3); with `scale`, a heat map from 0 to that value."""

    image: np.ndarray
    title: str
    scale: float | None = None


def write_panels(path: Path, rows: Sequence[Sequence[View]], heading: str) -> None:
    """Write the grid of `rows` to a PNG, atomically."""
    figure = draw_panels(rows, heading)
    try:
        write_figure(path, figure)
    finally:
        plt.close(figure)


def draw_panels(rows: Sequence[Sequence[View]], heading: str) -> Figure:
    """The grid of `rows` as a figure; each heat map has a colour bar."""
    columns = max(map(len, rows))
    height, width = rows[0][0].image.shape[:2]
    size = (WIDTH * columns, (WIDTH * min(height / width, TALLEST) + TITLE_HEIGHT) * len(rows) + 2 * TITLE_HEIGHT)
    hidden = {"xticks": [], "yticks": []}  # never seen, but slow to lay out
    figure, axes = plt.subplots(len(rows), columns, figsize=size, squeeze=False, layout="compressed", subplot_kw=hidden)
    for row, line in zip(rows, axes, strict=True):
        for axis in line:
            axis.set_axis_off()
        for view, axis in zip(row, line, strict=False):
            axis.set_title(view.title, fontsize=8, parse_math=False)  # names of videos may have a $ in them
            colors = {"cmap": "gray", "vmax": 255} if view.scale is None else {"cmap": "inferno", "vmax": view.scale}
            picture = axis.imshow(view.image, vmin=0, **colors)
            if view.scale is not None:
                figure.colorbar(picture, ax=axis, fraction=0.04, pad=0.02).ax.tick_params(labelsize=6)
    figure.suptitle(heading, fontsize=10, parse_math=False)
    return figure


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG, such as a notebook's picture that changes has."""
    data = BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def in_shape_of(original: tuple[int, int], frame: np.ndarray) -> np.ndarray:
    """A working-size frame or map, stretched to the aspect ratio of the `original` (width, height)."""
    return cv2.resize(frame, picture_size(original, PICTURE_WIDTH))
