"""Video files as they are: damaged, cut off, without counts, of variable rates, and hostile."""

import os
import socket
import threading
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.footage import GRAY, picture, through_json
from tests.video_writers import CODECS, damage, jpegs, opencv_frames, write_avi, write_coded

from pixelplay.errors import FootageError
from pixelplay.videos.cache import CachedVideo, FrameCache
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.packets import frame_numbers, scan
from pixelplay.videos.sources import VIDEO_SUFFIXES, Frame
from pixelplay.videos.video_file import VideoFile

MILLISECONDS = Fraction(1, 1000)
DAMAGED = "damaged (Invalid data found when processing input)"


def read(path: Path) -> list[Frame]:
    return list(VideoFile(path).read(gray=True, color=True))


def cached(path: Path, max_unreadable: float = 0.5) -> CachedVideo:
    raw = RawVideo(path.stem, "test", VideoFile(path))
    [one] = FrameCache(path.parent / "cache").fill([raw], [GRAY], max_unreadable, 1)
    return one


def same_as_opencv(path: Path, frames: list[Frame]) -> None:
    expected = opencv_frames(path)
    assert len(frames) == len(expected) > 0
    for frame, image in zip(frames, expected, strict=True):
        assert np.array_equal(frame.gray, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        assert np.array_equal(frame.color, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


# --- sound files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", sorted(VIDEO_SUFFIXES))
def test_files_of_every_kind_have_opencv_s_pixels_their_times_and_their_rate(tmp_path: Path, suffix: str):
    path = tmp_path / "train" / f"a{suffix}"
    write_coded(path, range(12))
    [raw] = list_videos(tmp_path / "train", "train")
    frames = list(raw.source.read(gray=True, color=True))
    same_as_opencv(path, frames)
    assert [frame.number for frame in frames] == list(range(12))
    assert [frame.seconds for frame in frames] == pytest.approx([i / 25 for i in range(12)], abs=1e-6)
    assert raw.source.fps() == pytest.approx(25)
    assert raw.source.remarks(12) == []
    for frame in (0, 11):
        assert np.abs(frames[frame].color.astype(int) - picture(frame)).mean() < 20


def test_the_kinds_that_are_written_here_are_those_that_are_read():
    assert CODECS.keys() == VIDEO_SUFFIXES


def test_hevc_has_opencv_s_pixels(tmp_path: Path):
    path = tmp_path / "a.mp4"
    write_coded(path, range(12), "libx265", options={"x265-params": "log-level=none"})
    same_as_opencv(path, read(path))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_frames_of_avi_files_have_rising_times_though_they_are_decoded_in_another_order(tmp_path: Path, codec: str):
    path = tmp_path / "a.avi"
    write_coded(path, range(20), codec, options={"bf": "2"} if codec == "mpeg4" else {})
    frames = read(path)
    same_as_opencv(path, frames)
    assert [frame.seconds for frame in frames] == pytest.approx([i / 25 for i in range(20)])


@pytest.mark.parametrize(("rotation", "size"), [(90, (64, 48)), (180, (48, 64)), (270, (64, 48)), (0, (48, 64))])
def test_turned_phone_videos_are_upright_as_with_opencv(tmp_path: Path, rotation: int, size: tuple[int, int]):
    path = tmp_path / "a.mp4"
    write_coded(path, range(4), rotation=rotation)
    frames = read(path)
    same_as_opencv(path, frames)
    assert frames[0].gray.shape == size
    turned = np.rot90(picture(0), rotation // 90)  # counterclockwise
    assert np.abs(frames[0].color.astype(int) - turned).mean() < 20


@pytest.mark.parametrize("name", ["my video.mp4", "a#1.mp4", "100%d.mp4", "straße 東.mp4", "a:b.mp4", "[x]~=y.mp4"])
def test_names_are_only_names(tmp_path: Path, name: str):
    write_coded(tmp_path / "plain.mp4", range(3))
    (tmp_path / "plain.mp4").rename(tmp_path / name)
    assert [frame.name for frame in read(tmp_path / name)] == [f"{name}#{i}" for i in range(3)]


def test_every_start_gives_the_frames_of_the_whole_also_after_damage(tmp_path: Path):
    path = tmp_path / "a.mkv"
    write_coded(path, range(16), options={"g": "5"})
    damage(path, 6)
    whole = read(path)
    for start in range(16):
        part = list(VideoFile(path).read(gray=True, color=False, start=start))
        assert [(f.number, f.seconds, f.problem) for f in part] == [
            (f.number, f.seconds, f.problem) for f in whole[start:]
        ]


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packet", [0, 100, 192, 199])
def test_a_zeroed_motion_jpeg_chunk_costs_its_own_frame_only(tmp_path: Path, packet: int):
    path = tmp_path / "a.avi"
    images = jpegs(200)
    write_avi(path, images)
    damage(path, packet)
    frames = read(path)
    assert [frame.number for frame in frames] == list(range(200))
    assert [frame.number for frame in frames if frame.problem] == [packet]
    assert (frames[packet].problem, frames[packet].gray, frames[packet].color) == (DAMAGED, None, None)
    assert frames[packet].seconds == pytest.approx(packet / 25)
    for at in {0, 99, 101, 193, 198, 199} - {packet}:
        pixels = cv2.imdecode(np.frombuffer(images[at], np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.abs(frames[at].color.astype(int) - pixels).mean() < 6  # two decoders of JPEG


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".avi", "mpeg4"), (".mp4", "mpeg4"), (".webm", "libvpx"), (".webm", "libvpx-vp9"), (".mkv", "libx264")],
)
def test_reading_goes_on_behind_a_broken_packet_and_later_frames_keep_their_numbers(
    tmp_path: Path, suffix: str, codec: str
):
    path = tmp_path / f"a{suffix}"
    write_coded(path, range(30), codec, options={"g": "5"})
    sound = read(path)
    damage(path, 11)
    frames = read(path)
    assert [frame.number for frame in frames] == list(range(30))
    assert [frame.seconds for frame in frames] == [frame.seconds for frame in sound]
    [lost] = [frame for frame in frames if frame.problem]
    assert lost.problem == DAMAGED and lost.gray is None
    assert abs(lost.number - 11) <= 3  # the 11th packet is not the 11th frame where frames refer to later ones
    for number in (*range(5), *range(20, 30)):  # keyframes stand between
        assert np.array_equal(frames[number].gray, sound[number].gray)


def test_the_cache_replaces_a_damaged_frame_by_its_neighbour_and_lists_it(tmp_path: Path):
    path = tmp_path / "a.avi"
    write_avi(path, jpegs(30))
    damage(path, 12)
    one = cached(path)
    found = [(p.number, p.name, p.problem, p.treatment) for p in one.problems]
    assert found == [(12, "a.avi#12", DAMAGED, "replaced by its nearest readable neighbour")]
    assert np.array_equal(one.video.frames(GRAY)[12], one.video.frames(GRAY)[11])
    assert not np.array_equal(one.video.frames(GRAY)[13], one.video.frames(GRAY)[11])
    full = list(one.video.full_size())
    assert np.array_equal(full[12], full[11]) and np.array_equal(full[29], read(path)[29].color)


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mpg", ".flv", ".avi"])
def test_a_file_cut_in_the_middle_gives_what_is_in_it(tmp_path: Path, suffix: str):
    path = tmp_path / f"a{suffix}"
    write_coded(path, range(60), options={"g": "5"})
    sound = read(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    good = [frame for frame in read(path) if frame.problem is None]
    assert 5 < len(good) < 40
    assert [frame.number for frame in good] == list(range(len(good)))
    assert all(np.array_equal(a.gray, b.gray) for a, b in zip(good[:-3], sound, strict=False))


def test_a_recording_that_begins_between_keyframes_starts_with_its_first_whole_frame(tmp_path: Path):
    write_coded(tmp_path / "a.mkv", range(30), "libvpx", options={"g": "10", "keyint_min": "10"})
    sound = read(tmp_path / "a.mkv")
    import av

    with av.open(str(tmp_path / "a.mkv")) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in [packet for packet in source.demux(video=0) if packet.size][3:]:
            packet.stream = stream
            target.mux(packet)
    frames = read(tmp_path / "b.mkv")
    assert [frame.problem for frame in frames] == [None] * 20
    assert [frame.number for frame in frames] == list(range(20))
    assert frames[0].seconds == 0
    assert np.array_equal(frames[0].gray, sound[10].gray)
    [(name, problem, _)] = VideoFile(tmp_path / "b.mkv").remarks(20)
    assert (name, problem) == ("b.mkv", "7 packets before the first keyframe")


# --- counts and times -----------------------------------------------------------------------------------------------


def test_a_variable_rate_announced_as_3892_frames_is_its_96_frames(tmp_path: Path):
    path = tmp_path / "a.mkv"
    pts = np.cumsum([0, *np.random.default_rng(0).integers(7, 3200, 95)]).tolist()
    write_coded(path, pts, time_base=MILLISECONDS)
    one = cached(path, max_unreadable=0.0)
    assert len(one.video) == 96 and one.problems == []
    assert one.video.numbers.tolist() == list(range(96))
    assert one.video.seconds.tolist() == pytest.approx([at / 1000 for at in pts])
    assert one.video.fps == pytest.approx(95 / (pts[-1] / 1000))


@pytest.mark.parametrize("announced", [0, 7, 100_000, 2**31 - 1])
def test_what_an_avi_announces_changes_nothing_but_a_remark(tmp_path: Path, announced: int):
    path = tmp_path / "a.avi"
    write_avi(path, jpegs(30), announced)
    one = cached(path, max_unreadable=0.0)
    assert one.video.numbers.tolist() == list(range(30))
    told = [f"its header announces {announced} frames, 30 are in it"] if announced > 30 else []
    assert [problem.problem for problem in one.problems] == told


def test_a_webm_that_was_never_finished_has_all_its_frames(tmp_path: Path):
    """As browsers record: no duration, and sizes of clusters unknown."""
    path = tmp_path / "a.webm"
    write_coded(path, range(40), "libvpx", options={"live": "1"})
    data = path.read_bytes()
    place = data.index(bytes.fromhex("4489"))  # the element Duration becomes Void
    path.write_bytes(data[:place] + b"\xec\x89" + bytes(9) + data[place + 11 :])
    assert VideoFile(path).expected_frames() in (0, 40)
    assert [frame.number for frame in read(path)] == list(range(40))


def test_empty_chunks_leave_gaps_in_the_numbers_and_a_remark(tmp_path: Path):
    path, images = tmp_path / "a.avi", jpegs(30)
    write_avi(path, [b"" if i in (5, 6, 20) else data for i, data in enumerate(images)])
    one = cached(path)
    assert one.video.numbers.tolist() == [i for i in range(30) if i not in (5, 6, 20)]
    assert one.video.seconds.tolist() == pytest.approx([i / 25 for i in range(30) if i not in (5, 6, 20)])
    [remark] = one.problems
    assert (remark.number, remark.name) == (-1, "a.avi")
    assert remark.problem == "3 frames are missing between timestamps of 25 frames per second"
    assert remark.treatment == "frames are numbered by their timestamps, so that gaps remain gaps"
    assert np.abs(list(one.video.full_size())[5].astype(int) - picture(7)).mean() < 20


def test_a_damaged_frame_beside_gaps_has_its_own_number(tmp_path: Path):
    path = tmp_path / "a.avi"
    write_avi(path, [b"" if i == 5 else data for i, data in enumerate(jpegs(30))])
    damage(path, 6)  # the seventh that is not empty
    frames = read(path)
    assert [frame.number for frame in frames] == [i for i in range(30) if i != 5]
    assert [frame.number for frame in frames if frame.problem] == [7]


@pytest.mark.parametrize(
    ("ticks", "numbers"),
    [
        ([0, 40, 80, 120], [0, 1, 2, 3]),
        ([0, 40, 80, 160, 200, 320], [0, 1, 2, 4, 5, 8]),  # constant, with gaps
        ([0, 33, 67, 100, 133, 167, 3333, 3367], [0, 1, 2, 3, 4, 5, 6, 7]),  # mostly a gap: positions
        ([7, 40, 74, 107, 174, 207, 240], [0, 1, 2, 3, 5, 6, 7]),  # 30 a second in milliseconds
        ([0, 40, 80, 140, 180, 220], [0, 1, 2, 3, 4, 5]),  # one and a half frames: a variable rate
        ([0, 10, 35, 41, 90, 200], [0, 1, 2, 3, 4, 5]),
        ([0, 40, 40, 80, 160], [0, 1, 2, 3, 4]),  # two at once
        ([5], [0]),
        ([5, 9], [0, 1]),
    ],
)
def test_frame_numbers_by_hand(ticks: list[int], numbers: list[int]):
    assert frame_numbers(np.array(ticks)).tolist() == numbers


def test_a_long_gap_in_rounded_milliseconds_counts_every_missing_frame():
    kept = [*range(300), *range(500, 900)]
    assert frame_numbers(np.array([round(i * 1000 / 29.97) for i in kept])).tolist() == kept


def test_times_that_run_backwards_are_not_used_and_the_frames_are(tmp_path: Path):
    for name in ("a", "b"):
        write_coded(tmp_path / f"{name}.ts", range(20), options={"bf": "0"})
    both = (tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes()
    (tmp_path / "c.ts").write_bytes(both)
    one = cached(tmp_path / "c.ts", 0.0)
    assert one.video.numbers.tolist() == list(range(40))
    assert one.video.seconds is None
    assert [p.problem for p in one.problems] == ["its timestamps run backwards, or are the same for several frames"]


def test_a_video_keeps_its_times_in_the_cache_in_the_index_and_in_blocks(tmp_path: Path):
    write_coded(tmp_path / "a.mkv", [0, 40, 90, 131, 250], time_base=MILLISECONDS)
    video = cached(tmp_path / "a.mkv").video
    for one in (video, cached(tmp_path / "a.mkv").video, through_json(video)):
        assert one.seconds.tolist() == [0.0, 0.04, 0.09, 0.131, 0.25]
        assert one.fps == pytest.approx(4 / 0.25)
    assert video.block(1, 4).seconds.tolist() == [0.04, 0.09, 0.131]
    assert video.block(1, 4).fps == video.fps


def test_the_disk_is_watched_while_a_video_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import shutil

    from pixelplay.errors import PixelPlayError

    write_avi(tmp_path / "a.avi", jpegs(30), announced=1)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(PixelPlayError, match=r"MB are needed.*paths\.cache=FOLDER"):
        cached(tmp_path / "a.avi")


# --- hostile paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http://127.0.0.1:{}/a.mp4", "tcp://127.0.0.1:{}", "http:127.0.0.1:{}/a.mp4"])
def test_an_address_is_a_file_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: tuple[int, list[object]], scheme: str
):
    monkeypatch.chdir(tmp_path)
    port, visits = listener
    with pytest.raises(FootageError, match="No such file"):
        read(Path(scheme.format(port)))
    assert visits == []


@pytest.mark.parametrize("name", ["file:a.mp4", "concat:a.mp4|a.mp4", "subfile,,start,0,end,9,,:a.mp4", "async:a.mp4"])
def test_a_protocol_in_a_relative_path_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    write_coded(tmp_path / "a.mp4", range(3))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FootageError, match="No such file"):
        read(Path(name))
    (tmp_path / "a.mp4").rename(tmp_path / name)  # a file that is called so is one
    assert len(read(Path(name))) == 3


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile 'other.mp4'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
        "v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
)
def test_playlists_that_are_called_videos_open_nothing(tmp_path: Path, listener: tuple[int, list[object]], text: str):
    port, visits = listener
    write_coded(tmp_path / "other.mp4", range(3))
    (tmp_path / "a.mp4").write_text(text.format(port=port) if "{port}" in text else text)
    with pytest.raises(FootageError, match=r"a\.mp4: cannot be opened as a video"):
        read(tmp_path / "a.mp4")
    assert visits == []


def test_a_fifo_a_folder_a_device_and_a_socket_are_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(tmp_path / "s.mp4"))  # such names must be short
    for name, kind in (("fifo", "a FIFO"), ("folder", "a folder"), ("zero", "a device"), ("s", "a socket")):
        outcome: list[Exception] = []

        def attempt(path: Path = tmp_path / f"{name}.mp4", outcome: list[Exception] = outcome) -> None:
            try:
                read(path)
            except FootageError as error:
                outcome.append(error)

        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        thread.join(timeout=60)
        assert outcome and f"not a regular file but {kind}" in str(outcome[0]), name


def test_a_scan_is_made_again_when_the_file_has_changed(tmp_path: Path):
    write_coded(tmp_path / "a.mp4", range(3))
    assert scan(tmp_path / "a.mp4").count == 3
    write_coded(tmp_path / "a.mp4", range(5))
    assert scan(tmp_path / "a.mp4").count == 5
