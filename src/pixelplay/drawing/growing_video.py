"""A video that can be played while it is written: H.264 in fragments of MP4, each whole as soon as it is in the file.

Whatever ends the process, what was written before the last fragment stays playable.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from io import FileIO
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from pixelplay.drawing.annotate import H264, THREADS, even

TICKS = 90_000  # per second, MPEG's usual
NOMINAL = 25  # frames per second that the header names; the frames have times of their own
# A fragment goes into the file when the next begins, with a keyframe. Without frames that wait for later ones
# (zerolatency), nothing else is held back. Keyframes are asked for: none at x264's own distance.
MOVIE = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
# superfast: two thirds of veryfast's time, which scoring needs, for a third more bytes.
CODEC = {**H264, "preset": "superfast", "tune": "zerolatency", "forced-idr": "1", "g": "100000"}


class GrowingVideo:
    """Images of one size, uint8 (H, W, 3) RGB, with increasing times; to be closed."""

    def __init__(self, path: Path, fragment: float):
        """fragment: seconds after which what was added is in the file. Raises OSError if it is there already."""
        self.path, self._fragment = path, fragment
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _File(path)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._first, self._begun, self._last = 0.0, 0.0, -1  # seconds of the first frame, of the fragment; last tick

    def add(self, image: np.ndarray, seconds: float) -> None:
        """Raises OSError that names the file where the disk takes no more; closed then, it keeps what was whole."""
        image = even(image)
        if self._stream is None:
            self._stream = self._start(image.shape[1], image.shape[0])
            self._first = self._begun = seconds
        assert self._container is not None
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = self._last = max(round((seconds - self._first) * TICKS), self._last + 1)
        frame.time_base = Fraction(1, TICKS)
        if frame.pts == 0 or seconds - self._begun >= self._fragment:
            frame.pict_type, self._begun = PictureType.I, seconds
        with self._writing():
            self._container.mux(self._stream.encode(frame))
        if frame.pict_type == PictureType.I:
            self._file.whole = self._file.size

    def close(self) -> None:
        """Write what is held back; raises OSError that names the file where the disk takes no more."""
        if self._container is not None and self._stream is not None:
            with self._writing():
                self._container.mux(self._stream.encode(None))
                self._container.close()
            self._file.whole = self._file.size
        self._container = None
        self._file.close()

    def _start(self, width: int, height: int) -> VideoStream:
        self._container = av.open(self._file, "w", format="mp4", options=dict(MOVIE))
        stream = self._container.add_stream("libx264", NOMINAL, options=dict(CODEC))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS)
        stream.codec_context.thread_count = THREADS
        return stream

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """On an error, close the file without its last, broken fragment, and raise OSError that names it."""
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            self._file.full = True
            with suppress(OSError, av.FFmpegError):
                if self._container is not None:
                    self._container.close()
            self._container = None
            with suppress(OSError):
                self._file.close()
            number = self._file.refused or getattr(error, "errno", None) or errno.EIO
            raise OSError(number, os.strerror(number), str(self.path)) from None


class _File:
    """What FFmpeg writes to, without seeking back."""

    def __init__(self, path: Path):
        self._path, self._file = path, FileIO(path, "xb")
        self.size = self.whole = 0  # bytes in it; of these, what is playable
        self.full, self.refused = False, 0  # nothing more is written; the disk's error number

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest and not self.full:  # what is written after an error is thrown away: see `_abandon`
            try:
                count = self._file.write(rest)
            except OSError as error:
                self.refused = error.errno or errno.EIO
                raise
            self.size, rest = self.size + count, rest[count:]
        return len(data)

    def close(self) -> None:
        if not self._file.closed:
            try:
                if self.size != self.whole:
                    self._file.truncate(self.whole)
            finally:
                self._file.close()
            if not self.whole:  # an empty file is no video
                self._path.unlink(missing_ok=True)
