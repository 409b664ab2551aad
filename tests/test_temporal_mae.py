"""The temporal masked autoencoder: windows along tracks, losses by hand, what its network may see, scores."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.pipeline import CPU, trainer_config
from tests.tracked import MAP, tracked_video, tracks_at

from pixelplay.cli import load_config
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.temporal_mae.calibration import STREAMS, Calibration, fill, smoothed
from pixelplay.detectors.temporal_mae.detector import TemporalMAEDetector
from pixelplay.detectors.temporal_mae.losses import consecutive, info_nce, squared_error
from pixelplay.detectors.temporal_mae.network import POOLINGS, AttentionPooling, Statistics, TemporalMAE, sinusoids
from pixelplay.detectors.temporal_mae.sequences import TrackWindows, causal_sequences, sequences
from pixelplay.detectors.temporal_mae.settings import check
from pixelplay.detectors.temporal_mae.training import Training, random_masks, warmup_cosine
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError
from pixelplay.objects.features import Features, features_of
from pixelplay.objects.tracks import tracks_of
from pixelplay.training.clips import OrderedBatches, ShuffledBatches, loader
from pixelplay.training.fit import fit
from pixelplay.training.run import TrainingRun
from pixelplay.videos.heldout import Heldout

NAME = "temporal_mae"
T = 8  # of the tiny configuration
NO = -1


def config_of(*overrides: str, preset: str = "temporal_mae_tiny") -> DetectorConfig:
    return load_config([f"detector=[{preset}]", *(f"detectors.{NAME}.{one}" for one in overrides)]).detectors[NAME]


def network(*overrides: str, channels: int = 6, preset: str = "temporal_mae_tiny") -> TemporalMAE:
    settings, _ = check(NAME, config_of(*overrides, preset=preset))
    torch.manual_seed(0)
    return TemporalMAE(channels, settings.window, settings.pooling, settings.transformer, settings.heads).eval()


def every_map(count: int) -> Features:
    return Features(np.zeros((count, *MAP), np.float16), np.arange(count))


# --- windows --------------------------------------------------------------------------------------------------------


def test_windows_lie_along_a_track_and_a_gap_stays_a_gap():
    """Track 1 in frames 0, 1, 3, 4, 5; track 2 in frames 1 and 2. Rows by frame, then track."""
    tracks = tracks_at({1: [0, 1, 3, 4, 5], 2: [1, 2]})
    found = sequences(tracks, every_map(7), length=4, stride=2)
    assert found.rows.tolist() == [[0, 1, NO, 4], [NO, 4, 5, 6], [2, 3, NO, NO]]
    assert found.track.tolist() == [1, 1, 2]


def test_a_row_without_a_map_is_masked_like_a_gap_and_windows_of_gaps_alone_are_left_out():
    tracks = tracks_at({1: list(range(9)), 2: [0]})
    row = np.arange(10)
    row[[2, 3, 4, 1]] = NO  # rows: frame 0 has rows 0 (track 1) and 1 (track 2)
    found = sequences(tracks, Features(np.zeros((10, *MAP), np.float16), row), length=3, stride=3)
    assert found.rows.tolist() == [[0, NO, NO], [NO, 5, 6], [7, 8, 9]]


def test_the_steps_after_a_window_follow_it_and_end_with_the_track():
    tracks = tracks_at({1: list(range(5))})
    found = sequences(tracks, every_map(5), length=3, stride=2, future=2)
    assert found.rows.tolist() == [[0, 1, 2, 3, 4], [2, 3, 4, NO, NO]]


def test_a_causal_window_ends_at_each_row_that_has_a_map():
    tracks = tracks_at({1: [0, 1, 3], 2: [1]})
    found = causal_sequences(tracks, every_map(4), length=3)
    assert found.rows.tolist() == [[NO, NO, 0], [NO, 0, 1], [NO, NO, 2], [1, NO, 3]]
    assert found.track.tolist() == [1, 1, 2, 1]


def test_no_tracks_give_no_windows():
    tracks = tracks_at({})
    assert sequences(tracks, every_map(0), 4, 2, 3).rows.shape == (0, 7)
    assert causal_sequences(tracks, every_map(0), 4).rows.shape == (0, 4)


def test_a_batch_holds_the_maps_of_its_windows_and_tells_tracks_of_several_videos_apart(tmp_path: Path):
    videos = [tracked_video(tmp_path, f"v{i}", {1: [0, 1, 3]}, length=5, seed=i) for i in range(2)]
    windows = TrackWindows(videos, length=4, stride=4, future=1)
    assert len(windows) == 2 and windows.channels == MAP[0]
    batch = windows[[1, 0]]
    assert batch.valid.tolist() == [[True, True, False, True, False]] * 2
    assert len(set(batch.track.tolist())) == 2
    for row, video in enumerate(reversed(videos)):
        assert np.array_equal(batch.maps[row, [0, 1, 3]], features_of(video).maps[:3])
        assert not batch.maps[row, [2, 4]].any()


def test_statistics_are_those_of_every_map_once(tmp_path: Path):
    videos = [tracked_video(tmp_path, f"v{i}", {1: [0, 1, 3, 4, 5], 2: [2]}, length=6, seed=i) for i in range(2)]
    found = TrackWindows(videos, length=4, stride=1, future=0).statistics()
    maps = np.concatenate([features_of(video).maps for video in videos]).astype(np.float64)  # (12, C, S, S)
    assert found.mean.numpy() == pytest.approx(maps.mean(axis=(0, 2, 3)), abs=1e-5)
    assert found.cell_std.numpy() == pytest.approx(maps.std(axis=(0, 2, 3)), abs=1e-5)
    assert found.mean_std.numpy() == pytest.approx(maps.mean(axis=(2, 3)).std(axis=0), abs=1e-5)


# --- network --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "low", "high"), [(1024, 5e6, 6e6), (2048, 8e6, 11e6)])
def test_the_network_of_the_reference_solution_has_the_parameters_that_it_should_have(width, low, high):
    """YOLOv8n's pyramid has 64 + 128 + 256 channels."""
    model = network(f"training.transformer.feed_forward={width}", channels=448, preset=NAME)
    assert low < sum(p.numel() for p in model.parameters()) < high


