"""Outputs of online inference: true, whole and playable, however they end."""

import errno
import logging
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from tests.footage import picture
from tests.streams import ABOUT, file_size, online, result, rows_of, times_of

from pixelplay.drawing.growing_video import GrowingVideo
from pixelplay.errors import ConfigError
from pixelplay.explain.clips import ANOMALOUS
from pixelplay.online.meter import Meter, Tally
from pixelplay.online.outputs import Background, Outputs, ScoresFile, open_outputs
from pixelplay.online.picture import Painter
from pixelplay.online.result import Result, ScoredObject
from pixelplay.online.window import require_display


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# The video


def test_frames_have_the_times_of_their_results(tmp_path: Path):
    seconds = [3.0, 3.04, 3.5, 3.51, 7.0, 7.25]
    with open_outputs(online(), ABOUT, tmp_path) as outputs:
        for position, at in enumerate(seconds):
            outputs.write(result(position, at))
    assert times_of(tmp_path / "video.mp4") == pytest.approx([0.0, 0.04, 0.5, 0.51, 4.0, 4.25], abs=1e-4)


def test_a_video_plays_up_to_the_last_fragment_while_it_is_written(tmp_path: Path):
    video = GrowingVideo(tmp_path / "video.mp4", fragment=1.0)
    for at in range(28):
        video.add(picture(at), at / 8)
    assert times_of(tmp_path / "video.mp4") == pytest.approx([at / 8 for at in range(24)], abs=1e-4)
    video.close()
    assert len(times_of(tmp_path / "video.mp4")) == 28


def test_the_picture_is_true_within_what_the_codec_loses(tmp_path: Path):
    video = GrowingVideo(tmp_path / "video.mp4", fragment=0.3)
    for at in range(8):
        video.add(picture(at)[:47, :63], at / 8)  # odd sides lose a row and a column
    video.close()
    with av.open(str(tmp_path / "video.mp4")) as container:
        for at, frame in enumerate(container.decode(video=0)):
            image = frame.to_ndarray(format="rgb24").astype(float)
            assert image.shape == (46, 62, 3)
            assert np.abs(image.mean(axis=2) - picture(at)[:46, :62].mean(axis=2)).mean() < 8


def test_frames_of_another_size_start_another_video(tmp_path: Path):
    with open_outputs(online(), ABOUT, tmp_path) as outputs:
        for position, size in enumerate([(64, 48), (64, 48), (80, 48), (80, 48), (80, 48), (64, 48)]):
            outputs.write(result(position, position / 5, picture(position, *size)))
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["video-2.mp4", "video-3.mp4", "video.mp4"]
    assert [len(times_of(tmp_path / f"video{name}.mp4")) for name in ("", "-2", "-3")] == [2, 3, 1]
    assert len(rows_of(tmp_path / "scores.csv")) == 6


# Pictures


@pytest.mark.parametrize(
    ("size", "limit", "shown"),
    [
        ((360, 240), 960, (720, 480)),  # enlarged by a whole factor, so that text can be read
        ((1920, 1080), 960, (960, 540)),
        ((400, 300), 640, (400, 300)),
        ((100, 640), 320, (50, 320)),
        ((64, 48), 64, (64, 48)),
    ],
)
def test_the_longer_side_of_the_frame_is_bounded(size: tuple[int, int], limit: int, shown: tuple[int, int]):
    image = Painter(ABOUT, limit).picture(result(0, 0.0, picture(0, *size)))
    assert image.shape[1] == shown[0] and image.shape[0] - shown[1] == 76  # the curve's height


