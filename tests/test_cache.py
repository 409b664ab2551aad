"""The frame cache: exact contents, nothing decoded twice, bad frames treated as documented, kills survived."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.footage import (
    COLOR,
    GRAY,
    HEIGHT,
    SMALL_GRAY,
    WIDTH,
    GeneratedSource,
    encoded,
    folder_video,
    generated,
    picture,
    write_frames,
    write_video,
)
from tests.own_process import in_own_process, peak

from pixelplay.errors import DataError, MissingArtifactError, PixelPlayError
from pixelplay.run.digests import Digests
from pixelplay.videos.cache import CachedVideo, FrameCache, UnreadableVideos, source_key, truth_key
from pixelplay.videos.decoded import bytes_needed, require_space
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.mask_files import MaskFiles
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.sources import Frame
from pixelplay.videos.truth_files import FrameLabels, LabelFile, TrackFile
from pixelplay.videos.video import Video
from pixelplay.videos.video_file import VideoFile

PLAIN = FrameFormat(height=8, width=8, gray=True)
stored = TypeAdapter(Video).dump_json


@dataclass(frozen=True)
class WatchedFolder(ImageFolder):
    """An image folder that writes down what was asked of it."""

    passes: list[tuple[bool, bool]] = field(default_factory=list)  # (gray, color) of each pass over the frames

    def read(self, gray: bool, color: bool) -> Iterator[Frame]:
        self.passes.append((gray, color))
        return super().read(gray, color)


def watched(folder: Path) -> tuple[RawVideo, list[tuple[bool, bool]]]:
    source = WatchedFolder.scan(folder)
    assert isinstance(source, WatchedFolder)
    return RawVideo(folder.name, "train", source), source.passes


def fill(
    cache: Path, videos: list[RawVideo], formats: list[FrameFormat], max_unreadable: float = 1.0, workers: int = 2
) -> list[CachedVideo]:
    return FrameCache(cache).fill(videos, formats, max_unreadable, workers)


def files_below(folder: Path) -> dict[str, bytes]:
    """Contents by name; without the cache's own notes: locks, and digests of the files it was filled from."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".lock" not in path.name]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.name != "digests"}


def resized(image: np.ndarray, form: FrameFormat) -> np.ndarray:
    return cv2.resize(image, (form.width, form.height), interpolation=cv2.INTER_AREA)


# --- contents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
def test_cached_frames_equal_decoding_and_area_resizing_exactly(tmp_path: Path, suffix: str):
    paths = write_frames(tmp_path / "01", range(5), "{:03d}" + suffix)
    [one] = fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY, COLOR])
    gray, color = one.video.frames(GRAY), one.video.frames(COLOR)
    assert (gray.shape, color.shape) == ((5, 12, 16), (5, 10, 14, 3))
    assert gray.dtype == color.dtype == np.uint8
    assert isinstance(gray, np.memmap)
    for t, path in enumerate(paths):
        assert np.array_equal(gray[t], resized(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), GRAY))
        assert np.array_equal(color[t], resized(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1].copy(), COLOR))
    assert (one.video.size, len(one.video), one.problems) == ((WIDTH, HEIGHT), 5, [])


def test_cached_frames_of_a_video_file_equal_decoding_and_area_resizing_exactly(tmp_path: Path):
    write_video(tmp_path / "a.avi", 6)
    [one] = fill(tmp_path / "cache", [RawVideo("a", "train", VideoFile(tmp_path / "a.avi"))], [GRAY, COLOR])
    capture = cv2.VideoCapture(str(tmp_path / "a.avi"))
    for t in range(6):
        _, image = capture.read()
        assert np.array_equal(one.video.frames(GRAY)[t], resized(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), GRAY))
        assert np.array_equal(one.video.frames(COLOR)[t], resized(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), COLOR))
    capture.release()
    assert one.video.numbers.tolist() == list(range(6))


