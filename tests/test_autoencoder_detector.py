"""The autoencoder as a detector: its contract, scores worked out by hand, saving and loading, and what it finds."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.pipeline import CPU, GRAY, STRIDE, WINDOW, cached_video, shipped, trainer_config, walking_square

from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.detectors.autoencoder.detector import POOLINGS, AutoencoderDetector
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import ConfigError, DamagedArtifactError
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

STREAMS = ["conv_ae", *(f"conv_ae/{pooling}" for pooling in POOLINGS)]
VALUES = np.array([0.2, 0.5, 0.6, 0.9], np.float32)  # what the known network gives for a window's 1st to 4th frame


def detector_config(name: str = "conv_ae", **scoring: object) -> DetectorConfig:
    """The tiny experiment's detector on 16x16 frames, with windows of four frames and these changes in its scoring."""
    config = load_config(["experiment=tiny"]).detectors[name]
    settings = config.training | {"window": WINDOW, "stride": STRIDE, "widths": [8, 16]}
    changed = config.scoring | {"patch": 4, "batch_size": 5} | scoring
    return config.model_copy(update={"frames": GRAY, "training": settings, "scoring": changed})


def loaded(folder: Path, **scoring: object) -> AutoencoderDetector:
    detector = AutoencoderDetector("conv_ae", detector_config(**scoring), CPU)
    detector.load(folder)
    return detector


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a detector that learnt a walking square in a few seconds."""
    folder = tmp_path_factory.mktemp("trained")
    fit = [cached_video(folder, f"fit{i}", walking_square(60, seed=i)) for i in range(4)]
    heldout = [cached_video(folder, "heldout", walking_square(40, seed=9))]
    detector = AutoencoderDetector("conv_ae", detector_config(), CPU)
    config = trainer_config(max_epochs=15, learning_rate=5e-3, batch_size=16, loggers=[])
    detector.fit(fit, Heldout(heldout), TrainingRun("conv_ae", config, folder / "training", CPU, 0))
    detector.save(folder / "saved")
    return folder / "saved"


@pytest.fixture(scope="module")
def known(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved detector whose network gives VALUES, whatever it is fed: no kernel in its last layer, only biases."""
    folder = tmp_path_factory.mktemp("known") / "saved"
    shutil.copytree(trained, folder)
    weights = load_file(folder / "weights.safetensors")
    last = max(name for name in weights if name.startswith("decoder") and name.endswith("weight"))
    weights[last].zero_()
    weights[last.replace("weight", "bias")] = torch.logit(torch.from_numpy(VALUES))
    save_file(weights, folder / "weights.safetensors")
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Video:
    """23 random frames: the last window is not on the grid of starts."""
    frames = np.random.default_rng(0).integers(0, 256, (23, 16, 16), dtype=np.uint8)
    return cached_video(tmp_path, "v", frames, "test")


def pooled(frame: np.ndarray, value: float) -> dict[str, float]:
    """Poolings of the squared error of one frame, uint8 (16, 16), that was reconstructed as `value` everywhere."""
    errors = (frame.astype(np.float64) / 255 - value) ** 2
    patches = [errors[r : r + 4, c : c + 4].mean() for r in range(0, 13, 2) for c in range(0, 13, 2)]
    largest = np.sort(errors, axis=None)[::-1][:3]  # round(0.01 * 256)
    return {"mean": errors.mean(), "max": errors.max(), "topk": largest.mean(), "patch_max": max(patches)}


def test_a_frame_s_score_is_the_mean_of_its_pooled_error_over_the_windows_that_cover_it(known: Path, video: Video):
    streams = loaded(known).score(video).streams
    frames = video.frames(GRAY)
    starts = [*range(0, 19, 2), 19]
    for t in (0, 1, 2, 11, 19, 20, 21, 22):
        errors = [pooled(frames[t], VALUES[t - start]) for start in starts if start <= t < start + WINDOW]
        assert len(errors) == {0: 1, 1: 1, 2: 2, 11: 2, 19: 3, 20: 2, 21: 2, 22: 1}[t]
        for pooling in POOLINGS:
            expected = np.mean([error[pooling] for error in errors])
            assert streams[f"conv_ae/{pooling}"][t] == pytest.approx(expected, rel=1e-5)


