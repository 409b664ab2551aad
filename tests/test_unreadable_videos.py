"""Videos that can't be read among others that can, and times in seconds, from `prepare` to what it writes."""

import csv
import logging
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.footage import write_frames
from tests.video_writers import jpegs, write_avi, write_coded

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import DataError
from pixelplay.explain.clips import write_annotated_clip
from pixelplay.report.outcome import Outcome, ScoredVideo
from pixelplay.run.files import RunFiles
from pixelplay.stages import prepare
from pixelplay.videos.restoration_table import read_restoration


@pytest.fixture
def options(small_run: list[str]) -> list[str]:
    return [*small_run, "restore.flip=none", "workers=1"]


@pytest.fixture
def damaged(small_folder: Path) -> Path:
    """The small data set with a cut MP4 in each split, and frames of which none, or few, can be read."""
    write_coded(small_folder / "test/cut.mp4", range(30))
    data = (small_folder / "test/cut.mp4").read_bytes()
    (small_folder / "test/cut.mp4").write_bytes(data[: len(data) // 2])
    (small_folder / "train/cut.mp4").write_bytes(data[: len(data) // 3])
    for path in write_frames(small_folder / "train/none", range(3)):
        path.write_bytes(b"")
    for path in write_frames(small_folder / "train/most", range(4))[1:]:
        path.write_bytes(b"text")
    return small_folder


def problems(config: Config) -> list[list[str]]:
    with open(RunFiles.of(config).problems, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def test_all_unreadable_videos_are_named_in_one_go_and_the_others_are_cached(options: list[str], damaged: Path):
    config = load_config(options)
    with pytest.raises(DataError) as caught:
        prepare.run(config)
    told = str(caught.value)
    assert told.startswith("4 of 9 videos cannot be read:\n")
    assert f"{damaged}/train/cut.mp4: cannot be opened" in told and f"{damaged}/test/cut.mp4: cannot be opened" in told
    assert "video none " in told and "no readable frame: empty file" in told
    assert "video most " in told and "3 of 4 frames cannot be read" in told
    assert "dataset.on_unreadable=skip" in told
    [cache] = config.paths.cache.iterdir()
    done = {str(path.parent.relative_to(cache)) for path in cache.rglob("decoded.json")}
    assert done >= {"test/01", "test/02", "train/01", "train/02", "train/03"}
    assert not RunFiles.of(config).index.exists()


def test_skipped_videos_are_left_out_listed_and_a_missing_test_video_is_reported_loudly(
    options: list[str], damaged: Path, caplog: pytest.LogCaptureFixture
):
    config = load_config([*options, "dataset.on_unreadable=skip"])
    with caplog.at_level(logging.WARNING):
        prepare.run(config)
    index = prepare.load_index(config)
    assert [video.id for video in index.train] == ["01", "02", "03"]
    assert [video.id for video in index.test] == ["01", "02"]
    left_out = [row for row in problems(config) if row[5] == "left out"]
    assert [row[:4] for row in left_out] == [
        ["train", "cut", "-1", "cut.mp4"],
        ["train", "most", "-1", "000.png"],
        ["train", "none", "-1", "000.png"],
        ["test", "cut", "-1", "cut.mp4"],
    ]
    assert "prepare: THE SUBMISSION WILL NOT HAVE THESE 1 TEST VIDEOS: cut" in caplog.text
    assert "train video none is left out" in caplog.text


def test_without_any_readable_test_video_skipping_stops_too(options: list[str], small_folder: Path):
    for path in small_folder.glob("test/*/*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 5 videos cannot be read"):
        prepare.run(load_config([*options, "dataset.on_unreadable=skip"]))


# --- seconds --------------------------------------------------------------------------------------------------------

TIMES = [0, 40, 90, 131, 250]  # milliseconds


def test_the_index_and_the_table_of_restored_frames_have_seconds_where_they_are_known(
    options: list[str], small_folder: Path
):
    write_coded(small_folder / "test/film.mkv", TIMES, time_base=Fraction(1, 1000))
    config = load_config(options)
    prepare.run(config)
    folder, _, film = prepare.load_index(config).test
    assert film.seconds.tolist() == [time / 1000 for time in TIMES] and film.fps == pytest.approx(16)
    assert folder.seconds is None and folder.fps is None
    table = pd.read_csv(RunFiles.of(config).restoration, dtype={"video": str})
    assert table.columns.tolist()[:2] == ["video", "frame"] and "seconds" in table.columns
    assert table[table.video == "film"].seconds.tolist() == [time / 1000 for time in TIMES]
    assert table[table.video == "01"].seconds.isna().all()
    assert read_restoration(RunFiles.of(config).restoration)["frame"].tolist() == table.frame.tolist()


@pytest.mark.parametrize(("name", "fps"), [("film", 25), ("01", 7)])
def test_a_clip_has_the_footage_s_own_rate_and_the_setting_s_where_that_is_unknown(
    options: list[str], small_folder: Path, name: str, fps: float
):
    write_avi(small_folder / "test/film.avi", jpegs(8))
    config = load_config([*options, "report.fps=7"])
    prepare.run(config)
    index = prepare.load_index(config)
    videos = [
        ScoredVideo(
            video=video.id,
            anchor=video.id,
            numbers=video.numbers,
            fused=np.arange(len(video), dtype=np.float64),
            streams={},
            labels=None,
            flipped=np.zeros(len(video), bool),
            noisy=np.zeros(len(video), bool),
            seconds=video.seconds,
        )
        for video in index.test
    ]
    write_annotated_clip(config, Outcome(index, videos, []), [], name)
    capture = cv2.VideoCapture(str(RunFiles.of(config).clip(name)))
    assert capture.get(cv2.CAP_PROP_FPS) == fps
    capture.release()
