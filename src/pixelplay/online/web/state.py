"""What the live page shows: the newest frame, the last minutes of scores, the last events. Its size is bounded.

The thread that scores adds; those of the server read. Each reader says what it has and gets what changed since then, so
nothing waits in a queue for a reader that is slow.
"""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from pixelplay.events.event import Event
from pixelplay.online.result import Result

POINTS = 4000  # of the timeline, at most: of frames that fall on the same point, the one with the highest score is kept
EVENTS = 100  # the newest; older ones are forgotten here
RATE_OVER = 5.0  # seconds over which frames per second are counted
DRIFT = 1.0  # seconds that a source's clock may differ from this machine's until its time of day is set anew
Accept = Callable[[str], Sequence[str] | None]  # makes the event with this id normal; returns what there is to say
TOLD = {"id", "found_by", "start", "end", "peak", "score", "stream", "threshold", "tail_probability", "zones"}
FILES = {"thumbnail": ".jpg", "clip": ".mp4"}


@dataclass(frozen=True)
class Point:
    """Scores of one frame on the timeline."""

    slot: int  # which part of the stream's time it stands for
    seconds: float
    score: float
    threshold: float | None
    members: Mapping[str, float]


@dataclass(frozen=True)
class Seen:
    """What a reader has."""

    epoch: int = -1  # of the timeline: another one begins where the source's time goes back
    slot: int = -1
    change: int = 0  # of events
    frames: int = 0


@dataclass
class Entry:
    """An event as the page lists it."""

    event: Event
    over: bool
    change: int  # number of the change that was its last
    accepted: bool = False
    remarks: Sequence[str] = ()  # about what was accepted
    files: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(FILES, False))  # whether each is there


