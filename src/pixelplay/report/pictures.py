"""Pictures inside the page: frames, boxes by score, and error maps, as JPEG in data URIs; nothing is a file of its own.

Boxes of single objects are coloured by where their score lies between a normal object's and the highest of the test.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import matplotlib
import numpy as np
import pandas as pd

from pixelplay.drawing.annotate import Drawing, annotated, picture_size

QUALITY = 82  # of the JPEGs
HEAT = matplotlib.colormaps["inferno"]
BOXES = matplotlib.colormaps["plasma"]
FADED = 0.5  # brightness of the frame behind a heat map
PALEST = 0.2  # place in that colour map of a normal object's box: its darkest blue is lost on most frames
CAPTIONED = 2  # boxes of a frame that say what they are and their score: the highest
COORDINATES = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True)
class Span:
    """The scores of one stream of objects that are drawn in the first and in the last colour."""

    low: float
    high: float


def frame_picture(frame: np.ndarray, width: int, drawing: Drawing | None = None) -> np.ndarray:
    """A frame, uint8 (H, W, 3) RGB, resized, with boxes given in pixels of the frame."""
    small = resized(frame, width)
    if drawing is None:
        return small
    scaled = Drawing(drawing.xyxy * (small.shape[1] / frame.shape[1]), drawing.captions, drawing.colors)
    return annotated(small, scaled, "", width)


def heat_picture(frame: np.ndarray, errors: np.ndarray, full: float, width: int) -> np.ndarray:
    """An error map (h, w) from 0 to `full` over its frame, uint8 (H, W, 3) RGB, as such a picture `width` wide."""
    small = resized(frame, width)
    ground = FADED * cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    share = (errors / full if full > 0 else np.zeros_like(errors)).astype(np.float32)
    share = cv2.resize(share, small.shape[1::-1], interpolation=cv2.INTER_LINEAR).clip(0, 1)
    heat = 255 * HEAT(share)[..., :3]
    cover = np.sqrt(share)[..., None]  # small errors let the frame shine through
    return (ground * (1 - cover) + heat * cover).round().astype(np.uint8)


def resized(frame: np.ndarray, width: int) -> np.ndarray:
    """The frame `width` pixels wide, or narrower where it is very tall: see `picture_size`."""
    size = picture_size(frame.shape[1::-1], width)
    smaller = size[0] < frame.shape[1]
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def data_uri(image: np.ndarray) -> str:
    """An image, uint8 (H, W, 3) RGB, as the text of an <img>'s src."""
    data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def colors_of(colormap: matplotlib.colors.Colormap, first: float = 0.0, count: int = 9) -> list[str]:
    """CSS colours along a colour map from its place `first` on, for the bar that explains it."""
    return [matplotlib.colors.to_hex(colormap(share)) for share in np.linspace(first, 1, count)]


def object_spans(objects: pd.DataFrame) -> dict[str, Span]:
    """For each stream of a table of objects: the median of held-out normal objects, and the highest test score.

    Without held-out objects the median is that of the test. Rows whose score is not finite count for nothing.
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
    ends = [spans.get(str(stream), Span(0.0, 0.0)) for stream in rows["stream"]]
    low, high = (np.array([getattr(end, name) for end in ends], np.float64) for name in ("low", "high"))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num((rows["score"].to_numpy(np.float64) - low) / (high - low), posinf=0.0, neginf=0.0)
    ordered = rows.assign(share=share.clip(0, 1)).sort_values(["share", *COORDINATES], kind="stable")
    objects = ordered.drop_duplicates([*COORDINATES, "class"], keep="last")
    colors = [tuple(round(255 * c) for c in BOXES(PALEST + (1 - PALEST) * one)[:3]) for one in objects["share"]]
    texts = [f"{label} {score:.3g}" for label, score in zip(objects["class"], objects["score"], strict=True)]
    captions = [text if i >= len(texts) - CAPTIONED else "" for i, text in enumerate(texts)]
    return Drawing(objects[COORDINATES].to_numpy(np.float64), captions, colors)
