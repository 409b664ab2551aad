"""Full-size frames as a stream: the same frames, treated in the same way, as those of the cache."""

from collections import deque
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.footage import (
    COLOR,
    GRAY,
    HEIGHT,
    WIDTH,
    encoded,
    folder_video,
    generated,
    picture,
    through_json,
    write_frames,
    write_video,
)
from tests.own_process import in_own_process, peak

from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.corruption import GRAY_SHARE
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.video import Originals, Video, nearest, put_right, source_from_json
from pixelplay.videos.video_file import VideoFile


def cached(cache: Path, raw: RawVideo) -> Video:
    return FrameCache(cache).fill([raw], [COLOR], 1.0, 1)[0].video


def full_size(video: Video) -> np.ndarray:
    return np.stack(list(video.full_size()))


def resized(frames: np.ndarray) -> np.ndarray:
    return np.stack([cv2.resize(f, (COLOR.width, COLOR.height), interpolation=cv2.INTER_AREA) for f in frames])


def test_frames_of_an_image_folder_are_as_on_disk_in_rgb(tmp_path: Path):
    write_frames(tmp_path / "01", [3, 4, 7])
    video = cached(tmp_path / "cache", folder_video(tmp_path / "01"))
    assert np.array_equal(full_size(video), np.stack([picture(number) for number in (3, 4, 7)]))


def test_frames_of_a_video_file_are_its_own_in_rgb(tmp_path: Path):
    write_video(tmp_path / "a.avi", 6)
    capture = cv2.VideoCapture(str(tmp_path / "a.avi"))
    expected = np.stack([capture.read()[1][..., ::-1] for _ in range(6)])
    capture.release()
    video = cached(tmp_path / "cache", RawVideo("a", "train", VideoFile(tmp_path / "a.avi")))
    assert np.array_equal(full_size(video), expected)
    assert np.array_equal(full_size(video.block(2, 5)), expected[2:5])


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_no_readable_frame_is_nearer_than_the_one_shown(readable: list[bool]):
    assert nearest(np.array([True, False, False, False, True])).tolist() == [0, 0, 0, 4, 4]  # the earlier of two
    places = np.flatnonzero(readable)
    for t, shown in enumerate(nearest(np.array(readable))):
        best = np.abs(places - t).min()
        assert readable[shown] and abs(shown - t) == best
        assert shown == places[np.abs(places - t) == best].min()


@pytest.mark.parametrize("bad", [[0], [5], [2, 3, 4], [0, 1, 4, 5], [1, 2]])
def test_unreadable_frames_are_replaced_as_in_the_cache_also_in_blocks(tmp_path: Path, bad: list[int]):
    paths = write_frames(tmp_path / "01", range(6))
    for position in bad:
        paths[position].write_bytes(b"damaged")
    video = cached(tmp_path / "cache", folder_video(tmp_path / "01"))
    frames = full_size(video)
    assert np.array_equal(resized(frames), video.frames(COLOR))
    for start in range(6):
        for stop in range(start + 1, 7):
            assert np.array_equal(full_size(video.block(start, stop)), frames[start:stop])
    inner = video.block(1, 6).block(1, 4)
    assert np.array_equal(full_size(inner), frames[2:5])


