"""A video as one video file, decoded by FFmpeg (PyAV) to the same pixels as by OpenCV."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pixelplay.errors import FootageError
from pixelplay.videos.packets import open_video, packets, scan
from pixelplay.videos.sources import Frame, Remark

# Counterclockwise degrees of a container's display matrix.
ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

INCOMPLETE = "damaged (a part of its data is missing)"

Decoded = tuple[int | None, av.VideoFrame | None, str]  # timestamp, frame or None, and then why there is none


@dataclass(frozen=True)
class VideoFile:
    """Frames are numbered by position from 0; at a constant rate with missing timestamps, by these, with gaps."""

    path: Path

    def expected_frames(self) -> int:
        """An estimate from the header, which can be wrong; 0 if it says nothing."""
        try:
            container, stream = open_video(self.path)
        except FootageError:
            return 0
        with container:
            length = (container.duration or 0) / av.time_base  # seconds
            return max(stream.frames or round(length * float(stream.average_rate or 0)), 0)

    def fps(self) -> float | None:
        return scan(self.path).fps

    def timed(self) -> bool:
        """Whether every frame has a timestamp, later than that of the frame before."""
        ticks = scan(self.path).ticks
        return ticks is not None and bool((np.diff(ticks) > 0).all())

    def files(self) -> list[Path]:
        return [self.path]

    def remarks(self, decoded: int) -> list[Remark]:
        found, name, remarks = scan(self.path), self.path.name, []
        if found.skipped:
            problem = f"{found.skipped} packets before the first keyframe"
            remarks.append((name, problem, "only what can be decoded of them is used"))
        if found.gaps:
            problem = f"{found.gaps} frames are missing between timestamps of {found.fps:.6g} frames per second"
            remarks.append((name, problem, "frames are numbered by their timestamps, so that gaps remain gaps"))
        if found.problem:
            remarks.append((name, f"it cannot be read to its end ({found.problem})", "used as far as it can be read"))
        if decoded + found.gaps < found.announced:
            problem = f"its header announces {found.announced} frames, {decoded} are in it"
            remarks.append((name, problem, "used as it is; the last frame may be incomplete"))
        return remarks

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        """Raises FootageError if the file can't be opened."""
        about = scan(self.path)
        container, stream = open_video(self.path)
        with container:
            # AVI has no presentation timestamps. If frames are decoded in another order than shown, FFmpeg's guesses
            # jump back and forth; the sorted timestamps are right.
            in_order = about.ticks if "avi" in container.format.name and stream.codec_context.has_b_frames else None
            first, number = None, -1
            for position, (tick, decoded, problem) in enumerate(_decoded(container, stream, about.skipped)):
                if in_order is not None:
                    tick = int(in_order[position]) if position < len(in_order) else None
                first = tick if position == 0 else first
                number = max(number + 1, about.number_at(tick))
                if position < start:  # codecs find the exact frame only by decoding those before it: no seeking
                    continue
                seconds = None if tick is None or first is None else float((tick - first) * about.time_base)
                image, one, three = None if decoded is None else bgr(decoded), None, None
                if image is not None:
                    one = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if gray else None  # FFmpeg's own differs by 2 levels
                    three = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if color else None
                else:
                    problem = problem or "cannot be converted to a picture"
                yield Frame(number, f"{self.path.name}#{number}", one, three, problem or None, seconds=seconds)


def _decoded(container: InputContainer, stream: VideoStream, skipped: int) -> Iterator[Decoded]:
    """Every frame in presentation order, damaged ones in their places.

    `skipped`: number of packets at the beginning that may be undecodable, since their references were not recorded.
    """
    # One thread: errors then belong to their packet, and the bytes are the same on every machine. Videos are decoded
    # in parallel anyway.
    stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
    lost: list[tuple[int, str]] = []  # heap of damaged packets, until a later frame comes
    incomplete: set[int] = set()  # timestamps of truncated packets
    for position, packet in enumerate(_to_the_end(container, stream)):
        time = None if packet is None else packet.dts if packet.pts is None else packet.pts
        if packet is not None and packet.is_corrupt and time is not None:
            incomplete.add(time)
        frames: list[av.VideoFrame] = []  # that the packet completes
        try:
            frames = stream.codec_context.decode(packet)
        except av.EOFError:  # nothing was left to flush
            pass
        except av.FFmpegError as error:
            if packet is not None and not packet.is_discard and position >= skipped:
                problem = f"damaged ({error.strerror})"
                if time is None:
                    yield None, None, problem
                else:
                    heappush(lost, (time, problem))
        for frame in frames:
            while lost and (frame.pts is None or lost[0][0] < frame.pts):
                before, problem = heappop(lost)
                yield before, None, problem
            whole = not frame.is_corrupt and frame.pts not in incomplete
            yield (frame.pts, frame, "") if whole else (frame.pts, None, INCOMPLETE)
    yield from ((time, None, problem) for time, problem in sorted(lost))


def _to_the_end(container: InputContainer, stream: VideoStream) -> Iterator[Packet | None]:
    """The packets up to where reading fails (`scan` reports that), and None, which flushes the codec."""
    with suppress(av.FFmpegError):
        yield from packets(container, stream)
    yield None


def bgr(frame: av.VideoFrame) -> np.ndarray | None:
    """uint8 (H, W, 3), rotated as the container says; None if it can't be converted."""
    try:  # bicubic like OpenCV: it decides how colours of half the resolution are enlarged
        image = frame.to_ndarray(format="bgr24", interpolation="BICUBIC", threads=1)
    except (av.FFmpegError, ValueError):
        return None
    turn = ROTATIONS.get(frame.rotation % 360)
    return image if turn is None else cv2.rotate(image, turn)
