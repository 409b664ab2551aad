"""Figures: lists of parts, painted in order, and how they are drawn into a frame, its shadows and the map of tracks.

They stand in an upright plane; in metres, `u` to the right and `v` up from the ground below the figure.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from pixelplay.synthetic.sample.plaza import CAMERA_HEIGHT, Camera

SUBPIXEL_BITS = 4  # OpenCV's drawing takes coordinates in sixteenths of a pixel
SUN = (0.55, 0.32)  # a shadow's length to the right and away from the camera, per metre of height
DARK = (36, 36, 38)

Point = tuple[float, float]
Colour = tuple[int, int, int]  # blue, green, red


class Part(NamedTuple):
    """A stroke along `points` of `width` metres with round ends, or a filled polygon where `width` is 0."""

    points: list[Point]
    width: float
    colour: Colour


@dataclass(frozen=True)
class Sprite:
    """A figure in one frame."""

    x: float  # metres on the ground
    z: float
    parts: list[Part]
    lift: float = 0.0  # metres above the ground
    track: int = 0  # numbers an anomalous object from 1; 0 is a normal one


def disc(u: float, v: float, diameter: float, colour: Colour) -> Part:
    return Part([(u, v), (u, v)], diameter, colour)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, `factor` times as bright, clipped to 0..255."""
    red, green, blue = (int(min(255, max(0, c * factor))) for c in colour)
    return red, green, blue


def draw_shadow(shadows: np.ndarray, camera: Camera, sprite: Sprite) -> None:
    """Draw the figure's shadow on the ground into `shadows`, (H, W) uint8, in place, as 255."""
    shorter = CAMERA_HEIGHT / sprite.z  # a metre away from the camera relative to a metre up, on the image
    draw(shadows, camera, sprite, 255, (SUN[0], SUN[1] * shorter))


def draw(image: np.ndarray, camera: Camera, sprite: Sprite, value: int | None = None, lean: Point = (0.0, 1.0)) -> None:
    """Draw in place: in colour into (H, W, 3) uint8, or as `value` into (H, W) uint8.

    `lean`: where a point of height 1 is drawn, to the right of the foot and above it.
    """
    column, row, scale = camera.project(sprite.x, sprite.z)
    points = np.array([point for part in sprite.parts for point in part.points], np.float32)  # (P, 2)
    heights = points[:, 1] + sprite.lift
    pixels = np.stack([column + scale * (points[:, 0] + lean[0] * heights), row - scale * lean[1] * heights], axis=1)
    fixed = np.rint((pixels - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    ends = np.cumsum([len(part.points) for part in sprite.parts])
    for part, outline in zip(sprite.parts, np.split(fixed, ends[:-1]), strict=True):
        colour = part.colour if value is None else value
        if part.width:
            thickness = max(1, round(part.width * scale))
            cv2.polylines(image, [outline], False, colour, thickness, cv2.LINE_8, SUBPIXEL_BITS)
        else:
            cv2.fillPoly(image, [outline], colour, cv2.LINE_8, SUBPIXEL_BITS)
