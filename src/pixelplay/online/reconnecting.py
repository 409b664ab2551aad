"""The frames of a camera or a stream through all its gaps: connected again with back-off, numbers and times go on."""

import logging
import threading
from collections.abc import Generator
from contextlib import closing

import numpy as np

from pixelplay.config.online import ReconnectConfig
from pixelplay.errors import FootageError
from pixelplay.online.feeds import Connection, Feed, Picture, Remarks
from pixelplay.online.frame import Arrived

log = logging.getLogger(__name__)

LOST = 1.0  # seconds between two frames from which on frames count as lost between them


def live_frames(
    feed: Feed, connection: Connection, config: ReconnectConfig, rate: float, stopped: threading.Event
) -> Generator[Arrived]:
    """Frames of an open connection and, if it is live, of those after it, until `stopped` is set.

    rate: frames per second, by which numbers go on over a gap. Raises FootageError when `config.attempts` tries in a
    row have given no frame, where the first connection gives none, and where what has an end breaks before it.
    """
    clock, tries = Clock(feed.shown, rate, config.keep_state), 0
    try:
        while True:
            before = clock.count
            broken = yield from _frames(connection, clock, stopped)
            if stopped.is_set() or (not connection.live and not broken and clock.count):
                return
            why = broken or "it ended"
            if not clock.count or not connection.live:
                raise FootageError(f"{feed.shown}: broken off after {clock.count} frames ({why}); check it")
            if clock.count > before:
                tries = 0
                log.warning(f"{feed.shown}: cut after {clock.seconds:.1f} s ({why}); trying to connect again")
            found = _reconnect(feed, config, tries, why, stopped)
            if found is None:
                return
            connection, tries = found
            clock.cut()
    finally:
        clock.told.close()


def _frames(connection: Connection, clock: "Clock", stopped: threading.Event) -> Generator[Arrived, None, str]:
    """The frames of one connection, which is closed then; returns what has broken it, '' where it just ends."""
    try:
        with closing(connection.pictures) as pictures:
            for picture in pictures:
                if stopped.is_set():
                    break
                if arrived := clock.arrived(picture):
                    yield arrived
    except FootageError as error:
        return str(error)
    finally:
        connection.close()
    return ""


def _reconnect(
    feed: Feed, config: ReconnectConfig, tries: int, why: str, stopped: threading.Event
) -> tuple[Connection, int] | None:
    """A new connection, and the tries in a row that it took; None if it is no longer wanted."""
    while config.attempts is None or tries < config.attempts:
        if stopped.wait(min(config.backoff * 2.0 ** min(tries, 30), config.max_backoff)):
            return None
        tries += 1
        try:
            return feed.open(), tries
        except FootageError as error:
            why = str(error).removeprefix(f"{feed.shown}: ")
    raise FootageError(
        f"{feed.shown}: no frame after {tries} tries to connect again ({why}); check it, or let it be tried without an "
        "end: online.reconnect.attempts=null"
    )


class Clock:
    """Numbers and seconds of live frames, as one increasing sequence over all connections."""

    def __init__(self, shown: str, rate: float, keep_state: float):
        self.count, self.seconds = 0, 0.0  # frames that have arrived; since the first of them, of the newest
        self._shown, self._rate, self._keep_state = shown, rate, keep_state
        self._number, self._stamp, self._at = -1, None, 0.0  # of the newest frame: its number, timestamp and arrival
        self._image: np.ndarray | None = None  # the newest readable one of this connection
        self._size: tuple[int, ...] | None = None
        self._cut, self._restart, self.told = False, False, Remarks(shown)

    def cut(self) -> None:
        """Another connection follows."""
        self._cut, self._stamp, self._image = True, None, None

    def arrived(self, picture: Picture) -> Arrived | None:
        """The frame, with the image of the one before where it is damaged; None where there is none either."""
        if picture.image is None:
            if self._image is None:  # a stream that is joined between two keyframes
                return None
            self.told.add("damaged frames", "shown as the frame before")
        image = self._image = self._image if picture.image is None else picture.image
        assert image is not None
        self._advance(picture)
        if self._size is not None and image.shape != self._size:
            sizes = "{1}x{0} to {4}x{3}".format(*self._size, *image.shape)
            log.warning(f"{self._shown}: its frames change from {sizes} pixels: tracks and detectors begin anew")
            self._restart = True
        self._size = image.shape
        restart, self._restart = self._restart, False
        return Arrived(self._number, self.seconds, image, at=picture.at, restart=restart)

    def _advance(self, picture: Picture) -> None:
        """Number and seconds of the next frame."""
        if self.count:
            waited = max(picture.at - self._at, 0.0)
            step = waited if picture.seconds is None or self._stamp is None else picture.seconds - self._stamp
            if not 0 < step <= max(2 * waited, self._keep_state):  # a clock that was set
                step = max(waited, 1e-3)
            self.seconds = round(self.seconds + step, 6)
            self._number += max(1, round(step * self._rate)) if self._cut or step > LOST else 1
            if self._cut or step > self._keep_state:
                self._restart = step > self._keep_state
                then = "begin anew" if self._restart else "go on"
                log.warning(f"{self._shown}: frames again after a gap of {step:.1f} s: tracks and detectors {then}")
        else:
            self._number = 0
        self.count += 1
        self._cut, self._at = False, picture.at
        self._stamp = picture.seconds
