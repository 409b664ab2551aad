"""Frames with boxes drawn on them: single pictures, contact sheets and MP4 clips. Boxes are drawn by supervision."""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from pixelplay import requirements
from pixelplay.run.atomic import atomic, atomic_named

COLUMNS = 3
WIDTH = 640  # pixels: smaller frames are enlarged to about this width, so that text stays readable
TALLEST = 4  # a picture's height is at most this many widths: very tall frames are drawn narrower
FONT, TEXT = cv2.FONT_HERSHEY_SIMPLEX, 0.35  # scale of the font
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (150, 150, 150)  # RGB
LABEL_TOP = 29  # pixels from the top that labels of boxes may reach down to, at least: below the title
DARK = 60  # luma, of 255
JPEG_QUALITY = 82
# x264's default quality; a keyframe per second or so, to seek; its mbtree gives other bytes now and then
H264 = {"crf": "23", "preset": "veryfast", "g": "30", "mbtree": "0"}
THREADS = 2  # of the encoder: its bytes depend on the number
PALETTE = (
    *((0, 220, 90), (255, 140, 0), (70, 160, 255), (255, 70, 160)),
    *((170, 110, 255), (255, 90, 70), (240, 220, 0)),
)


@dataclass(frozen=True)
class Drawing:
    """Boxes to be drawn on one frame."""

    xyxy: np.ndarray  # float [N, 4], pixels of the frame
    captions: Sequence[str]  # of each; '' for none
    colors: Sequence[tuple[int, int, int]]  # RGB of each

    def scaled(self, factor: float) -> "Drawing":
        """For the frame enlarged or shrunk by a factor."""
        return Drawing(factor * self.xyxy, self.captions, self.colors)


def picture_size(size: tuple[int, int], width: int) -> tuple[int, int]:
    """(width, height) in pixels of a picture of frames of this (width, height): `width` wide, less for tall frames."""
    across, down = size
    if down <= TALLEST * across:
        return width, max(1, round(down * width / across))
    return max(1, round(across * TALLEST * width / down)), TALLEST * width


def enlargement(size: tuple[int, int], width: int) -> int:
    """The integer factor, at least 1, that enlarges frames of this (width, height) to about `picture_size`."""
    return max(1, round(min(width / size[0], TALLEST * width / size[1])))


def resized(frame: np.ndarray, width: int) -> np.ndarray:
    """A frame (H, W, 3) brought to `picture_size`."""
    size = picture_size(frame.shape[1::-1], width)
    smaller = size[0] < frame.shape[1]
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def shrunk(frame: np.ndarray, factor: float) -> np.ndarray:
    """A frame (H, W, 3), smaller by a factor of at most 1."""
    if factor == 1.0:
        return frame
    width, height = (max(1, round(factor * side)) for side in frame.shape[1::-1])
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def annotated(frame: np.ndarray, drawing: Drawing, title: str, width: int = WIDTH) -> np.ndarray:
    """A copy of a frame, uint8 (H, W, 3) RGB, with its boxes and, unless it is empty, a title at the top.

    Frames narrower than about `width` pixels are enlarged by an integer factor: uint8 (k H, k W, 3).
    """
    factor = enlargement(frame.shape[1::-1], width)
    image = frame.repeat(factor, axis=0).repeat(factor, axis=1)
    if len(drawing.xyxy):
        _draw_boxes(image, np.round(factor * drawing.xyxy) - (0, 0, 1, 1), drawing)
    if title:
        (across, height), below = cv2.getTextSize(title, FONT, TEXT, 1)
        cv2.rectangle(image, (2, 10 - height), (2 + across, 10 + below), BLACK, -1)  # readable on any background
        cv2.putText(image, title, (2, 10), FONT, TEXT, WHITE, 1, cv2.LINE_AA)
    return image