def test_the_parameters_of_the_default_network_are_counted_layer_by_layer():
    c, d, f = 448, 256, 1024
    layer = 4 * (d * d + d) + (d * f + f) + (f * d + d) + 4 * d  # attention, feed-forward, two norms
    projection, mask, query = 2 * c * d + d, d, c
    heads = (d * 512 + 512) + (512 * c + c) + (d * 256 + 256) + (256 * 128 + 128)
    model = network(channels=c, preset=NAME)
    assert sum(p.numel() for p in model.parameters()) == 6 * layer + 2 * d + projection + mask + query + heads


def test_average_and_attention_pool_as_worked_out_by_hand():
    maps = torch.tensor(
        [[[[0.0, 0.0], [0.0, math.log(3.0) * math.sqrt(2.0)]], [[1.0, 2.0], [3.0, 4.0]]]]
    )  # (1, 2, 2, 2)
    attention = AttentionPooling(2)
    attention.query.data = torch.tensor([1.0, 0.0])  # the last cell weighs three times as much as each other
    assert attention(maps)[0, 1].item() == pytest.approx((1 + 2 + 3 + 3 * 4) / 6)
    assert POOLINGS["gap"](2)(maps)[0, 1].item() == pytest.approx(2.5)
    hybrid = POOLINGS["hybrid"](2)
    hybrid.attention.query.data = attention.query.data
    assert torch.equal(hybrid(maps), torch.cat([maps.mean(dim=(2, 3)), attention(maps)], dim=1))