def test_frames_of_another_size_are_brought_to_the_size_of_most(tmp_path: Path):
    paths = write_frames(tmp_path / "01", range(4))
    other = picture(1, WIDTH // 2, HEIGHT * 2)
    paths[1].write_bytes(encoded(".png", image=other))
    video = cached(tmp_path / "cache", folder_video(tmp_path / "01"))
    frames = full_size(video)
    assert video.size == (WIDTH, HEIGHT)
    assert np.array_equal(frames[1], cv2.resize(other, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
    assert np.array_equal(frames[2], picture(2))


def test_flipped_frames_are_turned_back_and_noisy_ones_denoised(tmp_path: Path):
    write_frames(tmp_path / "01", range(4))
    video = cached(tmp_path / "cache", folder_video(tmp_path / "01", "test"))
    assert video.originals is not None
    flipped, noise = np.array([0, 1, 0, 1], bool), np.array([0, 0, 24, 3.0], np.float32)
    video = replace(video, originals=replace(video.originals, flipped=flipped, noise=noise, denoiser="median"))
    expected = [
        picture(0),
        picture(1)[::-1],
        cv2.medianBlur(picture(2), 5),  # 24 / 0.67 is strong
        cv2.medianBlur(np.ascontiguousarray(picture(3)[::-1]), 3),  # 3 / 0.67 is not
    ]
    assert pytest.approx(0.668, abs=0.001) == GRAY_SHARE
    for part in (video, video.block(1, 4), through_json(video)):
        assert np.array_equal(full_size(part), expected[part.start :])


def test_a_video_read_from_its_index_streams_the_same_frames(tmp_path: Path):
    paths = write_frames(tmp_path / "01", [1, 2, 3, 9])
    paths[2].write_bytes(b"")
    write_video(tmp_path / "a.avi", 4)
    for raw in (folder_video(tmp_path / "01"), RawVideo("a", "train", VideoFile(tmp_path / "a.avi"))):
        video = cached(tmp_path / "cache", raw)
        again = through_json(video)
        assert np.array_equal(full_size(again), full_size(video))
        assert again.key == video.key != ""
        source = source_from_json(asdict(raw.source))
        assert source.files() == raw.source.files()


def test_every_frame_is_an_array_of_its_own(tmp_path: Path):
    paths = write_frames(tmp_path / "01", range(3))
    paths[1].write_bytes(b"damaged")
    video = cached(tmp_path / "cache", folder_video(tmp_path / "01"))
    frames = video.full_size()
    next(frames)[:] = 0  # the second frame is a copy of the first
    second = next(frames)
    assert np.array_equal(second, picture(0))
    assert second.flags.c_contiguous and second.flags.writeable


def test_frames_are_decoded_one_by_one_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_frames(tmp_path / "01", range(9))
    video = cached(tmp_path / "cache", folder_video(tmp_path / "01"))
    decoded: list[int] = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flag: decoded.append(flag) or decode(data, flag))
    frames = video.block(4, 9).full_size()
    assert decoded == []
    next(frames), next(frames)
    assert decoded == [cv2.IMREAD_COLOR_RGB] * 2


@in_own_process
def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path: Path):
    def read(count: int) -> int:
        raw = generated(tmp_path / str(count), count, height=128, width=128)
        frames = Originals.of(raw.source, (128, 128), np.ones(count, bool)).frames()
        return peak(lambda: deque(frames, maxlen=0))

    short, long = read(20), read(300)  # the longer is 15 MB
    assert long < short + 500_000, (short, long)


def test_an_image_that_is_gone_since_is_told_with_what_to_do(tmp_path: Path):
    paths = write_frames(tmp_path / "01", range(4))
    video = cached(tmp_path / "cache", folder_video(tmp_path / "01"))
    paths[2].unlink()
    with pytest.raises(MissingArtifactError, match=r"01: the footage has changed.*image 2.*src/prepare\.py"):
        full_size(video)
    write_video(tmp_path / "a.avi", 5)
    video = cached(tmp_path / "cache", RawVideo("a", "train", VideoFile(tmp_path / "a.avi")))
    write_video(tmp_path / "a.avi", 3)
    with pytest.raises(MissingArtifactError, match="image 3 can no longer be read"):
        full_size(video)


def test_a_video_without_files_has_no_full_size_frames(tmp_path: Path):
    with pytest.raises(DataError, match="video x: it has cached frames only"):
        Video("x", "test", np.arange(3), (8, 8), tmp_path).full_size()


def test_the_key_changes_with_the_footage_and_a_block_has_its_video_s(tmp_path: Path):
    write_frames(tmp_path / "01", range(4))
    before = cached(tmp_path / "cache", folder_video(tmp_path / "01"))
    assert before.block(1, 3).key == before.key
    write_frames(tmp_path / "01", [9])
    assert cached(tmp_path / "cache", folder_video(tmp_path / "01")).key != before.key


def test_a_source_starts_anywhere(tmp_path: Path):
    write_frames(tmp_path / "01", [2, 3, 5, 8])
    write_video(tmp_path / "a.avi", 5)
    for source in (ImageFolder.scan(tmp_path / "01"), VideoFile(tmp_path / "a.avi")):
        whole = list(source.read(gray=True, color=True))
        for start in range(5):
            part = list(source.read(gray=True, color=True, start=start))
            assert [frame.number for frame in part] == [frame.number for frame in whole[start:]]
            assert all(np.array_equal(a.gray, b.gray) for a, b in zip(part, whole[start:], strict=True))


def test_put_right_never_changes_its_frame():
    frame = picture(0)
    for flipped, noise in ((False, 0.0), (True, 0.0), (True, 20.0)):
        put_right(frame, flipped, noise, "median")[:] = 0
    assert np.array_equal(frame, picture(0))
    assert put_right(frame[..., 0], True, 0.0, "none").shape == (HEIGHT, WIDTH)


def test_gray_frames_in_the_cache_stay_apart(tmp_path: Path):
    """A video of which only grey frames are cached has colour in full size."""
    write_frames(tmp_path / "01", range(2))
    [one] = FrameCache(tmp_path / "cache").fill([folder_video(tmp_path / "01")], [GRAY], 1.0, 1)
    assert np.array_equal(full_size(one.video)[1], picture(1))
