"""Size and kind of values of an image file, read from its header before anything is decoded.

A file of a few kilobytes can claim 100,000 x 100,000 pixels, and a decoder would allocate the memory at once. Pillow
can't do this: it does not say that colour images have more than 8 bits, and opens fewer kinds of TIFF than OpenCV.
"""

import re
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

# 8192 x 8192: above frames of 8K cameras (33 megapixels) and full-format stills (61), and 200 MB in 8-bit RGB.
MAX_PIXELS = 2**26
MAX_BYTES = 12 * MAX_PIXELS  # of a file with one image: the largest one uncompressed, in three float32 channels

Data = bytes | np.ndarray  # a file's bytes; mapped ones are uint8 arrays

PNM = re.compile(rb"P([1-6])" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 2 + rb"(?:(?:\s|#[^\n]*\n)+(\d{1,9}))?")
REDUCED, WIDTH, HEIGHT, BITS, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT = 254, 256, 257, 258, 322, 323, 339


class ImageHeader(NamedTuple):
    width: int  # pixels
    height: int
    deep: bool  # values are of another kind than 8-bit unsigned integers


class JpegFrame(NamedTuple):
    at: int  # position of its marker in the file
    width: int
    height: int
    mcu_height: int  # pixels that one row of coded blocks covers


def read_header(data: Data) -> ImageHeader | None:
    """Header of an encoded image; None if the bytes are of no known format or end too early."""
    try:
        return _header(bytes(data[:64]), data)
    except (struct.error, IndexError, OverflowError):  # offsets that lead beyond the file
        return None


def _header(start: bytes, data: Data) -> ImageHeader | None:
    if start.startswith(b"\xff\xd8"):
        frame = jpeg_frame(bytes(data))
        return frame and ImageHeader(frame.width, frame.height, False)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height, bits = struct.unpack_from(">IIB", start, 16)
        return ImageHeader(width, height, bits == 16)
    if start[:4] in TIFF_FORMS:
        return _tiff_header(data)
    if start.startswith(b"BM"):
        core = struct.unpack_from("<I", start, 14)[0] == 12
        width, height = struct.unpack_from("<HH" if core else "<ii", start, 18)
        return ImageHeader(abs(width), abs(height), False)
    if start[:3] == b"GIF":
        return ImageHeader(*struct.unpack_from("<HH", start, 6), False)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return _webp_header(start)
    if found := PNM.match(bytes(data[:4096])):
        return ImageHeader(int(found[2]), int(found[3]), found[1] in b"2356" and int(found[4] or 0) > 255)
    if start[4:8] == b"jP  " or start.startswith(b"\xff\x4f\xff\x51"):
        return _jpeg2000_header(bytes(data))
    if start[4:8] == b"ftyp" and (sizes := re.findall(rb"ispe\0{4}(.{4})(.{4})", bytes(data), re.DOTALL)):
        width, height = (max(int.from_bytes(size[i], "big") for size in sizes) for i in (0, 1))  # AVIF
        return ImageHeader(width, height, False)
    return None


