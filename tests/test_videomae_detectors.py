"""The two VideoMAE detectors: their contract, scores worked out from the model's own outputs, and what they refuse."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.own_process import in_own_process, peak
from tests.pipeline import CPU, shipped, trainer_config
from tests.small_videomae import COLOUR, FRAMES, SIDE, colour_video, saved_videomae, walking_square

from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.detectors.base import Detector, Reconstructs
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.profile import VideoMAEProfile
from pixelplay.detectors.videomae.reconstruction import VideoMAEReconstruction
from pixelplay.detectors.videomae.tokens import random_masks, rotating_masks
from pixelplay.errors import ConfigError, DamagedArtifactError, WeightsError
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows

RECONSTRUCTION, PROFILE = "videomae_reconstruction", "videomae_profile"
BOTH = [RECONSTRUCTION, PROFILE]
CLASSES = {RECONSTRUCTION: VideoMAEReconstruction, PROFILE: VideoMAEProfile}
STREAMS = {
    RECONSTRUCTION: [RECONSTRUCTION, f"{RECONSTRUCTION}/mean", f"{RECONSTRUCTION}/top"],
    PROFILE: [PROFILE, f"{PROFILE}/mse", f"{PROFILE}/mahalanobis"],
}
STRIDE = 3


@pytest.fixture(scope="module")
def videomae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_videomae(tmp_path_factory.mktemp("videomae") / "model")


def config_of(name: str, source: Path | str, *overrides: str) -> DetectorConfig:
    """The shipped settings on the tests' small frames, with clips that overlap."""
    small = [f"frames.height={SIDE}", f"frames.width={SIDE}", f"scoring.stride={STRIDE}"]
    small += ["training.stride=4"] if name == PROFILE else []
    return shipped(name, f"training.videomae={source}", *small, *overrides)


def run_in(folder: Path, name: str = "videomae") -> TrainingRun:
    return TrainingRun(name, trainer_config(loggers=[]), folder / "training", CPU, 0)


