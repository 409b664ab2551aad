"""A thread that writes files of events: scoring never waits for the disk, and never ends for it."""

import logging
import threading
import time
from collections.abc import Callable
from queue import Queue

log = logging.getLogger(__name__)

WAITING = 16  # files that wait, at most; ours


class FileWriter:
    """Writes in the order in which files are added."""

    def __init__(self) -> None:
        self._waiting: Queue[tuple[str, Callable[[], None]] | None] = Queue()
        self._last, self._told = time.monotonic(), set[str]()
        self._thread = threading.Thread(target=self._work, name="files of events", daemon=True)
        self._thread.start()

    def add(self, name: str, write: Callable[[], None]) -> None:
        """Never waits: where too many wait already, this one is left out, and that is reported."""
        if self._waiting.qsize() < WAITING:
            self._waiting.put((name, write))
        else:
            self._tell(f"{name}: left out: files of events come faster than they are written", "slow")

    def close(self, patience: float) -> None:
        """Wait for what is there, but no longer than `patience` seconds for one of them."""
        self._waiting.put(None)
        start = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.05)
            if time.monotonic() - max(start, self._last) > patience:
                self._tell(f"{self._waiting.qsize()} files of events are not written: it takes too long", "late")
                return

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            name, write = item
            try:
                write()
            except Exception as error:  # a full disk, or what a library makes of it: the next file may be possible
                text = str(error) or type(error).__name__
                self._tell(f"{name}: not written: {text}", type(error).__name__)
            self._last = time.monotonic()

    def _tell(self, text: str, kind: str) -> None:
        """Report the first problem of a kind: a full disk stays full."""
        if kind not in self._told:
            self._told.add(kind)
            log.warning(f"events: {text}")
