"""Image files that are special, huge, damaged inside or oddly made: refused before decoding, found out, or read."""

import os
import socket
import struct
import zlib
from collections import deque
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.footage import encoded, folder_video, picture, write_frames
from tests.odd_images import chunk, claiming, packed_12_bit, png_of_size, tiff
from tests.own_process import in_own_process, peak

from pixelplay.videos.image_file import IMAGE_SUFFIXES, is_damaged, read_image
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.image_header import MAX_BYTES, read_header, tiff_pages

SAMPLING = {"4:2:0": 0x221111, "4:2:2": 0x211111, "4:4:4": 0x111111}


def frames_of(folder: Path, color: bool = True) -> list:
    return list(ImageFolder.scan(folder).read(True, color))


def problems_of(folder: Path) -> list[str | None]:
    return [frame.problem for frame in frames_of(folder)]


# --- kind and size --------------------------------------------------------------------------------------------------


def test_fifos_devices_sockets_and_links_to_them_are_unreadable_frames_and_never_opened(tmp_path: Path):
    write_frames(tmp_path, [0, 1])
    os.mkfifo(tmp_path / "002.png")
    (tmp_path / "003.tif").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "004.jpg"))
    (tmp_path / "005.png").symlink_to(tmp_path / "002.png")
    assert problems_of(tmp_path) == [None, None, *["not a regular file"] * 4]
    assert ImageFolder.scan(tmp_path).numbers == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".jp2", ".ppm"])
def test_an_image_that_claims_very_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
):
    side = 60_000 if suffix == ".jpg" else 100_000
    write_frames(tmp_path, [0])
    (tmp_path / f"001{suffix}").write_bytes(claiming(suffix, side, side))
    decoded: list[int] = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: decoded.append(flags) or decode(data, flags))
    assert problems_of(tmp_path) == [None, f"{side}x{side} pixels, at most 67,108,864 are decoded"]
    assert len(decoded) == 2  # the good one, in grey and in colour


@in_own_process
def test_a_small_file_with_data_for_very_many_pixels_takes_no_memory(tmp_path: Path):
    data = png_of_size(30_000, 30_000, 4_000)
    assert len(data) < 200_000
    (tmp_path / "0.png").write_bytes(data)
    problems: list[str | None] = []
    assert peak(lambda: problems.extend(problems_of(tmp_path))) < 2_000_000
    assert problems == ["30000x30000 pixels, at most 67,108,864 are decoded"]


def test_frames_of_8k_cameras_and_stills_of_61_megapixels_are_decoded(tmp_path: Path):
    for number, (width, height) in enumerate([(7680, 4320), (8192, 4320), (9504, 6336)]):
        (tmp_path / f"{number}.png").write_bytes(png_of_size(width, height, height))
    frames = [(frame.problem, frame.gray.shape) for frame in frames_of(tmp_path, color=False)]
    assert frames == [(None, (4320, 7680)), (None, (4320, 8192)), (None, (6336, 9504))]


def test_a_file_larger_than_any_image_is_not_read(tmp_path: Path):
    with open(tmp_path / "0.png", "wb") as file:
        file.truncate(10**12)  # a hole: it takes no disk
    assert problems_of(tmp_path) == [f"file of 1,000,000,000,000 bytes, at most {MAX_BYTES:,} are read"]


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
@pytest.mark.parametrize("upper", [False, True])
def test_every_type_of_image_is_read_whatever_the_case_of_its_name(tmp_path: Path, suffix: str, upper: bool):
    kind = {".jfif": ".jpg", ".jpe": ".jpg"}.get(suffix, suffix)
    image = picture(3)[..., 0] if suffix in (".pbm", ".pgm") else picture(3)
    data = encoded(kind, image=image)
    (tmp_path / f"7{suffix.upper() if upper else suffix}").write_bytes(data)
    [frame] = frames_of(tmp_path)
    assert (frame.problem, frame.number) == (None, 7)
    assert np.array_equal(frame.color, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))
    assert np.array_equal(frame.gray, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))
    assert read_header(data) == (64, 48, False)