def test_positions_are_encoded_by_sines_and_cosines():
    found = sinusoids(3, 4)
    expected = [math.sin(2), math.cos(2), math.sin(2 / 100), math.cos(2 / 100)]
    assert found.shape == (3, 4) and found[2].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_is_hidden_or_not_there_changes_no_prediction(pooling: str):
    model = network(f"training.pooling={pooling}", "training.heads.forecast.weight=0.1")
    maps = torch.randn(2, T, *MAP)
    valid, hidden = torch.ones(2, T, dtype=torch.bool), torch.zeros(2, T, dtype=torch.bool)
    valid[:, 5], hidden[:, [2, 3]] = False, True

    def predictions(maps: torch.Tensor) -> tuple[torch.Tensor, ...]:
        encoded = model.encode(model.tokens(maps), valid, hidden)
        return model.reconstruction(encoded), model.embed(encoded), model.forecasts(encoded)

    before, changed = predictions(maps), maps.clone()
    changed[:, [2, 3, 5]] = 100 * torch.randn(2, 3, *MAP)
    for one, other in zip(before, predictions(changed), strict=True):
        assert torch.equal(one, other)
    changed[:, 4] += 1  # what is seen does change them
    for one, other in zip(before, predictions(changed), strict=True):
        assert not torch.equal(one, other)


def test_targets_are_standardised_means_that_no_weight_can_change():
    model, maps = network(), torch.randn(50, *MAP) * 3 + 5
    means = maps.mean(dim=(2, 3))
    model.standardise(Statistics(means.mean(dim=0), maps.std(dim=(0, 2, 3)), means.std(dim=0, unbiased=False)))
    targets = model.targets(maps)
    assert targets.mean(dim=0).numpy() == pytest.approx(np.zeros(MAP[0]), abs=1e-5)
    assert targets.std(dim=0, unbiased=False).numpy() == pytest.approx(np.ones(MAP[0]), abs=1e-5)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)  # so that all is pooled to one vector
    assert torch.equal(model.targets(maps), targets) and not targets.requires_grad


def test_a_channel_that_is_silent_in_normal_footage_does_not_outweigh_all_others():
    model, std = network(), torch.ones(MAP[0])
    std[0] = 0
    model.standardise(Statistics(torch.zeros(MAP[0]), std, std))
    assert model.targets(torch.ones(1, *MAP))[0, 0].item() == pytest.approx(100 / (5 / 6), rel=1e-5)


# --- losses ---------------------------------------------------------------------------------------------------------


def test_the_squared_error_is_the_mean_over_channels_and_the_steps_that_count():
    predicted, target = torch.tensor([[[1.0, 2.0], [0.0, 0.0], [9.0, 9.0]]]), torch.zeros(1, 3, 2)
    counts = torch.tensor([[True, True, False]])
    assert squared_error(predicted, target, counts).item() == pytest.approx(((1 + 4) / 2 + 0) / 2)
    assert squared_error(predicted, target, torch.zeros(1, 3, dtype=torch.bool)).item() == 0


def test_each_step_follows_the_latest_valid_one_before_it():
    valid = torch.tensor([[True, False, True, True], [False, True, False, False]])
    assert consecutive(valid).tolist() == [[-1, -1, 0, 2], [-1, -1, -1, -1]]


def test_infonce_contrasts_consecutive_steps_with_other_tracks_alone():
    """Tracks 7 and 7 in two windows are no negatives of each other; track 8 is that of both."""
    one, other = [1.0, 0.0], [0.0, 1.0]
    embeddings = torch.tensor([[one, one], [one, other], [other, other]])
    valid, track = torch.ones(3, 2, dtype=torch.bool), torch.tensor([7, 7, 8])
    e = math.exp(1 / 0.5)  # of equal ones; 1 of orthogonal ones
    losses = [-math.log(e / (e + 1)), -math.log(1 / (1 + 1)), -math.log(e / (e + 1 + e))]
    assert info_nce(embeddings, valid, track, 0.5).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_infonce_of_no_pairs_is_zero_and_of_one_track_alone_too():
    embeddings = torch.nn.functional.normalize(torch.randn(2, 3, 4), dim=-1)
    assert info_nce(embeddings, torch.tensor([[True, False, False]] * 2), torch.tensor([1, 2]), 0.1).item() == 0
    assert info_nce(embeddings, torch.ones(2, 3, dtype=torch.bool), torch.tensor([1, 1]), 0.1).item() == 0


