"""Scores of places worked out by hand and by scikit-learn; what stands where nobody stands is unusual."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_t
from sklearn.neighbors import KernelDensity
from tests.labelled_tracks import Row, new_detector, tracks_of_rows, training_run, video_of_rows

from pixelplay.detectors.object_streams.detector import Objects
from pixelplay.detectors.object_streams.heights import UsualHeight
from pixelplay.detectors.object_streams.place import (
    ALL,
    CLASS,
    FILE,
    Bandwidth,
    PlaceModel,
    PlaceSettings,
    improbability,
)
from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.objects.labels import labels_so_far
from pixelplay.videos.index import Heldout

NAME = "object_place"
SETTINGS = PlaceSettings(
    bandwidth=Bandwidth(position=1.0, size=0.25, speed=0.25), freedom=4.0, slow=0.5, count=1000, fewest=100, folds=0
)
PATH = 100.0  # the row on which people walk


def objects(*rows: Row) -> Objects:
    return Objects(tracks_of_rows(rows), np.array([[row.speed] for row in rows], np.float32))


def places(*rows: Row, line: UsualHeight | None = None) -> PlaceModel:
    """A model of these, with a line of heights, or else the median of theirs."""
    model = PlaceModel.of([objects(*rows)], SETTINGS, 0)
    if line is None:
        return model
    return PlaceModel(SETTINGS, line, model.points)


def scores(model: PlaceModel, *rows: Row) -> np.ndarray:
    return model.score(objects(*rows))["place"]


# --- the density ----------------------------------------------------------------------------------------------------


WIDTHS = np.array([2.0, 2.0, 0.5, 0.25], np.float32)


def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(1000, 4)).astype(np.float32), rng.normal(size=(300, 4)).astype(np.float32)


def test_the_score_is_the_density_of_student_s_t_about_all_points_but_for_its_peak():
    queries, points = drawn()
    kernel = multivariate_t(shape=np.diag(WIDTHS**2), df=4)
    density = np.mean([kernel.pdf(queries - point) for point in points], axis=0)
    expected = np.log(kernel.pdf(np.zeros(4))) - np.log(density)
    np.testing.assert_allclose(improbability(queries, np.tile(WIDTHS, (1000, 1)), points, 4.0), expected, rtol=1e-4)


def test_with_many_degrees_of_freedom_it_is_scikit_learn_s_gaussian_kernel_density():
    queries, points = drawn()
    density = KernelDensity(bandwidth=1.0).fit(points / WIDTHS)
    expected = -density.score_samples(queries / WIDTHS) - 2 * np.log(2 * np.pi)
    found = improbability(queries, np.tile(WIDTHS, (1000, 1)), points, 10_000.0)
    np.testing.assert_allclose(found, expected, rtol=0.02)


def off(distance: float) -> float:
    """The score at so many widths from the only normal object: (4 + 4) / 2 = 4 logarithms of 1 + d^2 / 4."""
    return 4 * np.log(1 + distance**2 / 4)


def test_a_person_one_usual_height_aside_is_one_width_off():
    model = places(Row(0))
    assert scores(model, Row(0), Row(1, x=120.0), Row(2, y=140.0)) == pytest.approx([0, off(1), off(2)])


def test_what_happens_half_of_the_time_costs_the_logarithm_of_two():
    model = places(Row(0), Row(1, x=10_000.0))
    assert scores(model, Row(0)) == pytest.approx([np.log(2)])


def test_an_object_far_from_all_others_does_not_stretch_the_scale():
    assert scores(places(Row(0)), Row(0, x=100_000.0)) < 72  # 4995 widths
    assert np.isfinite(scores(places(Row(0)), Row(0, x=1e9))).all()


def test_size_and_speed_count_in_heights_of_a_person():
    model = places(Row(0))  # 20 pixels high, 20 pixels per second: one height each
    assert scores(model, Row(0, height=40.0)) == pytest.approx([off(np.log(2) / 0.25)], rel=1e-5)
    assert scores(model, Row(0, speed=0.0)) == pytest.approx([off(np.log(3) / 0.25)], rel=1e-5)


def test_a_kernel_is_as_wide_as_people_are_high_at_that_row():
    """A row twice as far down has people twice as high: 20 pixels aside are half a height there."""
    near, far = Row(0, y=200.0, height=40.0, speed=40.0), Row(0, y=100.0, height=20.0, speed=20.0)
    line = UsualHeight(slope=0.2, intercept=0.0)
    model = PlaceModel(SETTINGS, line, {})
    for one, expected in ((far, off(1)), (near, off(0.5))):
        alone = places(one, line=line)
        usual = {ALL: alone.points[ALL] * 0 + np.array([one.x, one.y, 0, np.log(1.5)], np.float32)}
        found = PlaceModel(SETTINGS, model.heights, usual)
        assert scores(found, one._replace(x=one.x + 20)) == pytest.approx([expected], rel=1e-5)


def test_above_the_highest_row_of_normal_objects_people_are_as_high_as_there():
    """By the line they are 2 pixels high ten rows further up, and 4 at row 20: 10 pixels are 2.5 of these heights."""
    model = places(Row(0, y=20.0, height=4.0, speed=4.0), line=UsualHeight(slope=0.2, intercept=0.0))
    usual = {ALL: np.array([[100.0, 20.0, 0.0, np.log(1.5)]], np.float32)}
    model = PlaceModel(SETTINGS, model.heights, usual)
    assert scores(model, Row(0, y=10.0, height=4.0, speed=4.0)) == pytest.approx([off(2.5)], rel=1e-5)


def test_without_a_line_of_heights_the_median_height_is_the_unit():
    model = places(*(Row(i, height=h) for i, h in enumerate((10.0, 30.0, 40.0))))
    assert model.heights == UsualHeight(slope=0.0, intercept=30.0)


def test_a_frequent_class_has_a_density_of_its_own_and_the_others_that_of_all_objects():
    people = [Row(i) for i in range(100)]
    cars = [Row(i, track=2, x=100_000.0, label="car") for i in range(100)]
    model = places(*people, *cars, Row(100, x=-100_000.0, label="dog"))
    assert set(model.points) == {ALL, CLASS + "person", CLASS + "car"}
    assert scores(model, Row(0), Row(0, x=100_000.0, label="car")) == pytest.approx([0, 0], abs=1e-6)
    assert scores(model, Row(0, label="car")) == pytest.approx([off(4995)])  # where no car ever was
    shared = scores(model, Row(0, label="dog"), Row(0, label="lorry"))
    assert shared == pytest.approx([np.log(201 / 100)] * 2)


def test_a_sample_of_many_objects_gives_nearly_the_same_density():
    rows = [Row(i, x=float(x)) for i, x in enumerate(np.random.default_rng(0).normal(100, 40, 20_000))]
    every, few = (PlaceModel.of([objects(*rows)], SETTINGS.model_copy(update={"count": n}), 0) for n in (10**6, 2000))
    assert len(few.points[ALL]) == 2000
    np.testing.assert_allclose(scores(few, *rows[:50]), scores(every, *rows[:50]), atol=0.15)


# --- the detector ---------------------------------------------------------------------------------------------------


def walker(track: int, start: int, y: float = PATH) -> list[Row]:
    """Along the path, to the right, a height per second."""
    return [Row(t, track, x=start + 2.0 * t, y=y) for t in range(60)]


def stander(track: int, x: float) -> list[Row]:
    return [Row(t, track, x=x, y=PATH, speed=0.0) for t in range(60)]


def in_order(*tracks: list[Row]) -> list[Row]:
    return sorted(row for track in tracks for row in track)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """People walk along a path from x = 0 to 420; at x = 50 some stand and wait."""
    place = tmp_path_factory.mktemp("place")
    videos = [
        video_of_rows(place, f"v{i}", in_order(stander(1, 45.0 + i), *(walker(k, 50 * k + i) for k in range(2, 7))), 60)
        for i in range(5)
    ]
    detector = new_detector(NAME)
    detector.fit(videos[:4], Heldout(videos[4:], videos[4:], []), training_run(NAME, place / "training"))
    detector.save(place / "saved")
    return detector


def test_standing_where_nobody_stands_is_unusual_and_walking_there_is_not(trained, tmp_path: Path):
    video = video_of_rows(tmp_path, "test", in_order(stander(1, 48.0), stander(2, 300.0), walker(3, 240)), 60)
    table = trained.score(video).objects
    waits, stands, walks = (table.loc[table["track"] == track, "score"] for track in (1, 2, 3))
    normal = trained._calibrated.normal("place").max()
    assert stands.min() > 2 * max(waits.max(), walks.max())
    assert stands.min() > 2 * normal > waits.max()
    assert (trained.score(video).streams[NAME] == stands.to_numpy()).all()


def test_walking_off_the_path_is_unusual(trained, tmp_path: Path):
    video = video_of_rows(tmp_path, "test", walker(1, 200, y=PATH + 100), 60)  # five heights away
    assert trained.score(video).streams[NAME].min() > off(5 / 0.5)


def test_training_footage_is_scored_by_models_without_it(tmp_path: Path):
    """Four videos of people at one place, and one at another, which the models of the others have not seen."""
    videos = [video_of_rows(tmp_path, f"v{i}", stander(1, 50.0 if i < 4 else 300.0), 60) for i in range(5)]
    detector = new_detector(NAME, "training.folds=5")
    detector.fit(videos, Heldout(videos[:1], videos[:1], []), training_run(NAME, tmp_path / "training"))
    *usual, odd = detector.calibrate(videos)
    assert max(scores.streams[NAME].max() for scores in usual) < 0.5  # three of four were there
    assert odd.streams[NAME] == pytest.approx(off(250 / 20 / 0.5), rel=1e-5)


def test_a_first_frame_without_flow_has_its_track_s_next_score_and_causally_the_normal_median(trained, tmp_path: Path):
    rows = [row._replace(speed=np.nan) if row.frame == 0 else row for row in stander(1, 300.0)]
    video = video_of_rows(tmp_path, "test", rows, 60)
    found = trained.score(video).streams[NAME]
    assert found[0] == found[1]
    causal = trained.score(video, causal=True).streams[NAME]
    assert causal[0] == np.float32(np.median(trained._calibrated.normal("place")))
    assert (causal[1:] == found[1:]).all()


def test_a_track_s_class_so_far_is_that_of_its_boxes_by_confidence(tmp_path: Path):
    seen = [("cat", 0.5), ("dog", 0.25), ("dog", 0.5), ("motorcycle", 0.0), ("dog", 0.25)]
    rows = [Row(t, label=label, confidence=c, of_track="dog") for t, (label, c) in enumerate(seen)]
    rows.insert(4, Row(4, label="dog", detected=False))
    rows[5] = rows[5]._replace(frame=5)
    video = video_of_rows(tmp_path, "v", rows, 6)
    assert labels_so_far(video).tolist() == ["cat", "cat", "dog", "dog", "dog", "dog"]
    assert labels_so_far(video.block(1, 2)).tolist() == ["dog"]


def test_causally_a_class_that_later_boxes_decide_is_not_used(trained, tmp_path: Path):
    rows = [Row(t, label="dog" if t else "person", confidence=0.8 if t else 0.9, of_track="dog") for t in range(5)]
    rows[2] = Row(2, label="dog", detected=False)
    video = video_of_rows(tmp_path, "v", rows, 5)
    table = trained.score(video, causal=True).objects
    assert table["frame"].tolist() == [10, 11, 13, 14]
    assert table["class"].tolist() == ["person", "person", "dog", "dog"]


def test_a_damaged_or_missing_file_of_places_is_reported(trained, tmp_path: Path):
    trained.save(tmp_path)
    (tmp_path / FILE).write_bytes(b"x")
    with pytest.raises(DamagedArtifactError, match=rf"{FILE} is damaged.*src/train\.py"):
        new_detector(NAME).load(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(MissingArtifactError, match=rf"{FILE} is missing.*src/train\.py"):
        new_detector(NAME).load(tmp_path)