@settings(deadline=None)
@given(st.sampled_from([".jpg", ".png", ".tif", ".bmp", ".webp", ".jp2", ".ppm"]), st.data())
def test_no_damaged_header_is_a_traceback(suffix: str, draw: st.DataObject):
    data = bytearray(encoded(suffix) if suffix != ".tif" else tiff([picture(0)], big=draw.draw(st.booleans())))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, min(len(data), 300) - 1))] = draw.draw(st.integers(0, 255))
    header = read_header(bytes(data[: draw.draw(st.integers(0, len(data)))]))
    assert header is None or (header.width >= 0 and header.height >= 0)


# --- damage inside a JPEG -------------------------------------------------------------------------------------------


def photograph(sampling: str = "4:2:0", width: int = 200, height: int = 130, seed: int = 0, **more: int) -> bytes:
    options = {"IMWRITE_JPEG_SAMPLING_FACTOR": SAMPLING[sampling], **more}
    pairs = [value for name, setting in options.items() for value in (getattr(cv2, name), setting)]
    return encoded(".jpg", image=picture(seed, width, height), options=tuple(pairs))


def listed(data: bytes) -> set[bool]:
    """Whether the damage is found in what OpenCV decodes in grey, and in colour."""
    flags = (cv2.IMREAD_GRAYSCALE, cv2.IMREAD_COLOR_RGB)
    return {is_damaged(data, cv2.imdecode(np.frombuffer(data, np.uint8), flag)) for flag in flags}


def scan_of(data: bytes) -> int:
    return data.index(b"\xff\xda") + 14


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("sampling", SAMPLING)
def test_a_jpeg_cut_short_and_closed_with_an_end_marker_is_listed(tmp_path: Path, sampling: str, share: float):
    data = photograph(sampling)
    cut = scan_of(data) + int(share * (len(data) - scan_of(data)))
    assert listed(data[:cut] + b"\xff\xd9") == {True}
    assert listed(data[:cut] + b"\xff\xd9" + b"\0" * 700) == {True}
    (tmp_path / "0.jpg").write_bytes(data[:cut] + b"\xff\xd9")
    (tmp_path / "1.jpg").write_bytes(data)
    first, second = frames_of(tmp_path)
    assert (first.problem, first.gray, first.color, second.problem) == ("damaged inside", None, None, None)


@pytest.mark.parametrize("sampling", SAMPLING)
def test_a_jpeg_with_a_kilobyte_of_foreign_bytes_inside_is_listed(sampling: str):
    found = []
    for seed in range(20):
        data = photograph(sampling, 400, 300, seed)
        at = scan_of(data) + 3000
        found.append(listed(data[:at] + np.random.default_rng(seed).bytes(1024) + data[at + 1024 :]))
    assert sum(one == {True} for one in found) >= 18  # 2 % of such pieces hold no byte that could be a marker


def test_a_jpeg_with_a_hole_of_zeros_inside_is_listed():
    found = []
    for seed in range(20):
        data = photograph("4:2:0", 400, 300, seed)
        at = scan_of(data) + 3000
        found.append(listed(data[:at] + bytes(4096) + data[at + 4096 :]))
    assert sum(one == {True} for one in found) >= 18  # the rest has the right number of blocks by chance


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("name", ["IMWRITE_JPEG_PROGRESSIVE", "IMWRITE_JPEG_OPTIMIZE", "IMWRITE_JPEG_RST_INTERVAL"])
@pytest.mark.parametrize("width, height", [(64, 48), (65, 49), (7, 5), (320, 17), (1, 1)])
def test_no_whole_jpeg_is_called_damaged(sampling: str, name: str, width: int, height: int):
    data = photograph(sampling, width, height, **{name: 1})
    for good in (data, data + b"garbage \xff\xda" * 50, data + data, data[:-2] + bytes(99) + data[-2:]):
        assert listed(good) == {False}


