"""Zones applied to a run: which objects and frames can raise an alarm, and how long objects have been in each zone."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from pixelplay.errors import ConfigError
from pixelplay.evaluation.score_tables import object_streams
from pixelplay.events.event import EventTrack
from pixelplay.events.machine import Instant, Stretch
from pixelplay.events.tracks import ScoredTrack
from pixelplay.events.zones import ZoneConfig, counting, dwell_times, read_zones, standing, touched, zones_of
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)

DWELL: Final = "dwell"  # the stream
COLUMNS = {"video": str, "frame": np.int64, "track": np.int64, "zone": str, "seconds": np.float64}


class Stay(NamedTuple):
    """An object that was in a zone for too long."""

    zone: str
    number: int  # of the zone in the file, from 1
    track: ScoredTrack
    stretch: Stretch  # from when it was too long until the last frame in the zone


@dataclass(frozen=True)
class Zoned:
    """The zones of a run; without any, all alarms count."""

    zones: Sequence[ZoneConfig]
    dwell_above: float | None  # seconds

    @classmethod
    def of(cls, config: "Config") -> "Zoned":
        """Raises ConfigError for a run that does not follow objects."""
        path = config.events.zones
        if path is None:
            return cls([], None)
        if not object_streams(config):
            raise ConfigError(
                f"events.zones={path}: zones are about objects that are followed, and no detector of this run scores "
                "such: add one, as in 'detector=[conv_ae,object_motion]', or set events.zones=null"
            )
        return cls(read_zones(path), config.events.dwell_above)

    def warn_of_unused(self, index: Index) -> None:
        """Report zones that are for no test video: their patterns may be wrong."""
        for zone in self.zones:
            if not any(zone.is_for(video.id) for video in index.test):
                patterns = ", ".join(zone.videos or ())
                log.warning(f"events: zone {zone.name!r} is for no test video (its videos: {patterns})")

    def counted(self, video: Video, track: ScoredTrack) -> ScoredTrack:
        """The track with a score of -inf wherever it can't raise an alarm."""
        if not self.zones:
            return track
        counts = counting(standing(track.xyxy), zones_of(self.zones, video.id, video.size))
        return replace(track, scores=np.where(counts, track.scores, -np.inf))

    def ignores(self, stretch: Stretch, tracks: Sequence[ScoredTrack], counted: Sequence[ScoredTrack]) -> bool:
        """Whether an event of frames does not count: its highest object is then where alarms don't count.

        Without any object it counts. counted: the same tracks, of `counted`.
        """
        best, counts = -np.inf, True
        for track, with_zones in zip(tracks, counted, strict=True):
            within = slice(*np.searchsorted(track.frames, [stretch.start.frame, stretch.end.frame + 1]))
            if len(scores := track.scores[within]) and scores.max() > best:
                best = scores.max()
                counts = bool(np.isfinite(with_zones.scores[within][scores.argmax()]))
        return not counts

    def touched(self, video: Video, tracks: Sequence[EventTrack]) -> list[str]:
        """Names of the zones that the paths of an event's tracks go through, in the order of the file."""
        return touched(zones_of(self.zones, video.id, video.size), tracks)

    def dwell(self, video: Video, tracks: Sequence[ScoredTrack]) -> pd.DataFrame:
        """Rows of COLUMNS: for each frame of an object in a zone, the seconds that it has been there so far."""
        rows = []
        for zone, _, track, inside, seconds in self._dwelling(video, tracks):
            of_track = {"frame": track.frames[inside], "track": track.track, "seconds": seconds[inside]}
            rows.append(pd.DataFrame({"video": video.id, "zone": zone, **of_track}))
        return pd.concat(rows or [no_dwell()], ignore_index=True)[list(COLUMNS)].astype(COLUMNS)

    def stays(self, video: Video, tracks: Sequence[ScoredTrack]) -> Iterator[Stay]:
        """Objects that were for more than `dwell_above` seconds in a zone that is not without alarms."""
        if self.dwell_above is None:
            return
        silent = {zone.name for zone in self.zones if zone.alarms is False}
        for zone, number, track, inside, seconds in self._dwelling(video, tracks):
            if zone in silent:
                continue
            late = np.flatnonzero(inside & (seconds > self.dwell_above))
            if len(late):
                start, end = (Instant(int(track.frames[at]), float(track.seconds[at])) for at in late[[0, -1]])
                score = float(seconds[late[-1]])
                yield Stay(zone, number, track, Stretch(start, end, end, score, self.dwell_above))

    def _dwelling(
        self, video: Video, tracks: Sequence[ScoredTrack]
    ) -> Iterator[tuple[str, int, ScoredTrack, np.ndarray, np.ndarray]]:
        """Zone, its number, track, in which of its frames it is there, bool (N,), and the seconds so far (N,)."""
        numbers = {zone.name: number for number, zone in enumerate(self.zones, start=1)}
        for zone in zones_of(self.zones, video.id, video.size):
            for track in tracks:
                inside = zone.inside(standing(track.xyxy))
                if inside.any():
                    yield zone.name, numbers[zone.name], track, inside, dwell_times(track.seconds, inside)


def no_dwell() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in COLUMNS}).astype(COLUMNS)
