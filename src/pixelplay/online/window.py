"""A window that shows scored frames, where there is a display."""

import errno
import os
import subprocess
import sys
from contextlib import suppress

import cv2

from pixelplay.errors import ConfigError
from pixelplay.online.picture import Painter
from pixelplay.online.result import Result

QUIT = {27, ord("q")}  # keys: 27 is Esc
DISPLAY = "import cv2; cv2.namedWindow('pixelplay'); cv2.waitKey(1); cv2.destroyAllWindows()"


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
