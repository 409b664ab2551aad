"""Sources: order and numbers of frames, exact decoding, and every way in which a file can be unreadable."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.footage import HEIGHT, WIDTH, encoded, picture, write_frames, write_video

from pixelplay.errors import DataError
from pixelplay.videos.image_file import is_truncated
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.sources import natural_key
from pixelplay.videos.video_file import VideoFile

PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
UNCOMPRESSED = (cv2.IMWRITE_TIFF_COMPRESSION, 1)


def jpeg_with_thumbnail() -> bytes:
    """As cameras write it: a whole small JPEG, end marker included, in the application segment of a large one."""
    main, thumbnail = encoded(".jpg"), encoded(".jpg", image=picture(1, 16, 12))
    segment = b"Exif\0\0" + thumbnail
    return main[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + main[2:]


def tiff_with_pixels_last(image: np.ndarray) -> bytes:
    """An uncompressed grey TIFF whose pixels, uint8 (H, W), stand behind its directory."""
    height, width = image.shape
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 122), (277, 1), (278, height)]
    entries.append((279, image.size))
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0) + image.tobytes()


FORMATS = {
    "baseline.jpg": encoded(".jpg"),
    "progressive.jpg": encoded(".jpg", options=PROGRESSIVE),
    "thumbnail.jpg": jpeg_with_thumbnail(),
    "plain.png": encoded(".png"),
    "plain.bmp": encoded(".bmp"),
    "lzw.tif": encoded(".tif"),
    "raw.tif": encoded(".tif", options=UNCOMPRESSED),
    "ped2.tif": tiff_with_pixels_last(picture(0)[..., 0]),
}


def frames_of(folder: Path, gray: bool = True, color: bool = True) -> list:
    return list(ImageFolder.scan(folder).read(gray, color))


def test_natural_order_counts_as_people_do():
    names = ["frame_10", "frame_2", "Frame_1", "frame_1b", "a", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "Frame_1", "frame_1b", "frame_2", "frame_10"]


@given(st.lists(st.text(max_size=8), unique=True, max_size=8))
def test_natural_order_is_the_same_however_the_disk_lists_the_names(names: list[str]):
    assert sorted(names, key=natural_key) == sorted(reversed(names), key=natural_key)


def test_frames_come_in_order_of_their_numbers_and_keep_gaps_and_a_late_start(tmp_path: Path):
    write_frames(tmp_path, [1002, 939, 940, 943], "frame_{}.jpg")
    folder = ImageFolder.scan(tmp_path)
    assert folder.numbers == (939, 940, 943, 1002)
    assert [frame.number for frame in folder.read(True, False)] == [939, 940, 943, 1002]
    assert folder.names[-1] == "frame_1002.jpg"
    assert folder.expected_frames() == 4


def test_the_last_digits_of_a_name_are_its_number(tmp_path: Path):
    write_frames(tmp_path, [7, 12], "cam2_frame{}.png")
    assert ImageFolder.scan(tmp_path).numbers == (7, 12)


def test_names_without_numbers_are_numbered_by_position_from_zero(tmp_path: Path):
    for name in ("c.png", "a.png", "b.png"):
        (tmp_path / name).write_bytes(encoded(".png"))
    folder = ImageFolder.scan(tmp_path)
    assert (folder.names, folder.numbers) == (("a.png", "b.png", "c.png"), (0, 1, 2))


def test_mixed_image_types_are_one_video_when_their_numbers_differ(tmp_path: Path):
    for number, name in enumerate(("0.jpg", "1.PNG", "2.tif", "3.bmp", "4.jpeg", "5.tiff")):
        (tmp_path / name).write_bytes(encoded(Path(name).suffix.lower(), seed=number))
    assert ImageFolder.scan(tmp_path).numbers == (0, 1, 2, 3, 4, 5)
    assert [frame.problem for frame in frames_of(tmp_path)] == [None] * 6


def test_two_files_of_one_frame_number_are_refused_and_both_named(tmp_path: Path):
    write_frames(tmp_path, [1, 2], "{:03d}.jpg")
    write_frames(tmp_path, [2], "{:03d}.png")
    with pytest.raises(DataError, match=r"002\.jpg and 002\.png are both frame 2"):
        ImageFolder.scan(tmp_path)


def test_files_that_are_no_images_are_listed_and_hidden_ones_passed_over(tmp_path: Path):
    write_frames(tmp_path, [1, 2])
    for name in ("Thumbs.db", "notes.txt", ".DS_Store", "._001.png"):
        (tmp_path / name).write_bytes(b"x")
    folder = ImageFolder.scan(tmp_path)
    assert folder.names == ("001.png", "002.png")
    assert folder.remarks(2) == [("notes.txt", "not an image", "ignored"), ("Thumbs.db", "not an image", "ignored")]


def test_a_folder_without_images_is_refused_with_the_types_that_are_read(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"no image among 1 files.*\.bmp, \.jfif, \.jp2, \.jpe, \.jpeg, \.jpg"):
        ImageFolder.scan(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_images_are_decoded_exactly_as_opencv_does_in_grey_and_in_rgb(tmp_path: Path, name: str):
    path = tmp_path / f"1{Path(name).suffix}"
    path.write_bytes(FORMATS[name])
    [frame] = frames_of(tmp_path)
    assert frame.problem is None
    assert np.array_equal(frame.gray, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    assert np.array_equal(frame.color, cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])
    assert frame.gray.shape == (HEIGHT, WIDTH)


def test_only_the_forms_asked_for_are_decoded(tmp_path: Path):
    write_frames(tmp_path, [1])
    [gray], [color] = frames_of(tmp_path, color=False), frames_of(tmp_path, gray=False)
    assert gray.color is None and gray.gray.ndim == 2
    assert color.gray is None and color.color.ndim == 3


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_image_is_a_frame_with_a_problem_and_without_an_image(tmp_path: Path, name: str, share: float):
    data = FORMATS[name]
    (tmp_path / f"1{Path(name).suffix}").write_bytes(data[: int(len(data) * share)])
    [frame] = frames_of(tmp_path)
    assert frame.problem in ("truncated file", "cannot be decoded")
    assert frame.gray is None and frame.color is None


@pytest.mark.parametrize("missing", [1, 2, 3, 30])
@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith("tif")])
def test_the_last_bytes_of_an_image_are_missed(name: str, missing: int):
    assert is_truncated(FORMATS[name][:-missing])


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith("tif")])
def test_whole_images_are_not_called_truncated_even_with_bytes_after_their_end(name: str):
    assert not is_truncated(FORMATS[name])
    assert not is_truncated(FORMATS[name] + bytes(500))


def test_a_thumbnail_s_end_is_not_taken_for_the_image_s(tmp_path: Path):
    data = jpeg_with_thumbnail()
    assert data.count(b"\xff\xd9") == 2
    assert is_truncated(data[: data.rfind(b"\xff\xda") + 40])


@pytest.mark.parametrize("data, problem", [(b"", "empty file"), (b"no image at all", "cannot be decoded")])
def test_empty_files_and_files_that_only_look_like_images_are_told_apart(tmp_path: Path, data: bytes, problem: str):
    write_frames(tmp_path, [1, 3])
    (tmp_path / "002.png").write_bytes(data)
    assert [frame.problem for frame in frames_of(tmp_path)] == [None, problem, None]


def test_a_link_to_nothing_is_an_unreadable_frame_not_a_missing_one(tmp_path: Path):
    write_frames(tmp_path, [1])
    (tmp_path / "002.png").symlink_to(tmp_path / "nowhere.png")
    assert [frame.problem for frame in frames_of(tmp_path)] == [None, "cannot be read (No such file or directory)"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_unreadable_frame(tmp_path: Path):
    [path] = write_frames(tmp_path, [1])
    path.chmod(0)
    assert frames_of(tmp_path)[0].problem == "cannot be read (Permission denied)"


@pytest.mark.parametrize("name, codec", [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mkv", "MJPG"), ("a.mov", "mp4v")])
def test_video_files_give_every_frame_once_numbered_from_zero(tmp_path: Path, name: str, codec: str):
    write_video(tmp_path / name, 7, codec)
    source = VideoFile(tmp_path / name)
    frames = list(source.read(gray=True, color=True))
    assert [frame.number for frame in frames] == list(range(7))
    assert source.expected_frames() == 7
    assert source.remarks(7) == []
    capture = cv2.VideoCapture(str(tmp_path / name))
    for number, frame in enumerate(frames):
        _, expected = capture.read()
        assert np.array_equal(frame.color, expected[..., ::-1])
        assert np.array_equal(frame.gray, cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY))
        error = np.abs(frame.color.astype(int) - picture(number))  # RGB, not BGR, and the right frame
        assert error.mean() < 15 < np.abs(frame.color.astype(int) - picture(number + 50)).mean()
    capture.release()


@pytest.mark.parametrize("cut", [0, 0.5, 0.9])
def test_a_video_that_cannot_be_opened_is_refused_by_name(tmp_path: Path, cut: float):
    write_video(tmp_path / "a.mp4", 30, "mp4v")  # its index stands at its end
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(DataError, match=r"a\.mp4: cannot be opened as a video"):
        next(VideoFile(tmp_path / "a.mp4").read(gray=True, color=False))
    assert VideoFile(tmp_path / "a.mp4").expected_frames() == 0
