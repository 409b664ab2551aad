"""The plaza: a fixed camera over two one-way walkways, a lawn, a path to a door and a far walkway, in metres.

World coordinates: `x` to the right of the camera's axis, `z` away from the camera, both on the ground.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

FRAME_RATE = 15.0  # frames per second; speeds are given in metres per second

HORIZON = 0.25  # height of the horizon below the top edge, share of the picture's height
FOCAL = 1.1  # focal length in picture heights: a vertical field of view of 49 degrees
CAMERA_HEIGHT = 3.6  # metres

NEAR_KERB = (8.95, 9.25)  # z range of the row of bollards' kerb between the two walkways
LAWN = (12.4, 18.0)  # z range of the lawn; people walk on its path only
PATH = (1.2, 3.6)  # x range of the path through the lawn
FACADE_Z = 21.5  # where the buildings stand
DOOR_X = 2.4  # the door that the path leads to


class Lane(NamedTuple):
    """A walkway across the picture; `direction` is +1 left to right, -1 right to left, 0 both ways."""

    near: float
    far: float
    direction: int


NEAR_LANE = Lane(5.9, 8.6, +1)
MIDDLE_LANE = Lane(9.7, 11.9, -1)
LANES = {"near": NEAR_LANE, "middle": MIDDLE_LANE, "far": Lane(18.6, 20.8, 0)}


@dataclass(frozen=True)
class Camera:
    """Projects the ground onto a picture of `width` x `height` pixels."""

    width: int
    height: int

    def project(self, x: float, z: float) -> tuple[float, float, float]:
        """Pixel column, pixel row and pixels per metre of the ground point (x, z), in metres, z > 0."""
        scale = FOCAL * self.height / z
        return self.width / 2 + scale * x, HORIZON * self.height + scale * CAMERA_HEIGHT, scale

    def half_view(self, z: float) -> float:
        """Metres that are visible to either side of the camera's axis at distance `z`."""
        return self.width / 2 * z / (FOCAL * self.height)

    def ground(self) -> tuple[np.ndarray, np.ndarray]:
        """Ground coordinates of every pixel centre: x and z, (H, W) float32 each; z is infinite above the horizon."""
        rows = (np.arange(self.height, dtype=np.float32) + 0.5) / self.height - HORIZON  # picture heights
        with np.errstate(divide="ignore"):
            z = np.where(rows > 0, FOCAL * CAMERA_HEIGHT / np.maximum(rows, 1e-9), np.inf).astype(np.float32)  # (H,)
        columns = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / self.height  # (W,)
        x = columns[None, :] * np.minimum(z, 1e6)[:, None] / FOCAL  # (H, W)
        return x, np.broadcast_to(z[:, None], x.shape)
