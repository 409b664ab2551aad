"""The index of a run, and `prepare`, which writes it: what is found, listed, refused, and left alone when current."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.footage import write_frames

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError, DataError, MissingArtifactError, PixelPlayError
from pixelplay.stages import prepare
from pixelplay.videos.index import Index
from pixelplay.videos.settings import HeldoutConfig
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows


def prepared(overrides: list[str]) -> Index:
    config = load_config(overrides)
    prepare.run(config)
    return Index.load(config.paths.outputs / config.experiment / "index.json")


def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "outputs/folder"


def ids(videos: list[Video]) -> list[str]:
    return [video.id for video in videos]


# --- the index itself -----------------------------------------------------------------------------------------------


def test_an_index_is_read_as_it_was_written(tmp_path: Path):
    full = Video("Ünïcode 01", "test", np.array([3, 5, 6]), (640, 360), tmp_path / "cache")
    train = [Video(id=str(i), split="train", numbers=np.arange(10), size=(8, 6), folder=tmp_path) for i in range(3)]
    index = Index("name", "0123", "4567", HeldoutConfig(share=0.3, min_videos=8, gap=2, seed=4), train, [full])
    index.save(tmp_path / "index.json")
    read = Index.load(tmp_path / "index.json")
    for name in ("dataset", "train_key", "test_key", "heldout"):
        assert getattr(read, name) == getattr(index, name)
    [video] = read.test
    assert (video.id, video.size, video.folder) == (full.id, full.size, full.folder)
    assert video.numbers.tolist() == [3, 5, 6]
    assert [(v.id, v.start, len(v)) for v in read.fit] == [(v.id, v.start, len(v)) for v in index.fit]
    assert sum(map(len, read.held)) == 9  # three of ten frames of each


def test_a_missing_index_says_which_command_writes_it(tmp_path: Path):
    with pytest.raises(MissingArtifactError, match=r"index\.json is missing: run `python src/prepare\.py`"):
        Index.load(tmp_path / "index.json")


def test_a_block_has_the_frames_and_numbers_of_its_place(small_run: list[str]):
    index = prepared(small_run)
    form = prepare.formats(load_config(small_run))[0]
    video = index.test[0]
    block = video.block(1, 4)
    assert block.numbers.tolist() == [6, 8, 9]
    assert np.array_equal(block.frames(form), video.frames(form)[1:4])
    assert np.array_equal(block.block(1, 3).frames(form), video.frames(form)[2:4])
    for start, stop in ((-1, 2), (2, 2), (3, 6)):
        with pytest.raises(DataError, match="no block"):
            video.block(start, stop)


# --- what prepare finds ---------------------------------------------------------------------------------------------


def test_prepare_lists_videos_numbers_labels_and_holds_footage_out(small_run: list[str], tmp_path: Path):
    index = prepared(small_run)
    assert (ids(index.train), ids(index.test)) == (["01", "02", "03"], ["01", "02"])
    assert index.test[0].numbers.tolist() == [5, 6, 8, 9, 12]
    truth = prepare.load_labels(load_config(small_run), index)
    assert truth["01"].labels.tolist() == [0, 1, 1, 0, 0]
    assert truth["02"].labels is None
    assert [len(part) for part in index.held] == [5, 5, 5]  # a quarter of 20 frames of each of three videos
    assert sum(map(len, index.fit)) == 3 * (20 - 5 - 8)  # with a gap of eight
    assert (run_folder(tmp_path) / "frame_problems.csv").read_text() == "split,video,number,name,problem,treatment\n"


def test_a_video_shorter_than_a_window_is_prepared_and_padded(small_run: list[str]):
    config = load_config(small_run)
    short = prepared(small_run).test[1]
    length = config.detectors["conv_ae"].training["window"]
    assert len(short) == 3 < length
    clip = short.frames(prepare.formats(config)[0])[windows(len(short), length, 2)[0]]
    assert len(clip) == length
    assert (clip[2:] == clip[2]).all()


def test_one_unreadable_frame_in_twenty_is_replaced_and_listed_with_what_is_beside_frames_and_videos(
    small_run: list[str], small_folder: Path, tmp_path: Path
):
    (small_folder / "train/02/007.png").write_bytes(b"")
    (small_folder / "train/02/Thumbs.db").touch()
    (small_folder / "train/camera.xyz").touch()
    index = prepared(small_run)
    table = pd.read_csv(run_folder(tmp_path) / "frame_problems.csv", dtype=str, keep_default_na=False)
    assert sorted(map(tuple, table.to_numpy())) == [
        ("train", "", "-1", "camera.xyz", "neither a video file nor a folder of frames", "ignored"),
        ("train", "02", "-1", "Thumbs.db", "not an image", "ignored"),
        ("train", "02", "7", "007.png", "empty file", "replaced by its nearest readable neighbour"),
    ]
    frames = index.train[1].frames(prepare.formats(load_config(small_run))[0])
    assert len(frames) == 20
    assert np.array_equal(frames[7], frames[6]) and not np.array_equal(frames[7], frames[8])


def test_more_unreadable_frames_than_max_unreadable_stop_prepare(
    small_run: list[str], small_folder: Path, tmp_path: Path
):
    for name in ("007.png", "012.png"):  # 2 of 20; at most 5 % may be
        (small_folder / "train/02" / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"video 02 .*2 of 20 frames cannot be read.*dataset\.max_unreadable=0\.05"):
        prepared(small_run)
    assert not (run_folder(tmp_path) / "index.json").exists()
    assert len(prepared([*small_run, "dataset.max_unreadable=0.1"]).train) == 3


def test_labels_that_do_not_match_the_frames_stop_prepare(small_run: list[str], small_folder: Path):
    (small_folder / "test_labels/01.csv").write_text("frame,label\n5,0\n6,1\n")
    with pytest.raises(DataError, match=r"test_labels/01\.csv: 2 labels for a video of 5 frames"):
        prepared(small_run)


# --- when prepare has nothing to do ---------------------------------------------------------------------------------


def test_a_second_prepare_changes_no_file(small_run: list[str], tmp_path: Path):
    def times() -> dict[Path, int]:
        paths = [path for top in ("outputs", "cache") for path in (tmp_path / top).rglob("*")]
        return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}

    prepared(small_run)
    before = times()
    assert prepare.pending(load_config(small_run)) is None
    prepared(small_run)
    assert times() == before


def test_a_changed_frame_makes_prepare_pending_again(small_run: list[str], small_folder: Path):
    before = prepared(small_run)
    write_frames(small_folder / "train/01", [3], seed=9)
    assert prepare.pending(load_config(small_run))
    after = prepared(small_run)
    assert after.train_key != before.train_key
    assert after.test_key == before.test_key  # nothing is trained again when test videos change, and the reverse


def test_a_deleted_array_makes_prepare_pending_again(small_run: list[str], tmp_path: Path):
    prepared(small_run)
    next((tmp_path / "cache").rglob("*.npy")).unlink()
    assert prepare.pending(load_config(small_run))
    prepared(small_run)
    assert prepare.pending(load_config(small_run)) is None


def test_labels_that_are_added_later_are_taken_without_decoding_again(
    small_run: list[str], small_folder: Path, tmp_path: Path
):
    before = prepared(small_run)
    arrays = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.npy")}
    (small_folder / "test_labels/02.csv").write_text("frame,label\n0,1\n1,1\n2,0\n")
    index = prepared(small_run)
    assert prepare.load_labels(load_config(small_run), index)["02"].labels.tolist() == [1, 1, 0]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.npy")} == arrays
    assert (index.train_key, index.test_key) == (before.train_key, before.test_key)  # a detector learns from the same


# --- where prepare can't write, or has nothing to read --------------------------------------------------------------


@pytest.mark.parametrize("key", ["outputs", "cache"])
def test_a_folder_that_cannot_be_written_is_refused_by_the_key_that_names_it(
    small_run: list[str], tmp_path: Path, key: str
):
    (tmp_path / "file").touch()
    with pytest.raises(PixelPlayError, match=rf"cannot write to .*file/below.*paths\.{key}=FOLDER"):
        prepared([*small_run, f"paths.{key}={tmp_path / 'file/below'}"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_output_folder_is_refused(small_run: list[str], tmp_path: Path):
    (tmp_path / "sealed").mkdir(mode=0o500)
    with pytest.raises(PixelPlayError, match=r"Permission denied.*paths\.outputs=FOLDER"):
        prepared([*small_run, f"paths.outputs={tmp_path / 'sealed'}"])


def test_a_data_set_that_is_not_there_is_refused_before_anything_is_written(small_run: list[str], tmp_path: Path):
    with pytest.raises(DataError, match=r"(?s)data set 'folder' not found.*dataset\.root=FOLDER; expected layout"):
        prepared([*small_run, f"dataset.root={tmp_path / 'nowhere'}"])
    assert not (tmp_path / "outputs").exists() and not (tmp_path / "cache").exists()


def test_impossible_detector_settings_are_refused_before_any_frame_is_decoded(small_run: list[str], tmp_path: Path):
    with pytest.raises(ConfigError, match="stride"):
        prepared([*small_run, "detectors.conv_ae.training.stride=99"])
    assert not (tmp_path / "cache").exists()
