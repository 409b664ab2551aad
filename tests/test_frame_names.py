"""Order and numbers of frames by their names: the rule of `image_folder`, on names of real cameras and programs."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.footage import encoded, folder_video

from pixelplay.errors import DataError
from pixelplay.videos.image_folder import ImageFolder, number_names

WHERE = Path("folder")

NAMES = {
    "zero-padded, with a gap and a late start": (
        ["frame_00012.jpg", "frame_00013.jpg", "frame_00020.jpg"],
        (12, 13, 20),
    ),
    "counted from 1": (["001.tif", "002.tif"], (1, 2)),
    "not padded": (["frame_2.png", "frame_9.png", "frame_10.png"], (2, 9, 10)),
    "the camera's number last": (["0001_0001_0000_4.jpg", "0001_0001_0001_4.jpg", "0001_0001_0002_4.jpg"], (0, 1, 2)),
    "a suffix with a number": (["img_007_v2.png", "img_008_v2.png"], (7, 8)),
    "several groups increase: the last counts": (["f1_t40.png", "f2_t80.png", "f3_t120.png"], (40, 80, 120)),
    "nanoseconds": (["1403636579763555584.png", "1403636579813555456.png"], (1403636579763555584, 1403636579813555456)),
    "a dot that is no decimal point": (["shot1.9.png", "shot1.10.png", "shot1.11.png"], (9, 10, 11)),
    "a dot after a number that stays": (["v1.0001.png", "v1.0002.png"], (1, 2)),
    "one number beyond int64 and one within": ([f"7_{10**22 + 5}.png", f"8_{10**22 + 6}.png"], (7, 8)),
}
BY_POSITION = {
    "decimal seconds": ["1305031102.175304.png", "1305031102.975304.png", "1305031103.043251.png"],
    "decimal seconds without needless zeros": ["0.25.png", "0.5.png", "1.0.png", "1.125.png"],
    "clock times": ["cam_10-59-58.jpg", "cam_10-59-59.jpg", "cam_11-00-00.jpg"],
    "20 digits": [f"{10**19 + 7}.png", f"{10**19 + 9}.png"],
    "23 digits": [f"{10**22 + 7}.png", f"{10**22 + 9}.png"],
    "two cameras in one folder": ["a_1.png", "a_2.png", "b_1.png", "b_2.png"],
    "no digits": ["east.png", "north.png"],
    "digits in some names only": ["001.png", "002.png", "last.png"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_the_last_group_of_digits_that_increases_is_the_frame_number(kind: str):
    names, numbers = NAMES[kind]
    assert number_names(names[::-1], WHERE) == (tuple(names), numbers, False)


@pytest.mark.parametrize("kind", BY_POSITION)
def test_frames_that_no_digits_number_keep_their_order_and_are_numbered_by_position(kind: str):
    names = BY_POSITION[kind]
    assert number_names(names[::-1], WHERE) == (tuple(names), tuple(range(len(names))), True)


@pytest.mark.parametrize("first, second, number", [("002.jpg", "002.png", 2), ("A01.png", "a1.png", 1)])
def test_two_files_of_one_frame_are_refused_and_both_named(first: str, second: str, number: int):
    with pytest.raises(DataError, match=rf"folder: {first} and {second} are both frame {number}; remove one"):
        number_names([second, "000.jpg", first], WHERE)


@settings(deadline=None)
@given(st.sets(st.integers(0, 10**6), min_size=1))
def test_padded_numbers_are_always_the_frame_numbers(numbers: set[int]):
    names = [f"frame_{number:07d}.jpg" for number in numbers]
    assert number_names(names, WHERE).numbers == tuple(sorted(numbers))


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=2, unique=True))
def test_decimal_seconds_come_in_order_of_time(microseconds: list[int]):
    names = {f"{t // 10**6}.{t % 10**6:06d}.png": t for t in microseconds}
    assert [names[name] for name in number_names(list(names), WHERE).names] == sorted(microseconds)


@settings(deadline=None)
@given(st.lists(st.text("ab01.", min_size=1, max_size=6), unique=True, min_size=1, max_size=8))
def test_numbers_strictly_increase_whatever_the_names(stems: list[str]):
    names = [f"{stem}.png" for stem in stems]
    try:
        one, other = number_names(names, WHERE), number_names(names[::-1], WHERE)
    except DataError:
        return
    assert one == other
    assert sorted(one.names) == sorted(names)
    assert all(before < after for before, after in zip(one.numbers, one.numbers[1:], strict=False))


def test_a_remark_says_that_frames_are_numbered_by_position(tmp_path: Path):
    for name in ("1305031102.175304.png", "1305031103.043251.png"):
        (tmp_path / name).write_bytes(encoded(".png"))
    source = folder_video(tmp_path).source
    assert source.remarks(2) == [
        (
            tmp_path.name,
            "no group of digits in the names increases from frame to frame",
            "numbered by position from 0",
        )
    ]
    (tmp_path / "1305031102.175304.png").unlink()
    assert ImageFolder.scan(tmp_path).remarks(1) == []
