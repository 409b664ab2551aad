"""A thread that reads a source, and what happens to frames that come faster than they are taken: `online.keep_up`."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Literal

from pixelplay.online.feeds import About
from pixelplay.online.frame import Arrived

KeepUp = Literal["latest", "all"]
ROOM, BYTES = 64, 64 * 2**20  # frames that wait at most, and the memory that they may take
PATIENCE = 1.0  # seconds that `close` waits for the thread


class Capture:
    """The frames of a source, in order; to be used as a context manager, or closed.

    keep_up=latest: a frame that is not taken when the next one comes gives way to it, and is counted in the next one's
    `dropped`; what has no pace of its own, such as a file, is played at that of its times. all: whoever reads waits.
    """

    def __init__(self, about: About, frames: Callable[[threading.Event], Generator[Arrived]], keep_up: KeepUp):
        """frames: is called by the thread, and ends when the event is set. Raises what it raises before a frame."""
        self.about, self.keep_up = about, keep_up
        self._waiting: deque[Arrived] = deque()
        self._changed = threading.Condition()
        self._stopped, self._ended, self._taken, self._dropped = threading.Event(), False, False, 0
        self._error: BaseException | None = None
        self.size: tuple[int, int] | None = None  # of the first frame, width and height, pixels
        self._thread = threading.Thread(target=self._work, args=(frames,), name=f"frames of {about.name}", daemon=True)
        self._thread.start()
        try:
            with self._changed:
                self._changed.wait_for(lambda: self.size or self._ended)
            if self._error and not self._waiting:
                raise self._error
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Arrived]:
        return self

    def __next__(self) -> Arrived:
        """Waits for the next frame. Raises what has broken the source, after all frames before that."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended or self._stopped.is_set())
            if not self._waiting or self._stopped.is_set():
                error, self._error = self._error, None
                raise StopIteration if error is None or self._stopped.is_set() else error
            frame, dropped = self._waiting.popleft(), self._dropped
            self._dropped, self._taken = 0, True
            self._changed.notify_all()
        waited = not self.about.live and self.keep_up == "all"  # it did not come, it was fetched
        return replace(frame, dropped=dropped, at=time.monotonic() if waited else frame.at)

    def close(self) -> None:
        """End the thread. One that waits for a silent server ends by itself when its time-out is over."""
        self._stopped.set()
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(PATIENCE)

    def __enter__(self) -> "Capture":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self, make: Callable[[threading.Event], Generator[Arrived]]) -> None:
        try:
            paced = self.about.live or self.keep_up == "all"
            with closing(make(self._stopped)) as made:
                for frame in made if paced else played(made, self._stopped):
                    if not self._put(frame):
                        break
        except BaseException as error:  # is raised where the frames are used
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, frame: Arrived) -> bool:
        """Whether frames are still wanted."""
        with self._changed:
            if self.keep_up == "latest" and self._waiting:
                old = self._waiting.popleft()
                self._dropped += self._taken  # of frames before the first there is nothing to be late for
                frame = replace(frame, restart=frame.restart or old.restart)
            room = max(2, min(ROOM, BYTES // frame.image.nbytes))
            self._changed.wait_for(lambda: len(self._waiting) < room or self._stopped.is_set())
            if not self._stopped.is_set():
                self._waiting.append(frame)
                self.size = self.size or (frame.image.shape[1], frame.image.shape[0])
            self._changed.notify_all()
        return not self._stopped.is_set()


def played(frames: Iterator[Arrived], stopped: threading.Event) -> Iterator[Arrived]:
    """Frames at the moments that their times say, from now on."""
    start: float | None = None
    for frame in frames:
        start = time.monotonic() - frame.seconds if start is None else start
        if stopped.wait(max(0.0, start + frame.seconds - time.monotonic())):
            return
        yield replace(frame, at=time.monotonic())
