"""What the temporal masked autoencoder reads, may see and learns: windows, network, losses by hand, training."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.pipeline import CPU, Dying, Killed, shipped, trainer_config
from tests.tracked import MAP, tracked_video, tracks_at

from pixelplay.detectors.temporal_mae.detector import check
from pixelplay.detectors.temporal_mae.losses import consecutive, info_nce, squared_error
from pixelplay.detectors.temporal_mae.network import POOLINGS, AttentionPooling, Statistics, TemporalMAE, sinusoids
from pixelplay.detectors.temporal_mae.sequences import TrackWindows, sequences
from pixelplay.detectors.temporal_mae.training import Training, random_masks, warmup_cosine
from pixelplay.objects.features import Features, features_of
from pixelplay.training.clips import Batched, OrderedBatches, ShuffledBatches, loader
from pixelplay.training.fit import fit
from pixelplay.training.run import TrainingRun, seed_of

NAME, TINY = "temporal_mae", "temporal_mae_tiny"
T = 8  # of the tiny configuration
NO = -1


def network(*overrides: str, channels: int = 6, preset: str = TINY) -> TemporalMAE:
    settings, _ = check(NAME, shipped(preset, *overrides))
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


def test_no_tracks_give_no_windows():
    tracks = tracks_at({})
    assert sequences(tracks, every_map(0), 4, 2, 3).rows.shape == (0, 7)


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
    settings, _ = check(NAME, shipped(TINY, *overrides))
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
        hidden = random_masks(batch.valid[:, :T], 0.75, seed_of(0, 0, 0))
        predicted = model.forecasts(model.encode(model.tokens(batch.maps[:, :T]), batch.valid[:, :T], hidden))
        error = (predicted[0] - model.targets(batch.maps)[0, T:]).square().mean().item()
    assert found == pytest.approx(error, rel=1e-5)


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


def test_a_run_that_was_killed_and_goes_on_ends_with_the_same_bits_from_a_checkpoint_that_holds_all(tmp_path: Path):
    settings, _ = check(NAME, shipped(TINY, "training.heads.forecast.weight=0.1", "training.batch_size=4"))
    fit_on = [tracked_video(tmp_path, f"f{i}", {1: list(range(30)), 2: list(range(5, 25))}, 30, i) for i in range(2)]
    windows = TrackWindows(fit_on, T, 4, settings.heads.future)

    def train(folder: str, items: Batched[Any] = windows) -> Training:
        torch.manual_seed(0)
        model = TemporalMAE(MAP[0], T, settings.pooling, settings.transformer, settings.heads)
        model.standardise(windows.statistics())
        run = TrainingRun("small", settings.trainer(trainer_config(loggers=[])), tmp_path / folder, CPU, 0)
        module = Training(model, settings, run.config, 0)
        train = loader(items, ShuffledBatches(len(windows), 4, 0), CPU)
        fit(module, train, loader(windows, OrderedBatches(len(windows), 16), CPU), run)
        return module

    undisturbed = train("undisturbed")
    with pytest.raises(Killed):
        train("killed", Dying(windows, -(-len(windows) // 4) + 2))  # in the second epoch
    resumed = train("killed")
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    checkpoint = torch.load(tmp_path / "killed/last.ckpt", weights_only=True)
    assert checkpoint["optimizer_states"] and checkpoint["lr_schedulers"] and checkpoint["state_dict"]
    assert checkpoint["configuration"] == settings.model_dump(mode="json")
