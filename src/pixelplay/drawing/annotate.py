"""Frames with boxes drawn on them, as a contact sheet (PNG) or as a clip (MP4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pixelplay.run.atomic import atomic, atomic_named, require_room

COLUMNS = 3
WIDTH = 640  # pixels: smaller frames are enlarged to about this width, so that text stays readable
TALLEST = 4  # heights of a picture, in widths asked for: footage that is a line is drawn narrower, not without end
FONT, TEXT = cv2.FONT_HERSHEY_SIMPLEX, 0.35  # scale of the font
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (150, 150, 150)  # RGB
PALETTE = (
    (0, 220, 90),
    (255, 140, 0),
    (70, 160, 255),
    (255, 70, 160),
    (170, 110, 255),
    (255, 90, 70),
    (240, 220, 0),
)


@dataclass(frozen=True)
class Drawing:
    """Boxes to be drawn on one frame."""

    xyxy: np.ndarray  # float [N, 4], pixels of the frame
    captions: Sequence[str]  # of each; '' for none
    colors: Sequence[tuple[int, int, int]]  # RGB of each


def picture_size(size: tuple[int, int], width: int) -> tuple[int, int]:
    """(width, height) in pixels of a picture of frames of this (width, height): `width` wide, unless too tall so."""
    across, down = size
    if down <= TALLEST * across:
        return width, max(1, round(down * width / across))
    return max(1, round(across * TALLEST * width / down)), TALLEST * width


def enlargement(size: tuple[int, int], width: int) -> int:
    """The whole number by which frames of this (width, height) are enlarged to about such a picture; at least 1."""
    return max(1, round(min(width / size[0], TALLEST * width / size[1])))


def annotated(frame: np.ndarray, drawing: Drawing, title: str, width: int = WIDTH) -> np.ndarray:
    """A frame, uint8 (H, W, 3) RGB, with its boxes and, where there is one, a title at the top, as its own picture.

    A frame less than about `width` pixels wide is enlarged by a whole number: uint8 (k H, k W, 3).
    """
    factor = enlargement(frame.shape[1::-1], width)
    image = frame.repeat(factor, axis=0).repeat(factor, axis=1)
    for box, caption, color in zip(drawing.xyxy, drawing.captions, drawing.colors, strict=True):
        x1, y1, x2, y2 = (round(float(edge) * factor) for edge in box)
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), color, 1)
        if caption:
            _write(image, caption, (x1, max(y1 - 2, 20)), color)
    if title:
        _write(image, title, (2, 10), WHITE)
    return image


def write_sheet(path: Path, images: Sequence[np.ndarray]) -> None:
    """Write images of one size, uint8 (H, W, 3) RGB, in rows of three to a PNG, atomically."""
    blank = np.full_like(images[0], 255)
    padded = [*images, *[blank] * (-len(images) % COLUMNS)]
    rows = [np.concatenate(padded[i : i + COLUMNS], axis=1) for i in range(0, len(padded), COLUMNS)]
    sheet = np.concatenate(rows)
    with atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())


def write_clip(path: Path, images: Iterable[np.ndarray], rate: float) -> None:
    """Write images of one size, uint8 (H, W, 3) RGB, as they come, to an MP4; `rate`: frames a second."""
    with atomic_named(path) as temporary:
        writer = None
        for image in images:
            height, width = (max(2, side // 2 * 2) for side in image.shape[:2])  # the codec knows even sides only
            image = image.repeat(2, axis=0) if len(image) < height else image
            image = image.repeat(2, axis=1) if image.shape[1] < width else image
            if writer is None:
                writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*"mp4v"), rate, (width, height))
            writer.write(cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2BGR))
        assert writer is not None, "a clip of no image"
        writer.release()
        require_room(path, temporary)  # OpenCV says nothing of frames that could not be written


def _write(image: np.ndarray, text: str, at: tuple[int, int], color: tuple[int, int, int]) -> None:
    (width, height), below = cv2.getTextSize(text, FONT, TEXT, 1)
    cv2.rectangle(image, (at[0], at[1] - height), (at[0] + width, at[1] + below), BLACK, -1)  # readable on any ground
    cv2.putText(image, text, at, FONT, TEXT, color, 1, cv2.LINE_AA)
