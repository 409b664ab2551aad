"""Routes: waypoints and stops at a constant speed, and the position in each frame."""

from dataclasses import dataclass

import numpy as np

from pixelplay.synthetic.sample.plaza import FRAME_RATE


@dataclass(frozen=True, eq=False)
class Route:
    """Key frames of a movement; positions are interpolated between them."""

    frames: np.ndarray  # (K,) float64, increasing
    points: np.ndarray  # (K, 2) float64: x and z, metres
    lengths: np.ndarray  # (K,) float64: metres walked so far

    def locate(self, frame: float) -> "Step | None":
        """Position and heading at `frame`, None outside the route's frames."""
        if not self.frames[0] <= frame <= self.frames[-1]:
            return None
        leg = min(int(np.searchsorted(self.frames, frame, side="right")) - 1, len(self.frames) - 2)
        share = (frame - self.frames[leg]) / (self.frames[leg + 1] - self.frames[leg])
        ahead = self.points[leg + 1] - self.points[leg]
        x, z = self.points[leg] + share * ahead
        walked = self.lengths[leg] + share * (self.lengths[leg + 1] - self.lengths[leg])
        size = float(np.hypot(*ahead))
        return Step(float(x), float(z), float(walked), size > 0, float(ahead[0]) / size if size > 0 else 1.0)

    def shifted(self, x: float, z: float) -> "Route":
        """The same movement `x` metres further right and `z` metres further away."""
        return Route(self.frames, self.points + np.array([x, z]), self.lengths)


@dataclass(frozen=True)
class Step:
    """A position on a route; `facing` is the cosine of the heading to the image plane."""

    x: float
    z: float
    walked: float
    moving: bool
    facing: float


def travel(
    points: list[tuple[float, float]], speed: float, start: float, stop: tuple[int, float] | None = None
) -> Route:
    """A route along `points` (x, z) at `speed` metres per second that leaves the first point at frame `start`.

    `stop` = (which waypoint, frames) stands still at one waypoint. Two neighbouring points must differ.
    """
    corners = np.array(points, np.float64)
    legs = np.hypot(*np.diff(corners, axis=0).T)
    lengths = np.concatenate([[0.0], np.cumsum(legs)])
    frames = start + lengths / speed * FRAME_RATE
    if stop is not None:
        which, pause = stop
        frames = np.insert(frames, which + 1, frames[which] + pause)
        frames[which + 2 :] += pause
        corners = np.insert(corners, which + 1, corners[which], axis=0)
        lengths = np.insert(lengths, which + 1, lengths[which])
    return Route(frames, corners, lengths)


def frames_for(metres: float, speed: float) -> float:
    """How many frames `metres` take at `speed` metres per second."""
    return metres / speed * FRAME_RATE
