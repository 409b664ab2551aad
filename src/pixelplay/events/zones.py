"""Zones: polygons in the picture where alarms count, or do not, and in which objects may stay too long.

An object stands where the middle of its box's lower edge is. The polygons come from a YAML file, `events.zones`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from pixelplay.events.event import EventTrack
from pixelplay.run.yaml_file import read_settings
from pixelplay.settings import NonNegative, Settings

Point = Annotated[list[NonNegative], Field(min_length=2, max_length=2)]


class ZoneConfig(Settings):
    """One zone of the file; docs/events.md explains the keys."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    points: Annotated[list[Point], Field(min_length=3, max_length=1000)]
    unit: Literal["pixels", "shares"]
    alarms: bool | None = None
    videos: Annotated[list[str], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _in_the_frame(self) -> "ZoneConfig":
        if self.unit == "shares" and np.max(self.points) > 1:
            raise ValueError(f"{self.name}: shares of the frame are at most 1, not {np.max(self.points):g}")
        if np.linalg.matrix_rank(np.array(self.points)[1:] - self.points[0]) < 2:
            raise ValueError(f"{self.name}: all its points lie on a line")
        return self

    def is_for(self, video: str) -> bool:
        return self.videos is None or any(fnmatchcase(video, pattern) for pattern in self.videos)


def _named_apart(zones: list[ZoneConfig]) -> list[ZoneConfig]:
    names = [zone.name for zone in zones]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two zones are called {twice!r}")
    return zones


class ZonesConfig(Settings):
    zones: Annotated[list[ZoneConfig], Field(min_length=1), AfterValidator(_named_apart)]


def read_zones(path: Path) -> list[ZoneConfig]:
    """The zones of a file; raises ConfigError that names it and every bad value."""
    return read_settings(path, ZonesConfig, "events.zones", of="zones").zones


@dataclass(frozen=True, eq=False)
class Zone:
    """A zone in the frames of one video."""

    name: str
    polygon: np.ndarray  # float32 (K, 2), x and y in pixels; lines may cross: even-odd rule
    alarms: bool | None  # True: they count here; False: they do not; None: the zone decides nothing

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Which of the points, float (N, 2) in pixels, are in it, or on its edge: bool (N,)."""
        import cv2  # slow to import: the configuration reads zones, too

        outline = self.polygon[:, None]
        return np.array([cv2.pointPolygonTest(outline, point, False) >= 0 for point in points.tolist()], bool)


def zones_of(zones: Sequence[ZoneConfig], video: str, size: tuple[int, int]) -> list[Zone]:
    """Those for a video, whose frames have this width and height in pixels."""
    return [
        Zone(
            zone.name,
            (np.array(zone.points) * (size if zone.unit == "shares" else 1)).astype(np.float32),
            zone.alarms,
        )
        for zone in zones
        if zone.is_for(video)
    ]


def touched(zones: Sequence[Zone], tracks: Sequence[EventTrack]) -> list[str]:
    """Names of the zones that the paths of an event's tracks go through, in the order of the zones."""
    points = np.array([[x, y] for track in tracks for _, x, y in track.path])
    return [zone.name for zone in zones if len(points) and zone.inside(points).any()]


def standing(xyxy: np.ndarray) -> np.ndarray:
    """Where objects stand: the middles of the lower edges of their boxes (N, 4), float64 (N, 2)."""
    x1, _, x2, y2 = np.asarray(xyxy, np.float64).T
    return np.stack([(x1 + x2) / 2, y2], axis=1)


def counting(points: np.ndarray, zones: Sequence[Zone]) -> np.ndarray:
    """Which of the objects that stand at points (N, 2) can raise an alarm: bool (N,).

    None in a zone without alarms. If any zone says that alarms count in it, only those in such a zone.
    """
    where = [zone.inside(points) for zone in zones if zone.alarms]
    counts = np.any(where, axis=0) if where else np.ones(len(points), bool)
    for zone in zones:
        if zone.alarms is False:
            counts &= ~zone.inside(points)
    return counts


def dwell_times(seconds: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How long an object has been in a zone at each of its frames, all visits together: float64 (N,), seconds.

    seconds: times (N,) of the frames in which it is seen, ascending; inside, bool (N,): where it is in the zone. The
    time between two frames counts if it is in the zone in both.
    """
    stayed = np.where(inside[1:] & inside[:-1], np.diff(seconds), 0.0)
    return np.concatenate([[0.0], np.cumsum(stayed)])[: len(seconds)]
