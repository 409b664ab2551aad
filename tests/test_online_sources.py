"""Sources of online inference: pixels, numbers and times are true, whatever is dropped, cut, stalled or damaged."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pytest
from tests.footage import encoded, picture, write_frames
from tests.streams import Served, jpeg_chunks, number_of, online, serving, shade, ts_chunks, web_server
from tests.video_writers import damage, write_coded

from pixelplay.errors import ConfigError, DataError, FootageError
from pixelplay.online.capture import ROOM, Capture
from pixelplay.online.feeds import About, Camera, Picture
from pixelplay.online.frame import Arrived
from pixelplay.online.reconnecting import Clock
from pixelplay.online.sources import hidden, of_arrays, open_source
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.video_file import VideoFile

SHADES = [shade(number) for number in range(42)]  # twice those that differ: sent over and over, they tell numbers
FPS = 50.0


@pytest.fixture(scope="module")
def mpeg() -> list[bytes]:
    return ts_chunks(SHADES, FPS)


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    end = time.monotonic() + 60
    while any(thread.name.startswith("frames of") for thread in threading.enumerate()):
        assert time.monotonic() < end, "a thread still reads"
        time.sleep(0.01)


def take(source: Capture, count: int, pause: float = 0.0) -> list[Arrived]:
    found = []
    for frame in source:
        found.append(frame)
        if len(found) == count:
            break
        time.sleep(pause)
    return found


# Files


def test_a_file_gives_the_frames_numbers_and_times_that_prepare_decodes(tmp_path: Path):
    write_coded(tmp_path / "walk.mp4", [0, 1, 2, 5, 6, 7])
    with open_source(str(tmp_path / "walk.mp4"), online(), 30.0) as source:
        frames = list(source)
        assert (source.about.name, source.about.live, source.size) == ("walk", False, (64, 48))
        assert source.about.fps == VideoFile(tmp_path / "walk.mp4").fps() == pytest.approx(25.0)
    assert [frame.number for frame in frames] == [0, 1, 2, 5, 6, 7]
    assert [frame.seconds for frame in frames] == [0.0, 0.04, 0.08, 0.2, 0.24, 0.28]
    for frame, own in zip(frames, VideoFile(tmp_path / "walk.mp4").read(gray=True, color=True), strict=True):
        np.testing.assert_array_equal(frame.image, own.color)
        np.testing.assert_array_equal(frame.gray, own.gray)
    assert not any(frame.dropped or frame.restart for frame in frames)


def test_a_folder_of_frames_has_its_numbers_and_the_times_of_a_given_rate(tmp_path: Path):
    write_frames(tmp_path / "walk", [3, 4, 8], "{:03d}.jpg")
    with open_source(str(tmp_path / "walk"), online(fps=None), 10.0) as source:
        frames = list(source)
        assert source.about.fps is None
    assert [(frame.number, frame.seconds) for frame in frames] == [(3, 0.3), (4, 0.4), (8, 0.8)]
    for frame, own in zip(frames, ImageFolder.scan(tmp_path / "walk").read(gray=True, color=True), strict=True):
        np.testing.assert_array_equal(frame.image, own.color)
        np.testing.assert_array_equal(frame.gray, own.gray)  # decoded as grey: not what colour would give
    with open_source(str(tmp_path / "walk"), online(fps=20.0), 10.0) as source:
        assert [frame.seconds for frame in source] == [0.15, 0.2, 0.4]


def test_a_damaged_frame_looks_like_the_one_before_and_those_before_any_are_left_out(tmp_path: Path, caplog):
    paths = write_frames(tmp_path / "walk", range(5))
    for damaged in (paths[0], paths[2], paths[3]):
        damaged.write_bytes(b"no image")
    with open_source(str(tmp_path / "walk"), online(), 10.0) as source:
        frames = list(source)
    assert [frame.number for frame in frames] == [1, 2, 3, 4]
    for frame, shown in zip(frames, (1, 1, 1, 4), strict=True):
        np.testing.assert_array_equal(frame.image, picture(shown))
    assert "000.png: shown as the frame before" in caplog.text and ": 3 frames" in caplog.text


def test_a_damaged_packet_of_a_file_keeps_its_place(tmp_path: Path):
    write_coded(tmp_path / "walk.avi", range(4), codec="mjpeg")
    damage(tmp_path / "walk.avi", 2)
    with open_source(str(tmp_path / "walk.avi"), online(), 10.0) as source:
        frames = list(source)
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    np.testing.assert_array_equal(frames[2].image, frames[1].image)


def test_frames_of_another_size_are_brought_to_the_first_ones(tmp_path: Path, caplog):
    write_frames(tmp_path / "walk", range(2))
    (tmp_path / "walk/002.png").write_bytes(encoded(".png", image=picture(2, 32, 24)))
    with open_source(str(tmp_path / "walk"), online(), 10.0) as source:
        assert [frame.image.shape for frame in source] == [(48, 64, 3)] * 3
    assert "002.png: resized to 64x48 pixels" in caplog.text


def test_what_can_not_be_read_is_an_error_before_anything_starts(tmp_path: Path):
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk/000.png").write_bytes(b"no image")
    with pytest.raises(FootageError, match="no readable frame"):
        open_source(str(tmp_path / "walk"), online(), 10.0)
    with pytest.raises(DataError, match="no such file"):
        open_source(str(tmp_path / "none.mp4"), online(), 10.0)
    for name in ("a", "b"):
        write_frames(tmp_path / "several" / name, range(2))
    with pytest.raises(DataError, match="2 videos"):
        open_source(str(tmp_path / "several"), online(), 10.0)


def test_a_playlist_that_is_called_a_video_opens_no_other_file(tmp_path: Path):
    write_coded(tmp_path / "secret.ts", range(3))
    (tmp_path / "list.ts").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(FootageError, match=r"list\.ts"):
        open_source(str(tmp_path / "list.ts"), online(), 10.0)


# Policies


def test_with_all_a_file_waits_for_its_reader(tmp_path: Path):
    read: list[int] = []

    def frames(_: threading.Event) -> Iterator[Arrived]:
        for number in range(3 * ROOM):
            read.append(number)
            yield Arrived(number, number / FPS, shade(number))

    with Capture(About("walk", "walk", FPS, live=False), frames, "all") as source:
        time.sleep(0.2)
        assert len(read) <= ROOM + 1
        assert [frame.number for frame in source] == list(range(3 * ROOM))


def test_the_newest_frame_replaces_those_that_wait_which_are_counted(mpeg: list[bytes]):
    with serving(Served(mpeg, "ts", FPS)) as address, open_source(address, online(), 25.0) as source:
        assert source.about.live and source.about.fps == FPS and source.size == (64, 48)
        frames = take(source, 8, pause=0.07)
    assert sum(frame.dropped for frame in frames) >= 8
    assert frames[0].dropped == 0  # there is no frame before the first to be late for
    for before, after in pairwise(frames):
        assert after.number == before.number + after.dropped + 1
        assert after.seconds - before.seconds == pytest.approx((after.dropped + 1) / FPS, abs=1e-4)
        assert (number_of(after.image) - number_of(before.image)) % 21 == (after.dropped + 1) % 21
    assert time.monotonic() - frames[-1].at < 30


def test_with_all_a_stream_loses_nothing(mpeg: list[bytes]):
    with (
        serving(Served(mpeg, "ts", FPS)) as address,
        open_source(address, online(keep_up="all"), 25.0) as source,
    ):
        frames = take(source, 12, pause=0.04)
    assert [frame.number for frame in frames] == list(range(12))
    assert not any(frame.dropped for frame in frames)


def test_with_latest_a_file_is_played_at_its_own_pace(tmp_path: Path):
    write_coded(tmp_path / "walk.mp4", range(12))  # 0.48 s
    start = time.monotonic()
    with open_source(str(tmp_path / "walk.mp4"), online(keep_up="latest"), 10.0) as source:
        first, *others = take(source, 99, pause=0.1)
    assert time.monotonic() - start > 0.44
    assert first.dropped == 0 and others[-1].number == 11
    assert sum(frame.dropped for frame in others) == 11 - first.number - len(others) > 0


# Gaps


def test_after_a_short_gap_numbers_go_on_by_the_time_that_has_passed(mpeg: list[bytes], caplog):
    served = Served(mpeg, "ts", FPS)
    with serving(served) as address, open_source(address, online(keep_up="all"), 25.0) as source:
        before = take(source, 10)
        served.refuse.set()
        served.hang_up.set()
        time.sleep(0.4)
        served.refuse.clear()
        frames = before + take(source, 30)
    jumps = [(a, b) for a, b in pairwise(frames) if b.number > a.number + 1]
    assert len(jumps) == 1 and not any(frame.restart for frame in frames)
    ((last, first),) = jumps
    assert first.seconds - last.seconds == pytest.approx(first.at - last.at, abs=1e-4)
    assert first.number - last.number == round((first.at - last.at) * FPS)
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2  # the gap and its end, however many tries it took
    assert "trying to connect again" in told[0] and told[1].endswith("tracks and detectors go on")


def test_after_a_long_gap_everything_begins_anew(mpeg: list[bytes], caplog):
    served = Served(mpeg, "ts", FPS)
    settings = online(keep_up="all", reconnect={"keep_state": 0.1, "backoff": 0.2})
    with serving(served) as address, open_source(address, settings, 25.0) as source:
        before = take(source, 5)
        served.hang_up.set()
        after = take(source, 40)
    assert [frame.restart for frame in before + after].count(True) == 1
    numbers = [frame.number for frame in before + after]
    assert numbers == sorted(set(numbers)) and "begin anew" in caplog.text


def test_a_stream_that_stays_silent_counts_as_cut(mpeg: list[bytes]):
    served = Served(mpeg, "ts", FPS)
    with serving(served) as address, open_source(address, online(reconnect={"timeout": 1.0}), 25.0) as source:
        take(source, 5)
        served.stall.set()
        while served.visits < 2:
            time.sleep(0.01)
        served.stall.clear()
        assert take(source, 60)
    assert served.visits >= 2


def test_where_no_try_helps_it_ends_with_an_error_after_all_frames(mpeg: list[bytes]):
    served = Served(mpeg, "ts", FPS, again=False)
    settings = online(keep_up="all", reconnect={"attempts": 2})
    with serving(served) as address, open_source(address, settings, 25.0) as source:
        frames = take(source, 20)
        served.refuse.set()
        with pytest.raises(FootageError, match=r"no frame after 2 tries .*attempts"):
            for frame in source:
                frames.append(frame)
        assert list(source) == []
    assert [frame.number for frame in frames] == list(range(42))


def test_frames_of_another_size_after_a_gap_begin_anew(mpeg: list[bytes], caplog):
    served = Served(mpeg, "ts", FPS)
    with serving(served) as address, open_source(address, online(keep_up="all"), 25.0) as source:
        take(source, 5)
        served.chunks = ts_chunks([shade(number, 96, 72) for number in range(42)], FPS)
        served.hang_up.set()
        frames = take(source, 40)
    changed = next(frame for frame in frames if frame.image.shape == (72, 96, 3))
    assert changed.restart and [frame.restart for frame in frames].count(True) == 1
    assert "64x48 to 96x72 pixels" in caplog.text


def test_motion_jpeg_has_the_times_of_its_arrival():
    chunks = jpeg_chunks(SHADES)
    with serving(Served(chunks, "mjpeg", FPS)) as address, open_source(address, online(), 25.0) as source:
        frames = take(source, 20)
        assert source.about.fps is None
    assert [number_of(frame.image) for frame in frames] == [frame.number % 21 for frame in frames]
    assert frames[-1].seconds - frames[5].seconds == pytest.approx(frames[-1].at - frames[5].at, abs=1e-3)


def test_the_clock_of_a_stream_by_hand():
    clock, image = Clock("x", 10.0, keep_state=5.0), shade(0)

    def at(arrival: float, stamp: float | None, damaged: bool = False) -> tuple[int, float, bool] | None:
        found = clock.arrived(Picture(None if damaged else image, stamp, arrival))
        return None if found is None else (found.number, found.seconds, found.restart)

    assert at(0.0, 7.0, damaged=True) is None  # joined between two keyframes
    assert at(0.1, 7.1) == (0, 0.0, False)
    assert at(0.15, 7.2) == (1, 0.1, False)  # its timestamp, not its arrival
    assert at(0.3, 7.3, damaged=True) == (2, 0.2, False)
    assert at(0.4, 7.6) == (3, 0.5, False)  # a slower camera: no frame is missing
    assert at(2.4, 9.6) == (23, 2.5, False)  # frames were lost
    assert at(2.5, 99.0) == (24, 2.6, False)  # its clock was set
    assert at(2.6, 98.0) == (25, 2.7, False)  # and again
    clock.cut()
    assert at(3.5, 0.0) == (34, 3.6, False)
    clock.cut()
    assert at(9.5, 50.0) == (94, 9.6, True)
    assert at(9.6, 50.1) == (95, 9.7, False)


# What does not open


def test_a_camera_that_is_not_there_is_an_error():
    with pytest.raises(FootageError, match="camera 77: cannot be opened"):
        open_source("77", online(), 25.0)


def test_a_camera_gives_rgb_and_ends_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file stands for a camera: to OpenCV they are alike."""
    write_coded(tmp_path / "walk.avi", range(4), codec="mjpeg")
    file = cv2.VideoCapture(str(tmp_path / "walk.avi"))
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: file)
    connection = Camera(0).open()
    assert connection.live and connection.fps == 25.0
    for own in VideoFile(tmp_path / "walk.avi").read(gray=False, color=True):
        np.testing.assert_array_equal(next(connection.pictures).image, own.color)
    with pytest.raises(FootageError, match="no frame"):
        next(connection.pictures)
    connection.close()


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://me:pass@cam/live", "rtsp://me:***@cam/live"),
        ("rtsp://me:pa@s/s@cam:554/live?key=1", "rtsp://me:***@cam:554/live?***"),
        ("http://token@cam/live", "http://***@cam/live"),
        ("http://cam/live.ts?user=me&pwd=pass", "http://cam/live.ts?***"),
        ("https://cam:8443/live", "https://cam:8443/live"),
        ("videos/me@home?.mp4", "videos/me@home?.mp4"),
        ("0", "0"),
    ],
)
def test_passwords_are_hidden(source: str, shown: str):
    assert hidden(source) == shown