@pytest.mark.parametrize("value", [0, 127, 128, 129, 255])
@pytest.mark.parametrize("optimized", [0, 1])
def test_no_plain_picture_is_called_damaged_not_even_one_of_the_grey_of_missing_blocks(value: int, optimized: int):
    for width, height in ((320, 240), (33, 17)):
        image = np.full((height, width, 3), value, np.uint8)
        options = (cv2.IMWRITE_JPEG_OPTIMIZE, optimized, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING["4:2:0"])
        assert listed(encoded(".jpg", image=image, options=options)) == {False}
        image[: height // 2] = picture(0, width, height)[: height // 2]
        assert listed(encoded(".jpg", image=image, options=options)) == {False}


def test_nothing_but_a_jpeg_is_called_damaged():
    jpeg = photograph()
    cut = jpeg[: len(jpeg) // 2] + b"\xff\xd9"
    png = encoded(".png", image=np.full((48, 64, 3), 128, np.uint8))
    assert (listed(cut), listed(png + cut)) == ({True}, {False})


def test_a_cmyk_jpeg_is_read_as_opencv_reads_it(tmp_path: Path):
    from PIL import Image

    Image.fromarray(np.dstack([picture(1), picture(2)[..., :1]]), "CMYK").save(tmp_path / "0.jpg", quality=90)
    data = (tmp_path / "0.jpg").read_bytes()
    [frame] = frames_of(tmp_path)
    assert frame.problem is None
    assert np.array_equal(frame.color, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))
    assert listed(data) == {False}


# --- what OpenCV reads well stays so --------------------------------------------------------------------------------


def exif(orientation: int) -> bytes:
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def palette_png() -> bytes:
    """4 x 2 pixels: red and blue columns in turn."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0))
    rows = zlib.compress(b"\0\0\1\0\1" * 2)
    parts = [chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255])), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(parts)


def test_rgba_palette_turned_and_wrongly_checksummed_images_are_read(tmp_path: Path):
    image = picture(5)
    alpha = np.full((*image.shape[:2], 1), 7, np.uint8)
    _, rgba = cv2.imencode(".png", np.dstack([image[..., ::-1], alpha]))
    jpeg = encoded(".jpg", image=image)
    png, comment = encoded(".png", image=image), bytearray(chunk(b"tEXt", b"Title\0yard"))
    comment[-1] ^= 1  # in its checksum
    wrong = png[:33] + comment + png[33:]
    files = {"0.png": rgba.tobytes(), "1.png": palette_png(), "2.jpg": jpeg[:2] + exif(6) + jpeg[2:], "3.png": wrong}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    frames = frames_of(tmp_path)
    assert [frame.problem for frame in frames] == [None] * 4
    assert np.array_equal(frames[0].color, image)
    assert frames[1].color[0].tolist() == [[255, 0, 0], [0, 0, 255]] * 2
    assert np.array_equal(frames[2].color, np.rot90(cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1)[..., ::-1], -1))
    assert np.array_equal(frames[3].color, image)


def test_names_with_spaces_hashes_percent_signs_and_umlauts_are_read(tmp_path: Path):
    names = ("a b#1%20ü.png", "a b#2%20ü.png")
    for name in names:
        (tmp_path / name).write_bytes(encoded(".png"))
    folder = ImageFolder.scan(tmp_path)
    assert (folder.names, folder.numbers) == (names, (1, 2))
    assert problems_of(tmp_path) == [None, None]


# --- pages of TIFFs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_the_pages_of_a_tiff_are_frames_numbered_from_zero_with_a_remark(tmp_path: Path, order: str, big: bool):
    pages = [picture(seed) for seed in range(50)]
    (tmp_path / "stack_7.tif").write_bytes(tiff(pages, order, big))
    source = folder_video(tmp_path).source
    assert source.expected_frames() == 50
    assert source.files() == [tmp_path / "stack_7.tif"]
    assert source.remarks(50) == [
        ("stack_7.tif", "50 pages in 1 file", "every page is a frame, numbered by position from 0")
    ]
    frames = list(source.read(True, True))
    assert [(frame.number, frame.problem) for frame in frames] == [(t, None) for t in range(50)]
    assert (frames[0].name, frames[49].name) == ("stack_7.tif#0", "stack_7.tif#49")
    for frame, page in zip(frames, pages, strict=True):
        assert np.array_equal(frame.color, page)
    later = list(source.read(False, True, start=48))
    assert [frame.number for frame in later] == [48, 49] and np.array_equal(later[0].color, pages[48])


def test_pages_written_by_opencv_with_compression_are_those_that_it_reads_itself(tmp_path: Path):
    cv2.imwritemulti(str(tmp_path / "0.tif"), [picture(seed) for seed in range(4)])
    _, expected = cv2.imreadmulti(str(tmp_path / "0.tif"), flags=cv2.IMREAD_COLOR_RGB)
    assert [np.array_equal(f.color, e) for f, e in zip(frames_of(tmp_path), expected, strict=True)] == [True] * 4


def test_several_tiffs_of_several_pages_are_their_pages_in_order(tmp_path: Path):
    (tmp_path / "part_10.tif").write_bytes(tiff([picture(5), picture(6)]))
    (tmp_path / "part_9.tif").write_bytes(tiff([picture(2), picture(3), picture(4)]))
    (tmp_path / "part_8.tif").write_bytes(tiff([picture(1)]))
    frames = frames_of(tmp_path)
    assert [frame.name for frame in frames] == [
        *("part_8.tif", "part_9.tif#0", "part_9.tif#1", "part_9.tif#2", "part_10.tif#0", "part_10.tif#1")
    ]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert all(np.array_equal(frame.color, picture(seed)) for seed, frame in enumerate(frames, 1))


def test_thumbnails_in_a_tiff_are_no_frames(tmp_path: Path):
    for number in range(2):
        pages = [picture(number), picture(9, 8, 6)]
        (tmp_path / f"{number}.tif").write_bytes(tiff(pages, reduced=[1]))
    assert [frame.color.shape for frame in frames_of(tmp_path)] == [(48, 64, 3)] * 2
    assert ImageFolder.scan(tmp_path).remarks(2) == []


@in_own_process
def test_memory_does_not_grow_with_the_pages_of_a_tiff(tmp_path: Path):
    def read(count: int) -> int:
        (tmp_path / "0.tif").write_bytes(tiff([picture(0, 640, 480)] * count))
        assert len(ImageFolder.scan(tmp_path).names) == count
        return peak(lambda: deque(ImageFolder.scan(tmp_path).read(False, True), maxlen=0))

    short, long = read(4), read(30)
    assert long < short + 500_000, (short, long)  # the longer file has 24 MB more


def test_a_damaged_page_is_one_unreadable_frame(tmp_path: Path):
    pages = [picture(seed) for seed in range(3)]
    data = bytearray(tiff(pages))
    (tmp_path / "0.tif").write_bytes(data)
    second = tiff_pages(tmp_path / "0.tif")[1]
    struct.pack_into("<I", data, data.index(struct.pack("<HHI", 256, 4, 1), second) + 8, 10**6)  # its width
    struct.pack_into("<I", data, data.index(struct.pack("<HHI", 257, 4, 1), second) + 8, 10**6)
    (tmp_path / "0.tif").write_bytes(data)
    assert problems_of(tmp_path) == [None, "1000000x1000000 pixels, at most 67,108,864 are decoded", None]


def test_a_tiff_whose_pages_lead_in_a_circle_ends(tmp_path: Path):
    data = bytearray(tiff([picture(0), picture(1)]))
    (tmp_path / "0.tif").write_bytes(data)
    first, second = tiff_pages(tmp_path / "0.tif")
    struct.pack_into("<I", data, len(data) - 4, first)
    (tmp_path / "0.tif").write_bytes(data)
    assert tiff_pages(tmp_path / "0.tif") == [first, second]


def test_a_file_that_is_replaced_after_it_was_listed_is_an_unreadable_frame(tmp_path: Path):
    (tmp_path / "0.tif").write_bytes(tiff([picture(0), picture(1)]))
    page = tiff_pages(tmp_path / "0.tif")[1]
    for data in (b"", b"text", tiff([picture(0)])[:9]):
        (tmp_path / "0.tif").write_bytes(data)
        assert read_image(tmp_path / "0.tif", page).problem in ("cannot be decoded", "empty file")


def test_12_bit_values_packed_in_bytes_are_deep_and_read_whole(tmp_path: Path):
    values = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)
    data = bytearray(tiff([packed_12_bit(values)], bits=12))
    struct.pack_into("<I", data, data.index(struct.pack("<HHI", 256, 4, 1)) + 8, 64)
    (tmp_path / "0.tif").write_bytes(data)
    image = ImageFolder.scan(tmp_path).deep_values(0)
    assert np.array_equal(image, values * 16)  # OpenCV moves them to the upper bits: one factor for the whole data set
