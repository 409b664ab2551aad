"""What becomes of results: an annotated video, a table of scores, a window, and a line about speed now and then."""

import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Protocol

from pixelplay import requirements
from pixelplay.config.online import OnlineConfig
from pixelplay.errors import ConfigError
from pixelplay.events.sinks.files import append
from pixelplay.online.feeds import About
from pixelplay.online.meter import Meter
from pixelplay.online.picture import Painter
from pixelplay.online.result import Result
from pixelplay.online.window import Window, require_display
from pixelplay.run.artifacts import csv_text

log = logging.getLogger(__name__)

COLUMNS = ("seconds", "frame", "fused", "threshold", "alarm", "object_count", "dropped", "latency")  # then the members
FLUSH = 1.0  # seconds of rows that a kill loses at most
BEHIND = 4  # results that a slow output may lag behind, before scoring waits for it


class Output(Protocol):
    def write(self, result: Result) -> None:
        """Raises OSError where the disk takes no more: nothing else is written to it then."""

    def close(self) -> None:
        """Raises OSError."""


class Outputs:
    """All outputs, to be used as a context manager, or closed. One that fails is told once; the others go on."""

    def __init__(self, outputs: Sequence[Output]):
        self._outputs = list(outputs)
        self.failed: list[str] = []  # what was told

    @property
    def quit(self) -> bool:
        """Whether somebody has closed the window, or pressed q or Esc in it."""
        return any(isinstance(output, Window) and output.quit for output in self._outputs)

    def write(self, result: Result) -> None:
        for output in list(self._outputs):
            try:
                output.write(result)
            except OSError as error:
                self._outputs.remove(output)
                with suppress(OSError):
                    output.close()
                self._tell(error)

    def close(self) -> None:
        for output in self._outputs:
            try:
                output.close()
            except OSError as error:
                self._tell(error)
        self._outputs.clear()

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, error: OSError) -> None:
        self.failed.append(f"{error.filename}: {error.strerror}: it ends here; scoring goes on")
        log.warning(self.failed[-1])


def open_outputs(
    config: OnlineConfig, about: About, folder: Path, window: bool = False, others: Sequence[Output] = ()
) -> Outputs:
    """The outputs that are configured, in a folder, and `others`, which are closed with them.

    window: whether there is a window, too. Raises ConfigError where it can't be, or where the folder holds results
    already, and MissingPackageError without PyAV.
    """
    if window:
        require_display()
    if config.video.write:
        requirements.require(["video"])
    outputs: list[Output] = [Meter(config.progress)]
    if config.scores:
        outputs.append(ScoresFile(_new(folder / "scores.csv")))
    if config.video.write:
        painter = Painter(about, config.video.size)
        video = AnnotatedVideo(_new(folder / "video.mp4"), painter, config.video.fragment)
        outputs.append(Background(video, "annotated video"))
    if window:
        outputs.append(Window(about.name, Painter(about, config.video.size)))
    return Outputs([*outputs, *others])


def _new(path: Path) -> Path:
    if os.path.lexists(path):
        raise ConfigError(f"{path}: is there already; name another folder: online.folder=FOLDER")
    return path


class ScoresFile:
    """scores.csv: a row per frame, in whole lines about once a second. Rows that the disk does not take are counted."""

    def __init__(self, path: Path):
        self._path = path
        self._members: tuple[str, ...] | None = None  # columns, by the first result
        self._rows: list[list[object]] = []
        self._flushed, self._lost, self._told = time.monotonic(), 0, False

    def write(self, result: Result) -> None:
        if self._members is None:
            self._members = tuple(result.members)
            self._rows.append([*COLUMNS, *self._members])
        members = [float(result.members.get(name, float("nan"))) for name in self._members]
        threshold = float("nan") if result.threshold is None else float(result.threshold)
        about = [int(result.alarm), len(result.objects), result.dropped, round(result.latency, 4)]
        self._rows.append([round(result.seconds, 6), result.number, float(result.score), threshold, *about, *members])
        if time.monotonic() - self._flushed >= FLUSH:
            self._flush()

    def close(self) -> None:
        self._flush()
        if self._lost:
            log.warning(f"{self._path}: {self._lost:,} rows are missing")

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if not self._rows:
            return
        try:
            append(self._path, csv_text(self._rows).encode(), synced=False)
        except OSError as error:
            if not self._told:
                log.warning(f"{self._path}: {error.strerror}: rows are lost until there is room; scoring goes on")
            self._told, head = True, self._rows[:1] if self._rows[0][0] == COLUMNS[0] else []
            self._lost += len(self._rows) - len(head)
            self._rows = head  # what follows needs it
        else:
            self._rows, self._told = [], False


class AnnotatedVideo:
    """video.mp4, with true times; frames of another size go into video-2.mp4, and so on."""

    def __init__(self, path: Path, painter: Painter, fragment: float):
        from pixelplay.drawing.growing_video import GrowingVideo  # imported late: other outputs need no PyAV

        self._path, self._painter, self._count = path, painter, 1
        self._open = lambda path: GrowingVideo(path, fragment)
        self._video = self._open(path)
        self._size: tuple[int, ...] | None = None

    def write(self, result: Result) -> None:
        picture = self._painter.picture(result)
        if self._size not in (None, picture.shape):
            self._video.close()
            self._count += 1
            self._video = self._open(_new(self._path.with_stem(f"{self._path.stem}-{self._count}")))
        self._size = picture.shape
        self._video.add(picture, result.seconds)

    def close(self) -> None:
        self._video.close()


class Background:
    """An output in a thread of its own: scoring goes on while it works, and waits only where it falls behind."""

    def __init__(self, output: Output, name: str):
        self._output = output
        self._error: BaseException | None = None
        self._waiting: Queue[Result | None] = Queue(BEHIND - 1)  # one more is being written
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def write(self, result: Result) -> None:
        """Raises what writing an earlier result has raised."""
        self._raise()
        self._waiting.put(result)

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._output.close()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (result := self._waiting.get()) is not None:
            try:
                if self._error is None:
                    self._output.write(result)
            except BaseException as error:  # is raised where results come from
                self._error = error
