"""The plaza: a fixed camera over two one-way walkways, a lawn, a path to a door and a far walkway; and routes over it.

World coordinates, in metres: `x` to the right of the camera's axis, `z` away from the camera, both on the ground.
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

Points = list[tuple[float, float]]  # x, z


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


class Step(NamedTuple):
    """A position on a route; `facing` is the cosine of the heading to the image plane."""

    x: float
    z: float
    walked: float
    moving: bool
    facing: float


@dataclass(frozen=True, eq=False)
class Route:
    """Key frames of a movement; positions are interpolated between them."""

    frames: np.ndarray  # (K,) float64, increasing
    places: np.ndarray  # (K, 3) float64: x, z and the way walked so far, metres

    def locate(self, frame: float) -> Step | None:
        """Position and heading at `frame`, None outside the route's frames."""
        if not self.frames[0] <= frame <= self.frames[-1]:
            return None
        leg = min(int(np.searchsorted(self.frames, frame, side="right")) - 1, len(self.frames) - 2)
        share = (frame - self.frames[leg]) / (self.frames[leg + 1] - self.frames[leg])
        ahead = self.places[leg + 1] - self.places[leg]
        x, z, walked = (self.places[leg] + share * ahead).tolist()
        size = float(np.hypot(*ahead[:2]))
        return Step(x, z, walked, size > 0, float(ahead[0]) / size if size > 0 else 1.0)

    def shifted(self, x: float, z: float) -> "Route":
        """The same movement `x` metres further right and `z` metres further away."""
        return Route(self.frames, self.places + np.array([x, z, 0.0]))


def travel(points: Points, speed: float, start: float, stop: tuple[int, float] | None = None) -> Route:
    """A route along `points` (x, z) at `speed` metres per second that leaves the first point at frame `start`.

    `stop` = (which waypoint, frames) stands still at one waypoint. Two neighbouring points must differ.
    """
    corners = np.array(points, np.float64)
    walked = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    frames, places = start + walked / speed * FRAME_RATE, np.column_stack([corners, walked])
    if stop is not None:
        which, pause = stop
        frames = np.insert(frames, which + 1, frames[which] + pause)
        frames[which + 2 :] += pause
        places = np.insert(places, which + 1, places[which], axis=0)
    return Route(frames, places)