@pytest.fixture(scope="module")
def trained(videomae: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of both detectors, saved, by name."""
    place = tmp_path_factory.mktemp("trained")
    fit = [colour_video(place, f"fit{i}", walking_square(20 + i, seed=i)) for i in range(3)]
    heldout = [colour_video(place, "heldout", walking_square(12, seed=9))]
    for name in BOTH:
        detector = CLASSES[name](name, config_of(name, videomae), CPU)
        detector.fit(fit, Heldout(heldout), run_in(place / name))
        detector.save(place / name / "saved")
    return {name: place / name / "saved" for name in BOTH}


def loaded(name: str, trained: dict[str, Path], videomae: Path, *overrides: str) -> Detector:
    detector = CLASSES[name](name, config_of(name, videomae, *overrides), CPU)
    detector.load(trained[name])
    return detector


@pytest.fixture
def video(tmp_path: Path) -> Video:
    """Eleven random frames: the last clip is not on the grid of starts."""
    frames = np.random.default_rng(0).integers(0, 256, (11, SIDE, SIDE, 3), dtype=np.uint8)
    return colour_video(tmp_path, "v", frames, "test")


def clips_of(video: Video, model: VideoMAE) -> tuple[np.ndarray, torch.Tensor]:
    positions = windows(len(video), FRAMES, STRIDE)
    return positions, model.inputs(video.frames(COLOUR)[positions])


def mean_over_clips(count: int, positions: np.ndarray, scores: np.ndarray) -> list[float]:
    """Mean, per frame, of scores (clips, frames of a clip)."""
    return [scores[positions == t].mean() for t in range(count)]


def test_a_clip_s_reconstruction_score_is_the_model_s_own_loss_averaged_over_the_masks(videomae: Path, trained, video):
    """32 tokens, four masks: each hides 24 of them, so that the mean over tokens is the mean over masks."""
    masks = ("scoring.masks.count=4", "scoring.masks.ratio=0.75", "scoring.stride=4")
    detector = loaded(RECONSTRUCTION, trained, videomae, *masks)
    scores = detector.score(video.block(0, 8)).streams[RECONSTRUCTION]
    model = VideoMAE.load(videomae, CPU, bf16=False)
    hidden = rotating_masks(42, model.grid, 4)
    for start in (0, 4):
        inputs = model.inputs(video.frames(COLOUR)[None, np.arange(start, start + 4)])
        losses = [float(model.model(inputs, bool_masked_pos=mask[None]).loss) for mask in hidden]
        assert scores[start : start + 4].mean() == pytest.approx(np.mean(losses), abs=1e-5)


@pytest.mark.parametrize("kind", ["rotating", "random", "random, two"])
def test_a_frame_s_score_pools_the_errors_of_its_moment_over_the_clips_that_cover_it(
    kind: str, videomae: Path, trained, video: Video
):
    count = {"rotating": 8, "random": 1, "random, two": 2}[kind]
    ratio = 0.875 if kind == "rotating" else 0.6
    overrides = [f"scoring.masks.kind={kind.split(',')[0]}", f"scoring.masks.count={count}", "scoring.top=0.2"]
    detector = loaded(RECONSTRUCTION, trained, videomae, *overrides, f"scoring.masks.ratio={ratio}")
    model = VideoMAE.load(videomae, CPU, bf16=False)
    positions, inputs = clips_of(video, model)
    if kind == "rotating":
        masks = rotating_masks(42, model.grid, count)[:, None].expand(-1, len(positions), -1)
    else:
        ends = [f"v {10 + last}" for last in positions[:, -1]]
        names = [[f"{end} {n}" for end in ends] for n in range(count)]
        masks = torch.stack([random_masks(42, keys, model.grid, ratio, False) for keys in names])
    errors = torch.stack([model.errors(inputs, mask)[0] for mask in masks]).sum(dim=0) / masks.sum(dim=0)
    moments = errors.numpy().reshape(len(positions), 2, 16)  # (clips, moments, places)
    largest = -np.sort(-np.nan_to_num(moments, nan=-1), axis=-1)[..., :3]  # round(0.2 * 16)
    for stream, values in (("mean", np.nanmean(moments, axis=-1)), ("top", largest.mean(axis=-1))):
        expected = mean_over_clips(11, positions, values.repeat(2, axis=1))
        found = detector.score(video).streams[f"{RECONSTRUCTION}/{stream}"]
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_profile_is_the_mean_and_variance_of_all_moments_of_normal_footage(videomae: Path, trained, tmp_path: Path):
    model = VideoMAE.load(videomae, CPU, bf16=False)
    vectors = []
    for i in range(3):
        fit = colour_video(tmp_path, f"fit{i}", walking_square(20 + i, seed=i))
        vectors.append(model.embed(model.inputs(fit.frames(COLOUR)[windows(len(fit), FRAMES, 4)])).reshape(-1, 24))
    every = torch.cat(vectors).double().numpy()
    detector = loaded(PROFILE, trained, videomae)
    assert detector._profile.count == len(every) == 2 * (5 + 6 + 6)
    np.testing.assert_allclose(detector._profile.mean, every.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(detector._profile.variance, every.var(axis=0), rtol=1e-4, atol=1e-8)


def test_a_frame_s_distance_is_that_of_its_moment_s_embedding_from_the_profile(videomae: Path, trained, video: Video):
    detector = loaded(PROFILE, trained, videomae, "scoring.variance_floor=0.5")
    model = VideoMAE.load(videomae, CPU, bf16=False)
    positions, inputs = clips_of(video, model)
    squares = (model.embed(inputs).numpy() - detector._profile.mean) ** 2  # (clips, moments, d)
    variance = detector._profile.variance
    expected = {"mse": squares, "mahalanobis": squares / (variance + 0.5 * variance.mean())}
    streams = detector.score(video).streams
    for name, values in expected.items():
        frames = mean_over_clips(11, positions, values.mean(axis=-1).repeat(2, axis=1))
        np.testing.assert_allclose(streams[f"{PROFILE}/{name}"], frames, rtol=1e-4)


@pytest.mark.parametrize("name", BOTH)
def test_causal_scores_are_those_of_the_last_moment_of_the_latest_clip_and_see_no_later_frame(
    name: str, videomae: Path, trained, tmp_path: Path
):
    frames = np.random.default_rng(1).integers(0, 256, (14, SIDE, SIDE, 3), dtype=np.uint8)
    changed = frames.copy()
    changed[8:] = 255 - changed[8:]
    detector = loaded(name, trained, videomae, "scoring.batch_size=1")  # so that no kernel sees another batch
    before, after = (
        detector.score(colour_video(tmp_path, "v", some, "test"), causal=True).streams for some in (frames, changed)
    )
    for stream in STREAMS[name]:
        assert np.array_equal(before[stream][:8], after[stream][:8])
        assert not np.array_equal(before[stream][9:], after[stream][9:])  # the clip that ends at frame 9
        assert np.ptp(before[stream][:12].reshape(4, STRIDE), axis=1).max() == 0
    ending_at_9 = colour_video(tmp_path, "clip", frames[6:10], "test")
    alone = detector.score(ending_at_9).streams
    for stream in STREAMS[name]:
        assert before[stream][9] == pytest.approx(alone[stream][-1], rel=1e-5)
        assert before[stream][9] != pytest.approx(alone[stream][0], rel=1e-5)


@pytest.mark.parametrize("name", BOTH)
def test_scores_depend_on_neither_batch_size_nor_order_nor_other_videos(
    name: str, videomae: Path, trained, video: Video, tmp_path: Path
):
    masks = ["scoring.masks.kind=random"] if name == RECONSTRUCTION else []
    other = colour_video(tmp_path, "other", walking_square(9, seed=5), "test")
    reference = loaded(name, trained, videomae, *masks)
    first = reference.score(video).streams
    for batch_size in (1, 3):
        detector = loaded(name, trained, videomae, *masks, f"scoring.batch_size={batch_size}")
        detector.score(other)
        for stream, values in detector.score(video).streams.items():
            np.testing.assert_allclose(values, first[stream], rtol=1e-5, atol=1e-7)
    again = reference.score(video).streams
    assert all(np.array_equal(again[stream], first[stream]) for stream in first)


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [(RECONSTRUCTION, "scoring.pooling", ["mean", "top"]), (PROFILE, "scoring.distance", ["mse", "mahalanobis"])],
)
def test_the_default_stream_is_the_configured_one(name: str, key: str, values: list[str], videomae, trained, video):
    for value in values:
        streams = loaded(name, trained, videomae, f"{key}={value}").score(video).streams
        assert np.array_equal(streams[name], streams[f"{name}/{value}"])
    assert not np.array_equal(*(streams[f"{name}/{value}"] for value in values))


def test_reconstructions_and_error_maps_are_means_over_clips_and_masks(videomae: Path, trained, video: Video):
    masks = ("scoring.masks.count=2", "scoring.masks.ratio=0.5")
    detector = loaded(RECONSTRUCTION, trained, videomae, *masks)
    assert isinstance(detector, Reconstructs)
    shown, errors = detector.reconstruct(video, [4, 0])
    assert shown.shape == errors.shape == (2, SIDE, SIDE) and shown.dtype == errors.dtype == np.float32
    model = VideoMAE.load(videomae, CPU, bf16=False)
    _, inputs = clips_of(video, model)
    first, second = rotating_masks(42, model.grid, 2)
    clips, maps = [], []
    for clip in inputs[:2]:  # frames 0 to 3 and 3 to 6
        a, b = (model.reconstruct(clip[None], mask[None])[0].mean(dim=1).numpy() for mask in (first, second))
        token = np.kron(second.reshape(2, 4, 4).numpy(), np.ones((2, 8, 8))) > 0  # (frames, rows, columns)
        clips.append(np.where(token, b, a))  # each token is hidden by one of the two
        both = sum(model.errors(clip[None], mask[None])[0][0] for mask in (first, second))
        maps.append(np.kron(both.reshape(2, 4, 4).numpy(), np.ones((2, 8, 8))))
    np.testing.assert_allclose(shown[0], clips[1][1], atol=1e-5)  # frame 4 is the second of its clip
    np.testing.assert_allclose(shown[1], clips[0][0], atol=1e-5)
    np.testing.assert_allclose(errors[0], maps[1][1], rtol=1e-4)
    np.testing.assert_allclose(errors[1], maps[0][0], rtol=1e-4)
    streams = detector.score(video).streams
    assert errors[1].mean() == pytest.approx(streams[f"{RECONSTRUCTION}/mean"][0], rel=1e-4)


def test_error_maps_of_cropped_frames_lie_where_the_crop_was(videomae: Path, trained, tmp_path: Path):
    wide = FrameFormat(height=40, width=80, gray=False)
    config = config_of(RECONSTRUCTION, videomae, "frames.height=40", "frames.width=80", "training.center_crop=true")
    assert config.frames == wide
    detector = VideoMAEReconstruction(RECONSTRUCTION, config, CPU)
    footage = colour_video(tmp_path, "wide", np.random.default_rng(0).integers(0, 256, (5, 40, 80, 3), dtype=np.uint8))
    detector.fit([footage], Heldout([footage]), run_in(tmp_path))
    _, errors = detector.reconstruct(footage, [2])
    assert errors.shape == (1, 40, 80)
    assert errors[0, :, 20:60].min() > 0 and not errors[0, :, :20].any() and not errors[0, :, 60:].any()


@pytest.mark.parametrize("name", BOTH)
def test_another_model_than_the_detector_was_trained_with_is_refused(name, videomae, trained, tmp_path: Path):
    place = tmp_path / "changing"
    shutil.copytree(videomae, place)
    footage = colour_video(tmp_path, "v", walking_square(6, seed=0))
    detector = CLASSES[name](name, config_of(name, place), CPU)
    detector.fit([footage], Heldout([footage]), run_in(tmp_path))
    detector.save(tmp_path / "saved")
    shutil.rmtree(place)
    saved_videomae(place, seed=1)
    with pytest.raises(ConfigError, match=r"trained with another VideoMAE .*: train again"):
        loaded(name, {name: tmp_path / "saved"}, place)


@pytest.mark.parametrize("name", BOTH)
def test_the_same_model_in_another_folder_is_the_one_it_was_trained_with(
    name, videomae, trained, video, tmp_path: Path
):
    shutil.copytree(videomae, tmp_path / "elsewhere")
    there, moved = loaded(name, trained, videomae), loaded(name, trained, tmp_path / "elsewhere")
    assert np.array_equal(there.score(video).streams[name], moved.score(video).streams[name])
    assert not (trained[name] / "videomae").exists()  # pretrained weights are not copied


def test_a_profile_does_not_go_on_from_another_model_s(videomae: Path, trained, tmp_path: Path):
    footage = [colour_video(tmp_path, f"fit{i}", walking_square(20 + i, seed=i)) for i in range(3)]
    other = saved_videomae(tmp_path / "other", seed=1)
    for source in (other, videomae):
        detector = VideoMAEProfile(PROFILE, config_of(PROFILE, source), CPU)
        detector.fit(footage, Heldout(footage[:1]), run_in(tmp_path))
    detector.save(tmp_path / "saved")
    assert (tmp_path / "saved/detector.json").read_bytes() == (trained[PROFILE] / "detector.json").read_bytes()


def test_a_profile_made_by_another_model_is_refused(videomae: Path, trained, tmp_path: Path):
    other = saved_videomae(tmp_path / "other", seed=1)
    footage = colour_video(tmp_path, "v", walking_square(6, seed=0))
    detector = VideoMAEProfile(PROFILE, config_of(PROFILE, other), CPU)
    detector.fit([footage], Heldout([footage]), run_in(tmp_path))
    detector.save(tmp_path / "saved")
    mixed = tmp_path / "mixed"
    shutil.copytree(trained[PROFILE], mixed)
    shutil.copy(tmp_path / "saved/profile.safetensors", mixed)
    with pytest.raises(DamagedArtifactError, match=r"profile\.safetensors is damaged \(made by another model"):
        loaded(PROFILE, {PROFILE: mixed}, videomae)


def test_other_scoring_needs_no_new_training_but_other_settings_do(videomae: Path, trained):
    loaded(PROFILE, trained, videomae, "scoring.stride=1", "scoring.distance=mahalanobis")
    with pytest.raises(ConfigError, match=r"stride.*train again"):
        loaded(PROFILE, trained, videomae, "training.stride=2")


@in_own_process
def test_a_profile_of_many_videos_needs_no_more_memory_than_one_of_few(tmp_path: Path):
    wide = saved_videomae(tmp_path / "wide", hidden_size=256)
    frames = walking_square(40, seed=0)

    def of(count: int) -> int:
        footage = [colour_video(tmp_path, f"{count}-{i}", frames) for i in range(count)]
        overrides = ["training.stride=1", "training.batch_size=4"]
        detector = VideoMAEProfile(PROFILE, config_of(PROFILE, wide, *overrides), CPU)
        most = peak(lambda: detector.fit(footage, Heldout(footage), run_in(tmp_path / f"of {count}")))
        assert detector._profile.count == count * 37 * 2
        return most

    _, few, many = of(1), of(2), of(6)  # the first imports
    assert many - few < 2 * (37 * 2 * 256 * 4), (few, many)  # bytes of the vectors of two videos


def test_killed_between_two_videos_a_profile_goes_on_with_the_next_and_is_the_same(
    videomae: Path, trained, tmp_path: Path, monkeypatch
):
    footage = [colour_video(tmp_path, f"fit{i}", walking_square(20 + i, seed=i)) for i in range(3)]
    seen: list[str] = []
    profile_of = VideoMAEProfile._profile_of

    def killed_at_the_second(self: VideoMAEProfile, video: Video):
        seen.append(video.id)
        if seen == ["fit0", "fit1"]:
            raise KeyboardInterrupt
        return profile_of(self, video)

    monkeypatch.setattr(VideoMAEProfile, "_profile_of", killed_at_the_second)
    config = config_of(PROFILE, videomae)
    with pytest.raises(KeyboardInterrupt):
        VideoMAEProfile(PROFILE, config, CPU).fit(footage, Heldout(footage[:1]), run_in(tmp_path))
    detector = VideoMAEProfile(PROFILE, config, CPU)
    detector.fit(footage, Heldout(footage[:1]), run_in(tmp_path))
    assert seen == ["fit0", "fit1", "fit1", "fit2"]
    detector.save(tmp_path / "saved")
    for file in ("profile.safetensors", "detector.json"):
        assert (tmp_path / "saved" / file).read_bytes() == (trained[PROFILE] / file).read_bytes()


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        (RECONSTRUCTION, ["frames.gray=true"], r"frames: gray must be false"),
        (RECONSTRUCTION, ["frames.width=64"], r"frames: .*height equal to width"),
        (PROFILE, ["frames=null"], r"frames: gray must be false"),
        (PROFILE, ["frames.width=48", "frames.height=48"], r"48x48, but weights\.videomae=.* sees 32x32: set"),
        (PROFILE, ["frames.width=48", "frames.height=30", "training.center_crop=true"], r"48x30, but .*no smaller"),
        (RECONSTRUCTION, ["scoring.masks.count=5"], r"ratio=0\.9: 5 rotating masks hide .*, 0\.8; set both"),
        (RECONSTRUCTION, ["scoring.masks.count=1", "scoring.masks.ratio=0.5"], r"rotating masks are 2 or more"),
        (RECONSTRUCTION, ["scoring.masks.kind=tube"], r"masks\.kind='tube'.*'random' or 'rotating'"),
        (RECONSTRUCTION, ["scoring.pooling=max"], r"scoring\.pooling='max'"),
        (RECONSTRUCTION, ["scoring.top=0"], r"scoring\.top=0"),
        (PROFILE, ["scoring.distance=l2"], r"scoring\.distance='l2'.*'mse' or 'mahalanobis'"),
        (PROFILE, ["training.stride=0"], r"training\.stride=0"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(name: str, overrides: list[str], message: str, videomae: Path):
    with pytest.raises(ConfigError, match=message):
        registry.check_settings({name: config_of(name, videomae, *overrides)})


@pytest.mark.parametrize("name", BOTH)
def test_a_stride_that_skips_frames_is_refused(name: str, videomae: Path, trained):
    with pytest.raises(
        ConfigError, match=rf"detectors\.{name}\.scoring\.stride=5: would skip frames between clips of 4"
    ):
        loaded(name, trained, videomae, "scoring.stride=5")


def test_weights_that_are_not_to_be_had_stop_the_run_and_are_named_once(videomae: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    configs = load_config(["experiment=ped2", f"detector=[{','.join([*BOTH, 'videopatchcore'])}]"]).detectors
    assert [configs[name].frames.height for name in BOTH] == [224, 224]
    with pytest.raises(WeightsError) as error:
        registry.check_settings(configs)
    message = str(error.value)
    assert message.count("weights.videomae=MCG-NJU/videomae-base: no weights found") == 1
    assert message.count("weights.backbone=clip_rn101: no weights found") == 1
    for part in ("-o 'weights/videomae-base/#1' 'https://huggingface.co", "weights.videomae=weights/videomae-base"):
        assert part in message