@pytest.mark.parametrize("scheme", ["file", "udp", "rtmp", "concat", "ftp", "rtsp+tcp"])
def test_only_streams_and_web_servers_are_addresses(scheme: str):
    with pytest.raises(ConfigError, match=r"allowed: rtsp://, rtsps://, http://, https://") as error:
        open_source(f"{scheme}://me:secret@127.0.0.1/etc/passwd", online(), 25.0)
    assert "secret" not in str(error.value)


@pytest.mark.usefixtures("_password")
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_refused_connection_is_an_error_without_its_password(scheme: str, caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(FootageError, match=rf"{scheme}://me:\*\*\*@127\.0\.0\.1:{port}/live: .*refused") as error:
        open_source(f"{scheme}://me:$PIXELPLAY_PASSWORD@127.0.0.1:{port}/live", online(), 25.0)
    assert "tops3cret" not in str(error.value) + caplog.text


@pytest.fixture
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELPLAY_PASSWORD", "tops3cret/@:")


@pytest.mark.usefixtures("_password")
def test_a_password_comes_from_the_environment_and_reaches_the_server_as_it_is(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, received = server.getsockname()[1], []

        def answer() -> None:
            connection, _ = server.accept()
            received.append(connection.recv(4096).decode())
            connection.sendall(b"HTTP/1.0 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
            connection.close()
            connection, _ = server.accept()
            received.append(connection.recv(4096).decode())
            connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(FootageError):
            open_source(f"http://me:$PIXELPLAY_PASSWORD@127.0.0.1:{port}/x", online(), 25.0)
        thread.join(30)
    assert "bWU6dG9wczNjcmV0L0A6" in "".join(received)  # base64 of me:tops3cret/@:
    monkeypatch.delenv("PIXELPLAY_PASSWORD")
    with pytest.raises(ConfigError, match="PIXELPLAY_PASSWORD is not set"):
        open_source("rtsp://me:$PIXELPLAY_PASSWORD@cam/live", online(), 25.0)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_server_that_says_nothing_is_given_up_in_time(scheme: str):
    with socket.create_server(("127.0.0.1", 0)) as server:
        start = time.monotonic()
        with pytest.raises(FootageError, match=r"no answer within 0\.3 s"):
            open_source(
                f"{scheme}://127.0.0.1:{server.getsockname()[1]}/live", online(reconnect={"timeout": 0.3}), 25.0
            )
    assert time.monotonic() - start < 30


@contextmanager
def folder_served(folder: Path, missing: int = 0) -> Iterator[str]:
    """The address of a web server; missing: so many bytes that it announces do not come."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:
            outputfile.write(source.read()[: -missing or None])

        def do_GET(self) -> None:
            if self.path == "/moved.mp4":
                self.send_response(302)
                self.send_header("Location", f"file://{folder}/walk.mp4")
                self.end_headers()
            else:
                super().do_GET()

    with web_server(partial(Handler, directory=str(folder))) as address:
        yield address


def test_a_file_on_a_web_server_ends_like_any_file(tmp_path: Path):
    write_coded(tmp_path / "walk.mp4", range(30))
    with folder_served(tmp_path) as address, open_source(f"{address}/walk.mp4", online(), 10.0) as source:
        assert not source.about.live and source.keep_up == "all" and source.about.name.endswith("-walk.mp4")
        frames = take(source, 99, pause=0.001)
    assert [frame.number for frame in frames] == list(range(30))
    own = [frame.color for frame in VideoFile(tmp_path / "walk.mp4").read(gray=False, color=True)]
    np.testing.assert_array_equal([frame.image for frame in frames], own)


def test_a_file_on_a_web_server_that_breaks_off_is_an_error_after_its_frames(tmp_path: Path):
    write_coded(tmp_path / "walk.avi", range(60), codec="mjpeg")
    (tmp_path / "half.avi").write_bytes((tmp_path / "walk.avi").read_bytes()[: 2**16])
    with folder_served(tmp_path, missing=2**15) as address:
        source = open_source(f"{address}/half.avi", online(), 10.0)
        assert not source.about.live
        frames = []
        with source, pytest.raises(FootageError, match=r"half\.avi: broken off after \d+ frames"):
            for frame in source:
                frames.append(frame.number)
    assert frames == list(range(len(frames))) and frames


@pytest.mark.parametrize("name", ["list.m3u8", "moved.mp4"])
def test_a_server_can_not_make_files_of_this_machine_open(name: str, tmp_path: Path):
    write_coded(tmp_path / "walk.mp4", range(30))
    write_coded(tmp_path / "part.ts", range(30))
    entries = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nfile://{tmp_path}/part.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(entries)
    with folder_served(tmp_path) as address, pytest.raises(FootageError):
        open_source(f"{address}/{name}", online(), 10.0)


def test_closing_does_not_wait_for_a_silent_server(mpeg: list[bytes]):
    served = Served(mpeg, "ts", FPS)
    with serving(served) as address:
        source = open_source(address, online(reconnect={"timeout": 100.0}), 25.0)
        take(source, 3)
        served.stall.set()
        time.sleep(0.1)
        start = time.monotonic()
        source.close()
        assert time.monotonic() - start < 50
        assert list(source) == []


# Frames of Python


def test_arrays_are_numbered_and_timed():
    arrays = [picture(0), picture(1)[..., 0], picture(2, 32, 24)]
    frames = list(of_arrays(iter(arrays), 10.0))
    assert [(one.number, one.seconds, one.restart) for one in frames] == [
        (0, 0.0, False), (1, 0.1, False), (2, 0.2, True)
    ]  # fmt: skip
    np.testing.assert_array_equal(frames[1].image, np.dstack([arrays[1]] * 3))
    np.testing.assert_array_equal(frames[1].gray, arrays[1])
    timed = list(of_arrays([(0.5, picture(0)), (2.0, picture(1))], 10.0))
    assert [(one.number, one.seconds) for one in timed] == [(0, 0.5), (1, 2.0)]


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([np.zeros((4, 4, 3))], "frame 0: float64"),
        ([np.zeros((4, 4, 4), np.uint8)], r"uint8 \(4, 4, 4\) where"),
        ([np.zeros(4, np.uint8)], "no picture"),
        ([(1.0, picture(0)), (1.0, picture(1))], r"frame 1 is at 1\.0 s"),
        ([(0.0, picture(0)), (float("nan"), picture(1))], "must increase"),
        (["walk.mp4"], "frame 0: str"),
    ],
)
def test_what_is_no_frame_is_told(frames: list, problem: str):
    with pytest.raises(DataError, match=problem):
        list(of_arrays(frames, 10.0))