def test_frames_asked_for_at_their_own_size_are_untouched(tmp_path: Path):
    write_frames(tmp_path / "01", range(2))
    own = FrameFormat(height=HEIGHT, width=WIDTH, gray=False)
    [one] = fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [own])
    assert np.array_equal(one.video.frames(own)[1], picture(1))


def test_a_video_carries_its_frame_numbers(tmp_path: Path):
    write_frames(tmp_path / "01", [4, 5, 9])
    for _ in range(2):  # decoded, then found
        [one] = fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY])
        assert one.video.numbers.tolist() == [4, 5, 9]


@pytest.mark.parametrize("count", [1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 10_000])
def test_an_array_s_header_says_its_length_whatever_the_number_of_digits(tmp_path: Path, count: int):
    [one] = fill(tmp_path / "cache", [generated(tmp_path, count)], [PLAIN])
    path = tmp_path / "cache/train/generated/8x8-gray.npy"
    array = np.load(path)
    assert array.shape == (count, 8, 8)
    assert np.array_equal(array[:, 3, 5], np.arange(count) % 251)
    assert path.stat().st_size == 128 + bytes_needed(count, [PLAIN])
    assert len(one.video) == count


@in_own_process
def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path: Path):
    form = FrameFormat(height=64, width=64, gray=False)
    _, short, long = (  # the longer is 10 MB of cache
        peak(fill, tmp_path / f"cache{count}", [generated(tmp_path, count, height=64, width=64)], [form])
        for count in (1, 50, 800)
    )
    assert long < short + 1_000_000, (short, long)


# --- nothing twice --------------------------------------------------------------------------------------------------


def test_each_file_is_decoded_once_for_each_colour_however_many_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_frames(tmp_path / "01", range(4))
    raw, passes = watched(tmp_path / "01")
    flags: list[int] = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flag: flags.append(flag) or decode(data, flag))
    fill(tmp_path / "cache", [raw], [GRAY, SMALL_GRAY, COLOR])
    assert passes == [(True, True)]
    assert Counter(flags) == {cv2.IMREAD_GRAYSCALE: 4, cv2.IMREAD_COLOR_RGB: 4}


def test_a_second_fill_decodes_nothing_and_gives_the_same(tmp_path: Path):
    write_frames(tmp_path / "01", range(4))
    (tmp_path / "01/002.png").write_bytes(b"damaged")
    raw, passes = watched(tmp_path / "01")
    [first] = fill(tmp_path / "cache", [raw], [GRAY, COLOR])
    before = files_below(tmp_path / "cache")
    [second] = fill(tmp_path / "cache", [raw], [COLOR])
    assert len(passes) == 1
    assert files_below(tmp_path / "cache") == before
    assert stored(second.video) == stored(first.video)
    assert second.problems == first.problems != []


def test_a_changed_added_renamed_or_removed_frame_has_only_its_own_video_decoded_again(tmp_path: Path):
    for name in ("01", "02"):
        write_frames(tmp_path / name, range(4))
    changed = tmp_path / "01/001.png"
    changes = [
        lambda: changed.write_bytes(encoded(".png", seed=77)),
        lambda: write_frames(tmp_path / "01", [4]),
        lambda: (tmp_path / "01/000.png").unlink(),
        lambda: (tmp_path / "01/002.png").rename(tmp_path / "01/020.png"),
    ]
    fill(tmp_path / "cache", [folder_video(tmp_path / name) for name in ("01", "02")], [GRAY, COLOR])
    for change in changes:
        change()
        (one, passes), (two, other_passes) = watched(tmp_path / "01"), watched(tmp_path / "02")
        [done, _] = fill(tmp_path / "cache", [one, two], [GRAY])
        assert (len(passes), len(other_passes)) == (1, 0)
        assert done.video.numbers.tolist() == list(one.source.numbers)
        for t, path in enumerate(one.source.files()):
            assert np.array_equal(done.video.frames(GRAY)[t], resized(cv2.imread(str(path), 0), GRAY))
        with pytest.raises(MissingArtifactError, match=r"14x10-rgb\.npy"):  # the old frames in colour are gone, too
            done.video.frames(COLOR)
        fill(tmp_path / "cache", [one], [COLOR])


def test_a_frame_that_changes_while_its_video_is_decoded_is_decoded_again_next_time(tmp_path: Path):
    write_frames(tmp_path / "01", range(4))
    raw, passes = watched(tmp_path / "01")

    def change_the_first(frames: int) -> None:
        (tmp_path / "01/000.png").write_bytes(encoded(".png", seed=88) + b"longer")

    FrameCache(tmp_path / "cache").fill([raw], [GRAY], 1.0, 1, change_the_first)
    [one] = fill(tmp_path / "cache", [raw], [GRAY])
    assert len(passes) == 2
    assert np.array_equal(one.video.frames(GRAY)[0], resized(cv2.imread(str(tmp_path / "01/000.png"), 0), GRAY))


def test_a_new_size_is_added_without_touching_the_arrays_that_are_there(tmp_path: Path):
    write_frames(tmp_path / "01", range(4))
    raw, passes = watched(tmp_path / "01")
    fill(tmp_path / "cache", [raw], [COLOR])
    array = tmp_path / "cache/train/01/14x10-rgb.npy"
    before = (array.stat().st_ino, array.stat().st_mtime_ns)
    [one] = fill(tmp_path / "cache", [raw], [COLOR, GRAY])
    assert passes == [(False, True), (True, False)]
    assert (array.stat().st_ino, array.stat().st_mtime_ns) == before
    assert np.array_equal(one.video.frames(GRAY)[3], resized(cv2.imread(str(tmp_path / "01/003.png"), 0), GRAY))


def test_the_same_name_in_both_splits_is_two_videos(tmp_path: Path):
    write_frames(tmp_path / "train/01", range(3), seed=1)
    write_frames(tmp_path / "test/01", range(3), seed=2)
    videos = [folder_video(tmp_path / split / "01", split) for split in ("train", "test")]
    train, test = fill(tmp_path / "cache", videos, [GRAY])
    assert not np.array_equal(train.video.frames(GRAY), test.video.frames(GRAY))


def test_several_workers_give_the_same_bytes_as_one_and_keep_the_order(tmp_path: Path):
    videos = []
    for i, count in enumerate((3, 9, 1, 6, 5)):
        write_frames(tmp_path / f"{i}", range(count), seed=i)
        videos.append(folder_video(tmp_path / f"{i}"))
    (tmp_path / "1/004.png").write_bytes(b"")
    one = fill(tmp_path / "one", videos, [GRAY, COLOR], workers=1)
    many = fill(tmp_path / "many", videos, [GRAY, COLOR], workers=4)
    assert files_below(tmp_path / "one") == files_below(tmp_path / "many")
    assert [len(cached.video) for cached in many] == [3, 9, 1, 6, 5]
    assert [cached.problems for cached in one] == [cached.problems for cached in many]


def test_progress_counts_every_decoded_frame_and_no_cached_one(tmp_path: Path):
    write_frames(tmp_path / "01", range(4))
    videos, counted = [folder_video(tmp_path / "01")], []
    FrameCache(tmp_path / "cache").fill(videos, [GRAY], 1.0, 1, counted.append)
    assert sum(counted) == 4
    FrameCache(tmp_path / "cache").fill(videos, [GRAY], 1.0, 1, counted.append)
    assert sum(counted) == 4


def with_truth(folder: Path) -> RawVideo:
    """A video of 2 frames with a label file, a folder of masks and a track file."""
    write_frames(folder / "01", range(2))
    write_frames(folder / "masks", range(2))
    for name in ("labels.csv", "tracks.csv"):
        (folder / name).write_text("a")
    return with_changes(
        folder_video(folder / "01"),
        labels=LabelFile(folder / "labels.csv", lambda: FrameLabels(Path(), np.arange(0), np.arange(0))),
        masks=MaskFiles("images", str(folder / "masks"), {}),
        tracks=TrackFile(folder / "tracks.csv"),
    )


def rewritten(path: Path, content: bytes) -> None:
    """Other contents of the same length under the same times, as when another archive is unpacked in its place."""
    before = path.stat()
    assert len(content) == before.st_size and content != path.read_bytes()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def keys_of(raw: RawVideo, folder: Path) -> tuple[str, str]:
    """As a new process finds them."""
    digests = Digests(folder / "digests")
    return source_key(raw, digests), truth_key(raw, digests)


def test_the_truth_key_changes_with_label_and_mask_files_and_the_source_key_does_not(tmp_path: Path):
    raw = with_truth(tmp_path)
    bare = with_changes(raw, labels=None, masks=None, tracks=None)
    keys = [keys_of(bare, tmp_path), keys_of(with_changes(raw, tracks=None), tmp_path), keys_of(raw, tmp_path)]
    (tmp_path / "labels.csv").write_text("ab")
    keys.append(keys_of(raw, tmp_path))
    (tmp_path / "masks/001.png").unlink()
    keys.append(keys_of(raw, tmp_path))
    assert len({truth for _, truth in keys}) == len(keys)
    assert len({source for source, _ in keys}) == 1
    assert keys_of(raw, tmp_path) == keys[-1]


@pytest.mark.parametrize(
    "name, changed", [("01/001.png", 0), ("masks/000.png", 1), ("labels.csv", 1), ("tracks.csv", 1)]
)
def test_files_replaced_under_the_same_size_and_times_are_noticed(tmp_path: Path, name: str, changed: int):
    raw, path = with_truth(tmp_path), tmp_path / name
    before = keys_of(raw, tmp_path)
    rewritten(path, path.read_bytes()[:-1] + b"!")
    after = keys_of(raw, tmp_path)
    assert [one != other for one, other in zip(before, after, strict=True)] == [changed == 0, changed == 1]


def test_times_and_places_of_frames_do_not_matter(tmp_path: Path):
    write_frames(tmp_path / "here/01", range(2))
    before = source_key(folder_video(tmp_path / "here/01"), Digests(tmp_path / "digests"))
    os.utime(tmp_path / "here/01/000.png", ns=(1, 1))
    (tmp_path / "here").rename(tmp_path / "there")
    assert source_key(folder_video(tmp_path / "there/01"), Digests(tmp_path / "digests")) == before


def test_two_videos_swapped_where_all_sizes_and_times_are_equal_are_both_decoded_again(tmp_path: Path):
    form = FrameFormat(height=HEIGHT, width=WIDTH, gray=True)
    for name, seed in (("01", 1), ("02", 2)):
        for path in write_frames(tmp_path / name, range(3), "{:03d}.bmp", seed=seed):
            os.utime(path, (5, 5))
    fill(tmp_path / "cache", [folder_video(tmp_path / name) for name in ("01", "02")], [form])
    first = np.load(tmp_path / "cache/train/01/64x48-gray.npy")
    for old, new in (("01", "03"), ("02", "01"), ("03", "02")):
        (tmp_path / old).rename(tmp_path / new)
    one, two = fill(tmp_path / "cache", [folder_video(tmp_path / name) for name in ("01", "02")], [form])
    assert np.array_equal(two.video.frames(form), first)
    assert not np.array_equal(one.video.frames(form), first)


# --- bad frames -----------------------------------------------------------------------------------------------------


def nearest_readable(position: int, readable: list[int]) -> int:
    return min(readable, key=lambda other: (abs(other - position), other))  # of two as near, the earlier


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12).filter(any))
def test_an_unreadable_frame_is_its_nearest_readable_neighbour_and_the_earlier_of_two(
    tmp_path_factory: pytest.TempPathFactory, readable: list[bool]
):
    folder = tmp_path_factory.mktemp("gaps")
    unreadable = frozenset(t for t, good in enumerate(readable) if not good)
    [one] = fill(folder / "cache", [generated(folder, len(readable), unreadable=unreadable)], [PLAIN])
    good = [t for t, is_good in enumerate(readable) if is_good]
    expected = [nearest_readable(t, good) for t in range(len(readable))]
    assert one.video.frames(PLAIN)[:, 0, 0].tolist() == expected
    assert [problem.number for problem in one.problems] == sorted(unreadable)


def test_unreadable_frames_are_listed_with_their_names_and_reasons(tmp_path: Path):
    paths = write_frames(tmp_path / "01", [10, 11, 12, 13, 14], "{}.jpg")
    paths[1].write_bytes(paths[1].read_bytes()[:-200])
    paths[3].write_bytes(b"")
    paths[4].write_bytes(b"text")
    [one] = fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY, COLOR])
    found = [(p.split, p.video, p.number, p.name, p.problem) for p in one.problems]
    assert found == [
        ("train", "01", 11, "11.jpg", "truncated file"),
        ("train", "01", 13, "13.jpg", "empty file"),
        ("train", "01", 14, "14.jpg", "cannot be decoded"),
    ]
    assert {problem.treatment for problem in one.problems} == {"replaced by its nearest readable neighbour"}
    assert one.video.numbers.tolist() == [10, 11, 12, 13, 14]
    for form in (GRAY, COLOR):
        frames = one.video.frames(form)
        assert np.array_equal(frames[1], frames[0]) and np.array_equal(frames[4], frames[2])


@pytest.mark.parametrize("limit, stops", [(0.39, True), (0.4, False)])
def test_more_unreadable_frames_than_allowed_stop_the_fill(tmp_path: Path, limit: float, stops: bool):
    for path in write_frames(tmp_path / "01", range(5))[:2]:
        path.write_bytes(b"")
    if not stops:
        assert len(fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY], limit)[0].problems) == 2
        return
    with pytest.raises(
        DataError, match=r"video 01 .*2 of 5 frames.*000\.png: empty file.*dataset\.max_unreadable=0\.39"
    ):
        fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY], limit)


def test_a_video_that_a_laxer_run_has_cached_stops_a_stricter_one(tmp_path: Path):
    for path in write_frames(tmp_path / "01", range(5))[:2]:
        path.write_bytes(b"")
    fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY], 0.5)
    with pytest.raises(DataError, match=r"2 of 5 frames.*dataset\.max_unreadable=0\.1"):
        fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY], 0.1)


def test_without_any_size_a_video_still_has_its_numbers_its_size_and_its_problems(tmp_path: Path):
    write_frames(tmp_path / "01", [4, 5, 7])[1].write_bytes(b"")
    for _ in range(2):
        [one] = fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [])
        assert (one.video.numbers.tolist(), one.video.size) == ([4, 5, 7], (WIDTH, HEIGHT))
        assert [problem.number for problem in one.problems] == [5]


def test_a_video_without_a_readable_frame_stops_the_fill(tmp_path: Path):
    for path in write_frames(tmp_path / "01", range(3)):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"video 01 .*no readable frame: empty file"):
        fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY], 1.0)
    assert files_below(tmp_path / "cache") == {}


@pytest.mark.parametrize("odd", [0, 2])
def test_a_frame_of_another_size_is_resized_like_the_others_and_listed(tmp_path: Path, odd: int):
    paths = write_frames(tmp_path / "01", range(4))
    paths[odd].write_bytes(encoded(".png", image=picture(9, 50, 30)))
    [one] = fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [COLOR])
    [problem] = one.problems
    assert (problem.number, problem.problem) == (odd, "50x30 pixels, most are 64x48")
    assert problem.treatment == "resized like the others"
    assert one.video.size == (64, 48)
    assert np.array_equal(one.video.frames(COLOR)[odd], resized(picture(9, 50, 30), COLOR))


def test_what_is_left_of_a_video_cut_short_is_read_whatever_its_header_announces(tmp_path: Path):
    write_video(tmp_path / "a.avi", 30)
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "a.avi").write_bytes(data[: len(data) // 2])
    raw = RawVideo("a", "test", VideoFile(tmp_path / "a.avi"))
    [one] = fill(tmp_path / "cache", [raw], [GRAY], 0.1)
    count = len(one.video)
    assert 10 < count < 20
    assert [(p.number, p.problem) for p in one.problems] == [
        (-1, f"its header announces 30 frames, {count} are in it"),
        (count - 1, "damaged (a part of its data is missing)"),
    ]


# --- interruptions --------------------------------------------------------------------------------------------------


class FullDisk(GeneratedSource):
    """A source whose frames cannot be read for a reason of the machine's, not of the video's."""

    def read(self, gray: bool, color: bool, start: int = 0) -> Iterator[Frame]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Interrupted(Exception):
    """Raised by a test in the middle of a fill."""


def test_an_interrupted_fill_leaves_no_half_written_array_and_the_next_completes_it(tmp_path: Path):
    for name in ("01", "02"):
        write_frames(tmp_path / name, range(6))
    videos, counted = [folder_video(tmp_path / name) for name in ("01", "02")], []

    def interrupt(frames: int) -> None:
        counted.append(frames)
        if len(counted) == 9:  # in the middle of the second video
            raise Interrupted

    with pytest.raises(Interrupted):
        FrameCache(tmp_path / "cache").fill(videos, [GRAY, COLOR], 1.0, 1, interrupt)
    assert sorted(files_below(tmp_path / "cache")) == [
        f"train/01/{name}" for name in ("14x10-rgb.npy", "16x12-gray.npy", "decoded.json")
    ]
    (one, passes), (two, other_passes) = watched(tmp_path / "01"), watched(tmp_path / "02")
    fill(tmp_path / "cache", [one, two], [GRAY, COLOR])
    assert (len(passes), len(other_passes)) == (0, 1)
    fill(tmp_path / "whole", videos, [GRAY, COLOR])
    assert files_below(tmp_path / "cache") == files_below(tmp_path / "whole")


def test_unreadable_videos_are_named_together_once_the_others_are_cached(tmp_path: Path):
    (tmp_path / "source").touch()
    good = RawVideo("good", "train", GeneratedSource(tmp_path / "source", 40))
    none = RawVideo("none", "train", GeneratedSource(tmp_path / "source", 1, unreadable=frozenset({0})))
    half = RawVideo("half", "test", GeneratedSource(tmp_path / "source", 4, unreadable=frozenset({0, 1})))
    (tmp_path / "cut.mp4").write_bytes(b"cut")
    cut = RawVideo("cut", "test", VideoFile(tmp_path / "cut.mp4"))
    with pytest.raises(UnreadableVideos) as caught:
        fill(tmp_path / "cache", [none, good, half, cut], [PLAIN], 0.4)
    text = str(caught.value)
    assert text.startswith("3 of 4 videos cannot be read:\nvideo none ")
    assert "video half " in text and f"{tmp_path}/cut.mp4: cannot be opened as a video" in text
    assert text.endswith("(dataset.on_unreadable=skip goes on without such videos)")
    assert [one.video.id for one in caught.value.readable] == ["good"]
    assert FrameCache(tmp_path / "cache").find(good, [PLAIN])
    found = [(p.split, p.video, p.number, p.treatment) for p in caught.value.problems]
    assert found == [(s, v, -1, "left out") for s, v in (("train", "none"), ("test", "half"), ("test", "cut"))]


def test_an_error_that_is_not_a_video_s_own_stops_the_others_at_once(tmp_path: Path):
    file = tmp_path / "source"
    file.touch()
    long = RawVideo("long", "train", GeneratedSource(file, 100_000))
    bad = RawVideo("bad", "train", FullDisk(file, 100_000))
    counted: list[int] = []

    def slow(frames: int) -> None:
        counted.append(frames)
        time.sleep(0.001)

    with pytest.raises(OSError, match="No space left"):
        FrameCache(tmp_path / "cache").fill([long, bad], [PLAIN], 1.0, 2, slow)
    assert len(counted) < 5_000
    assert files_below(tmp_path / "cache") == {}


KILLED_FILL = """
import os, signal, sys
from pathlib import Path
from pixelplay.videos.cache import FrameCache
from tests.footage import COLOR, GRAY, folder_video
root, counted = Path(sys.argv[1]), []
def killed(frames):
    counted.append(frames)
    if len(counted) > 8:  # in the middle of the second video
        os.kill(os.getpid(), signal.SIGKILL)
FrameCache(root / "cache").fill([folder_video(root / name) for name in ("01", "02")], [GRAY, COLOR], 1.0, 1, killed)
"""


def test_a_killed_fill_leaves_no_half_written_array_and_the_next_completes_it(tmp_path: Path):
    for name in ("01", "02"):
        write_frames(tmp_path / name, range(6))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED_FILL, str(tmp_path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    left = files_below(tmp_path / "cache")
    assert any(name.endswith(".tmp") for name in left)  # it was killed while it wrote
    assert {name for name in left if name.startswith("train/02/") and not name.endswith(".tmp")} == set()
    (one, passes), (two, other_passes) = watched(tmp_path / "01"), watched(tmp_path / "02")
    fill(tmp_path / "cache", [one, two], [GRAY, COLOR])
    assert (len(passes), len(other_passes)) == (0, 1)
    fill(tmp_path / "whole", [one, two], [GRAY, COLOR])
    assert files_below(tmp_path / "cache") == files_below(tmp_path / "whole")  # the temporary files are gone, too


def test_redecoding_leaves_the_temporary_files_of_another_running_process(tmp_path: Path):
    write_frames(tmp_path / "01", range(3))
    other = tmp_path / f"cache/train/01/.14x10-rgb.npy.{os.getppid()}.tmp"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"half")
    fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY])
    assert other.read_bytes() == b"half"


