"""Scores of the temporal masked autoencoder, worked out from its network's outputs, and what it refuses."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.pipeline import CPU, shipped, trainer_config
from tests.tracked import tracked_video, tracks_at

from pixelplay.detectors.calibration import Calibration
from pixelplay.detectors.temporal_mae.detector import ABOUT, TemporalMAEDetector, check
from pixelplay.detectors.temporal_mae.network import TemporalMAE
from pixelplay.detectors.temporal_mae.raw_scores import STREAMS, smoothed
from pixelplay.detectors.temporal_mae.sequences import sequences
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError
from pixelplay.objects.features import features_of
from pixelplay.objects.tracks import Tracks, fill, tracks_of
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout

NAME, TINY = "temporal_mae", "temporal_mae_tiny"
T = 8  # of the tiny configuration


# --- scores ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TemporalMAEDetector:
    place = tmp_path_factory.mktemp("trained")
    videos = [tracked_video(place, f"v{i}", {1: list(range(20)), 2: list(range(4, 18))}, 20, i) for i in range(4)]
    detector = TemporalMAEDetector(NAME, shipped(TINY, "scoring.stride=3", "scoring.batch_size=3"), CPU)
    run = TrainingRun(NAME, trainer_config(loggers=[]), place / "training", CPU, 0)
    detector.fit(videos[:2], Heldout(videos[2:3], videos[3:], []), run)
    return detector


def by_stream(objects: pd.DataFrame) -> dict[str, np.ndarray]:
    return {stream: group["score"].to_numpy() for stream, group in objects.groupby("stream", sort=False)}


@torch.inference_mode()
def expected_raw(model: TemporalMAE, rows: np.ndarray, maps: np.ndarray, steps: list[int]) -> dict[int, list[float]]:
    """By row, the errors of each window, one by one, with one step hidden."""
    found: dict[int, list[float]] = {}
    for window in rows:
        valid = torch.from_numpy(window >= 0)[None]
        here = torch.from_numpy(np.where((window >= 0)[:, None, None, None], maps[window.clip(min=0)], 0))[None]
        tokens, targets = model.tokens(here), model.targets(here)
        for step in steps:
            if window[step] < 0:
                continue
            hidden = torch.zeros(1, T, dtype=torch.bool)
            hidden[0, step] = True
            predicted = model.reconstruction(model.encode(tokens, valid, hidden))[0, step]
            error = (predicted - targets[0, step]).square().mean().item()
            found.setdefault(int(window[step]), []).append(error)
    return found


def ending_at(row: int, tracks: Tracks) -> list[int]:
    """The window of the rows of a track, -1 where it has none, that ends at one."""
    at = {
        p: k
        for k, (p, track) in enumerate(zip(tracks.position, tracks.track, strict=True))
        if track == tracks.track[row]
    }
    return [at.get(tracks.position[row] - ago, -1) for ago in reversed(range(T))]


@pytest.mark.parametrize("causal", [False, True])
def test_each_row_has_the_mean_error_of_its_windows_with_that_row_hidden(trained, tmp_path: Path, causal: bool):
    """Every row has a map here, so that none is filled in."""
    video = tracked_video(tmp_path, "test", {1: [*range(3), *range(5, 17)], 2: [4, 5]}, 18, 9)
    tracks, features = tracks_of(video), features_of(video)
    rows = np.array([ending_at(row, tracks) for row in range(len(tracks))])
    rows = rows if causal else sequences(tracks, features, T, 3).rows
    errors = expected_raw(trained._used.model, rows, features.maps, [T - 1] if causal else list(range(T)))
    found = by_stream(trained.score(video, causal).objects)[f"{NAME}/reconstruction"]
    assert found == pytest.approx([np.mean(errors[row]) for row in range(len(tracks))], rel=1e-4)


def test_an_embedding_s_score_is_one_minus_its_cosine_with_the_step_before(trained, tmp_path: Path):
    """Frames 1, 2 and 5 of a track: one window. The first row has no step before it, so it has the next one's."""
    video = tracked_video(tmp_path, "test", {1: [1, 2, 5]}, 8, 9)
    model, maps = trained._used.model, torch.from_numpy(np.array(features_of(video).maps))
    tokens, valid = torch.zeros(1, T, 32), torch.zeros(1, T, dtype=torch.bool)
    tokens[0, [0, 1, 4]], valid[0, [0, 1, 4]] = model.tokens(maps).detach(), True
    with torch.inference_mode():
        z = model.embed(model.encode(tokens, valid, torch.zeros_like(valid)))[0]
    second, third = 1 - (z[0] @ z[1]).item(), 1 - (z[1] @ z[4]).item()
    found = by_stream(trained.score(video).objects)[f"{NAME}/embedding"]
    assert found == pytest.approx([second, second, third], abs=1e-5)