def training_of(tmp_path: Path, *overrides: str) -> tuple[Training, TrackWindows]:
    settings, _ = check(NAME, config_of(*overrides))
    video = tracked_video(tmp_path, "v", {1: list(range(12)), 2: [3, 4], 3: [1, 2, 3, 6, 7, 8]}, length=12)
    windows = TrackWindows([video], T, 4, settings.heads.future)
    torch.manual_seed(0)
    model = TemporalMAE(MAP[0], T, settings.pooling, settings.transformer, settings.heads)
    model.standardise(windows.statistics())
    return Training(model, settings, settings.trainer(trainer_config()), seed=0), windows


@pytest.mark.filterwarnings("ignore:.*self.trainer. reference is not registered")  # nothing is logged here
def test_the_total_loss_weighs_reconstruction_contrast_and_forecast(tmp_path: Path):
    module, windows = training_of(tmp_path, "training.heads.forecast.weight=0.2", "training.heads.forecast.steps=2")
    batch = windows[list(range(len(windows)))]
    parts = module.losses(batch, 3, 5)
    assert list(parts) == ["reconstruction", "contrastive", "forecast"]
    expected = parts["reconstruction"] + 0.3 * parts["contrastive"] + 0.2 * parts["forecast"]
    assert module.loss(batch, 3, 5).item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_forecast_is_compared_with_the_steps_after_the_window_that_are_there(tmp_path: Path):
    module, windows = training_of(tmp_path, "training.heads.forecast.weight=0.2", "training.heads.forecast.steps=2")
    batch, model = windows[[0, 1]], module.model  # track 1's frames 0 to 7, then 8, 9; and 4 to 11, then none
    assert batch.valid[:, T:].tolist() == [[True, True], [False, False]]
    found = module.losses(batch, 0, 0)["forecast"].item()
    with torch.no_grad():
        hidden = random_masks(batch.valid[:, :T], 0.75, _seed(0, 0))
        predicted = model.forecasts(model.encode(model.tokens(batch.maps[:, :T]), batch.valid[:, :T], hidden))
        error = (predicted[0] - model.targets(batch.maps)[0, T:]).square().mean().item()
    assert found == pytest.approx(error, rel=1e-5)


def _seed(epoch: int, step: int) -> int:
    from pixelplay.training.run import seed_of

    return seed_of(0, epoch, step)


def test_heads_of_weight_zero_are_not_there(tmp_path: Path):
    module, windows = training_of(tmp_path, "training.heads.contrastive.weight=0.0")
    assert list(module.losses(windows[[0]], 0, 0)) == ["reconstruction"]
    names = {name.split(".")[0] for name, _ in module.model.named_parameters()}
    assert not names & {"contrastive", "forecast"}


def test_masks_hide_their_share_of_the_valid_steps_and_depend_on_the_seed_alone():
    valid = torch.ones(4, 16, dtype=torch.bool)
    valid[1, 8:] = valid[2, 1:] = valid[3, 2:] = False
    masks = random_masks(valid, 0.75, 1)
    assert masks.sum(dim=1).tolist() == [12, 6, 1, 1]
    assert not (masks & ~valid).any()
    assert torch.equal(masks, random_masks(valid, 0.75, 1)) and not torch.equal(masks, random_masks(valid, 0.75, 2))


# --- training -------------------------------------------------------------------------------------------------------


