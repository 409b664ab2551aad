"""A video as one video file, decoded by FFmpeg (PyAV). Its pictures are bit for bit those that OpenCV gives."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pixelplay.errors import FootageError
from pixelplay.videos.packets import Packets, open_video, packets, scan
from pixelplay.videos.sources import Frame

# Counterclockwise degrees of a container's display matrix.
ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

INCOMPLETE = "damaged (a part of its data is missing)"

Decoded = tuple[int | None, av.VideoFrame | None, str]  # timestamp, frame or None, and then why there is none


@dataclass(frozen=True)
class VideoFile:
    """One video file. Frames are numbered by their position from 0; in a constant frame rate in which timestamps are
    missing, by these, so that gaps remain gaps.
    """

    path: Path

    def expected_frames(self) -> int:
        """What the header announces, or makes likely: an estimate, which can be wrong; 0 where it says nothing."""
        try:
            container, stream = open_video(self.path)
        except FootageError:
            return 0
        with container:
            length = (container.duration or 0) / av.time_base  # seconds
            return max(stream.frames or round(length * float(stream.average_rate or 0)), 0)

    def fps(self) -> float | None:
        return scan(self.path).fps

    def files(self) -> list[Path]:
        return [self.path]

    def remarks(self, decoded: int) -> list[tuple[str, str, str]]:
        found, told = scan(self.path), []
        if found.skipped:
            problem = f"{found.skipped} packets before the first keyframe"
            told.append((problem, "only what can be decoded of them is used"))
        if found.gaps:
            problem = f"{found.gaps} frames are missing between timestamps of {found.fps:.6g} frames per second"
            told.append((problem, "frames are numbered by their timestamps, so that gaps remain gaps"))
        if found.problem:
            told.append((f"it cannot be read to its end ({found.problem})", "used as far as it can be read"))
        if decoded + found.gaps < found.announced:
            problem = f"its header announces {found.announced} frames, {decoded} are in it"
            told.append((problem, "used as it is; the last frame may be incomplete"))
        return [(self.path.name, problem, treatment) for problem, treatment in told]

    def as_json(self) -> dict[str, Any]:
        return {"path": str(self.path)}

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        """Raises FootageError where the file can't be opened."""
        about = scan(self.path)
        container, stream = open_video(self.path)
        with container:
            times, first, number = _Times(about, container, stream), None, -1
            # Codecs find the exact frame only by going through those before it: nothing is left out by seeking.
            for position, (pts, decoded, problem) in enumerate(_decoded(container, stream, about.skipped)):
                tick = times.tick(position, pts)
                first = tick if position == 0 else first
                number = times.number(position, tick, number + 1)
                if position < start:
                    continue
                name = f"{self.path.name}#{number}"
                seconds = None if tick is None or first is None else float((tick - first) * about.time_base)
                image = None if decoded is None else _bgr(decoded)
                if image is None:
                    why = problem or "cannot be converted to a picture"
                    yield Frame(number, name, None, None, why, seconds=seconds)
                    continue
                yield Frame(
                    number,
                    name,
                    cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if gray else None,  # FFmpeg's own grey differs by 2 levels
                    cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if color else None,
                    None,
                    seconds=seconds,
                )


class _Times:
    """Timestamps and numbers of decoded frames."""

    def __init__(self, about: Packets, container: InputContainer, stream: VideoStream):
        self._about = about
        # AVI has no presentation timestamps. With frames that are decoded in another order than shown, FFmpeg's
        # guesses run to and fro; the timestamps in order are right.
        self._by_position = "avi" in container.format.name and stream.codec_context.has_b_frames

    def tick(self, position: int, pts: int | None) -> int | None:
        """When a frame is shown, in units of the stream's time base."""
        ticks = self._about.ticks
        if not self._by_position or ticks is None:
            return pts
        return int(ticks[position]) if position < len(ticks) else None

    def number(self, position: int, tick: int | None, least: int) -> int:
        """The frame's number: `least`, or higher where frames are missing before it."""
        if not self._about.gaps or tick is None or self._about.ticks is None:
            return least
        place = int(np.searchsorted(self._about.ticks, tick))
        return max(least, int(self._about.numbers[place]) if place < len(self._about.numbers) else least)


def _decoded(container: InputContainer, stream: VideoStream, skipped: int) -> Iterator[Decoded]:
    """Every frame in the order in which they are shown, and in its place each that is damaged.

    `skipped`: so many packets at the beginning may be undecodable without a loss, since what they refer to was not
    recorded.
    """
    # One thread: errors then come with the packet that has them, and the same bytes on every machine. Videos are
    # decoded side by side anyway.
    stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
    lost: list[tuple[int, str]] = []  # a heap of damaged packets that no later frame has come after yet
    incomplete: set[int] = set()  # timestamps of packets that are cut off
    for position, packet in enumerate(_to_the_end(container, stream)):
        time = None if packet is None else packet.dts if packet.pts is None else packet.pts
        if packet is not None and packet.is_corrupt and time is not None:
            incomplete.add(time)
        frames, problem = _frames_of(stream, packet)
        if problem and packet is not None and not packet.is_discard and position >= skipped:
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
    while lost:
        before, problem = heappop(lost)
        yield before, None, problem


def _frames_of(stream: VideoStream, packet: Packet | None) -> tuple[list[av.VideoFrame], str]:
    """The frames that a packet completes, and what is wrong with it."""
    try:
        return stream.codec_context.decode(packet), ""
    except av.EOFError:  # nothing was left to flush
        return [], ""
    except av.FFmpegError as error:
        return [], f"damaged ({error.strerror})"


def _to_the_end(container: InputContainer, stream: VideoStream) -> Iterator[Packet | None]:
    """The packets as far as the file can be read (`scan` reports where it can't), and None, which flushes the codec."""
    with suppress(av.FFmpegError):
        yield from packets(container, stream)
    yield None


def _bgr(frame: av.VideoFrame) -> np.ndarray | None:
    """uint8 (H, W, 3), turned as the container says; None where there is no such picture."""
    try:  # bicubic, as OpenCV has it: it decides how colours of half the resolution are enlarged
        image = frame.to_ndarray(format="bgr24", interpolation="BICUBIC", threads=1)
    except (av.FFmpegError, ValueError):
        return None
    turn = ROTATIONS.get(frame.rotation % 360)
    return image if turn is None else cv2.rotate(image, turn)
