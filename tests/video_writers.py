"""Video files with the oddities of real ones: chosen timestamps, damaged packets, empty chunks, false headers."""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from tests.footage import HEIGHT, WIDTH, picture

FORMATS = {".ts": "mpegts", ".mts": "mpegts", ".m2ts": "mpegts"}
CODECS = {  # what each kind of file usually holds
    ".avi": "mpeg4", ".mp4": "libx264", ".m4v": "libx264", ".mov": "mjpeg", ".3gp": "mpeg4", ".mkv": "libx264",
    ".webm": "libvpx-vp9", ".ts": "libx264", ".mts": "libx264", ".m2ts": "libx264", ".flv": "flv", ".wmv": "wmv2",
    ".mpg": "mpeg2video", ".mpeg": "mpeg2video",
}  # fmt: skip


def write_coded(
    path: Path,
    pts: Iterable[int],
    codec: str | None = None,
    time_base: Fraction = Fraction(1, 25),
    options: dict[str, str] | None = None,
    rotation: int = 0,
) -> None:
    """Frame i is `picture(i)`, shown at `pts[i]` units of `time_base`; the header's rate is 25 a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = codec or CODECS[path.suffix]
    with av.open(str(path), "w", format=FORMATS.get(path.suffix)) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        for i, at in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24")
            frame.pts, frame.time_base = at, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def damage(path: Path, packet: int, share: tuple[float, float] = (0.0, 1.0)) -> None:
    """Zero the bytes of one packet of a video, the `packet`-th of the file, from and to a share of its length."""
    with av.open(str(path)) as container:
        data = bytes([*container.demux(video=0)][packet])
    whole = path.read_bytes()
    assert whole.count(data) == 1
    start, stop = (round(len(data) * edge) for edge in share)
    path.write_bytes(whole.replace(data, data[:start] + bytes(stop - start) + data[stop:]))


def jpegs(count: int) -> list[bytes]:
    """JPEG files of `picture(0)` and so on, for `write_avi`."""
    return [cv2.imencode(".jpg", picture(i)[..., ::-1])[1].tobytes() for i in range(count)]


def write_avi(path: Path, chunks: Sequence[bytes], announced: int | None = None) -> None:
    """Motion JPEG, 25 frames a second; an empty chunk is a frame that was dropped.

    announced: number of frames in the headers, if not that of the chunks.
    """
    count = len(chunks) if announced is None else announced
    main = struct.pack("<14I", 40_000, 0, 0, 0x10, count, 0, 1, 0, WIDTH, HEIGHT, 0, 0, 0, 0)
    stream = b"vidsMJPG" + struct.pack("<10I4H", 0, 0, 0, 1, 25, 0, count, 0, 0xFFFFFFFF, 0, 0, 0, WIDTH, HEIGHT)
    picture_format = struct.pack("<IiiHH4sIiiII", 40, WIDTH, HEIGHT, 1, 24, b"MJPG", WIDTH * HEIGHT * 3, 0, 0, 0, 0)
    streams = _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", picture_format))
    headers = _list(b"hdrl", _chunk(b"avih", main) + streams)
    index, place = b"", 4
    for data in chunks:
        index += b"00dc" + struct.pack("<III", 0x10, place, len(data))
        place += 8 + len(data) + len(data) % 2
    movie = _list(b"movi", b"".join(_chunk(b"00dc", data) for data in chunks))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_chunk(b"RIFF", b"AVI " + headers + movie + _chunk(b"idx1", index)))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)


def opencv_frames(path: Path) -> list[np.ndarray]:
    """What OpenCV reads: uint8 (H, W, 3) BGR each."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames
