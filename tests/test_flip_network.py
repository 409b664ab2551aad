"""The flip network: what it is trained with, that it learns, that a seed decides all, and its files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.pipeline import cached_video
from tests.street import SIDE, drawn, restore_config, street, turned

from pixelplay.errors import DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.restoration.flip_classifier import FlipClassifier
from pixelplay.restoration.flip_network import EPOCH_FRAMES, FlipNetwork, Footage, balanced_accuracy, batches, train
from pixelplay.videos.video import Video

CONFIG = restore_config()
QUICK = CONFIG.model_copy(update={"network": CONFIG.network.model_copy(update={"epochs": 1})})


def halves(folder: Path, count: int = 10, size: tuple[int, int] = (SIDE, SIDE)) -> Video:
    """Plain footage, 140 above and 100 below, as if shrunk from frames of `size`."""
    frames = np.full((count, SIDE, SIDE), 140, np.uint8)
    frames[:, SIDE // 2 :] = 100
    video = cached_video(folder, "halves", frames)
    return Video(video.id, video.split, video.numbers, size, video.folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[FlipNetwork, Path]:
    folder = tmp_path_factory.mktemp("trained")
    fit = [cached_video(folder, f"fit{seed}", street(80, seed=seed)) for seed in range(2)]
    heldout = [cached_video(folder, "heldout", street(80, seed=2))]
    return train(fit, heldout, CONFIG, folder / "network", seed=0), folder / "network"


def test_it_learns_what_is_upright_on_clean_and_on_noisy_frames(trained: tuple[FlipNetwork, Path]):
    network, _ = trained
    assert network.heldout.judged == 160
    assert network.heldout.overall >= 0.99
    assert network.heldout.noisy is not None and network.heldout.noisy >= 0.99


def test_frames_of_another_day_are_judged_rightly(trained: tuple[FlipNetwork, Path]):
    network, _ = trained
    flipped = drawn(600, 0.5)
    frames = turned(street(600, seed=3) // 2 + 20, flipped)  # half the contrast, other people
    probability = network.probability(frames)
    assert probability.dtype == np.float32
    assert probability.min() >= 0 and probability.max() <= 1
    assert np.mean((probability > 0.5) == flipped) >= 0.99
    np.testing.assert_allclose(network.probability(frames[510:515]), probability[510:515], atol=1e-6)


def test_a_loaded_network_judges_like_the_saved_one_and_has_its_accuracy(trained: tuple[FlipNetwork, Path]):
    network, folder = trained
    stored = json.loads((folder / "flip_network.json").read_text())["heldout_balanced_accuracy"]
    assert stored == {"judged": 160, "overall": network.heldout.overall, "noisy": network.heldout.noisy}
    loaded, frames = FlipNetwork.load(folder), street(20, seed=4)
    assert np.array_equal(loaded.probability(frames), network.probability(frames))
    assert (loaded.frames, loaded.config, loaded.heldout) == (network.frames, network.config, network.heldout)


def test_the_seed_decides_all_and_the_number_of_threads_nothing(tmp_path: Path):
    fit, heldout = [halves(tmp_path / "a")], [halves(tmp_path / "b")]
    before = torch.get_num_threads()
    try:
        for name, seed, threads in (("first", 1, 1), ("again", 1, 2), ("other", 2, 1)):
            torch.set_num_threads(threads)
            train(fit, heldout, QUICK, tmp_path / name, seed)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for name in ("flip_network.safetensors", "flip_network.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    weights = "flip_network.safetensors"
    assert (tmp_path / "first" / weights).read_bytes() != (tmp_path / "other" / weights).read_bytes()
    assert len(list((tmp_path / "first").iterdir())) == 2  # no temporary file stays


def test_an_epoch_is_half_flipped_and_flips_and_noise_are_independent(tmp_path: Path):
    footage = Footage([halves(tmp_path)], CONFIG)
    parts = list(batches(footage, CONFIG, np.random.default_rng(0)))
    frames, flipped = (torch.cat(part) for part in zip(*parts, strict=True))
    assert frames.shape == (EPOCH_FRAMES, 1, SIDE, SIDE)
    assert frames.min() >= 0 and frames.max() <= 1
    upper, lower = frames[:, 0, : SIDE // 2], frames[:, 0, SIDE // 2 :]
    assert torch.equal(upper.mean(dim=(1, 2)) < lower.mean(dim=(1, 2)), flipped == 1)  # whatever light and noise
    noisy = upper.std(dim=(1, 2)) > 0.02  # the plain halves have none of their own
    error = (0.25 / (EPOCH_FRAMES / 2)) ** 0.5
    assert abs(flipped.mean() - 0.5) < 5 * error
    for side in (flipped == 0, flipped == 1):
        assert abs(noisy[side].float().mean() - (0.24 + 0.15)) < 5 * error


def test_every_epoch_is_drawn_anew(tmp_path: Path):
    footage = Footage([cached_video(tmp_path, "a", street(64))], CONFIG)
    first, again, other = (
        next(iter(batches(footage, CONFIG, np.random.default_rng([0, epoch]))))[0] for epoch in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_small_frames_get_what_noise_averaging_leaves(tmp_path: Path):
    """Originals of 128x64 pixels in frames of 32x32: eight pixels become one, so the noise is sqrt(8) times smaller."""
    footage = Footage([halves(tmp_path, 40, size=(128, 64))], CONFIG)
    items, upright = np.arange(40), np.zeros(40, bool)
    for kind, sd in (("heavy", 23.0), ("light", 17.25)):
        frames = footage.corrupted(items, upright, np.full(40, kind), np.random.default_rng(0))
        expected = np.sqrt(sd**2 / 8 + 1 / 12)  # rounding adds a variance of 1/12
        assert frames[:, : SIDE // 2].std() == pytest.approx(expected, rel=0.02)
    assert np.array_equal(
        footage.corrupted(items, ~upright, np.full(40, "none"), np.random.default_rng(0))[:, 0],
        np.full((40, SIDE), 100),
    )


def constant(logit: float) -> FlipClassifier:
    model = FlipClassifier([2], pool=2)
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.fill_(logit)
    return model


def test_who_always_says_the_same_has_a_balanced_accuracy_of_one_half(tmp_path: Path):
    for logit in (-3.0, 3.0):
        accuracy = balanced_accuracy(constant(logit), [halves(tmp_path)], CONFIG, seed=0)
        assert (accuracy.judged, accuracy.overall, accuracy.noisy) == (20, 0.5, 0.5)


def test_without_noise_there_is_no_accuracy_on_noisy_frames(tmp_path: Path):
    quiet = CONFIG.corruption.model_copy(update={"heavy": 0.0, "light": 0.0})
    config = CONFIG.model_copy(update={"corruption": quiet})
    assert balanced_accuracy(constant(0.0), [halves(tmp_path)], config, seed=0).noisy is None


def test_footage_is_needed(tmp_path: Path):
    for fit, heldout in (([], [halves(tmp_path)]), ([halves(tmp_path)], [])):
        with pytest.raises(DataError, match=r"restore\.flip=background"):
            train(fit, heldout, CONFIG, tmp_path / "network", seed=0)


def test_frames_of_another_size_are_refused(trained: tuple[FlipNetwork, Path]):
    with pytest.raises(DataError, match=r"\(16, 32\).*\(32, 32\).*restore\.frames"):
        trained[0].probability(np.zeros((3, 16, 32), np.uint8))


@pytest.mark.parametrize("name", ["flip_network.safetensors", "flip_network.json"])
def test_a_damaged_file_is_refused(trained: tuple[FlipNetwork, Path], tmp_path: Path, name: str):
    folder = Path(shutil.copytree(trained[1], tmp_path / "copy"))
    file = folder / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DamagedArtifactError, match=rf"{name} is damaged .*python src/prepare\.py"):
        FlipNetwork.load(folder)


def test_files_that_do_not_belong_together_are_refused(trained: tuple[FlipNetwork, Path], tmp_path: Path):
    folder = Path(shutil.copytree(trained[1], tmp_path / "copy"))
    value = json.loads((folder / "flip_network.json").read_text())
    for change in ({"network": {**value["network"], "pool": 3}}, {"frames": {}}):
        (folder / "flip_network.json").write_text(json.dumps({**value, **change}))
        with pytest.raises(DamagedArtifactError, match="damaged"):
            FlipNetwork.load(folder)


def test_a_missing_network_names_the_command_that_makes_it(tmp_path: Path):
    with pytest.raises(MissingArtifactError, match=r"python src/prepare\.py"):
        FlipNetwork.load(tmp_path)
