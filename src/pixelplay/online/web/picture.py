"""The newest frame with its boxes as a JPEG: drawn when a reader asks for it, once for all of them."""

import threading
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from pixelplay.drawing.annotate import Drawing, annotated, encoded
from pixelplay.explain.scored_boxes import NO_BOXES, Span, color_of, share_of
from pixelplay.online.result import Result, ScoredObject

LONGEST = 960  # pixels of a picture's longer side


class Picture:
    def __init__(self, newest: Callable[[], Result | None], quality: int, span: Span | None):
        """quality: of the JPEG. span: scores of objects that get the first and the last colour; None: unusual objects
        get the last one, others the first.
        """
        self._newest, self._quality, self._span = newest, quality, span
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
        height, width = result.image.shape[:2]
        factor = min(1.0, LONGEST / max(height, width))
        size = (max(1, round(factor * width)), max(1, round(factor * height)))
        image = cv2.resize(result.image, size, interpolation=cv2.INTER_AREA) if factor < 1 else result.image
        return encoded(
            annotated(image, drawing_of(result.objects, self._span).scaled(factor), ""), quality=self._quality
        )


def drawing_of(objects: Sequence[ScoredObject], span: Span | None) -> Drawing:
    """Boxes with label and track, coloured by score, the highest drawn last; unusual objects have their score, too."""
    if not objects:
        return NO_BOXES
    ordered = sorted(objects, key=lambda one: (one.unusual, -np.inf if one.score is None else one.score))
    captions = [f"{one.label} {one.track}" for one in ordered]
    scores = [f": {one.score:.3g}" if one.unusual and one.score is not None else "" for one in ordered]
    shares = [float(one.unusual) if span is None or one.score is None else share_of(one.score, span) for one in ordered]
    return Drawing(
        np.array([one.box for one in ordered], np.float64),
        [caption + score for caption, score in zip(captions, scores, strict=True)],
        [color_of(share) for share in shares],
    )
