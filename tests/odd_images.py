"""Image files that cameras, other programs and damaged disks leave, written byte by byte for the tests."""

import struct
import zlib
from collections.abc import Sequence

import cv2
import numpy as np

SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(
    pages: Sequence[np.ndarray],
    order: str = "<",
    big: bool = False,
    reduced: Sequence[int] = (),
    bits: int | None = None,
) -> bytes:
    """An uncompressed TIFF or BigTIFF of grey or RGB pages of any type; those in `reduced` are marked as thumbnails."""
    count, entry, offset = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    data = bytearray(start + (struct.pack(f"{order}HH", 8, 0) if big else b""))
    link = len(data)  # where the next directory's offset is to be written
    data += bytes(struct.calcsize(offset))
    for number, page in enumerate(pages):
        height, width, channels = (*page.shape, 1)[:3]
        pixels = page.astype(page.dtype.newbyteorder(order)).tobytes()
        each = bits or page.dtype.itemsize * 8
        place = len(data)
        data += pixels
        depths = len(data)
        data += struct.pack(f"{order}{channels}H", *[each] * channels)
        struct.pack_into(order + offset, data, link, len(data))
        tags = [(254, int(number in reduced)), (256, width), (257, height), (258, each), (259, 1)]
        tags += [(262, 1 if channels == 1 else 2), (273, place), (277, channels), (278, height), (279, len(pixels))]
        tags += [(339, SAMPLE_FORMATS[page.dtype.kind])]
        data += struct.pack(order + count, len(tags))
        for tag, value in tags:
            kind, many = (3, channels) if tag == 258 else (16 if big else 4, 1)
            if tag == 258 and channels > 1 and not big:  # three shorts do not stand in four bytes
                data += struct.pack(order + entry, tag, kind, many, depths)
            elif tag == 258:
                values = struct.pack(f"{order}{channels}H", *[each] * channels)
                data += struct.pack(f"{order}HH{offset}", tag, kind, many) + values.ljust(
                    struct.calcsize(offset), b"\0"
                )
            else:
                data += struct.pack(order + entry, tag, kind, many, value)
        link = len(data)
        data += bytes(struct.calcsize(offset))
    return bytes(data)


def packed_12_bit(values: np.ndarray) -> np.ndarray:
    """Two values of 12 bits in each three bytes, uint8 (H, W * 3 / 2), as 12-bit TIFFs have them."""
    first, second = values[:, 0::2].astype(int), values[:, 1::2].astype(int)
    out = np.zeros((len(values), values.shape[1] * 3 // 2), np.uint8)
    out[:, 0::3], out[:, 1::3], out[:, 2::3] = first >> 4, (first & 15) << 4 | second >> 8, second & 255
    return out


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int, rows: int) -> bytes:
    """A black 8-bit PNG that claims this size and has data for `rows` rows: a few bytes for very many pixels."""
    compress = zlib.compressobj(9)
    data = b"".join([*(compress.compress(bytes(1 + width)) for _ in range(rows)), compress.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def claiming(suffix: str, width: int, height: int) -> bytes:
    """A small image whose header claims another size than it has."""
    image = np.zeros((64, 64, 3), np.uint8)
    data = bytearray(cv2.imencode(suffix, image)[1].tobytes())
    if suffix == ".jpg":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif suffix == ".bmp":
        struct.pack_into("<ii", data, 18, width, height)
    elif suffix == ".jp2":
        struct.pack_into(">II", data, data.index(b"\xff\x4f\xff\x51") + 8, width, height)
    elif suffix == ".ppm":
        return b"P6\n# a comment\n%d %d\n255\n" % (width, height) + bytes(12_288)
    elif suffix == ".tif":
        data = bytearray(tiff([image]))
        for tag, value in ((256, width), (257, height)):
            struct.pack_into("<I", data, data.index(struct.pack("<HHI", tag, 4, 1)) + 8, value)
    elif suffix == ".png":
        return png_of_size(width, height, 1)
    return bytes(data)
