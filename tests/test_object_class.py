"""Rarity of classes worked out by hand, with confidences, in time order; moving blobs are refused."""

from pathlib import Path

import numpy as np
import pytest
from tests.labelled_tracks import Row, new_detector, training_run, video_of_rows

from pixelplay import preconditions
from pixelplay.cli import load_config
from pixelplay.detectors.object_streams.rarity import FILE, ClassModel
from pixelplay.errors import ConfigError, DamagedArtifactError
from pixelplay.objects import detection
from pixelplay.videos.index import Heldout

NAME = "object_class"
PERSON, DOG, NEVER = -np.log(91 / 101), -np.log(9 / 101), -np.log(1 / 101)  # with one box more of each, and of another
USUAL = (90 * PERSON + 8 * DOG) / 98


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """Nine people for ten frames, and a dog for 16, that is only half sure: 90 and 8 boxes."""
    place = tmp_path_factory.mktemp("classes")
    rows = [Row(t, track) for t in range(10) for track in range(1, 10)]
    rows += [Row(t, 10, label="dog", confidence=0.5) for t in range(10, 26)]
    video = video_of_rows(place, "train", rows, 26)
    detector = new_detector(NAME, "training.folds=0")
    detector.fit([video], Heldout([video], [video], []), training_run(NAME, place / "training"))
    return detector


def scores(detector, video, causal: bool = False) -> list[float]:
    return detector.score(video, causal).objects["score"].tolist()


def test_rarity_is_the_logarithm_of_a_class_s_share_of_boxes_and_one_more():
    model = ClassModel({"dog": 8.0, "person": 90.0}, prior=1.0)
    assert [model.rarity(name) for name in ("person", "dog", "cat")] == pytest.approx([PERSON, DOG, NEVER])
    assert model.usual == pytest.approx(USUAL)


def test_boxes_count_for_as_much_as_they_are_sure(trained):
    assert trained._trained.counts == pytest.approx({"dog": 8.0, "person": 90.0})


def test_a_sure_object_has_the_rarity_of_its_class_and_an_unsure_one_partly_the_usual_one(trained, tmp_path: Path):
    rows = [Row(0, 1), Row(0, 2, label="dog"), Row(0, 3, label="cat"), Row(0, 4, label="cat", confidence=0.25)]
    video = video_of_rows(tmp_path, "v", rows, 1)
    assert scores(trained, video) == pytest.approx([PERSON, DOG, NEVER, 0.25 * NEVER + 0.75 * USUAL])
    assert trained.score(video).streams[NAME] == pytest.approx([NEVER])


def test_an_object_is_what_all_its_boxes_are_on_average_and_causally_those_up_to_now(trained, tmp_path: Path):
    rows = [Row(t, label=label) for t, label in enumerate(("person", "cat", "cat", "cat"))]
    rows[2] = Row(2, label="cat", detected=False)
    video = video_of_rows(tmp_path, "v", rows, 4)
    assert scores(trained, video) == pytest.approx([(PERSON + 2 * NEVER) / 3] * 4)
    causal = trained.score(video, causal=True)
    assert causal.objects["frame"].tolist() == [10, 11, 13]
    assert causal.objects["class"].tolist() == ["person", "cat", "cat"]  # of equals the first name
    expected = [PERSON, (PERSON + NEVER) / 2, (PERSON + 2 * NEVER) / 3]
    assert causal.objects["score"].tolist() == pytest.approx(expected)


def test_a_moving_blob_has_no_class_and_the_score_of_its_track_or_the_normal_median(trained, tmp_path: Path):
    rows = [Row(0, 1, label="motion"), Row(0, 2, label="motion"), Row(1, 1, label="cat"), Row(1, 2, label="motion")]
    video = video_of_rows(tmp_path, "v", rows, 2)
    assert scores(trained, video) == pytest.approx([NEVER, PERSON, NEVER, PERSON])
    assert scores(trained, video, causal=True) == pytest.approx([PERSON, PERSON, NEVER, PERSON])


def test_training_footage_is_scored_by_models_without_it(tmp_path: Path):
    videos = [video_of_rows(tmp_path, f"v{i}", [Row(t) for t in range(10)], 10) for i in range(4)]
    videos.append(video_of_rows(tmp_path, "cat", [Row(t, label="cat") for t in range(10)], 10))
    detector = new_detector(NAME, "training.folds=5")
    detector.fit(videos, Heldout(videos[:1], videos[:1], []), training_run(NAME, tmp_path / "training"))
    *people, cat = detector.calibrate(videos)
    assert cat.streams[NAME] == pytest.approx([-np.log(1 / 42)] * 10)  # of 40 people and one more of two classes
    assert people[0].streams[NAME] == pytest.approx([-np.log(31 / 43)] * 10)  # 30 people, 10 cats, one of each of three


def test_a_damaged_file_of_counts_is_reported(trained, tmp_path: Path):
    trained.save(tmp_path)
    (tmp_path / FILE).write_text('{"boxes": {"person": -1.0}}')
    with pytest.raises(DamagedArtifactError, match=rf"{FILE} is damaged.*src/train\.py"):
        new_detector(NAME, "training.folds=0").load(tmp_path)


def test_moving_blobs_are_refused_before_any_work():
    config = load_config(["experiment=tiny", f"detector=[{NAME}]", "weights.yolo=motion"])
    with pytest.raises(ConfigError, match=r"object_class: moving blobs have no class.*objects\.method=yolo"):
        preconditions.require_all(config)


@pytest.mark.parametrize("options", [["weights.yolo=yolov8n.pt"], ["objects.method=file"]])
def test_boxes_with_classes_are_accepted(options: list[str]):
    detection.require_classes(load_config(["experiment=tiny", f"detector=[{NAME}]", *options]), [NAME])
