"""The newest frame with its boxes as a JPEG: drawn when a reader asks for it, once for all of them."""

import threading
from collections.abc import Callable

from pixelplay.drawing.annotate import annotated, encoded
from pixelplay.explain.event_clips import shrunk
from pixelplay.online.picture import Boxes
from pixelplay.online.result import Result

LONGEST = 960  # pixels of a picture's longer side


class Picture:
    def __init__(self, newest: Callable[[], Result | None], quality: int):
        """quality: of the JPEG."""
        self._newest, self._quality, self._boxes = newest, quality, Boxes()
        self._lock = threading.Lock()
        self._drawn: tuple[Result, bytes] | None = None

    def jpeg(self) -> bytes | None:
        """None before the first frame. Readers that ask at once wait for one drawing."""
        with self._lock:
            result = self._newest()
            if result is not None and (self._drawn is None or self._drawn[0] is not result):
                self._drawn = result, self._encoded(result)
            return self._drawn[1] if self._drawn else None

    def _encoded(self, result: Result) -> bytes:
        factor = min(1.0, LONGEST / max(result.image.shape[:2]))
        boxes = self._boxes.of(result.objects).scaled(factor)
        return encoded(annotated(shrunk(result.image, factor), boxes, ""), quality=self._quality)