def test_an_event_is_marked_and_boxes_are_coloured_by_score():
    painter, plain = Painter(ABOUT, 640), np.full((240, 320, 3), 90, np.uint8)
    objects = [
        ScoredObject(1, "person", (10, 100, 40, 160), 0.0, unusual=False),
        ScoredObject(2, "person", (100, 100, 130, 160), None, unusual=False),
        ScoredObject(3, "car", (200, 100, 260, 160), 5.0, unusual=True),
    ]
    image = painter.picture(result(0, 0.0, plain, objects=objects, alarm=True))
    np.testing.assert_array_equal(image[0, 0], ANOMALOUS)
    lowest, unknown, highest = image[260, 20], image[260, 200], image[260, 400]  # left edges, twice as large
    np.testing.assert_array_equal(lowest, unknown)
    assert highest.astype(int).sum() > lowest.astype(int).sum() + 100  # plasma: from dark to bright
    assert not (painter.picture(result(1, 0.1, plain))[0, 0] == ANOMALOUS).all()


def test_the_curve_moves_to_the_left_and_keeps_only_its_last_seconds():
    painter, plain = Painter(ABOUT, 640), np.full((240, 640, 3), 90, np.uint8)
    for position in range(100):
        high = position == 10
        image = painter.picture(result(position, float(position), plain, score=2.0 if high else 0.0, alarm=high))
        shaded = np.flatnonzero((image[-6] == (66, 38, 15)).all(axis=1))
        if 12 <= position < 39:  # frame 10, so many seconds left of the right end
            assert shaded.mean() == pytest.approx(635 - (position - 10) / 30 * 631, abs=2)
    assert len(painter._past) == 31


# scores.csv


def test_a_row_has_what_is_known_of_its_frame(tmp_path: Path):
    objects = [ScoredObject(1, "person", (0, 0, 9, 9), 1.0, unusual=False)] * 2
    with open_outputs(online(video={"write": False}), ABOUT, tmp_path) as outputs:
        outputs.write(result(0, 0.0, threshold=None))
        outputs.write(
            result(1, 0.04, objects=objects, alarm=True, dropped=3, latency=0.12345, members={"objects": 2.0})
        )
    assert list(tmp_path.iterdir()) == [tmp_path / "scores.csv"]
    first, second = rows_of(tmp_path / "scores.csv")
    assert first == {
        "seconds": "0.0", "frame": "0", "fused": "0.5", "threshold": "", "alarm": "0", "object_count": "0",
        "dropped": "0", "latency": "0.0", "conv_ae": "0.25", "objects": "0.75",
    }  # fmt: skip
    assert list(second.values()) == ["0.04", "2", "0.5", "1.0", "1", "2", "3", "0.1235", "", "2.0"]