def damaged_records(whole: bytes) -> Iterator[bytes]:
    """A record in the ways that it may be wrong: no JSON, a flipped bit, another value, or one more or less."""
    yield from (b"", b"{", b"\xff", b"[" * 100_000, b'{"numbers": [' + b"9" * 5000 + b"]}")
    for at in range(0, len(whole), 13):
        yield whole[:at] + bytes([whole[at] | 0x80]) + whole[at + 1 :]
    record = json.loads(whole)
    others = [None, [], {}, 3, "text", {**record, "more": 1}]
    others += [{k: value for k, value in record.items() if k != key} for key in record if key not in ("seconds", "fps")]
    for key, values in {
        "numbers": (None, [], "012", [0, 1], [0, 2, 1], [0, 1, 2**63], [0, 1, 2.5]),
        "size": (None, [64], [64, "48"], [0, 48], [64, 48, 1]),
        "noise": ([1.0], ["a", "b", "c"]),
        "problems": (None, [3], [[1, "a", "b"]], [["1", "a", "b", "c"]]),
    }.items():
        others += [{**record, key: value} for value in values]
    yield from (json.dumps(value).encode() for value in others)


def test_a_damaged_record_has_the_video_decoded_again(tmp_path: Path):
    write_frames(tmp_path / "01", range(3))
    raw, passes = watched(tmp_path / "01")
    [first] = fill(tmp_path / "cache", [raw], [GRAY])
    path = tmp_path / "cache/train/01/decoded.json"
    whole = path.read_bytes()
    for i, content in enumerate(damaged_records(whole)):
        path.write_bytes(content)
        [second] = fill(tmp_path / "cache", [raw], [GRAY])
        assert (len(passes), path.read_bytes()) == (2 + i, whole), content[:200]
        assert stored(second.video) == stored(first.video)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FIVE = np.zeros((5, 12, 16), np.uint8)  # what a video of five frames has in GRAY
