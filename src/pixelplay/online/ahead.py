"""Frames are looked at in a thread, while the one before is followed and scored: two cores, and the same numbers."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, Full, Queue

from pixelplay.online.frame import Arrived
from pixelplay.online.perception import Look, Perception, StreamChanged

Begin = Callable[
    [Arrived, StreamChanged | None], Perception
]  # given a stretch's first frame, and why another one begins
POLL = 0.1  # seconds between two looks whether it is closed


def looks(frames: Iterable[Arrived], begin: Begin) -> Iterator[Look]:
    """Each frame looked at, by a new perception where it does not go on with those before."""
    perception: Perception | None = None
    for arrived in frames:
        if perception is None or arrived.restart:
            perception = begin(arrived, None)
        try:
            look = perception.look(arrived)
        except StreamChanged as change:
            perception = begin(arrived, change)
            look = perception.look(arrived)
        yield look


class Ahead(Iterator[Look]):
    """`looks` in a thread, one frame ahead; `begin` is called in the thread that iterates, when all looks before have
    been taken. To be closed.
    """

    def __init__(self, frames: Iterable[Arrived], begin: Begin):
        self._begin, self._closed = begin, threading.Event()
        self._found: Queue[Look | _Asked | BaseException | None] = Queue(maxsize=1)
        self._thread = threading.Thread(target=self._work, args=(frames,), name="looking ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> Look:
        while True:
            found = self._found.get()
            if isinstance(found, Look):
                return found
            if isinstance(found, _Asked):
                found.answer(self._begin)
                continue
            self._found.put(found)  # for whoever asks again
            raise StopIteration if found is None else found

    def close(self) -> None:
        """End the thread, once it has looked at its frame."""
        self._closed.set()
        with suppress(Empty):
            found = self._found.get_nowait()
            if isinstance(found, _Asked):
                found.perception.cancel()
        self._thread.join()

    def _work(self, frames: Iterable[Arrived]) -> None:
        end: BaseException | None = None
        try:
            for look in looks(frames, self._ask):
                self._put(look)
                if self._closed.is_set():
                    break
        except BaseException as error:  # is raised where the looks are taken
            end = error
        self._put(end)

    def _ask(self, arrived: Arrived, change: StreamChanged | None) -> Perception:
        asked = _Asked(arrived, change)
        self._put(asked)
        if self._closed.is_set():
            asked.perception.cancel()
        return asked.perception.result()

    def _put(self, found: "Look | _Asked | BaseException | None") -> None:
        while not self._closed.is_set():
            with suppress(Full):
                self._found.put(found, timeout=POLL)
                return


class _Asked:
    """A new perception that the thread waits for."""

    def __init__(self, arrived: Arrived, change: StreamChanged | None):
        self._about, self.perception = (arrived, change), Future[Perception]()

    def answer(self, begin: Begin) -> None:
        try:
            self.perception.set_result(begin(*self._about))
        except BaseException as error:
            self.perception.set_exception(error)
            raise
