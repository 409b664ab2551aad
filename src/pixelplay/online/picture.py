"""What a person is shown of a result: the frame with scored boxes, above the curve of the last seconds."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

import cv2
import numpy as np

from pixelplay.drawing.annotate import FONT, TEXT, WHITE, WIDTH, Drawing, annotated, enlargement, shrunk
from pixelplay.explain.clips import ANOMALOUS, Curve, make_footer
from pixelplay.explain.scored_boxes import CAPTIONED, NO_BOXES, color_of
from pixelplay.online.feeds import About
from pixelplay.online.result import Result, ScoredObject
from pixelplay.report.tables import number_text
from pixelplay.report.timelines import roomy

SPAN = 30.0  # seconds of the curve
POINTS = 4096  # of it, at most
BORDER = 3  # pixels, of frames within an event
MARK = "EVENT"


class Painter:
    """Draws results in their order."""

    def __init__(self, about: About, size: int):
        """size: pixels of a frame's longer side, at most; smaller frames are enlarged as in the clips of events."""
        self._about, self._size = about, size
        self._past: deque[tuple[float, float, bool]] = deque(maxlen=POINTS)  # seconds, score, alarm
        self._boxes = Boxes()

    def picture(self, result: Result) -> np.ndarray:
        """uint8 (H, W, 3) RGB, of one size as long as frames are."""
        height, width = result.image.shape[:2]
        factor = min(1.0, self._size / max(height, width))
        frame = shrunk(result.image, factor)
        longer = max(frame.shape[:2])
        times = max(1, min(enlargement(frame.shape[1::-1], WIDTH), self._size // longer))
        picture = annotated(
            frame, self._boxes.of(result.objects).scaled(factor), self._title(result), times * frame.shape[1]
        )
        if result.alarm:
            _mark(picture)
        return np.concatenate([picture, self._curve(result, picture.shape[1])])

    def _title(self, result: Result) -> str:
        """`03 2026-05-01 14:03:07 UTC, frame 512 at 20.48 s: 4.213`, the time of day where it is known."""
        began, day = self._about.began, ""
        if self._about.live:
            day = f"{datetime.now().astimezone() - timedelta(seconds=result.latency):%Y-%m-%d %H:%M:%S}, "
        elif began is not None:
            day = f"{began + timedelta(seconds=result.seconds):%Y-%m-%d %H:%M:%S %Z}, "
        place = f"frame {result.number} at {result.seconds:.2f} s"
        return f"{self._about.name} {day}{place}: {number_text(float(result.score))}"

    def _curve(self, result: Result, width: int) -> np.ndarray:
        """The fused score of the last seconds, now at the right: uint8 (h, W, 3)."""
        while self._past and self._past[0][0] < result.seconds - SPAN:
            self._past.popleft()
        self._past.append((result.seconds, float(result.score), result.alarm))
        start = (result.seconds - SPAN, np.nan, False)  # holds the axis of time where it is, from the first frame on
        seconds, scores, alarms = (np.array(values) for values in zip(start, *self._past, strict=True))
        shown = [*scores[1:], result.score if result.threshold is None else result.threshold]
        curve = Curve(
            name=f"fused score, last {SPAN:g} s",
            numbers=np.round(1000 * seconds).astype(np.int64),
            scores=scores,
            ends=roomy(float(np.min(shown)), float(np.max(shown))),
            shaded=alarms.astype(bool),
            threshold=result.threshold,
        )
        return make_footer(curve, width).at(len(scores) - 1)


class Boxes:
    """Boxes of results, coloured from the lowest to the highest score of an object so far, the highest drawn last."""

    def __init__(self) -> None:
        self._scores: tuple[float, float] | None = None  # lowest and highest

    def of(self, objects: Sequence[ScoredObject]) -> Drawing:
        """Of the next result."""
        known = [one.score for one in objects if one.score is not None]
        if known:
            low, high = self._scores or (known[0], known[0])
            self._scores = min(low, *known), max(high, *known)
        objects = sorted(objects, key=lambda one: (one.unusual, -np.inf if one.score is None else one.score))
        if not objects:
            return NO_BOXES
        plain = len(objects) - CAPTIONED
        captions = [_caption(one, i >= plain or one.unusual) for i, one in enumerate(objects)]
        return Drawing(np.array([one.box for one in objects], np.float64), captions, list(map(self._color, objects)))

    def _color(self, one: ScoredObject) -> tuple[int, int, int]:
        low, high = self._scores or (0.0, 0.0)
        return color_of(0.0 if one.score is None or high <= low else (one.score - low) / (high - low))


def _caption(one: ScoredObject, whole: bool) -> str:
    """`person 3: 1.25`, or `3` for short."""
    if not whole:
        return str(one.track)
    return f"{one.label} {one.track}" + ("" if one.score is None else f": {one.score:.3g}")


def _mark(picture: np.ndarray) -> None:
    """Show that an event goes on, in place."""
    height, width = picture.shape[:2]
    cv2.rectangle(picture, (0, 0), (width - 1, height - 1), ANOMALOUS, BORDER)
    across, _ = cv2.getTextSize(MARK, FONT, 2 * TEXT, 2)[0]
    cv2.rectangle(picture, (width - across - 12, height - 26), (width - 1, height - 1), ANOMALOUS, -1)
    cv2.putText(picture, MARK, (width - across - 6, height - 8), FONT, 2 * TEXT, WHITE, 2, cv2.LINE_AA)