def test_rows_come_as_whole_lines_each_second(tmp_path: Path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    file = ScoresFile(tmp_path / "scores.csv")
    for position in range(30):
        now = 100.0 + position / 10
        file.write(result(position, position / 10))
    assert [row["seconds"] for row in rows_of(tmp_path / "scores.csv")][-1] == "2.0"
    file.close()
    assert len(rows_of(tmp_path / "scores.csv")) == 30


def test_results_that_are_there_already_are_kept(tmp_path: Path):
    (tmp_path / "scores.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"scores\.csv: is there already.*online\.folder"):
        open_outputs(online(), ABOUT, tmp_path)
    assert (tmp_path / "scores.csv").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


# A full disk


def test_a_full_disk_ends_the_video_once_and_nothing_else(tmp_path: Path, caplog):
    seen: list[int] = []

    class Sink:
        def write(self, result: Result) -> None:
            seen.append(result.position)

        def close(self) -> None:
            seen.append(-1)

    with file_size(80_000), open_outputs(online(video={"size": 64}), ABOUT, tmp_path, others=[Sink()]) as outputs:
        for position in range(60):
            outputs.write(result(position, position / 10, noise(position, 48, 64)))
    assert seen == [*range(60), -1]
    assert len(outputs.failed) == 1 and f"{tmp_path}/video.mp4: File too large" in outputs.failed[0]
    assert caplog.text.count("video.mp4") == 1
    found = times_of(tmp_path / "video.mp4")
    assert found == pytest.approx([position / 10 for position in range(len(found))], abs=1e-4)
    assert len(found) % 10 == 0 and 10 <= len(found) < 60  # whole fragments of a second
    assert (tmp_path / "video.mp4").stat().st_size < 80_000
    assert len(rows_of(tmp_path / "scores.csv")) == 60


def test_rows_that_the_disk_does_not_take_are_counted_and_the_others_whole(tmp_path: Path, caplog, monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    file = ScoresFile(tmp_path / "scores.csv")
    for position in range(400):
        now = position / 10
        with file_size(5_000 if position < 300 else 10**9):
            file.write(result(position, now))
    file.close()
    found = [int(row["frame"]) // 2 for row in rows_of(tmp_path / "scores.csv")]
    assert found == sorted(set(found)) and found[0] == 0 and found[-1] == 399
    assert f"{400 - len(found)} rows are missing" in caplog.text
    assert caplog.text.count("rows are lost until there is room") == 1


def test_a_disk_that_is_full_from_the_start_is_told_and_scoring_goes_on(tmp_path: Path):
    with file_size(0), Outputs([ScoresFile(tmp_path / "scores.csv")]) as outputs:
        for position in range(3):
            outputs.write(result(position, position / 10))
    assert (tmp_path / "scores.csv").stat().st_size == 0
    with pytest.raises(OSError, match="too large") as error:
        video = GrowingVideo(tmp_path / "video.mp4", 0.2)
        with file_size(0):
            for position in range(20):
                video.add(picture(position), position / 10)
    assert error.value.errno == errno.EFBIG and error.value.filename == str(tmp_path / "video.mp4")
    video.close()
    with open_outputs(online(), ABOUT, tmp_path / "nothing"):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["nothing", "scores.csv"]


def test_a_slow_output_holds_nothing_up_until_it_is_too_far_behind():
    written, go = [], threading.Event()

    class Slow:
        def write(self, result: Result) -> None:
            assert go.wait(60)
            written.append(result.position)

        def close(self) -> None:
            written.append(-1)

    output = Background(Slow(), "slow")
    for position in range(4):
        output.write(result(position, position / 10))  # returns at once
    assert written == []
    threading.Timer(0.1, go.set).start()
    output.write(result(4, 0.4))  # waits
    assert go.is_set()
    output.close()
    assert written == [0, 1, 2, 3, 4, -1] and "slow" not in [thread.name for thread in threading.enumerate()]


# Speed and windows


def test_speed_by_hand():
    tally = Tally(start=10.0)
    for at in range(100):
        tally.add(result(at, at / 10, latency=0.2 if at < 94 else 1.0, dropped=at % 2), 10.5 + at / 2)
    assert (tally.frames, tally.dropped) == (100, 50)
    assert tally.fps == pytest.approx(100 / 50.0)
    assert tally.latency == pytest.approx((94 * 0.2 + 6 * 1.0) / 100)
    assert tally.latency_p95 == pytest.approx(1.0, rel=0.021)
    within = f"95 % within {tally.latency_p95:.3f} s"
    assert str(tally) == f"2.0 frames/s, latency 0.248 s ({within}), 50 of 150 frames dropped"


def test_speed_is_logged_now_and_then_and_at_the_end(caplog):
    caplog.set_level(logging.INFO)
    meter = Meter(progress=0.05)
    for position in range(12):
        meter.write(result(position, position / 10, latency=0.01))
        time.sleep(0.01)
    meter.close()
    assert len(caplog.records) >= 2 and caplog.records[-1].message.startswith("in all: ")
    assert meter.all.frames == 12 and 0.0 < meter.all.fps < 100


def test_without_a_display_a_window_is_refused_before_anything_starts(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match=r"viz\.enable=true: .*display.*view=web"):
        open_outputs(online(), ABOUT, tmp_path, window=True)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("DISPLAY", ":77")
    with pytest.raises(ConfigError, match="no window can be shown here"):
        require_display()
