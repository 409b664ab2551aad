"""Video over the network: RTSP cameras, and HTTP (MPEG-TS, motion JPEG, HLS, files), decoded by FFmpeg (PyAV)."""

import errno
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import av
import cv2
from av.container import InputContainer
from av.error import ExitError
from av.format import Flags
from av.video.stream import VideoStream

from pixelplay.errors import FootageError
from pixelplay.online.feeds import Connection, Picture, believed
from pixelplay.videos.packets import CONTAINERS
from pixelplay.videos.video_file import bgr

# What an address may open, by its scheme: no files of this machine, whatever a server answers or a playlist names.
PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,udp,tcp,tls",
    "http": "http,https,tcp,tls,crypto",
    "https": "http,https,tcp,tls,crypto",
}
FORMATS = {"rtsp": "rtsp", "rtsps": "rtsp"} | dict.fromkeys(("http", "https"), f"{CONTAINERS},mpjpeg,hls")
OPTIONS = {
    "analyzeduration": "1000000",  # microseconds of a stream that are looked at before its first frame, at most
    "fpsprobesize": "3",  # frames from which its rate is told, not 20: they would all be late
    "max_delay": "500000",  # microseconds that packets which came too early wait for those before them (UDP)
    "rtsp_transport": "tcp",  # without lost packets, and through firewalls
}


@dataclass(frozen=True)
class Stream:
    """A stream at an address."""

    address: str = field(repr=False)  # with its password
    shown: str  # without
    timeout: float  # seconds without a frame after which it counts as cut

    def open(self) -> Connection:
        scheme = urlsplit(self.address).scheme.lower()
        options = OPTIONS | {"protocol_whitelist": PROTOCOLS[scheme], "format_whitelist": FORMATS[scheme]}
        start = time.monotonic()
        try:
            container = av.open(self.address, options=options, metadata_errors="replace", timeout=self.timeout)
        except (av.FFmpegError, ValueError) as error:
            late = time.monotonic() - start > self.timeout  # not every protocol says that this was why
            why = f"no answer within {self.timeout:g} s" if late else reason(error)
            raise FootageError(f"{self.shown}: cannot be opened ({why})") from None
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            container.close()
            raise FootageError(f"{self.shown}: there is no video in it")
        stream.codec_context.thread_type = "SLICE"  # threads by frame would hold back a frame each
        # FFmpeg makes up times where a format has none, such as motion JPEG: those of arrival are true
        timed = Flags.no_timestamps not in Flags(container.format.flags)
        fps = believed(float(stream.average_rate or stream.guessed_rate or 0)) if timed else None
        live = not container.duration  # a file on a web server says how long it is
        return Connection(fps, live, _pictures(container, stream, timed, self.timeout), container.close)


def _pictures(container: InputContainer, stream: VideoStream, timed: bool, timeout: float) -> Generator[Picture]:
    """timed: whether timestamps are true; timeout: seconds without a frame."""
    last = time.monotonic()
    try:
        # All packets, or a stream of which only the sound still comes would be waited for without an end
        for packet in container.demux():
            if packet.stream is stream and packet.size:
                for picture in _decoded(stream, packet, timed):
                    yield picture
                    last = time.monotonic()  # whoever reads may have waited
            if time.monotonic() - last > timeout:
                raise FootageError(f"no frame for {timeout:g} s")
    except av.FFmpegError as error:
        raise FootageError(reason(error)) from None
    yield from _decoded(stream, None, timed)


def _decoded(stream: VideoStream, packet: av.Packet | None, timed: bool) -> Iterator[Picture]:
    try:
        frames = stream.codec_context.decode(packet)
    except av.EOFError:
        return
    except av.FFmpegError:
        yield Picture(None, None, time.monotonic())
        return
    for frame in frames:
        image = None if frame.is_corrupt else bgr(frame)
        seconds = float(frame.pts * (stream.time_base or 1)) if timed and frame.pts is not None else None
        rgb = None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        yield Picture(rgb, seconds, time.monotonic())


def reason(error: Exception) -> str:
    """What went wrong, without the address, which FFmpeg's own text has."""
    if isinstance(error, ExitError):  # what a time-out makes FFmpeg end with
        return "it is silent"
    if getattr(error, "errno", None) == errno.EIO:  # of a connection that ends without a word
        return "the connection broke off"
    return getattr(error, "strerror", None) or type(error).__name__