def _draw_boxes(image: np.ndarray, xyxy: np.ndarray, drawing: Drawing) -> None:
    import supervision as sv  # slow to import

    palette, text = (
        sv.ColorPalette([sv.Color(*color[::-1]) for color in colors])  # it takes images as BGR
        for colors in (drawing.colors, map(readable, drawing.colors))
    )
    boxes = sv.Detections(xyxy, class_id=np.arange(len(xyxy)))
    sv.BoxAnnotator(palette, thickness=1).annotate(image, boxes)
    named = np.flatnonzero([bool(caption) for caption in drawing.captions])
    style = {"text_scale": TEXT, "text_padding": 2, "smart_position": True}  # within the picture, one beside another
    labels = sv.LabelAnnotator(sv.Color(*BLACK), text_color=text, **style)
    below_title = sv.Detections(np.maximum(xyxy, (0, LABEL_TOP, 0, 0))[named], class_id=named)
    labels.annotate(image, below_title, [drawing.captions[i] for i in named.tolist()])


def readable(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """An RGB colour for text on black: itself, or half way to white if it is darker than `DARK`."""
    red, green, blue = color
    if 0.299 * red + 0.587 * green + 0.114 * blue >= DARK:  # luma, ITU-R BT.601
        return color
    return (red + 255) // 2, (green + 255) // 2, (blue + 255) // 2


def encoded(image: np.ndarray, suffix: str = ".jpg", quality: int = JPEG_QUALITY) -> bytes:
    """An image, uint8 (H, W, 3) RGB, as the bytes of a JPEG of this quality or, with `suffix=".png"`, of a PNG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def data_uri(data: bytes, kind: str = "jpeg") -> str:
    """The bytes of a picture as the text of an <img>'s src."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image, uint8 (H, W, 3) RGB, in the format of the file's suffix (.jpg or .png), atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(encoded(image, path.suffix))


def write_sheet(path: Path, images: Sequence[np.ndarray]) -> None:
    """Write images of one size, uint8 (H, W, 3) RGB, in rows of three as one picture, atomically."""
    write_image(path, grid(images, COLUMNS, fill=255))


def grid(images: Sequence[np.ndarray], columns: int, fill: int) -> np.ndarray:
    """Images of one size, uint8 (h, w, 3), row by row; what the last row lacks has the value `fill`."""
    padded = [*images, *[np.full_like(images[0], fill)] * (-len(images) % columns)]
    return np.concatenate([np.concatenate(padded[i : i + columns], axis=1) for i in range(0, len(padded), columns)])


def write_clip(path: Path, images: Iterable[np.ndarray], rate: float) -> None:
    """Write images of one size, uint8 (H, W, 3) RGB, as they come, to an MP4; `rate`: frames per second."""
    with clip_writer(path, rate) as add:
        for image in images:
            add(image)


@contextmanager
def clip_writer(path: Path, rate: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that adds an image, uint8 (H, W, 3) RGB, to an MP4, which stands at `path` after the block.

    All images have one size, which is made `even`. The same images give the same bytes. Raises MissingPackageError
    without PyAV, AssertionError without an image.
    """
    requirements.require(["video"])
    import av  # not every environment has it
    from av.video.stream import VideoStream

    with atomic_named(path) as temporary, av.open(str(temporary), "w", options={"movflags": "faststart"}) as container:
        stream: VideoStream | None = None

        def add(image: np.ndarray) -> None:
            nonlocal stream
            image = even(image)
            if stream is None:
                fps = Fraction(rate).limit_denominator(1001)  # 30000 / 1001 is television's 29.97
                stream = container.add_stream("libx264", fps, options=dict(H264))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = THREADS
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))

        yield add
        assert stream is not None, "a clip of no image"
        container.mux(stream.encode(None))


def even(image: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) with even sides, which H.264 needs as browsers play it: the last row or column is left out."""
    height, width = (max(2, side // 2 * 2) for side in image.shape[:2])
    image = image.repeat(2, axis=0) if len(image) < height else image
    image = image.repeat(2, axis=1) if image.shape[1] < width else image
    return np.ascontiguousarray(image[:height, :width])
