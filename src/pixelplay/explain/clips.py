"""Annotated test videos: frames with scored boxes and a title, and the score over time below them."""

from collections.abc import Iterable, Iterator, Sequence
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

CURVE_HEIGHT, STRIP_HEIGHT, MARGIN = 72, 5, 4  # pixels
GROUND, FAINT, CURSOR = (24, 26, 30), (92, 96, 104), (255, 255, 255)  # RGB
SHADED = (66, 38, 15)  # ground of the curve where frames are labelled anomalous
ANOMALOUS, FLIPPED, NOISY = (213, 94, 0), (86, 180, 233), (150, 150, 150)  # of the Okabe-Ito palette


@dataclass(frozen=True)
class Footer:
    """The part of a clip below its frames: the curve of the whole video, with a moving cursor."""

    image: np.ndarray  # uint8 (h, W, 3) RGB
    columns: np.ndarray  # int64 [T], pixel of each frame
    rows: np.ndarray  # int64 [T], pixel of each frame's score

    def at(self, position: int) -> np.ndarray:
        """The footer with the cursor at one frame and the curve brighter up to it: uint8 (h, W, 3)."""
        image = self.image.copy()
        points = np.stack([self.columns, self.rows], axis=1)[: position + 1].astype(np.int32)
        cv2.polylines(image, [points[:, None]], False, WHITE, 1, cv2.LINE_AA)
        x = int(self.columns[position])
        cv2.line(image, (x, 0), (x, len(image) - 1), CURSOR, 1)
        cv2.circle(image, (x, int(self.rows[position])), 3, CURSOR, -1, cv2.LINE_AA)
        return image


def write_annotated_clip(config: "Config", outcome: Outcome, objects: Sequence[Objects], video_id: str) -> None:
    """Write the MP4 of one test video."""
    video, one = next(pair for pair in zip(outcome.index.test, outcome.videos, strict=True) if pair[0].id == video_id)
    drawings = (joined([of.of_frame(video.id, int(number)) for of in objects]) for number in video.numbers)
    frames = annotated_frames(video.full_size(), drawings, one, Scale.of(outcome.videos))
    write_clip(RunFiles.of(config).clip(video_id), frames, video.fps or config.report.fps)


def annotated_frames(
    frames: Iterable[np.ndarray], drawings: Iterable[Drawing], one: ScoredVideo, scale: Scale
) -> Iterator[np.ndarray]:
    """Yield a picture for each of the video's frames, all of one size, uint8 (H, W, 3) RGB."""
    footer = None
    for position, (frame, drawing) in enumerate(zip(frames, drawings, strict=True)):
        picture = annotated(frame, drawing, title(one, position))
        if footer is None:
            footer = make_footer(one, scale, picture.shape[1])
        yield np.concatenate([picture, footer.at(position)])


def title(one: ScoredVideo, position: int) -> str:
    """The facts of a frame in a line: `03 frame 512 at 20.48 s: 4.213, labelled anomalous, flipped (corrected)`."""
    facts = [number_text(float(one.fused[position]))]
    if one.labels is not None:
        facts.append("labelled anomalous" if one.labels[position] else "labelled normal")
    facts += [text for _, text, mask in one.marks if mask[position]]
    return f"{one.video} {one.moment(position)}: {', '.join(facts)}"


def make_footer(one: ScoredVideo, scale: Scale, width: int) -> Footer:
    """The fused score of a video over its frame numbers, a strip of labels, and marks of corrupted frames."""
    strips = [(color, *mark[1:]) for color, mark in zip((FLIPPED, NOISY), one.marks, strict=True)]
    if one.labels is not None:
        strips = [(ANOMALOUS, "labelled anomalous", one.labels > 0), *strips]
    image = np.full((CURVE_HEIGHT + (STRIP_HEIGHT + 1) * len(strips) + MARGIN, width, 3), GROUND, np.uint8)
    span = max(int(one.numbers[-1] - one.numbers[0]), 1)
    columns = np.round(MARGIN + (one.numbers - one.numbers[0]) / span * (width - 1 - 2 * MARGIN)).astype(np.int64)
    rows = np.round(Axis(*scale.fused, CURVE_HEIGHT - MARGIN, MARGIN)(one.fused)).astype(np.int64)
    if one.labels is not None:
        for start, stop in runs(one.labels > 0):
            image[:CURVE_HEIGHT, columns[start] : columns[stop - 1] + 1] = SHADED
    for i, (color, _, mask) in enumerate(strips):
        top = CURVE_HEIGHT + (STRIP_HEIGHT + 1) * i
        for start, stop in runs(mask):
            image[top : top + STRIP_HEIGHT, columns[start] : columns[stop - 1] + 1] = color
    cv2.polylines(image, [np.stack([columns, rows], axis=1).astype(np.int32)[:, None]], False, FAINT, 1, cv2.LINE_AA)
    left = MARGIN
    for text, color in [("fused score", WHITE), *((text, color) for color, text, _ in strips)]:
        cv2.putText(image, text, (left, 12), FONT, TEXT, color, 1, cv2.LINE_AA)
        left += cv2.getTextSize(text, FONT, TEXT, 1)[0][0] + 3 * MARGIN
    return Footer(image, columns, rows)
