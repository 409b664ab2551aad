"""What comes in and goes out online, for the tests: settings, results, and a video server on the loopback.

It serves MPEG-TS or motion JPEG over HTTP, and can be cut and stalled.
There is no RTSP server here; what it would add is FFmpeg's.
"""

import csv
import io
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np
import yaml
from tests.footage import picture

from pixelplay.config.online import OnlineConfig
from pixelplay.online.feeds import About
from pixelplay.online.result import Result
from pixelplay.settings import CONFIG_DIR, validate

BOUNDARY = "frame"
TYPES = {"ts": "video/mp2t", "mjpeg": f"multipart/x-mixed-replace; boundary={BOUNDARY}"}


def online(**changes: object) -> OnlineConfig:
    """The default settings with some changed, those of a group as a dict; connected again soon."""
    values = yaml.safe_load((CONFIG_DIR / "online/default.yaml").read_text(encoding="utf-8"))
    values["reconnect"] |= {"timeout": 30.0, "keep_state": 60.0, "backoff": 0.05, "max_backoff": 0.2}
    for key, value in changes.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    return validate(OnlineConfig, values)


ABOUT = About("walk", "walk.mp4", 25.0, live=False)


def result(position: int, seconds: float, image: np.ndarray | None = None, **changes) -> Result:
    facts = {
        "position": position,
        "number": 2 * position,
        "seconds": seconds,
        "image": picture(position) if image is None else image,
        "score": 0.5,
        "threshold": 1.0,
        "members": {"conv_ae": 0.25, "objects": 0.75},
        "objects": (),
        "alarm": False,
    }
    return Result(**(facts | changes))


@contextmanager
def file_size(limit: int) -> Iterator[None]:
    """Files of at most so many bytes, which a full disk looks like."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def shade(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A picture that tells its number, uint8 (H, W, 3): grey, 10 levels from one to the next, starting again at 21."""
    return np.full((height, width, 3), 20 + 10 * (number % 21), np.uint8)


def number_of(image: np.ndarray) -> int:
    """The number modulo 21 of a `shade` that was coded."""
    return round((float(image.mean()) - 20) / 10)


def ts_chunks(images: Sequence[np.ndarray], fps: float) -> list[bytes]:
    """The bytes of an MPEG-TS of images, H.264 with a keyframe at every fifth: those of one image each."""
    file = io.BytesIO()
    file.seekable = lambda: False  # type: ignore[method-assign]
    rate, taken, chunks = Fraction(fps).limit_denominator(1001), 0, []
    with av.open(file, "w", format="mpegts", options={"flush_packets": "1"}) as container:
        stream = container.add_stream("libx264", rate=rate, options={"g": "5", "tune": "zerolatency", "crf": "18"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for at, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = at, 1 / rate
            container.mux(stream.encode(frame))
            chunks.append(file.getvalue()[taken:])
            taken += len(chunks[-1])
    chunks[-1] += file.getvalue()[taken:]
    return chunks


def jpeg_chunks(images: Sequence[np.ndarray]) -> list[bytes]:
    """The bytes of a motion JPEG of images, as cameras send it: those of one image each."""
    jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in images]
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: "
    return [f"{head}{len(jpeg)}\r\n\r\n".encode() + jpeg + b"\r\n" for jpeg in jpegs]


class Served:
    """What visitors of a server get: chunk by chunk at `fps`, one visitor at a time, each where the last one was.

    The connection ends where `cut` says, after so many chunks since it was called; `stall` keeps it open then, silent.
    """

    def __init__(self, chunks: Sequence[bytes], kind: str, fps: float, again: bool = True):
        """again: the chunks are sent over and over."""
        self.kind, self.fps, self.visits = kind, fps, 0
        self.chunks, self._again = list(chunks), again
        self.refuse = threading.Event()  # while it is set, visitors get an error
        self.hang_up = threading.Event()  # the connection ends
        self.stall = threading.Event()  # while it is set, nothing is sent
        self.stopped = threading.Event()

    def pieces(self) -> Iterator[bytes]:
        start = time.monotonic()
        for at in count() if self._again else range(len(self.chunks)):
            while self.stall.is_set() and not self.stopped.is_set():
                time.sleep(0.01)
            if self.hang_up.is_set() or self.stopped.is_set():
                self.hang_up.clear()
                return
            yield self.chunks[at % len(self.chunks)]
            time.sleep(max(0.0, start + (at + 1) / self.fps - time.monotonic()))


@contextmanager
def serving(served: Served) -> Iterator[str]:
    """The address of a server on the loopback, while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if served.refuse.is_set():
                self.send_error(503)
                return
            served.visits += 1
            self.send_response(200)
            self.send_header("Content-Type", TYPES[served.kind])
            self.end_headers()
            try:
                for piece in served.pieces():
                    self.wfile.write(piece)
            except OSError:  # the visitor is gone
                pass

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with web_server(Handler) as address:
        try:
            yield f"{address}/live"
        finally:
            served.stopped.set()


@contextmanager
def web_server(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server on the loopback, while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def rows_of(path: Path) -> list[dict[str, str]]:
    """Of a CSV that ends with a whole line."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return list(csv.DictReader(text.splitlines()))


def times_of(path: Path) -> list[float]:
    """Of a video's frames, each of which is decoded, seconds."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]