def test_every_row_of_the_table_of_tracks_is_scored_in_every_stream_also_those_without_maps(trained, tmp_path: Path):
    """Rows without a map have the nearest one's score; a track without any, the median of normal objects."""
    video = tracked_video(tmp_path, "test", {1: list(range(6)), 2: [2, 3]}, 8, 9, without={1: [0, 3, 4], 2: [2, 3]})
    scores, tracks = trained.score(video), tracks_of(video)
    assert len(scores.objects) == 3 * len(tracks)
    calibration = trained._used.calibration
    for stream, values in by_stream(scores.objects).items():
        own = values[tracks.track == 1]
        assert np.isfinite(values).all()
        assert own[[0, 3, 4]].tolist() == own[[1, 2, 5]].tolist()
        if stream != NAME:
            median = np.median(calibration.normal(stream.removeprefix(f"{NAME}/")))
            assert values[tracks.track == 2] == pytest.approx(np.full(2, median), rel=1e-6)
    frame = scores.objects[scores.objects["stream"] == NAME]
    assert frame["frame"].tolist() == video.numbers[tracks.position].tolist()
    assert frame["track"].tolist() == tracks.track.tolist()


def test_scores_are_scaled_by_normal_ones_and_summed_and_smoothed_for_frames_only(trained, tmp_path: Path):
    video = tracked_video(tmp_path, "test", {1: [1, 2, 3, 4]}, 6, 9)
    scores, calibration = trained.score(video), trained._used.calibration
    objects, scaled = by_stream(scores.objects), {}
    for stream in STREAMS:
        normal, raw = calibration.normal(stream), objects[f"{NAME}/{stream}"]
        scaled[stream] = ((raw - normal.min()) / (np.quantile(normal, 0.999) - normal.min())).clip(0, 1)
        assert scores.streams[f"{NAME}/{stream}"][1:5] == pytest.approx(raw)
        assert scores.streams[f"{NAME}/{stream}"][[0, 5]] == pytest.approx(np.full(2, normal.min()))
    combined = (scaled["reconstruction"] + scaled["embedding"]) / 2
    assert objects[NAME] == pytest.approx(combined, rel=1e-3)
    averaged = pd.Series(combined).ewm(alpha=0.1).mean().to_numpy()
    assert scores.streams[NAME][1:5] == pytest.approx(averaged, rel=1e-3)
    assert scores.streams[NAME][[0, 5]].tolist() == [0, 0]


def test_a_frame_has_its_highest_object_and_without_objects_the_lowest_normal_score(trained, tmp_path: Path):
    video = tracked_video(tmp_path, "test", {1: [0, 1, 2], 2: [1, 2]}, 4, 9)
    scores = trained.score(video)
    stream = f"{NAME}/reconstruction"
    rows = scores.objects[scores.objects["stream"] == stream]
    highest = rows.groupby("frame")["score"].max()
    assert scores.streams[stream][:3].tolist() == highest.tolist()
    empty = trained.score(tracked_video(tmp_path, "empty", {}, 3, 0))
    assert empty.objects is not None and empty.objects.empty and empty.objects["class"].dtype == "str"
    for name, values in scores.streams.items():
        assert empty.streams[name].tolist() == [values[3]] * 3


def test_a_video_of_one_frame_is_scored(trained, tmp_path: Path):
    scores = trained.score(tracked_video(tmp_path, "one", {1: [0], 4: [0]}, 1, 0), causal=True)
    assert len(scores.objects) == 6 and all(len(values) == 1 for values in scores.streams.values())