DAMAGES = {
    "empty": lambda whole: b"",
    "header alone": lambda whole: whole[:128],
    "cut in the header": lambda whole: whole[:70],
    "cut in a frame": lambda whole: whole[:-1],
    "longer": lambda whole: whole + b"\0",
    "one frame short": lambda whole: npy(FIVE[:4]),
    "one frame more": lambda whole: npy(np.zeros((6, 12, 16), np.uint8)),
    "turned": lambda whole: npy(np.zeros((5, 16, 12), np.uint8)),
    "flat": lambda whole: npy(FIVE.ravel()),
    "no axis": lambda whole: npy(np.uint8(0)),
    "int8": lambda whole: npy(FIVE.astype(np.int8)),
    "by columns": lambda whole: npy(np.asfortranarray(FIVE)),
    "another version": lambda whole: whole[:6] + b"\2" + whole[7:],
    "no dictionary": lambda whole: whole.replace(b"{'descr", b"['descr"),
    "a high bit": lambda whole: whole[:20] + b"\xe4" + whole[21:],
    "negative": lambda whole: whole.replace(b"(5, 12", b"(-5,12"),
    "something else": lambda whole: b"\x89PNG" + bytes(1000),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_array_is_not_held_and_is_decoded_again(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture):
    write_frames(tmp_path / "01", range(5))
    raw, passes = watched(tmp_path / "01")
    [one] = fill(tmp_path / "cache", [raw], [GRAY, COLOR])
    path, other = (tmp_path / "cache/train/01" / name for name in ("16x12-gray.npy", "14x10-rgb.npy"))
    whole, untouched = path.read_bytes(), other.stat().st_mtime_ns
    path.write_bytes(DAMAGES[name](whole))
    assert not FrameCache(tmp_path / "cache").find(raw, [GRAY])
    assert FrameCache(tmp_path / "cache").find(raw, [COLOR])
    if name != "one frame more":
        with pytest.raises(MissingArtifactError, match=r"16x12-gray\.npy (is damaged|holds 4 frames).*src/prepare\.py"):
            one.video.frames(GRAY)
    fill(tmp_path / "cache", [raw], [GRAY, COLOR])
    assert passes == [(True, True), (True, False)]
    assert (path.read_bytes(), other.stat().st_mtime_ns) == (whole, untouched)
    assert f"{path} is damaged: decoded again" in caplog.text
    assert FrameCache(tmp_path / "cache").find(raw, [COLOR, GRAY])


# --- disk -----------------------------------------------------------------------------------------------------------


def test_the_space_needed_is_the_size_of_the_arrays():
    assert bytes_needed(10, [GRAY, COLOR]) == 10 * (12 * 16 + 10 * 14 * 3)
    assert bytes_needed(10, []) == 0


def test_a_disk_that_is_too_small_is_refused_before_any_work(tmp_path: Path):
    assert require_space(tmp_path, 1, "paths.cache") > 1
    with pytest.raises(PixelPlayError, match=r"MB are needed.*paths\.cache=FOLDER"):
        require_space(tmp_path, 2**60, "paths.cache")


def test_a_video_whose_array_is_gone_or_too_short_says_what_to_run(tmp_path: Path):
    write_frames(tmp_path / "01", range(5))
    [old] = fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY])
    (tmp_path / "01/004.png").unlink()
    fill(tmp_path / "cache", [folder_video(tmp_path / "01")], [GRAY])
    with pytest.raises(MissingArtifactError, match=r"holds 4 frames, not 5.*src/prepare\.py"):
        old.video.frames(GRAY)
    with pytest.raises(MissingArtifactError, match=r"14x10-rgb\.npy is missing: run `python src/prepare\.py`"):
        old.video.frames(COLOR)
