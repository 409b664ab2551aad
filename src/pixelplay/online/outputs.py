"""What becomes of results: an annotated video, a table of scores, a window, and a line about speed now and then."""

import errno
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import cv2

from pixelplay import requirements
from pixelplay.config.online import OnlineConfig
from pixelplay.errors import ConfigError
from pixelplay.events.sinks.files import append
from pixelplay.online.feeds import About
from pixelplay.online.meter import Meter
from pixelplay.online.picture import Painter
from pixelplay.online.result import Result
from pixelplay.run.artifacts import csv_text

log = logging.getLogger(__name__)

COLUMNS = ("seconds", "frame", "fused", "threshold", "alarm", "object_count", "dropped", "latency")  # then the members
FLUSH = 1.0  # seconds of rows that a kill loses at most
QUIT = {27, ord("q")}  # keys: 27 is Esc
DISPLAY = "import cv2; cv2.namedWindow('pixelplay'); cv2.waitKey(1); cv2.destroyAllWindows()"


class Output(Protocol):
    def write(self, result: Result) -> None:
        """Raises OSError where the disk takes no more: nothing else is written to it then."""
        ...

    def close(self) -> None:
        """Raises OSError."""
        ...


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
    painter = Painter(about, config.video.size)
    if window:
        require_display()
    if config.video.write:
        requirements.require(["video"])
    outputs: list[Output] = [Meter(config.progress)]
    if config.scores:
        outputs.append(ScoresFile(_new(folder / "scores.csv")))
    if config.video.write:
        outputs.append(AnnotatedVideo(_new(folder / "video.mp4"), painter, config.video.fragment))
    if window:
        outputs.append(Window(about.name, painter))
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


class Window:
    """A window with what the video shows. `quit` is set by q, by Esc, and by closing it."""

    def __init__(self, name: str, painter: Painter):
        self._name, self._painter, self.quit = f"pixelplay: {name}", painter, False

    def write(self, result: Result) -> None:
        cv2.imshow(self._name, cv2.cvtColor(self._painter.picture(result), cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        try:
            self.quit |= key in QUIT or cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # it is no longer there
            self.quit = True

    def close(self) -> None:
        with suppress(cv2.error):  # its user has closed it
            cv2.destroyWindow(self._name)


def require_display() -> None:
    """Raise ConfigError where no window can be shown. Tried in a process of its own: Qt ends the one that asks it."""
    try:
        done = subprocess.run([sys.executable, "-c", DISPLAY], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        why = "no answer" if done is None else _why(done.stderr)
        raise ConfigError(
            f"viz.enable=true: no window can be shown here ({why}); use view=web, which needs no display, or "
            "viz.enable=false"
        )


def _why(told: str) -> str:
    """The line of an error that a person can use."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display"
    if "not implemented" in told:
        return "this OpenCV has no windows: opencv-python-headless"
    lines = [line for line in told.splitlines() if line.strip()]
    return lines[-1][:200] if lines else os.strerror(errno.EIO)
