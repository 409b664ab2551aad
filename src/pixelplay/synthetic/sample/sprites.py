"""Draws figures where they stand: onto the picture, into the shadows, and into the map of anomalous objects."""

from dataclasses import dataclass

import cv2
import numpy as np

from pixelplay.synthetic.sample.figures import Part
from pixelplay.synthetic.sample.plaza import CAMERA_HEIGHT, Camera

SUBPIXEL_BITS = 4  # OpenCV's drawing takes coordinates in sixteenths of a pixel
SUN = (0.55, 0.32)  # a shadow's length to the right and away from the camera, per metre of height


@dataclass(frozen=True)
class Sprite:
    """A figure in one frame: ground position and height above the ground in metres, and its parts.

    `track` numbers an anomalous object from 1; 0 is a normal one.
    """

    x: float
    z: float
    parts: list[Part]
    lift: float = 0.0
    track: int = 0


def far_to_near(sprites: list[Sprite]) -> list[Sprite]:
    """The order to draw in, so that near ones hide far ones."""
    return sorted(sprites, key=lambda sprite: -sprite.z)


def draw(picture: np.ndarray, camera: Camera, sprite: Sprite) -> None:
    """Draw onto `picture`, (H, W, 3) uint8, in place."""
    _draw_parts(picture, camera, sprite, lean=(0.0, 1.0), value=None)


def draw_track(tracks: np.ndarray, camera: Camera, sprite: Sprite) -> None:
    """Write the sprite's track number where it is seen into `tracks`, (H, W) uint8, in place."""
    _draw_parts(tracks, camera, sprite, lean=(0.0, 1.0), value=sprite.track)


def draw_shadow(shadows: np.ndarray, camera: Camera, sprite: Sprite) -> None:
    """Draw the figure's shadow on the ground into `shadows`, (H, W) uint8, in place, as 255."""
    along, away = SUN
    shorter = CAMERA_HEIGHT / sprite.z  # a metre away from the camera, against a metre up, on the picture
    _draw_parts(shadows, camera, sprite, lean=(along, away * shorter), value=255)


def _draw_parts(
    image: np.ndarray, camera: Camera, sprite: Sprite, lean: tuple[float, float], value: int | None
) -> None:
    """`lean`: how far a point of height 1 comes to lie to the right of the foot and above it."""
    column, row, scale = camera.project(sprite.x, sprite.z)
    points = np.array([point for part in sprite.parts for point in part.points], np.float32)  # (P, 2)
    heights = points[:, 1] + sprite.lift
    pixels = np.stack([column + scale * (points[:, 0] + lean[0] * heights), row - scale * lean[1] * heights], axis=1)
    fixed = np.rint((pixels - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    start = 0
    for part in sprite.parts:
        outline = fixed[start : start + len(part.points)]
        start += len(part.points)
        colour = part.colour if value is None else value
        if part.width:
            thickness = max(1, round(part.width * scale))
            cv2.polylines(image, [outline], False, colour, thickness, cv2.LINE_8, SUBPIXEL_BITS)
        else:
            cv2.fillPoly(image, [outline], colour, cv2.LINE_8, SUBPIXEL_BITS)