def _webp_header(start: bytes) -> ImageHeader:
    if start[12:16] == b"VP8X":
        width, height = (int.from_bytes(start[at : at + 3], "little") + 1 for at in (24, 27))
    elif start[12:16] == b"VP8L":
        bits = struct.unpack_from("<I", start, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", start, 26))
    return ImageHeader(width, height, False)


def _jpeg2000_header(data: bytes) -> ImageHeader | None:
    codestreams = [found.end() for found in re.finditer(b"\xff\x4f\xff\x51", data)]
    sizes = [struct.unpack_from(">IIII", data, at + 4) for at in codestreams]
    if not sizes:
        return None
    width, height = (max(0, *(size[i] - size[i + 2] for size in sizes)) for i in (0, 1))
    return ImageHeader(width, height, max(data[at + 38] & 0x7F for at in codestreams) + 1 > 8)


def jpeg_frame(data: bytes) -> JpegFrame | None:
    """The start of frame of a JPEG; those of thumbnails in application segments do not count."""
    at = 2
    while at + 9 < len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:  # bytes that belong to no segment
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, components = struct.unpack_from(">HHB", data, at + 5)
            rows = [data[at + 11 + 3 * i] & 15 for i in range(components) if at + 11 + 3 * i < len(data)]
            return JpegFrame(at, width, height, 8 * max(rows) if components > 1 and rows else 8)
        else:
            at += 2 if marker <= 1 or 0xD0 <= marker <= 0xD8 else 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


class TiffForm(NamedTuple):
    """How a TIFF writes numbers: byte order and struct formats."""

    order: str
    first: int  # position of the offset of the first directory
    count: str
    entry: str  # tag, type, count of values, and the value or its offset
    offset: str


TIFF_FORMS = {
    b"II*\0": TiffForm("<", 4, "<H", "<HHI4s", "<I"),
    b"MM\0*": TiffForm(">", 4, ">H", ">HHI4s", ">I"),
    b"II+\0": TiffForm("<", 8, "<Q", "<HHQ8s", "<Q"),
    b"MM\0+": TiffForm(">", 8, ">Q", ">HHQ8s", ">Q"),
}
MAX_TAGS = 4096  # of a directory; some hundred are defined
VALUE_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}


def tiff_pages(path: Path) -> list[int]:
    """Offsets of a TIFF's pages, without thumbnails and masks, up to where it is damaged; [] if it is no TIFF."""
    try:
        data = np.memmap(path, np.uint8, "r")
        form, at = _first_page(data)
    except (OSError, ValueError, KeyError, struct.error):  # ValueError: empty
        return []
    pages: list[int] = []
    seen: set[int] = set()  # damaged files may lead in a circle
    while at and at not in seen:
        seen.add(at)
        try:
            tags, after = _directory(data, form, at)
        except (struct.error, OverflowError):
            break
        if not tags.get(REDUCED, 0) & 0b101:
            pages.append(at)
        at = after
    return pages


def at_page(data: np.ndarray, offset: int) -> np.ndarray:
    """A TIFF's bytes, a private mapping, with the page at `offset` as the first one."""
    form, _ = _first_page(data)
    struct.pack_into(form.offset, data, form.first, offset)
    return data


def _first_page(data: Data) -> tuple[TiffForm, int]:
    """A TIFF's form and the offset of its first page; raises KeyError for what is no TIFF, or struct.error."""
    form = TIFF_FORMS[bytes(data[:4])]
    return form, struct.unpack_from(form.offset, data, form.first)[0]


def _tiff_header(data: Data) -> ImageHeader | None:
    tags, _ = _directory(data, *_first_page(data))
    if WIDTH not in tags or HEIGHT not in tags:
        return None
    image = tags[WIDTH], tags[HEIGHT]
    tile = tags.get(TILE_WIDTH, 0), tags.get(TILE_HEIGHT, 0)
    width, height = max(image, tile, key=lambda size: size[0] * size[1])  # a tile is decoded whole
    return ImageHeader(width, height, tags.get(BITS, 1) > 8 or tags.get(SAMPLE_FORMAT, 1) not in (1, 4))


def _directory(data: Data, form: TiffForm, at: int) -> tuple[dict[int, int], int]:
    """The first value of each integer tag of a directory, and the next directory's offset (0: none).

    Raises struct.error or OverflowError if it goes beyond the file.
    """
    (entries,) = struct.unpack_from(form.count, data, at)
    if entries > MAX_TAGS:
        raise struct.error
    at += struct.calcsize(form.count)
    end = at + entries * struct.calcsize(form.entry)
    tags: dict[int, int] = {}
    for tag, kind, values, held in struct.iter_unpack(form.entry, data[at:end]):
        if kind not in VALUE_CODES:
            continue
        code = form.order + VALUE_CODES[kind]
        try:
            if values * struct.calcsize(code) <= len(held):
                tags[tag] = struct.unpack_from(code, held)[0]
            else:
                tags[tag] = struct.unpack_from(code, data, *struct.unpack(form.offset, held))[0]
        except (struct.error, OverflowError):
            if tag in (WIDTH, HEIGHT, BITS):
                raise
    return tags, struct.unpack_from(form.offset, data, end)[0]