class LiveState:
    def __init__(self, folder: Path, timeline: float, live: bool = False, clock: Callable[[], float] = time.monotonic):
        """folder: where files of events appear. timeline: seconds of scores. live: frames are of now."""
        self._folder, self._timeline, self._live, self._clock = folder, timeline, live, clock
        self._began: float | None = None  # time of day of the source's second 0, since 1970; None where it is unknown
        self._step = timeline / POINTS
        self._lock = threading.Lock()
        self._points: deque[Point] = deque()
        self._events: OrderedDict[str, Entry] = OrderedDict()
        self._times: deque[float] = deque(maxlen=1000)
        self._result: Result | None = None
        self._epoch = self._change = self._frames = self._dropped = 0
        self._newest, self._looked_at = clock(), -math.inf

    def add(self, result: Result) -> None:
        now = self._clock()
        with self._lock:
            if self._result and result.seconds < self._result.seconds:
                self._points.clear()
                self._epoch += 1
            self._result, self._newest = result, now
            self._frames, self._dropped = self._frames + 1, self._dropped + result.dropped
            self._times.append(now)
            self._add_point(result)
            began = time.time() - result.latency - result.seconds
            if self._live and (self._began is None or abs(began - self._began) > DRIFT):
                self._began = began
            for event in result.started:
                self._tell(event, over=False)
            for event in result.ended:
                self._tell(event, over=True)

    def end(self, events: Sequence[Event]) -> None:
        """These have ended with the source."""
        with self._lock:
            for event in events:
                self._tell(event, over=True)

    @property
    def result(self) -> Result | None:
        """The newest."""
        return self._result

    def file(self, event: str, suffix: str) -> Path | None:
        """A file of a listed event: its thumbnail, `.jpg`, or its clip, `.mp4`; None where it is not there."""
        with self._lock:
            listed = event in self._events and suffix in FILES.values()
        return path if listed and (path := self._path(event, suffix)).is_file() else None

    def entry(self, event: str) -> Entry | None:
        """An event as it is listed, which others may change; None where it is not."""
        with self._lock:
            return self._events.get(event)

    def accept(self, event: str, remarks: Sequence[str] = ()) -> None:
        """The event counts as normal from now on; remarks: what there is to say of it."""
        with self._lock:
            if entry := self._events.get(event):
                entry.accepted, entry.remarks, entry.change = True, tuple(remarks), self._next_change()

    def update(self, seen: Seen) -> tuple[dict[str, Any], Seen]:
        """What changed, as JSON, and what its reader has then. A reader that has nothing yet: `Seen()`."""
        with self._lock:
            self._look_for_files()
            again = seen.epoch != self._epoch
            slot = -1 if again else seen.slot
            new = list(takewhile(lambda point: again or point.slot >= slot, reversed(self._points)))[::-1]
            changed = [_told(entry) for entry in self._events.values() if entry.change > seen.change]
            status = self._status()
            now = Seen(self._epoch, self._points[-1].slot if self._points else -1, self._change, self._frames)
        return {"status": status, "again": again, "points": _columns(new), "events": changed}, now

    def _add_point(self, result: Result) -> None:
        slot = math.floor(result.seconds / self._step)
        point = Point(slot, result.seconds, result.score, result.threshold, dict(result.members))
        if self._points and self._points[-1].slot == slot:
            if result.score > self._points[-1].score:
                self._points[-1] = point
        else:
            self._points.append(point)
        while self._points[0].seconds < result.seconds - self._timeline:
            self._points.popleft()

    def _tell(self, event: Event, over: bool) -> None:
        entry = self._events.get(event.id)
        if entry is None:
            self._events[event.id] = Entry(event, over, self._next_change())
        else:
            entry.event, entry.over, entry.change = event, over, self._next_change()
        while len(self._events) > EVENTS:
            self._events.popitem(last=False)

    def _look_for_files(self) -> None:
        """Find out, once a second, which thumbnails and clips are there by now."""
        if self._clock() < self._looked_at + 1:
            return
        self._looked_at = self._clock()
        for event, entry in self._events.items():
            for kind, suffix in FILES.items():
                if not entry.files[kind] and self._path(event, suffix).is_file():
                    entry.files[kind], entry.change = True, self._next_change()

    def _next_change(self) -> int:
        self._change += 1
        return self._change

    def _path(self, event: str, suffix: str) -> Path:
        return self._folder / "events" / Path(event + suffix).name

    def _status(self) -> dict[str, Any]:
        now, result = self._clock(), self._result
        while self._times and self._times[0] < now - RATE_OVER:
            self._times.popleft()
        span = max(self._times[-1] - self._times[0], 1e-3) if len(self._times) > 1 else None
        return {
            "frames": self._frames,
            "dropped": self._dropped,
            "fps": None if span is None else _short((len(self._times) - 1) / span),
            "silent_for": _short(now - self._newest),
            "began": self._began,
            "number": None if result is None else result.number,
            "seconds": None if result is None else result.seconds,
            "score": None if result is None else _short(result.score),
            "threshold": None if result is None else _short(result.threshold),
            "alarm": result is not None and result.alarm,
            "latency": None if result is None else _short(result.latency),
        }


def _columns(points: Collection[Point]) -> dict[str, Any]:
    names = dict.fromkeys(name for point in points for name in point.members)
    return {
        "slots": [point.slot for point in points],
        "seconds": [round(point.seconds, 3) for point in points],
        "score": [_short(point.score) for point in points],
        "threshold": [_short(point.threshold) for point in points],
        "members": {name: [_short(point.members.get(name)) for point in points] for name in names},
    }


def _told(entry: Entry) -> dict[str, Any]:
    event = entry.event
    return {
        **event.model_dump(mode="json", include=TOLD),
        "shares": sorted(event.contributions.items(), key=lambda share: -share[1]),
        "tracks": [[one.label, one.track, one.score] for one in event.tracks],
        "over": entry.over,
        "accepted": entry.accepted,
        "remarks": entry.remarks,
        **entry.files,
    }


def _short(value: float | None) -> float | None:
    """Six digits, for JSON, which knows no NaN and no infinity."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
