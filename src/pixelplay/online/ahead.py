"""Frames are looked at in a thread, while the one before is followed and scored: two cores, and the same numbers."""

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from queue import Empty, Queue

from pixelplay.detectors.stream import StreamFormat
from pixelplay.online.frame import Arrived
from pixelplay.online.perception import Look, Models, Perception

log = logging.getLogger(__name__)


def looks(frames: Iterable[Arrived], models: Models, fps: float, name: str) -> Iterator[Look]:
    """Each frame looked at, by a new perception where it does not go on with those before. No track's id comes twice.

    fps: frames per second; name: of the footage.
    """
    perception: Perception | None = None
    ids = count(1)
    for arrived in frames:
        change = perception and perception.change(arrived)
        if change and not arrived.restart:
            log.warning(f"{name}: {change}: tracks and detectors begin anew")
        if perception is None or change or arrived.restart:
            height, width = arrived.image.shape[:2]
            perception = Perception(models, StreamFormat((width, height), fps, name), ids)
        yield perception.look(arrived)


class Ahead(Iterator[Look]):
    """Looks that are made in a thread, one frame ahead. To be closed."""

    def __init__(self, made: Iterator[Look]):
        self._closed = threading.Event()
        self._found: Queue[Look | BaseException | None] = Queue(maxsize=1)
        self._thread = threading.Thread(target=self._work, args=(made,), name="looking ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> Look:
        if self._closed.is_set():
            raise StopIteration
        found = self._found.get()
        if isinstance(found, Look):
            return found
        self._found.put(found)  # for whoever asks again
        raise StopIteration if found is None else found

    def close(self) -> None:
        """End the thread, once it has looked at its frame."""
        self._closed.set()
        with suppress(Empty):
            self._found.get_nowait()  # the thread may be waiting for room
        self._thread.join()

    def _work(self, made: Iterator[Look]) -> None:
        end: BaseException | None = None
        try:
            for look in made:
                self._found.put(look)
                if self._closed.is_set():
                    return
        except BaseException as error:  # is raised where the looks are taken
            end = error
        self._found.put(end)