def test_footage_that_follows_does_not_change_causal_scores(trained, tmp_path: Path):
    """Not even their rounding, though more windows are scored."""
    whole = tracked_video(tmp_path, "v", {1: list(range(16)), 2: list(range(3, 16))}, 16, 5)
    short = trained.score(whole.block(0, 7), causal=True)
    long = trained.score(whole, causal=True)
    for name, values in short.streams.items():
        assert np.array_equal(values, long.streams[name][:7]), name
    for name, values in by_stream(short.objects).items():
        assert np.array_equal(values, by_stream(long.objects)[name][: len(values)]), name


def test_causally_boxes_between_two_others_are_left_out(trained, tmp_path: Path):
    """So that a frame in which nothing was detected is one without objects."""
    video = tracked_video(tmp_path, "test", {1: range(6)}, 6, 9, without={1: [3]})
    later, causal = trained.score(video), trained.score(video, causal=True)
    assert [sorted(set(one.objects["frame"] - 10)) for one in (later, causal)] == [[*range(6)], [0, 1, 2, 4, 5]]
    stream = f"{NAME}/reconstruction"
    lowest = trained._used.calibration.lowest["reconstruction"][0]
    assert causal.streams[stream][3] == pytest.approx(lowest) and later.streams[stream][3] > lowest


def test_an_object_unlike_those_of_training_has_the_highest_reconstruction_error(trained, tmp_path: Path):
    video = tracked_video(tmp_path, "odd", {1: list(range(12)), 2: list(range(12))}, 12, 7, odd={2})
    objects = trained.score(video).objects
    means = objects[objects["stream"] == f"{NAME}/reconstruction"].groupby("track")["score"].mean()
    assert means[2] > 2 * means[1]


def test_a_track_s_average_fades_over_a_gap():
    tracks = tracks_at({1: [0, 1, 4], 2: [1]})
    found = smoothed(np.array([1.0, 0.0, 7.0, 0.0]), tracks, 0.5)  # rows: frames 0, 1 (tracks 1 and 2), 4
    assert found.tolist() == pytest.approx([1.0, 0.5 / 1.5, 7.0, 0.5**4 / (0.5**4 + 0.5**3 + 1)])


@pytest.mark.parametrize(
    ("causal", "expected"), [(False, [2.0, 2.0, 2.0, 5.0, 5.0, 9.0]), (True, [9.0, 2.0, 2.0, 2.0, 5.0, 9.0])]
)
def test_a_lost_score_is_the_nearest_of_its_track_the_earlier_of_two(causal: bool, expected: list[float]):
    """Frames 0, 1, 3, 4 and 5 of track 1, of which 1 and 5 are known; track 2 has none."""
    tracks = tracks_at({1: [0, 1, 3, 4, 5], 2: [6]})
    lost = np.nan
    assert fill(np.array([lost, 2.0, lost, lost, 5.0, lost]), tracks, 9.0, causal).tolist() == expected


# --- calibration and settings ---------------------------------------------------------------------------------------


def calibration(**scores: list[float]) -> Calibration:
    count = len(scores["reconstruction"])
    table = pd.DataFrame({"video": "v", "frame": range(count), "track": 1, **scores})
    return Calibration.of(table, ABOUT, STREAMS, "lower objects.yolo.confidence")


def test_alpha_weighs_the_reconstruction_error_and_larger_scores_than_normal_are_clipped():
    normal = calibration(reconstruction=[1.0, 2.0, 5.0], embedding=[0.0, 0.1, 0.2])
    raw = {"reconstruction": np.array([3.0, 0.0, 9.0]), "embedding": np.array([0.05, 0.3, 0.2])}
    scoring = check(NAME, shipped(TINY, "scoring.alpha=0.25", "scoring.quantile=1.0"))[1]
    expected = [0.25 * 2 / 4 + 0.75 * 0.25, 0.75, 1.0]
    assert normal.combination(scoring.weights, scoring.quantile)(raw).tolist() == pytest.approx(expected)