def test_a_causal_score_is_the_pooled_error_of_the_last_frame_of_the_latest_window(known: Path, video: Video):
    streams = loaded(known).score(video, causal=True).streams
    frames = video.frames(GRAY)
    for t in range(len(video)):
        end = t - t % STRIDE  # windows end at frames 0, 2, 4, ...
        for pooling in POOLINGS:
            expected = pooled(frames[end], VALUES[-1])[pooling]
            assert streams[f"conv_ae/{pooling}"][t] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_default_stream_is_that_of_the_configured_pooling(trained: Path, video: Video, pooling: str):
    streams = loaded(trained, pooling=pooling).score(video).streams
    assert np.array_equal(streams["conv_ae"], streams[f"conv_ae/{pooling}"])
    others = [streams[f"conv_ae/{other}"] for other in POOLINGS if other != pooling]
    assert all(not np.array_equal(streams["conv_ae"], other) for other in others)


@pytest.mark.parametrize("causal", [False, True])
def test_scores_agree_to_float32_rounding_whatever_the_batch_size(trained: Path, video: Video, causal: bool):
    reference = loaded(trained, batch_size=1).score(video, causal).streams
    for batch_size in (2, 3, 64):
        streams = loaded(trained, batch_size=batch_size).score(video, causal).streams
        for stream in STREAMS:
            np.testing.assert_allclose(streams[stream], reference[stream], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_video_shorter_than_a_window_is_scored(known: Path, tmp_path: Path, count: int, causal: bool):
    frames = np.random.default_rng(2).integers(0, 256, (count, 16, 16), dtype=np.uint8)
    scores = loaded(known).score(cached_video(tmp_path, "short", frames), causal).streams["conv_ae/mean"]
    assert scores.shape == (count,)
    if causal:
        expected = [pooled(frames[t - t % STRIDE], VALUES[-1])["mean"] for t in range(count)]
    else:  # one window, filled up with the last frame, which so is scored more than once
        expected = [pooled(frames[t], VALUES[t])["mean"] for t in range(count - 1)]
        expected.append(np.mean([pooled(frames[-1], value)["mean"] for value in VALUES[count - 1 :]]))
    assert scores.tolist() == pytest.approx(expected, rel=1e-5)


def test_other_scoring_needs_no_new_training_but_other_settings_do(trained: Path):
    loaded(trained, pooling="mean", patch=2)
    config = detector_config()
    changed = config.model_copy(update={"training": config.training | {"stride": 1}})
    with pytest.raises(ConfigError, match=r"stride.*train again"):
        AutoencoderDetector("conv_ae", changed, CPU).load(trained)


@pytest.mark.parametrize("name", ["weights.safetensors", "detector.json"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_a_damaged_checkpoint_is_refused_with_what_to_do(trained: Path, tmp_path: Path, name: str, damage: str):
    shutil.copytree(trained, tmp_path / "saved")
    path = tmp_path / "saved" / name
    content = path.read_bytes()
    path.write_bytes({"truncated": content[: len(content) // 2], "garbage": b"\x93" * 500, "empty": b""}[damage])
    with pytest.raises(DamagedArtifactError, match=rf"{name} is damaged .*run `python src/train\.py"):
        loaded(tmp_path / "saved")


def test_weights_of_another_network_are_refused(trained: Path, tmp_path: Path):
    shutil.copytree(trained, tmp_path / "saved")
    weights = load_file(trained / "weights.safetensors")
    weights.pop("encoder.0.weight")
    save_file(weights, tmp_path / "saved" / "weights.safetensors")
    with pytest.raises(DamagedArtifactError, match=r"encoder\.0\.weight"):
        loaded(tmp_path / "saved")


def test_a_strange_patch_scores_higher_than_all_that_is_usual(trained: Path, tmp_path: Path):
    frames = walking_square(60, seed=20)
    anomalous = np.zeros(60, bool)
    anomalous[25:35] = True
    frames[anomalous, 6:12, 2:8] = np.random.default_rng(3).integers(0, 256, (10, 6, 6), dtype=np.uint8)
    video = cached_video(tmp_path, "strange", frames, "test")
    for causal in (False, True):
        scores = loaded(trained).score(video, causal).streams["conv_ae"]
        inside = anomalous.copy()
        inside[[25, 34, 35]] = False  # causally, a frame has the score of the even frame before it
        assert scores[inside].min() > 2 * scores[~anomalous & (np.arange(60) != 35)].max()


@pytest.mark.parametrize("name", ["denoising_ae", "st_ae"])
def test_the_others_of_the_family_find_it_too_and_are_the_same_when_loaded(tmp_path: Path, name: str):
    fit = [cached_video(tmp_path, f"fit{i}", walking_square(60, seed=i)) for i in range(4)]
    heldout = [cached_video(tmp_path, "heldout", walking_square(40, seed=9))]
    first, second = (AutoencoderDetector(name, detector_config(name), CPU) for _ in range(2))
    config = trainer_config(max_epochs=15, learning_rate=5e-3, batch_size=16, loggers=[])
    first.fit(fit, Heldout(heldout), TrainingRun(name, config, tmp_path / "training", CPU, 0))
    first.save(tmp_path / "saved")
    second.load(tmp_path / "saved")
    frames = walking_square(60, seed=20)
    frames[26:34, 6:12, 2:8] = np.random.default_rng(3).integers(0, 256, (8, 6, 6), dtype=np.uint8)
    video = cached_video(tmp_path, "strange", frames, "test")
    for causal in (False, True):
        streams = first.score(video, causal).streams
        assert list(streams) == [stream.replace("conv_ae", name) for stream in STREAMS]
        usual = np.r_[streams[name][:24], streams[name][36:]]
        assert streams[name][26:34].min() > 1.5 * usual.max()
        for stream, values in second.score(video, causal).streams.items():
            assert np.array_equal(values, streams[stream])


def test_a_network_in_space_and_time_needs_windows_that_it_can_halve():
    registry.check_settings({"st_ae": shipped("st_ae_tiny", "training.window=24")})
    with pytest.raises(ConfigError, match=r"window=12: must be divisible by 8, since each of the 4 widths"):
        registry.check_settings({"st_ae": shipped("st_ae_tiny", "training.window=12")})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.network=conv4d", r"training\.network='conv4d'.*'conv2d' or 'conv3d'"),
        ("training.noise.target=other", r"training\.noise\.target='other'"),
        ("scoring.pooling=median", r"detectors\.conv_ae\.scoring\.pooling='median'.*'patch_max'"),
        ("scoring.topk=0", r"scoring\.topk=0"),
        ("scoring.patch=0", r"scoring\.patch=0"),
        ("training.stride=17", r"stride=17 would skip frames between windows of 16"),
        ("training.dropout=1.0", r"training\.dropout=1\.0"),
        ("training.noise.share=1.5", r"training\.noise\.share=1\.5"),
        ("training.widths=[]", r"training\.widths"),
        ("training.depth=3", r"training\.depth: unknown key"),
        ("frames.width=24", r"frames\.width=24: must be divisible by 16"),
        ("frames.height=100", r"frames\.height=100: must be divisible by 16"),
        ("frames.gray=false", r"frames: .*gray=true"),
        ("frames=null", r"frames: .*gray=true"),
        ("algorithm=autoencodr", r"unknown algorithm; did you mean 'autoencoder'"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(override: str, message: str):
    with pytest.raises(ConfigError, match=message):
        registry.check_settings({"conv_ae": shipped("conv_ae_tiny", override)})
