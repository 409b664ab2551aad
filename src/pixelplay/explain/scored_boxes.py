"""Boxes of scored objects, coloured from a normal object's score to the highest of the test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import matplotlib
import numpy as np
import pandas as pd

from pixelplay.detectors import registry
from pixelplay.drawing.annotate import Drawing
from pixelplay.evaluation.object_streams import NO_TRACK
from pixelplay.evaluation.score_tables import object_streams, read_objects
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.scores.settings import OBJECTS
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config

COLORS = matplotlib.colormaps["plasma"]
PALEST = 0.2  # position in the colour map of a normal object: its darkest blue can't be seen on most frames
CAPTIONED = 2  # boxes per frame with class and score beside their track: the highest
COORDINATES = ["x1", "y1", "x2", "y2"]
NO_BOXES = Drawing(np.empty((0, 4)), [], [])


class Span(NamedTuple):
    """The scores of one stream of objects that get the first and the last colour."""

    low: float
    high: float


NO_SPAN = Span(0.0, 0.0)  # all scores get the first colour


@dataclass(frozen=True, eq=False)
class Objects:
    """Scored boxes of one detector's test objects."""

    detector: str
    spans: Mapping[str, Span]  # by stream
    rows: Mapping[str, pd.DataFrame]  # by video, ordered by frame

    @classmethod
    def of(cls, detector: str, table: pd.DataFrame) -> "Objects":
        """From a detector's table of objects."""
        test = table[table["split"] == "test"].sort_values("frame", kind="stable")
        return cls(detector, object_spans(table), {str(video): rows for video, rows in test.groupby("video")})

    def of_frame(self, video: str, number: int) -> Drawing:
        """Boxes of the frame with this number."""
        if video not in self.rows:
            return NO_BOXES
        rows = self.rows[video]
        first, last = np.searchsorted(rows["frame"], [number, number + 1])
        return object_drawing(rows.iloc[first:last], self.spans) if last > first else NO_BOXES

    def digest(self, video: str, first: int, last: int) -> str:
        """Of all that decides the boxes of the frames with these numbers and those between them."""
        if video not in self.rows:
            return ""
        rows = self.rows[video]
        within = rows.iloc[slice(*np.searchsorted(rows["frame"], [first, last + 1]))]
        hashes = pd.util.hash_pandas_object(within, index=False).to_numpy(np.uint64)
        return fingerprint(self.detector, {stream: [*span] for stream, span in self.spans.items()}, hashes.tolist())

    def of_track(self, video: str, track: int) -> pd.DataFrame:
        """Rows of one track, ordered by frame."""
        return self.rows[video][self.rows[video]["track"] == track]


def scored_objects(config: "Config", index: Index) -> list[Objects]:
    """Those that were fused; where none were, those of each detector that scores single objects."""
    names = [OBJECTS] if object_streams(config) else registry.needing(config, "boxes")
    names = [name for name in names if RunFiles.of(config).object_scores(name).exists()]
    return [Objects.of(name, read_objects(config, name, index.test)) for name in names]


def joined(drawings: Sequence[Drawing]) -> Drawing:
    """All boxes of several drawings of one frame."""
    if not drawings:
        return NO_BOXES
    return Drawing(
        np.concatenate([one.xyxy for one in drawings]),
        [caption for one in drawings for caption in one.captions],
        [color for one in drawings for color in one.colors],
    )


def object_spans(objects: pd.DataFrame) -> dict[str, Span]:
    """For each stream of a table of objects: the median of held-out normal objects, and the highest test score.

    Without held-out objects, the median of the test ones. Scores that are not finite are ignored.
    """
    finite = objects[np.isfinite(objects["score"].to_numpy(np.float64))]
    spans = {}
    for stream, rows in finite.groupby("stream", sort=False):
        test, normal = (rows.loc[rows["split"] == split, "score"].astype(float) for split in ("test", "calibration"))
        if len(test):
            spans[str(stream)] = Span(float((normal if len(normal) else test).median()), float(test.max()))
    return spans


def object_drawing(rows: pd.DataFrame, spans: Mapping[str, Span]) -> Drawing:
    """Boxes of one frame's objects: one per object, by the highest of its streams, the highest drawn last."""
    ordered = rows.assign(share=shares(rows, spans)).sort_values(["share", *COORDINATES], kind="stable")
    objects = ordered.drop_duplicates([*COORDINATES, "track", "class"], keep="last")
    names = zip(objects["class"], objects["track"], objects["score"], strict=True)
    return drawing_of(objects[COORDINATES].to_numpy(np.float64), list(names), objects["share"].to_numpy(np.float64))


def drawing_of(xyxy: np.ndarray, names: Sequence[tuple[str, int, float]], share: np.ndarray) -> Drawing:
    """Boxes (N, 4), each with its class, track and score, by ascending share (N,) of the span."""
    plain = len(names) - CAPTIONED
    captions = [_caption(*name, i >= plain) for i, name in enumerate(names)]
    return Drawing(xyxy, captions, [color_of(one) for one in share.tolist()])


def shares(rows: pd.DataFrame, spans: Mapping[str, Span]) -> np.ndarray:
    """Where scores lie between the ends of their streams' spans: float64 (N,) in [0, 1]."""
    ends = np.array([spans.get(str(stream), NO_SPAN) for stream in rows["stream"]], np.float64).reshape(-1, 2)
    return shares_between(rows["score"].to_numpy(np.float64), *ends.T)


def shares_between(scores: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Where scores (N,) lie between ends (N,), or the same for all: in [0, 1]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (scores - low) / np.subtract(high, low)
    return np.nan_to_num(share, posinf=0.0, neginf=0.0).clip(0, 1)


def share_of(score: float, span: Span) -> float:
    """Where one score lies between the ends of a span: in [0, 1]."""
    return float(shares_between(np.array([score]), span.low, span.high)[0])


def color_of(share: float) -> tuple[int, int, int]:
    """RGB of a score, by its share of the span."""
    red, green, blue = (round(255 * c) for c in COLORS(PALEST + (1 - PALEST) * share)[:3])
    return red, green, blue


def _caption(label: str, track: int, score: float, whole: bool) -> str:
    """`person 3: 1.25`, or `3` for short; objects that were not followed have no number."""
    number = "" if track == NO_TRACK else str(track)
    if not whole:
        return number
    return " ".join(filter(None, (label, f"{number}:" if number else "", f"{score:.3g}")))