def test_scales_can_be_those_of_other_normal_footage_and_the_networks_stay(trained, tmp_path: Path):
    before = trained._trained
    borrowed = TemporalMAEDetector(NAME, shipped(TINY), CPU)
    borrowed._trained = dict(before)
    other = tracked_video(tmp_path, "other", {1: list(range(12))}, 12, 9)
    borrowed.recalibrate([other])
    assert trained._trained is before
    for name, one in borrowed._trained.items():
        assert set(one.calibration.table["video"]) == {"other"} and one.model is before[name].model
        assert len(one.calibration.table) == 12


def test_calibration_without_objects_is_refused_and_a_damaged_one_is_reported(tmp_path: Path):
    with pytest.raises(DataError, match=r"embedding: no object.*objects\.yolo\.confidence"):
        calibration(reconstruction=[1.0], embedding=[math.nan])
    calibration(reconstruction=[1.0], embedding=[2.0]).save(tmp_path)
    table = pd.read_parquet(tmp_path / "calibration.parquet")
    table.assign(embedding=np.inf).to_parquet(tmp_path / "calibration.parquet", index=False)
    with pytest.raises(DamagedArtifactError, match=r"calibration\.parquet.*infinite.*src/train\.py"):
        Calibration.load(tmp_path, ABOUT, STREAMS)


def test_footage_without_tracks_is_reported_before_training(tmp_path: Path):
    empty = tracked_video(tmp_path, "v", {}, 3, 0)
    run = TrainingRun(NAME, trainer_config(loggers=[]), tmp_path / "training", CPU, 0)
    with pytest.raises(DataError, match="temporal_mae: no object with feature maps was followed in training footage"):
        TemporalMAEDetector(NAME, shipped(TINY), CPU).fit([empty], Heldout([empty], [empty], []), run)


def test_the_best_epoch_the_last_one_or_another_training_can_be_scored_with(tmp_path: Path):
    """Ever higher rates, so that the first epoch is the best."""
    videos = [tracked_video(tmp_path, f"v{i}", {1: list(range(20))}, 20, i) for i in range(3)]
    same = ("training.learning_rate=10.0", "training.max_epochs=3", "training.warmup_epochs=2")
    run = TrainingRun(NAME, trainer_config(loggers=[]), tmp_path / "training", CPU, 0)
    detector = TemporalMAEDetector(NAME, shipped(TINY, *same), CPU)
    detector.fit(videos[:1], Heldout(videos[1:2], videos[2:], []), run)
    detector.save(tmp_path / "saved")
    found = {}
    for name in ("best", "last", str(tmp_path / "saved")):
        again = TemporalMAEDetector(NAME, shipped(TINY, *same, f"scoring.checkpoint={name}"), CPU)
        again.load(tmp_path / ("saved" if name in ("best", "last") else "elsewhere"))
        found[name] = again._used.model.state_dict()
    for name, file in (("best", "best"), ("last", "last"), (str(tmp_path / "saved"), "best")):
        state = torch.load(tmp_path / f"training/{file}.ckpt", weights_only=True)["state_dict"]
        assert all(torch.equal(tensor, state[f"model.{key}"]) for key, tensor in found[name].items()), name
    assert not torch.equal(found["best"]["mask_token"], found["last"]["mask_token"])


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("training.stride=9", r"training=.*stride=9 would skip frames between windows of 8"),
        ("scoring.stride=9", r"scoring\.stride=9: would skip frames between windows of 8"),
        ("training.pooling=max", r"training\.pooling='max': Input should be 'gap', 'attention' or 'hybrid'"),
        ("training.transformer.heads=5", r"transformer.*width=32: must be divisible by heads=5"),
        ("training.warmup_epochs=2", r"warmup_epochs=2 must be below max_epochs=2"),
        ("training.mask_ratio=1.0", r"training\.mask_ratio=1\.0"),
        ("scoring.alpha=1.5", r"scoring\.alpha=1\.5"),
        ("scoring.checkpoint=none", r"scoring\.checkpoint=none: must be best, last, or the folder"),
    ],
)
def test_impossible_settings_are_refused_by_name(override: str, problem: str):
    with pytest.raises(ConfigError, match=problem):
        check(NAME, shipped(TINY, override))
