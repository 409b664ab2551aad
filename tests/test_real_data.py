"""Real footage, where it is at hand: what `prepare` finds in it. Nothing is trained."""

import csv
from pathlib import Path

import pytest
from tests.pipeline import ROOT

from pixelplay.commands import load_config
from pixelplay.scores.submission import expected_ids_from_sample, submission_id, validate
from pixelplay.stages import prepare
from pixelplay.videos.index import Index

PED2, AVENUE_MINI = ROOT / "data" / "ped2", ROOT / "data" / "avenue_mini"
needs_ped2 = pytest.mark.skipif(
    not PED2.is_dir(),
    reason="no data/ped2: get UCSD_Anomaly_Dataset.tar.gz from http://www.svcl.ucsd.edu/projects/anomaly/dataset.htm "
    "and unpack its folder UCSDped2 as data/ped2",
)
needs_avenue_mini = pytest.mark.skipif(
    not AVENUE_MINI.is_dir(),
    reason="no data/avenue_mini: a part of the competition's data (training_videos/, testing_videos/, "
    "sample_submission.csv), from https://www.kaggle.com/competitions under Pixel Play '26",
)


def prepared(folder: Path, *overrides: str) -> Index:
    """The index after `prepare`, with everything written below `folder`."""
    paths = [f"paths.{name}={folder / name}" for name in ("outputs", "cache")]
    small = [f"detectors.conv_ae.frames.{side}=32" for side in ("height", "width")]
    config = load_config([*overrides, "detector=[conv_ae]", *paths, *small])
    prepare.run(config)
    return Index.load(config.paths.outputs / config.experiment / "index.json")


@pytest.fixture(scope="module")
def ped2(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return prepared(tmp_path_factory.mktemp("ped2"), "experiment=ped2", f"dataset.root={PED2}")


@pytest.fixture(scope="module")
def avenue_mini(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return prepared(tmp_path_factory.mktemp("mini"), "experiment=pixelplay26", f"dataset.root={AVENUE_MINI}")


@needs_ped2
def test_ped2_has_the_published_numbers_of_videos_and_frames(ped2: Index):
    assert (len(ped2.train), sum(map(len, ped2.train))) == (16, 2550)
    assert (len(ped2.test), sum(map(len, ped2.test))) == (12, 2010)
    assert sum(map(len, ped2.fit)) + sum(map(len, ped2.calibration)) == 2550


@needs_ped2
def test_ped2_has_1648_anomalous_frames_and_their_masks(ped2: Index):
    assert sum(int(video.labels.sum()) for video in ped2.test) == 1648
    assert all(video.masks is not None for video in ped2.test)
    video = ped2.test[0]
    marked = [video.masks.read(int(number), video.size).any() for number in video.numbers]
    assert marked == video.labels.astype(bool).tolist()


@needs_avenue_mini
def test_avenue_mini_s_test_frames_are_those_of_its_sample_submission_in_its_order(avenue_mini: Index):
    ids = [submission_id(video.id, int(number)) for video in avenue_mini.test for number in video.numbers]
    assert ids == expected_ids_from_sample(AVENUE_MINI / "sample_submission.csv")
    assert all(video.labels is None for video in avenue_mini.test)


@needs_avenue_mini
def test_a_submission_of_avenue_mini_is_valid_beside_its_sample_submission(avenue_mini: Index, tmp_path: Path):
    ids = [submission_id(video.id, int(number)) for video in avenue_mini.test for number in video.numbers]
    with open(tmp_path / "mine.csv", "w", newline="") as file:
        csv.writer(file).writerows([("Id", "Predicted"), *((name, 0.5) for name in ids)])
    assert validate(tmp_path / "mine.csv", expected_ids_from_sample(AVENUE_MINI / "sample_submission.csv")) == []
