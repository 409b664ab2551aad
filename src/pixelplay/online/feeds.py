"""Where frames come from: a file, a camera, an address. Opened once (files) or again and again (what is live)."""

import logging
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from pixelplay.errors import FootageError
from pixelplay.online.frame import Arrived
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.sources import Source

log = logging.getLogger(__name__)

RATES = (0.5, 1000.0)  # frames per second that are believed: streams may announce the ticks of their clock


@dataclass(frozen=True)
class About:
    """What is known of a source before its first frame."""

    name: str  # of folders and in events
    shown: str  # for messages: without a password
    fps: float | None  # frames per second, as it says itself
    live: bool  # frames come at their own pace, and end only where something breaks
    began: datetime | None = None  # time of day of a file's first frame, where it says so


class Picture(NamedTuple):
    """A frame of a connection."""

    image: np.ndarray | None  # uint8 (H, W, 3) RGB; None where it is damaged
    seconds: float | None  # its timestamp, on the connection's clock; None where it has none
    at: float  # time.monotonic() of its arrival


@dataclass(frozen=True, eq=False)
class Connection:
    """An open camera or stream, used by one thread."""

    fps: float | None  # as it says itself
    live: bool
    pictures: Generator[Picture]  # the frames up to its end; raises FootageError where something breaks
    close: Callable[[], None]


class Feed(Protocol):
    """What can be connected to, and again."""

    @property
    def shown(self) -> str:
        """For messages: without a password."""
        ...

    def open(self) -> Connection:
        """Raises FootageError."""
        ...


@dataclass(frozen=True)
class Camera:
    """A camera of this machine, by its number in OpenCV."""

    number: int

    @property
    def shown(self) -> str:
        return f"camera {self.number}"

    def open(self) -> Connection:
        messages = cv2.utils.logging
        level = messages.setLogLevel(messages.LOG_LEVEL_SILENT)  # its warnings would stand beside the error below
        try:
            capture = cv2.VideoCapture(self.number)
        finally:
            messages.setLogLevel(level)
        if not capture.isOpened():
            capture.release()
            raise FootageError(f"{self.shown}: cannot be opened; is it there, and used by no one else? {_here()}")
        return Connection(believed(capture.get(cv2.CAP_PROP_FPS)), True, _pictures(capture), capture.release)


def _here() -> str:
    """What there is on Linux; elsewhere nothing tells."""
    if sys.platform != "linux":
        return "Cameras are numbered from 0"
    devices = sorted(str(path) for path in Path("/dev").glob("video*"))
    return f"Video devices of this machine: {', '.join(devices) or 'none'}"


def _pictures(capture: cv2.VideoCapture) -> Generator[Picture]:
    while True:
        there, image = capture.read()
        if not there:
            raise FootageError("it gives no frame")
        yield Picture(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None, time.monotonic())


def believed(fps: float | None) -> float | None:
    """A frame rate that can be one."""
    return float(fps) if fps and RATES[0] <= fps <= RATES[1] else None


def frames_of(source: Source, name: str, rate: float) -> Generator[Arrived]:
    """The frames of a file or folder: pixels, numbers and times are those that `prepare` finds in it.

    rate: frames per second of times that it does not give. A damaged frame looks like the one before; those before the
    first readable frame are left out, as nothing is known of them yet. Raises FootageError where no frame is readable.
    """
    for problem in source.remarks(source.expected_frames()) if isinstance(source, ImageFolder) else []:
        log.warning(f"{name}: {problem[0]}: {problem[1]}; {problem[2]}")
    told = Remarks(name)
    timed, last, seconds = getattr(source, "timed", lambda: False)(), None, -1.0
    for frame in source.read(gray=True, color=True):
        image, gray = frame.color, frame.gray
        if image is None or gray is None:
            told.add(frame.problem or "unreadable", f"{frame.name}: shown as the frame before")
            if last is None:
                continue
            image, gray = last
        elif last is not None and image.shape != last[0].shape:
            size = last[0].shape[1::-1]
            told.add("another size than the first", f"{frame.name}: resized to {size[0]}x{size[1]} pixels")
            image, gray = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (image, gray))
        if frame.remark:
            told.add(frame.remark[0], f"{frame.name}: {frame.remark[1]}")
        last = image, gray
        own = round(frame.seconds, 6) if timed and frame.seconds is not None else frame.number / rate
        if own <= seconds:  # numbers and times go on, whatever a damaged file says
            told.add("its timestamps run backwards", f"{frame.name}: taken to be a frame later")
            own = seconds + 1 / rate
        seconds = own
        yield Arrived(frame.number, seconds, image, gray, at=time.monotonic())
    told.close()
    if last is None:
        reasons = ", ".join(told.kinds) or "no frames"
        raise FootageError(f"{name}: no readable frame: {reasons}")


class Remarks:
    """What is odd about single frames: the first of each kind is logged at once, the others as a number at the end."""

    def __init__(self, name: str):
        self._name = name
        self.kinds: dict[str, int] = {}

    def add(self, problem: str, treatment: str) -> None:
        self.kinds[problem] = self.kinds.get(problem, 0) + 1
        if self.kinds[problem] == 1:
            log.warning(f"{self._name}: {problem}; {treatment}")

    def close(self) -> None:
        for problem, count in self.kinds.items():
            if count > 1:
                log.warning(f"{self._name}: {problem}: {count} frames")
