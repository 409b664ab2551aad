"""`object_motion` and `object_appearance`: what they compare, folds that have not seen what they score, causality."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from tests.pipeline import CPU, shipped, trainer_config
from tests.tracked import tracked_video, tracks_at

from pixelplay.detectors import registry
from pixelplay.detectors.calibration import Calibration
from pixelplay.detectors.object_streams.detector import ABOUT, ObjectDetector, Objects
from pixelplay.detectors.object_streams.heights import UsualHeight
from pixelplay.detectors.object_streams.motion import described
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError
from pixelplay.objects.features import writing
from pixelplay.objects.tracks import tracks_of
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Maps, Video

MOTION, APPEARANCE = "object_motion", "object_appearance"
BINS = 8
Rows = Callable[[np.ndarray, np.ndarray], np.ndarray]  # values of rows, (N, …), by their positions and tracks


def detector(name: str, *overrides: str) -> Any:
    return registry.create(name, shipped(name, *overrides, run=["weights.backbone=timm:resnet18"]), CPU)


def video(
    folder: Path,
    name: str,
    frames: Mapping[int, Collection[int]],
    length: int,
    values: Rows,
    without: Mapping[int, Collection[int]] | None = None,
) -> Video:
    """A video with tracks (see `tracked_video`); `values` are flow, or with as many dimensions as maps, crops."""
    made = tracked_video(folder, name, frames, length, without=without)
    tracks = tracks_of(made)
    found = values(tracks.position, tracks.track)
    kind = "flow" if found.ndim == 2 else "crops"
    maps = Maps(made.folder / f"{kind}.npy", by_box=False)
    assert made.tracks is not None
    with writing(maps.path, made.tracks, found.shape[1:], np.float32) as writer:
        writer.extend(found.astype(np.float32))
    return replace(made, **{kind: maps})


def flow(speed: Callable[[np.ndarray, np.ndarray], np.ndarray], direction: int = 0) -> Rows:
    """All of the speed in one direction; nothing is known in the first frame, as of real footage."""

    def values(position: np.ndarray, track: np.ndarray) -> np.ndarray:
        found = np.zeros((len(position), 1 + BINS))
        found[:, 0] = found[:, 1 + direction] = speed(position, track)
        found[position == 0] = np.nan
        return found

    return values


def crops(level: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Rows:
    """Maps of two channels, one cell: a level, and 0."""
    return lambda position, track: np.stack([level(position, track), 0 * position], axis=1)[:, :, None, None]


def fitted(one: ObjectDetector, videos: list[Video], held: list[Video], folder: Path) -> ObjectDetector:
    run = TrainingRun(one.name, trainer_config(loggers=[]), folder / "training", CPU, 0)
    one.fit(videos, Heldout(held, held, []), run)
    return one


def of_stream(table: pd.DataFrame | None, stream: str) -> np.ndarray:
    assert table is not None
    return table.loc[table["stream"] == stream, "score"].to_numpy()


def steady(position: np.ndarray, track: np.ndarray) -> np.ndarray:
    return 8.0 + np.sin(position + track)  # pixels per second; boxes are 8 high


EVERY = range(30)


# --- what is compared -------------------------------------------------------------------------------------------------


def test_speeds_are_in_heights_on_a_logarithm_and_directions_are_shares():
    """Boxes end at row 8, where persons are 4 high: 6 pixels per second are 1.5 heights."""
    values = np.array([[6.0, 2, 4], [0, 0, 0], [np.nan, np.nan, np.nan]])
    objects = Objects(tracks_at({1: [0, 1, 2]}), values)
    found = described(objects, UsualHeight(slope=0.25, intercept=2.0), slow=0.5)
    np.testing.assert_allclose(found["magnitude"], [[np.log(2.0)], [np.log(0.5)], [np.nan]], rtol=1e-6)
    np.testing.assert_allclose(found["direction"], [[0.25, 0.5], [0, 0], [np.nan, np.nan]], rtol=1e-6)
    own = described(objects, UsualHeight(), slow=0.5)  # 0.75 of a box's height
    np.testing.assert_allclose(own["magnitude"][0], np.log(1.25), rtol=1e-6)


def test_motion_is_the_mean_distance_to_normal_speeds_and_directions(tmp_path: Path):
    """Track 1 goes on as in training, track 2 is four times as fast, track 3 as fast as usual but downwards."""
    train = [video(tmp_path, f"n{i}", {1: EVERY, 2: EVERY}, 30, flow(steady)) for i in range(2)]
    one = fitted(detector(MOTION, "training.density.neighbours=2", "training.size=own"), train, train[:1], tmp_path)
    usual = video(tmp_path, "usual", {1: EVERY}, 30, flow(steady))
    fast = video(tmp_path, "fast", {1: EVERY}, 30, flow(lambda position, track: 4 * steady(position, track)))
    down = video(tmp_path, "down", {1: EVERY}, 30, flow(steady, direction=2))
    normal = np.log(steady(*np.meshgrid(EVERY[1:], [1, 2])).ravel() / 8 + 0.5)
    normal = np.concatenate([normal, normal])  # of both videos
    asked = np.log(4 * steady(np.arange(1, 30), np.ones(29)) / 8 + 0.5)
    expected = np.sort(cdist(asked[:, None], normal[:, None]), axis=1)[:, :2].mean(axis=1)
    magnitude = {v.id: of_stream(one.score(v).objects, f"{MOTION}/magnitude") for v in (usual, fast, down)}
    direction = {v.id: of_stream(one.score(v).objects, f"{MOTION}/direction") for v in (usual, fast, down)}
    np.testing.assert_allclose(magnitude["fast"][1:], expected, rtol=1e-4)
    assert magnitude["fast"][0] == magnitude["fast"][1]  # the nearest of its track that is known
    assert max(magnitude["usual"].max(), magnitude["down"].max()) < 1e-5
    assert direction["usual"].max() < 1e-5 and direction["down"].min() > 0.5


def test_appearance_is_the_distance_to_the_nearest_crop_and_rows_between_crops_teach_nothing(tmp_path: Path):
    """Every third row is cropped: levels 0, 3, 6, … are known, what lies between is not."""
    train = [video(tmp_path, f"n{i}", {1: range(12)}, 12, crops(lambda position, track: position)) for i in range(2)]
    one = fitted(detector(APPEARANCE, "training.every=3"), train, train[:1], tmp_path)
    asked = video(
        tmp_path, "asked", {1: range(4), 2: [2]}, 5, crops(lambda position, track: position + 30 * (track - 1))
    )
    scores = one.score(asked)
    assert of_stream(scores.objects, APPEARANCE).tolist() == [0, 1, 1, 32 - 9, 0]
    assert scores.streams[APPEARANCE].tolist() == [0, 1, 23, 0, 0]  # the highest, and without any the lowest normal one
    assert list(scores.streams) == [APPEARANCE]


def test_the_detector_s_own_score_weighs_its_scaled_streams_and_is_clipped(tmp_path: Path):
    normal = Calibration.of(
        pd.DataFrame({"video": "v", "magnitude": [1.0, 2.0, 5.0], "direction": [0.0, 0.1, np.nan]}),
        ["video"],
        ["magnitude", "direction"],
        "train again",
    )
    raw = {"magnitude": np.array([3.0, 0.0, 9.0]), "direction": np.array([0.05, 0.3, 0.1])}
    weights = {"magnitude": 0.75, "direction": 0.25}
    assert normal.combination(weights, 1.0)(raw) == pytest.approx([0.75 / 2 + 0.25 / 2, 0.25, 1.0])
    assert normal.combination(weights, 1.0, power=2.0)(raw) == pytest.approx([0.75 / 4 + 0.25 / 4, 0.25, 1.0])
    tracks = tracks_at({1: [0, 1], 2: [0]})  # rows: track 1, track 2, track 1
    lost = {"magnitude": np.array([np.nan, np.nan, 4.0]), "direction": np.array([1.0, 1.0, 1.0])}
    assert normal.filled(lost, tracks, causal=False)["magnitude"].tolist() == [4, 2, 4]  # 2: the normal median
    assert normal.filled(lost, tracks, causal=True)["magnitude"].tolist() == [2, 2, 4]
    assert {s: least.tolist() for s, least in normal.lowest.items()} == {"magnitude": [1.0], "direction": [0.0]}


def test_a_frame_has_its_highest_object_s_score_and_without_any_the_lowest_normal_one(tmp_path: Path):
    train = [video(tmp_path, f"n{i}", {1: EVERY}, 30, flow(steady)) for i in range(2)]
    odd = video(tmp_path, "odd", {1: range(5), 2: [3, 4]}, 8, flow(lambda position, track: 8.0 + 40 * (track - 1)))
    one = fitted(detector(MOTION), train, train[:1], tmp_path)
    scores = one.score(odd)
    assert scores.objects is not None
    for stream, values in scores.streams.items():
        rows = scores.objects[scores.objects["stream"] == stream]
        np.testing.assert_array_equal(values[:5], rows.groupby("frame")["score"].max())
        assert len(set(values[5:])) == 1 and values[5] <= values[:5].min()
    assert scores.streams[MOTION][5] == 0
    np.testing.assert_allclose(
        scores.streams[f"{MOTION}/magnitude"][5], one._calibrated.normal("magnitude").min(), rtol=1e-6
    )


# --- folds ------------------------------------------------------------------------------------------------------------


def test_training_footage_is_scored_by_models_that_have_not_seen_it(tmp_path: Path):
    """One video is like no other: by the full model it has distance 0, by that of its fold it is far off."""
    levels = {"a": 0.0, "b": 0.1, "c": 50.0, "d": 0.2}
    train = [
        video(tmp_path, name, {1: EVERY}, 30, crops(lambda position, track, level=level: level + 0 * position))
        for name, level in levels.items()
    ]
    held = [video(tmp_path, "held", {1: EVERY}, 30, crops(lambda position, track: 7.0 + 0 * position))]
    one = fitted(detector(APPEARANCE, "training.folds=4"), train, held, tmp_path)
    seen = {v.id: set(of_stream(one.score(v).objects, APPEARANCE).round(4)) for v in train}
    assert seen == {name: {0.0} for name in levels}
    unseen = {
        v.id: set(of_stream(scores.objects, APPEARANCE).round(4).tolist())
        for v, scores in zip(train, one.calibrate(train), strict=True)
    }
    expected = {"a": 0.1, "b": 0.1, "c": 49.8, "d": 0.1}
    assert {name: [*values] for name, values in unseen.items()} == {
        name: [pytest.approx(value, abs=1e-3)] for name, value in expected.items()
    }
    table = one._calibrated.table
    assert list(table.columns) == [*ABOUT, "appearance"]
    assert set(table.loc[table["source"] == "heldout", "video"]) == {"held"}
    assert table.loc[table["source"] == "folds", "video"].value_counts().to_dict() == dict.fromkeys(levels, 30)


def test_a_video_is_cut_where_there_are_fewer_than_folds_and_a_block_s_own_tracks_teach_nothing(tmp_path: Path):
    """Tracks of 50 frames in a video of 200, each of another level: a block of two of them finds the nearest outside
    that is at least a second away.
    """
    frames = {k + 1: range(50 * k, 50 * k + 50) for k in range(4)}
    levels = np.array([np.nan, 0.0, 1.0, 10.0, 30.0])
    one_video = video(tmp_path, "v", frames, 200, crops(lambda position, track: levels[track]))
    one = fitted(detector(APPEARANCE, "training.folds=2"), [one_video], [one_video], tmp_path)
    (scores,) = one.calibrate([one_video])
    assert scores.objects is not None
    found = scores.objects.groupby("track")["score"].agg(["min", "max"])
    assert found["min"].tolist() == found["max"].tolist() == [10, 9, 9, 29]


def test_without_folds_held_out_footage_alone_calibrates(tmp_path: Path):
    train = [video(tmp_path, f"n{i}", {1: EVERY}, 30, flow(steady)) for i in range(2)]
    held = [video(tmp_path, "held", {1: EVERY}, 30, flow(steady))]
    one = fitted(detector(MOTION, "training.folds=0"), train, held, tmp_path)
    assert one._calibrated.table["video"].unique().tolist() == ["held"]
    assert one.calibrate(train) == []


def test_an_encoder_that_has_seen_all_footage_has_no_folds(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    train = [video(tmp_path, f"n{i}", {1: EVERY}, 30, crops(steady)) for i in range(2)]
    with caplog.at_level(logging.INFO):
        one = fitted(detector(APPEARANCE, "training.crops_by=in_domain"), train, train[:1], tmp_path)
    assert one.calibrate(train) == []
    assert "train: object_appearance: no folds, the encoder has seen all footage" in caplog.text


@pytest.mark.parametrize("name", [MOTION, APPEARANCE])
def test_too_little_footage_for_folds_is_told(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture):
    """One track through the only video: whatever the block, nothing is left outside it."""
    values = flow(steady) if name == MOTION else crops(steady)
    train = [video(tmp_path, "n", {1: EVERY}, 30, values)]
    held = [video(tmp_path, "held", {1: EVERY}, 30, values)]
    with caplog.at_level(logging.INFO):
        one = fitted(detector(name), train, held, tmp_path)
    assert one.calibrate(train) == []
    assert f"train: {name}: too little footage for 10 folds; held-out footage calibrates" in caplog.text


def test_scales_can_be_those_of_other_normal_footage_and_the_model_stays(tmp_path: Path):
    train = [video(tmp_path, f"n{i}", {1: EVERY}, 30, flow(steady)) for i in range(2)]
    other = video(tmp_path, "other", {1: range(9)}, 9, flow(lambda position, track: 20.0 + position))
    one = fitted(detector(MOTION), train, train[:1], tmp_path)
    before = one._trained
    one.recalibrate([other])
    assert one._trained is before and one._calibrated.table["video"].tolist() == ["other"] * 9
    assert one.calibrate(train) == []  # their scales were others


# --- causally ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [MOTION, APPEARANCE])
def test_causally_boxes_between_two_others_are_left_out(tmp_path: Path, name: str):
    values = flow(steady) if name == MOTION else crops(steady)
    train = [video(tmp_path, f"n{i}", {1: EVERY}, 30, values) for i in range(2)]
    one = fitted(detector(name), train, train[:1], tmp_path)
    asked = video(tmp_path, "asked", {1: range(9)}, 9, values, without={1: [4, 5]})
    later, causal = one.score(asked).objects, one.score(asked, causal=True).objects
    assert later is not None and causal is not None
    assert sorted(set(later["frame"] - 10)) == list(range(9))
    assert sorted(set(causal["frame"] - 10)) == [0, 1, 2, 3, 6, 7, 8]


def test_causally_rows_between_crops_have_the_score_of_the_crop_before(tmp_path: Path):
    train = [video(tmp_path, f"n{i}", {1: [0]}, 2, crops(lambda position, track: 0.0 * position)) for i in range(2)]
    one = fitted(detector(APPEARANCE, "training.every=3"), train, train[:1], tmp_path)
    asked = video(tmp_path, "asked", {1: range(8)}, 8, crops(lambda position, track: 1.0 * position))
    assert of_stream(one.score(asked).objects, APPEARANCE).tolist() == list(range(8))
    assert of_stream(one.score(asked, causal=True).objects, APPEARANCE).tolist() == [0, 0, 0, 3, 3, 3, 6, 6]
    block = asked.block(4, 8)  # which rows are cropped is a matter of the whole track
    assert of_stream(one.score(block, causal=True).objects, APPEARANCE).tolist() == [0, 0, 6, 6]


# --- what can't be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [MOTION, APPEARANCE])
def test_footage_without_objects_is_refused(tmp_path: Path, name: str):
    values = flow(steady) if name == MOTION else crops(steady)
    empty = video(tmp_path, "empty", {}, 9, values)
    with pytest.raises(DataError, match=rf"{name}: no object was followed in training footage: lower objects\.tracks"):
        fitted(detector(name), [empty], [empty], tmp_path)
    some = video(tmp_path, "some", {1: EVERY}, 30, values)
    lower = r"lower objects\.tracks\.high and \.begin"
    with pytest.raises(DataError, match=rf"held-out normal footage to calibrate by: .*{lower}"):
        fitted(detector(name), [some], [empty], tmp_path)  # one track: no folds


def test_a_damaged_calibration_is_reported_with_the_command_that_makes_it(tmp_path: Path):
    train = [video(tmp_path, f"n{i}", {1: EVERY}, 30, flow(steady)) for i in range(2)]
    fitted(detector(MOTION), train, train[:1], tmp_path).save(tmp_path / "saved")
    path = tmp_path / "saved/calibration.parquet"
    table = pd.read_parquet(path)
    for damaged in (table.assign(direction=np.inf), table.drop(columns="track"), table.assign(magnitude=np.nan)):
        damaged.to_parquet(path, index=False)
        with pytest.raises(DamagedArtifactError, match=r"calibration\.parquet is damaged.*src/train\.py"):
            detector(MOTION).load(tmp_path / "saved")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.density.method=svm", r"training.*density\.method"),
        ("training.density.neighbours=0", r"training.*density\.neighbours"),
        ("training.slow=0", r"training.*slow"),
        ("training.folds=-1", r"training.*folds"),
        ("scoring.quantile=0", r"scoring.*quantile"),
        ("scoring.weights.size=0.5", r"scoring\.weights=.*one for each of magnitude, direction"),
    ],
)
def test_impossible_settings_are_refused(override: str, message: str):
    with pytest.raises(ConfigError, match=message):
        detector(MOTION, override)
