"""Ground truth as a run stores it: read once by `prepare`, opened without the data set, never part of a video."""

import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pixelplay.cli import load_config
from pixelplay.errors import MissingArtifactError
from pixelplay.stages import prepare
from pixelplay.videos.mask_files import Masks, encode
from pixelplay.videos.truth import VideoTruth, load_truth, save_truth, truth_files
from pixelplay.videos.truth_files import TrackBoxes
from pixelplay.videos.video import Video


def video(name: str, frames: int) -> Video:
    return Video(name, "test", np.arange(5, 5 + frames), (4, 3), Path("none"))


MASK = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]], bool)
NONE = np.zeros((3, 4), bool)
BOXES = TrackBoxes(np.array([7, 7]), np.array([5, 6]), np.array([[0.5, 1, 2, 3], [1, 1, 3, 3]]))
NO_BOXES = TrackBoxes(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 4)))


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_a_mask_comes_back_from_its_run_lengths(mask: np.ndarray):
    assert np.array_equal(Masks(mask.shape[::-1], [encode(mask)]).at(0), mask)


def test_run_lengths_start_with_normal_pixels():
    assert encode(MASK).tolist() == [1, 2, 4, 2, 3]
    assert encode(NONE).tolist() == [12]
    assert encode(~NONE).tolist() == [0, 12]


def test_what_is_known_of_each_video_is_read_as_it_was_stored(tmp_path: Path):
    videos = [video("a", 2), video("NA", 3), video("ünï/c", 1), video("d", 1)]
    known = [
        VideoTruth("a", videos[0].numbers, np.array([0, 1], np.uint8), Masks((4, 3), [encode(NONE), encode(MASK)])),
        VideoTruth("NA", videos[1].numbers, np.zeros(3, np.uint8), tracks=NO_BOXES),
        VideoTruth("ünï/c", videos[2].numbers, None, tracks=BOXES),
        VideoTruth("d", videos[3].numbers, None),
    ]
    save_truth(tmp_path, "test", known)
    save_truth(tmp_path, "pseudo", [])
    assert len(load_truth(tmp_path, "pseudo", [])) == 0
    truth = load_truth(tmp_path, "test", videos)
    assert list(truth) == ["a", "NA", "ünï/c", "d"]
    assert [one.video for one in truth.labelled] == ["a", "NA"]
    assert truth["a"].labels.tolist() == [0, 1] and truth["a"].labels.dtype == np.uint8
    assert [truth["a"].masks.at(t).tolist() for t in range(2)] == [NONE.tolist(), MASK.tolist()]
    assert truth["NA"].tracks.xyxy.shape == (0, 4) and truth["NA"].masks is None
    assert truth["ünï/c"].tracks.xyxy.tolist() == BOXES.xyxy.tolist()
    assert (truth["ünï/c"].tracks.track.tolist(), truth["ünï/c"].tracks.number.tolist()) == ([7, 7], [5, 6])
    assert [one.has_regions for one in truth.values()] == [True, True, True, False]
    assert [one.is_normal for one in truth.values()] == [False, True, False, False]


def test_truth_of_other_videos_is_refused_with_the_command_that_makes_it_anew(tmp_path: Path):
    remedy = r"not the ground truth of this run's test videos .*run `python src/prepare\.py` again"
    save_truth(tmp_path, "test", [VideoTruth("a", np.arange(5, 7), None)])
    path = truth_files(tmp_path, "test")[0]
    for other in (video("b", 2), video("a", 3)):
        with pytest.raises(MissingArtifactError, match=remedy):
            load_truth(tmp_path, "test", [other])
    pd.read_parquet(path).drop(columns="label").to_parquet(path)
    with pytest.raises(MissingArtifactError, match=remedy):
        load_truth(tmp_path, "test", [video("a", 2)])
    path.unlink()
    with pytest.raises(MissingArtifactError, match=r"frames\.parquet is missing: run `python src/prepare\.py`"):
        load_truth(tmp_path, "test", [video("a", 2)])


def test_a_video_that_a_detector_is_given_has_no_field_with_truth(small_run: list[str]):
    assert not {field.name for field in fields(Video)} & {"labels", "masks", "truth"}  # `tracks` are of detected boxes
    prepare.run(config := load_config(small_run))
    text = (config.paths.outputs / "folder/index.json").read_text()
    assert "label" not in text and "mask" not in text
    assert text.count("track") == text.count('"tracks": null')


def test_what_prepare_has_stored_is_there_without_the_data_set(small_run: list[str], small_folder: Path):
    config = load_config(small_run)
    prepare.run(config)
    shutil.rmtree(small_folder)
    truth = prepare.load_labels(config, prepare.load_index(config))
    assert truth["01"].labels.tolist() == [0, 1, 1, 0, 0]
    assert truth["02"].labels is None
