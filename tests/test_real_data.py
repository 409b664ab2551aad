"""Real footage, where it is at hand: what `prepare` finds in it. Nothing is trained."""

import csv
from pathlib import Path

import pytest
from tests.pipeline import ROOT

from pixelplay.cli import load_config
from pixelplay.scores.submission import expected_ids_from_sample, submission_id, validate
from pixelplay.stages import prepare
from pixelplay.videos.index import Index
from pixelplay.videos.truth import Truth

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


def prepared(folder: Path, *overrides: str) -> tuple[Index, Truth]:
    """The index after `prepare` and what is known of its test videos, with everything written below `folder`."""
    paths = [f"paths.{name}={folder / name}" for name in ("outputs", "cache")]
    small = [f"detectors.conv_ae.frames.{side}=32" for side in ("height", "width")]
    config = load_config([*overrides, "detector=[conv_ae]", *paths, *small])
    prepare.run(config)
    index = prepare.load_index(config)
    return index, prepare.load_labels(config, index)


@pytest.fixture(scope="module")
def ped2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, Truth]:
    return prepared(tmp_path_factory.mktemp("ped2"), "experiment=ped2", f"dataset.root={PED2}")


@pytest.fixture(scope="module")
def avenue_mini(tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, Truth]:
    return prepared(tmp_path_factory.mktemp("mini"), "experiment=pixelplay26", f"dataset.root={AVENUE_MINI}")


@needs_ped2
def test_ped2_has_the_published_numbers_of_videos_and_frames(ped2: tuple[Index, Truth]):
    index, _ = ped2
    assert (len(index.train), sum(map(len, index.train))) == (16, 2550)
    assert (len(index.test), sum(map(len, index.test))) == (12, 2010)
    assert sum(map(len, [*index.fit, *index.held])) == 2550


@needs_ped2
def test_ped2_has_1648_anomalous_frames_and_their_masks(ped2: tuple[Index, Truth]):
    known = list(ped2[1].values())
    assert sum(int(one.labels.sum()) for one in known) == 1648
    assert all(one.masks is not None for one in known)
    marked = [known[0].masks.at(t).any() for t in range(len(known[0].numbers))]
    assert marked == known[0].labels.astype(bool).tolist()


@needs_avenue_mini
def test_avenue_mini_s_test_frames_are_those_of_its_sample_submission_in_its_order(
    avenue_mini: tuple[Index, Truth],
):
    ids = [submission_id(video.id, int(number)) for video in avenue_mini[0].test for number in video.numbers]
    assert ids == expected_ids_from_sample(AVENUE_MINI / "sample_submission.csv")
    assert not avenue_mini[1].labelled


@needs_avenue_mini
def test_a_submission_of_avenue_mini_is_valid_beside_its_sample_submission(
    avenue_mini: tuple[Index, Truth], tmp_path: Path
):
    ids = [submission_id(video.id, int(number)) for video in avenue_mini[0].test for number in video.numbers]
    with open(tmp_path / "mine.csv", "w", newline="") as file:
        csv.writer(file).writerows([("Id", "Predicted"), *((name, 0.5) for name in ids)])
    assert validate(tmp_path / "mine.csv", expected_ids_from_sample(AVENUE_MINI / "sample_submission.csv")) == []
