"""Number and timestamps of a video file's frames, read from its packets without decoding.

Headers are not trusted: unfinished streams announce nothing, and variable frame rates any number.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pixelplay.errors import FootageError
from pixelplay.videos.sources import require_file

# Demuxers that read just one file: playlists and the like open whatever they name.
CONTAINERS = (
    "avi,mov,mp4,matroska,webm,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,vc1,ivf,flv,live_flv,asf,asf_o,"
    "mxf,gxf,lxf,nut,ogg,rm,dv,dhav,wtv,mjpeg,mjpeg_2000,yuv4mpegpipe,nuv,pva,cavsvideo,ser,avs,ty,kux"
)
CLOSE = 0.15  # of a frame's duration: in a constant rate no frame is further from its place
EPOCH = 1970  # of clocks that were never set
MARGIN = 0.005  # relative difference up to which the announced frame rate, which is exact, replaces the measured one


@dataclass(frozen=True, eq=False)
class Packets:
    """The packets of a file's video stream from its first keyframe on."""

    count: int
    skipped: int  # packets before it
    ticks: np.ndarray | None  # int64 [count], ascending timestamps in units of time_base; None: missing or not in order
    numbers: np.ndarray  # int64 [count], frame numbers by these timestamps: see `frame_numbers`
    time_base: Fraction  # seconds
    fps: float | None  # frames per second, on average where the rate varies
    announced: int  # frames that the header promises; 0: none
    problem: str | None  # why the file could not be read to its end

    @property
    def gaps(self) -> int:
        """Frames that are missing between the timestamps of a constant rate."""
        return int(self.numbers[-1]) + 1 - self.count if self.count else 0

    def number_at(self, tick: int | None) -> int:
        """Number of the frame with this timestamp in a stream with gaps; -1 if unknown, or without gaps."""
        if not self.gaps or tick is None or self.ticks is None:
            return -1
        place = int(np.searchsorted(self.ticks, tick))
        return int(self.numbers[place]) if place < self.count else -1


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """A regular file and its video stream; opens no other file and no network. Raises FootageError."""
    path = require_file(path)
    options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    try:
        container = av.open(str(path), options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        reason = f"{getattr(error, 'strerror', None) or error}; {path.stat().st_size} bytes"
        raise FootageError(f"{path}: cannot be opened as a video ({reason}); replace or remove it") from None
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        container.close()
        raise FootageError(f"{path}: there is no video stream in it; replace or remove it")
    return container, stream


def recorded_at(path: Path) -> datetime | None:
    """When a file says that its recording began, in its camera's time zone or UTC; None where it doesn't.

    Raises FootageError.
    """
    container, _ = open_video(path)
    with container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    for key in ("com.apple.quicktime.creationdate", "creation_time"):
        with suppress(KeyError, ValueError):
            time = datetime.fromisoformat(found[key])
            if time.year > EPOCH and time.tzinfo is not None:
                return time
    return None


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The stream's packets but for empty ones, which stand for frames dropped by the recorder; raises FFmpegError."""
    return (packet for packet in container.demux(stream) if packet.size)


def scan(path: Path) -> Packets:
    """Read a file without decoding; cached until the file changes. Raises FootageError."""
    path = require_file(path)
    status = path.stat()
    return _scan(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _scan(path: Path, size: int, changed: int) -> Packets:
    found: list[tuple[int | None, int | None]] = []
    first, read, problem = None, 0, None  # first: position of the first keyframe
    container, stream = open_video(path)
    with container:
        vp8 = stream.codec_context.name == "vp8"
        try:
            for packet in packets(container, stream):
                if first is None and packet.is_keyframe:
                    first, found = read, []
                read += 1
                # VP8 has packets that are only references for others (RFC 6386, 9.1): no keyframe, and not shown
                if not packet.is_discard and not (vp8 and memoryview(packet)[0] & 0x11 == 0x01):
                    found.append((packet.pts, packet.dts))
        except av.FFmpegError as error:
            problem = error.strerror
        ticks, base = _ticks(found), stream.time_base or Fraction(1)
        numbers = np.arange(len(found)) if ticks is None else frame_numbers(ticks)
        length = 0.0 if ticks is None else float(ticks[-1] - ticks[0]) * float(base)  # seconds
        fps = float(numbers[-1]) / length if length > 0 else None
        announced = float(stream.average_rate or stream.guessed_rate or 0)
        if fps is not None and announced and abs(fps / announced - 1) < MARGIN:
            fps = announced
        return Packets(len(found), first or 0, ticks, numbers, base, fps, stream.frames, problem)


def _ticks(found: list[tuple[int | None, int | None]]) -> np.ndarray | None:
    """Presentation timestamps in order, or decoding timestamps if the container has no others; None: not usable."""
    for times in zip(*found, strict=True):
        if times and None not in times:
            decoding = np.array([dts for _, dts in found if dts is not None], np.int64)
            return np.sort(np.array(times, np.int64)) if (np.diff(decoding) >= 0).all() else None
    return None


def frame_numbers(ticks: np.ndarray) -> np.ndarray:
    """Frame numbers of ascending timestamps, both int64 [T]: with gaps for missing frames if the rate is constant, else
    positions.
    """
    positions, steps = np.arange(len(ticks)), np.diff(ticks)
    if len(steps) < 2 or steps.min() <= 0:
        return positions
    usual = np.median(steps)
    usual = steps[np.abs(steps - usual) < CLOSE * usual].mean()  # timestamps in milliseconds are rounded
    whole = np.rint(steps / usual)  # frames from one timestamp to the next
    numbers = np.concatenate([[0], np.cumsum(whole)]).astype(np.int64)
    step = (ticks[-1] - ticks[0]) / max(int(numbers[-1]), 1)
    constant = whole.min() >= 1 and numbers[-1] < 2 * len(ticks)  # mostly gaps: not a constant rate
    for far in (steps - whole * step, ticks - ticks[0] - numbers * step):
        constant = constant and np.abs(far).max() <= CLOSE * step
    return numbers if constant else positions