def test_the_learning_rate_rises_linearly_and_falls_by_a_cosine():
    assert [warmup_cosine(epoch, 2, 6) for epoch in range(6)] == pytest.approx(
        [1 / 3, 2 / 3, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )
    assert warmup_cosine(0, 0, 5) == 1


class Killed(BaseException):
    """Stands for a kill."""


class Dying(TrackWindows):
    """Windows whose fourth batch is never read."""

    left = 4

    def __getitem__(self, items: list[int]):
        self.left -= 1
        if not self.left:
            raise Killed
        return super().__getitem__(items)


def test_a_run_that_was_killed_and_goes_on_ends_with_the_same_bits_from_a_checkpoint_that_holds_all(tmp_path: Path):
    settings, _ = check(NAME, config_of("training.heads.forecast.weight=0.1", "training.batch_size=4"))
    fit_on = [tracked_video(tmp_path, f"f{i}", {1: list(range(30)), 2: list(range(5, 25))}, 30, i) for i in range(2)]
    shape = T, 4, settings.heads.future

    def train(folder: str, windows: TrackWindows) -> Training:
        torch.manual_seed(0)
        model = TemporalMAE(MAP[0], T, settings.pooling, settings.transformer, settings.heads)
        model.standardise(windows.statistics())
        run = TrainingRun("small", settings.trainer(trainer_config(loggers=[])), tmp_path / folder, CPU, 0)
        module = Training(model, settings, run.config, 0)
        train = loader(windows, ShuffledBatches(len(windows), 4, 0), CPU)
        fit(module, train, loader(windows, OrderedBatches(len(windows), 16), CPU), run)
        return module

    undisturbed = train("undisturbed", TrackWindows(fit_on, *shape))
    with pytest.raises(Killed):
        dying = Dying(fit_on, *shape)
        dying.left = -(-len(dying) // 4) + -(-len(dying) // 16) + 2  # in the second epoch
        train("killed", dying)
    resumed = train("killed", TrackWindows(fit_on, *shape))
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    checkpoint = torch.load(tmp_path / "killed/last.ckpt", weights_only=True)
    assert checkpoint["optimizer_states"] and checkpoint["lr_schedulers"] and checkpoint["state_dict"]
    assert checkpoint["configuration"] == settings.model_dump(mode="json")


# --- scores ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TemporalMAEDetector:
    place = tmp_path_factory.mktemp("trained")
    videos = [tracked_video(place, f"v{i}", {1: list(range(20)), 2: list(range(4, 18))}, 20, i) for i in range(4)]
    detector = TemporalMAEDetector(NAME, config_of("scoring.stride=3", "scoring.batch_size=3"), CPU)
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


@pytest.mark.parametrize("causal", [False, True])
def test_each_row_has_the_mean_error_of_its_windows_with_that_row_hidden(trained, tmp_path: Path, causal: bool):
    """Every row has a map here, so that none is filled in."""
    video = tracked_video(tmp_path, "test", {1: [*range(3), *range(5, 17)], 2: [4, 5]}, 18, 9)
    tracks, features = tracks_of(video), features_of(video)
    rows = (causal_sequences(tracks, features, T) if causal else sequences(tracks, features, T, 3)).rows
    errors = expected_raw(trained._network, rows, features.maps, [T - 1] if causal else list(range(T)))
    found = by_stream(trained.score(video, causal).objects)[f"{NAME}/reconstruction"]
    assert found == pytest.approx([np.mean(errors[row]) for row in range(len(tracks))], rel=1e-4)


def test_an_embedding_s_score_is_one_minus_its_cosine_with_the_step_before(trained, tmp_path: Path):
    """Frames 1, 2 and 5 of a track: one window. The first row has no step before it, so it has the next one's."""
    video = tracked_video(tmp_path, "test", {1: [1, 2, 5]}, 8, 9)
    model, maps = trained._network, torch.from_numpy(np.array(features_of(video).maps))
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
    calibration = trained._calibration
    for stream, values in by_stream(scores.objects).items():
        own = values[tracks.track == 1]
        assert np.isfinite(values).all()
        assert own[[0, 3, 4]].tolist() == own[[1, 2, 5]].tolist()
        if stream != NAME:
            median = np.median(calibration.normal(stream.removeprefix(f"{NAME}/")))
            assert values[tracks.track == 2] == pytest.approx(np.full(2, median), rel=1e-6)
        else:
            assert values[tracks.track == 2] == pytest.approx(np.zeros(2), abs=1e-6)
    frame = scores.objects[scores.objects["stream"] == NAME]
    assert frame["frame"].tolist() == video.numbers[tracks.position].tolist()
    assert frame["track"].tolist() == tracks.track.tolist()


def test_scores_are_summed_in_robust_deviations_of_normal_objects_smoothed_for_frames_only(trained, tmp_path: Path):
    video = tracked_video(tmp_path, "test", {1: [1, 2, 3, 4]}, 6, 9)
    scores, calibration = trained.score(video), trained._calibration
    objects = by_stream(scores.objects)
    z = {}
    for stream in STREAMS:
        normal = calibration.normal(stream)
        centre = np.median(normal)
        scale = 1.4826 * np.median(np.abs(normal - centre))
        z[stream] = (objects[f"{NAME}/{stream}"] - centre) / scale
        assert scores.streams[f"{NAME}/{stream}"][1:5] == pytest.approx(objects[f"{NAME}/{stream}"])
        assert scores.streams[f"{NAME}/{stream}"][[0, 5]] == pytest.approx(np.full(2, normal.min()))
    combined = (z["reconstruction"] + z["embedding"]) / 2
    assert objects[NAME] == pytest.approx(combined, rel=1e-3)
    averaged = pd.Series(combined).ewm(alpha=0.1).mean().to_numpy()
    assert scores.streams[NAME][1:5] == pytest.approx(averaged, rel=1e-3)


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
    return Calibration.of(pd.DataFrame({"video": "v", "frame": range(count), "track": 1, **scores}), NAME)


def test_alpha_weighs_the_reconstruction_error_and_clip_bounds_both():
    normal = calibration(reconstruction=[0.0, 1.0, 2.0], embedding=[0.0, 0.1, 0.2])
    raw = {"reconstruction": np.array([1 + 1.4826 * 3, 1.0]), "embedding": np.array([0.1, 0.1 + 0.14826 * 8])}
    scoring = check(NAME, config_of("scoring.alpha=0.25"))[1]
    assert normal.combined(raw, scoring).tolist() == pytest.approx([0.25 * 3, 0.75 * 8])
    clipped = scoring.model_copy(update={"clip": [-1.0, 4.0]})
    assert normal.combined(raw, clipped).tolist() == pytest.approx([0.25 * 3, 0.75 * 4])


def test_calibration_without_objects_is_refused_and_a_damaged_one_is_reported(tmp_path: Path):
    with pytest.raises(DataError, match=r"temporal_mae/embedding: no object.*objects\.yolo\.confidence"):
        calibration(reconstruction=[1.0], embedding=[math.nan])
    calibration(reconstruction=[1.0], embedding=[2.0]).save(tmp_path)
    table = pd.read_parquet(tmp_path / "calibration.parquet")
    table.assign(embedding=np.inf).to_parquet(tmp_path / "calibration.parquet", index=False)
    with pytest.raises(DamagedArtifactError, match=r"calibration\.parquet.*infinite.*src/train\.py"):
        Calibration.load(tmp_path, NAME)


def test_footage_without_tracks_is_reported_before_training(tmp_path: Path):
    empty = tracked_video(tmp_path, "v", {}, 3, 0)
    run = TrainingRun(NAME, trainer_config(loggers=[]), tmp_path / "training", CPU, 0)
    with pytest.raises(DataError, match="temporal_mae: no object with feature maps was followed in training footage"):
        TemporalMAEDetector(NAME, config_of(), CPU).fit([empty], Heldout([empty], [empty], []), run)


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
    ],
)
def test_impossible_settings_are_refused_by_name(override: str, problem: str):
    with pytest.raises(ConfigError, match=problem):
        check(NAME, config_of(override))
