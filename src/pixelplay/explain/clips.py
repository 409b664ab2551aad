"""Annotated clips: frames with scored boxes and a title, above the curve of the score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pixelplay.drawing.annotate import FONT, TEXT, WHITE, Drawing, annotated, write_clip
from pixelplay.explain.scored_boxes import Objects, joined
from pixelplay.report.charts import Axis, runs
from pixelplay.report.outcome import Outcome, ScoredVideo
from pixelplay.report.tables import number_text
from pixelplay.report.timelines import Scale
from pixelplay.run.files import RunFiles

if TYPE_CHECKING:
    from pixelplay.config import Config

CURVE_HEIGHT, STRIP_HEIGHT, MARGIN, DASH = 72, 5, 4, 6  # pixels
GROUND, FAINT, CURSOR = (24, 26, 30), (92, 96, 104), (255, 255, 255)  # RGB
SHADED = (66, 38, 15)  # ground of the curve where frames are labelled anomalous, or are of the event
THRESHOLD = (240, 228, 66)
ANOMALOUS, FLIPPED, NOISY = (213, 94, 0), (86, 180, 233), (150, 150, 150)  # these four of the Okabe-Ito palette


@dataclass(frozen=True, eq=False)
class Curve:
    """What is drawn below the T frames of a clip."""

    name: str  # of the score
    numbers: np.ndarray  # int64 [T], frame numbers
    scores: np.ndarray  # float64 [T]; NaN where there is none
    ends: tuple[float, float]  # of the vertical axis
    shaded: np.ndarray | None = None  # bool [T], frames with another ground
    threshold: float | None = None
    strips: Sequence[tuple[tuple[int, int, int], str, np.ndarray]] = ()  # colour, text, and frames, bool [T]


@dataclass(frozen=True)
class Footer:
    """The part of a clip below its frames: the whole curve, with a moving cursor."""

    image: np.ndarray  # uint8 (h, W, 3) RGB
    columns: np.ndarray  # int64 [T], pixel of each frame
    rows: np.ndarray  # int64 [T], pixel of each frame's score
    known: np.ndarray  # bool [T], frames that have one

    def at(self, position: int) -> np.ndarray:
        """The footer with the cursor at one frame and the curve brighter up to it: uint8 (h, W, 3)."""
        image = self.image.copy()
        passed = np.arange(len(self.known)) <= position
        _draw_curve(image, self.columns, self.rows, self.known & passed, WHITE)
        x = int(self.columns[position])
        cv2.line(image, (x, 0), (x, len(image) - 1), CURSOR, 1)
        if self.known[position]:
            cv2.circle(image, (x, int(self.rows[position])), 3, CURSOR, -1, cv2.LINE_AA)
        return image


def write_annotated_clip(config: "Config", outcome: Outcome, objects: Sequence[Objects], video_id: str) -> None:
    """Write the MP4 of one test video."""
    video, one = next(pair for pair in zip(outcome.index.test, outcome.videos, strict=True) if pair[0].id == video_id)
    painter = Painter(curve_of(one, Scale.of(outcome.videos)))

    def pictures() -> Iterator[np.ndarray]:
        for t, frame in enumerate(video.full_size()):
            drawing = joined([of.of_frame(video.id, int(video.numbers[t])) for of in objects])
            yield painter.picture(t, frame, drawing, title(one, t))

    write_clip(RunFiles.of(config).clip(video_id), pictures(), video.fps or config.report.fps)


class Painter:
    """Draws the pictures of one clip, whose frames have one size."""

    def __init__(self, curve: Curve):
        self._curve = curve
        self._footer: Footer | None = None  # drawn when the width is known

    def picture(self, position: int, frame: np.ndarray, drawing: Drawing, text: str) -> np.ndarray:
        """A frame, uint8 (H, W, 3) RGB, with boxes and title, above the footer; position: in the curve."""
        picture = annotated(frame, drawing, text)
        if self._footer is None:
            self._footer = make_footer(self._curve, picture.shape[1])
        return np.concatenate([picture, self._footer.at(position)])


def title(one: ScoredVideo, position: int) -> str:
    """The facts of a frame in a line: `03 frame 512 at 20.48 s: 4.213, labelled anomalous, flipped (corrected)`."""
    facts = [number_text(float(one.fused[position])), *(text for _, text in one.marks_at(position))]
    return f"{one.video} {one.moment(position)}: {', '.join(facts)}"


def curve_of(one: ScoredVideo, scale: Scale) -> Curve:
    """The fused score of a whole video, with strips of labels and of corrupted frames."""
    labelled = None if one.labels is None else one.labels > 0
    strips = [] if labelled is None else [(ANOMALOUS, "labelled anomalous", labelled)]
    strips += [(color, *mark[1:]) for color, mark in zip((FLIPPED, NOISY), one.marks, strict=True)]
    return Curve("fused score", one.numbers, one.fused, scale.fused, labelled, strips=strips)


def make_footer(curve: Curve, width: int) -> Footer:
    """The curve over frame numbers, its threshold, and a strip for each kind of frames."""
    image = np.full((CURVE_HEIGHT + (STRIP_HEIGHT + 1) * len(curve.strips) + MARGIN, width, 3), GROUND, np.uint8)
    span = max(int(curve.numbers[-1] - curve.numbers[0]), 1)
    columns = np.round(MARGIN + (curve.numbers - curve.numbers[0]) / span * (width - 1 - 2 * MARGIN)).astype(np.int64)
    axis, known = Axis(*curve.ends, CURVE_HEIGHT - MARGIN, MARGIN), np.isfinite(curve.scores)
    rows = np.round(axis(np.where(known, curve.scores, curve.ends[0]))).astype(np.int64)
    for start, stop in [] if curve.shaded is None else runs(curve.shaded):
        image[:CURVE_HEIGHT, columns[start] : columns[stop - 1] + 1] = SHADED
    for i, (color, _, mask) in enumerate(curve.strips):
        top = CURVE_HEIGHT + (STRIP_HEIGHT + 1) * i
        for start, stop in runs(mask):
            image[top : top + STRIP_HEIGHT, columns[start] : columns[stop - 1] + 1] = color
    legend = [(curve.name, WHITE), *((text, color) for color, text, _ in curve.strips)]
    if curve.threshold is not None:
        dashes = np.arange(width) // DASH % 2 == 0
        image[int(np.round(axis(curve.threshold))), dashes] = THRESHOLD
        legend.append((f"threshold {number_text(curve.threshold)}", THRESHOLD))
    _draw_curve(image, columns, rows, known, FAINT)
    left = MARGIN
    for text, color in legend:
        cv2.putText(image, text, (left, 12), FONT, TEXT, color, 1, cv2.LINE_AA)
        left += cv2.getTextSize(text, FONT, TEXT, 1)[0][0] + 3 * MARGIN
    return Footer(image, columns, rows, known)


def _draw_curve(
    image: np.ndarray, columns: np.ndarray, rows: np.ndarray, known: np.ndarray, color: tuple[int, int, int]
) -> None:
    points = np.stack([columns, rows], axis=1).astype(np.int32)
    for start, stop in runs(known):
        cv2.polylines(image, [points[start:stop, None]], False, color, 1, cv2.LINE_AA)
