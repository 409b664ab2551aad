"""Rows of pictures under a heading: objects of a frame beside the training footage most like them."""

import textwrap
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from pixelplay.drawing.panels import View

FRAME, CROP = 640, 240  # pixels of the longer side in the picture
MARK = (255, 140, 0)  # RGB of outlines
HEIGHT, GAP, TITLE, LINE = 1.8, 0.12, 0.34, 0.19  # inches: a picture, between two, its title, a line of the heading
WIDEST = 8  # largest width of a picture, in heights: wider ones are squeezed
HEADING_SIZE, TITLE_SIZE, DPI = 9, 7, 130  # points, points, dots per inch
WIDE = 0.55  # width of a character, as a share of its height


def framed(frame: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """A frame, uint8 (H, W, 3) RGB, brought to FRAME, with the box x1, y1, x2, y2 marked."""
    return _marked(frame, FRAME, box, 3)


def enlarged(crop: np.ndarray, cell: Sequence[float] | None = None) -> np.ndarray:
    """A crop, uint8 (h, w, 3), brought to CROP, with the cell x1, y1, x2, y2 (pixels of the crop) marked."""
    return scaled(crop, CROP)[0] if cell is None else _marked(crop, CROP, cell, 2)


def change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Two crops of one size, uint8 (h, w, 3), as one: red where the first is brighter, cyan where the second is."""
    first, second = (cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in (before, after))
    return enlarged(np.dstack([first, second, second]))


def squared(image: np.ndarray) -> np.ndarray:
    """An image, uint8 (h, w, 3), padded with white to a square, so that columns of crops line up."""
    side = max(image.shape[:2])
    margins = [((side - edge) // 2, (side - edge + 1) // 2) for edge in image.shape[:2]]
    return np.pad(image, [*margins, (0, 0)], constant_values=255)


def draw_rows(rows: Sequence[Sequence[View]], heading: str) -> Figure:
    """Rows of pictures of one height and any width below a heading; titles have two lines at most."""
    widths = [[HEIGHT * min(view.image.shape[1] / view.image.shape[0], WIDEST) for view in row] for row in rows]
    width = max(sum(row) + GAP * (len(row) + 1) for row in widths)
    room = _characters(width - 2 * GAP, HEADING_SIZE)
    lines = [part for line in heading.splitlines() for part in textwrap.wrap(line, room)]
    top = LINE * len(lines) + GAP
    height = top + len(rows) * (TITLE + HEIGHT + GAP)
    figure = Figure(figsize=(width, height))
    style = {"va": "top", "fontsize": HEADING_SIZE, "linespacing": 1.4, "parse_math": False}
    figure.text(GAP / width, 1 - GAP / 2 / height, "\n".join(lines), **style)
    for i, row in enumerate(rows):
        left, bottom = GAP, height - top - (i + 1) * (TITLE + HEIGHT + GAP) + GAP
        for view, across in zip(row, widths[i], strict=True):
            axis = figure.add_axes((left / width, bottom / height, across / width, HEIGHT / height))
            axis.set_axis_off()
            axis.imshow(view.image, aspect="auto")
            room = _characters(across, TITLE_SIZE)
            title = "\n".join(_fitting(line, room) for line in view.title.splitlines())
            axis.set_title(title, fontsize=TITLE_SIZE, loc="left", pad=3, parse_math=False)  # names may have a $
            left += across + GAP
    return figure


def _characters(inches: float, points: float) -> int:
    """How many characters of a font's size fit."""
    return int(inches * 72 / (WIDE * points))


def _fitting(line: str, characters: int) -> str:
    """Shorten a long line in its middle: names of videos may differ at their ends."""
    if len(line) <= characters:
        return line
    kept = max(0, characters - 1)
    return f"{line[: kept // 2]}…{line[len(line) - (kept - kept // 2) :]}"


def scaled(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """An image, uint8 (h, w, 3), whose longer side has `side` pixels, and the factor."""
    factor = side / max(image.shape[:2])
    size = [max(1, round(edge * factor)) for edge in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA), factor


def _marked(image: np.ndarray, side: int, box: Sequence[float], line: int) -> np.ndarray:
    larger, factor = scaled(image, side)
    x1, y1, x2, y2 = (round(edge * factor) for edge in box)
    return cv2.rectangle(larger, (x1, y1), (x2 - 1, y2 - 1), MARK, line)
