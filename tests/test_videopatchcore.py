"""VideoPatchCore as a detector: from footage on disk to scores, with a small backbone that the tests save."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.patchcore import (
    CLIP,
    FRAMES,
    HEIGHT,
    NAME,
    STREAMS,
    WIDTH,
    by_id,
    config,
    footage,
    fresh,
    interrupted_at,
    loaded,
    save_backbone,
    stored,
)
from tests.pipeline import CPU, trainer_config
from tests.recorded_moments import moments_of

from pixelplay.detectors import registry
from pixelplay.detectors.stream import StreamFormat
from pixelplay.detectors.videopatchcore import SPECS
from pixelplay.detectors.videopatchcore import detector as videopatchcore
from pixelplay.detectors.videopatchcore.detector import VideoPatchCore
from pixelplay.errors import ConfigError, DataError, PixelPlayError, WeightsError
from pixelplay.evaluation.speed import frames_per_second
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.scores.settings import OBJECTS
from pixelplay.stages import score, train
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout

pytestmark = pytest.mark.usefixtures("remembered")

NO_FOLDS = f"detectors.{NAME}.training.folds=0"


def test_the_strange_object_is_found_in_every_stream_of_objects():
    video = by_id(footage().test, "strange")
    streams = loaded().score(video).streams
    assert list(streams) == STREAMS
    for stream in STREAMS[:2]:
        assert streams[stream][12:15].min() > 1.5 * np.r_[streams[stream][:7], streams[stream][20:]].max()


def test_what_is_in_the_memory_has_no_distance():
    """Without noise, and with coresets that take all, a training clip finds itself."""
    streams = loaded().score(footage().fit[0]).streams
    for stream in STREAMS[1:]:
        assert streams[stream].max() < 1e-3


def test_a_clip_without_objects_has_the_least_distance_of_held_out_footage():
    detector = loaded()
    streams = detector.score(by_id(footage().test, "still")).streams
    for stream in ("spatial", "temporal"):
        least = detector._calibrated.normal(stream).min()
        assert least > 0
        assert np.allclose(streams[f"{NAME}/{stream}"], least)


def test_the_final_score_is_the_weighted_power_of_calibrated_distances():
    """Clips that do not overlap: each frame's score is its clip's."""
    apart = [f"detectors.{NAME}.scoring.{one}" for one in (f"stride={CLIP}", "power=3", "quantile=0.9")]
    weights = [f"detectors.{NAME}.scoring.spatial_weight=0.6", f"detectors.{NAME}.scoring.local_weight=0.9"]
    detector = loaded(*apart, *weights)
    streams = detector.score(by_id(footage().test, "strange")).streams
    normal = {stream: detector._calibrated.normal(stream) for stream in ("spatial", "temporal", "global")}
    unit = {
        stream: ((streams[f"{NAME}/{stream}"] - of.min()) / (np.quantile(of, 0.9) - of.min())).clip(0, 1)
        for stream, of in normal.items()
    }
    expected = 0.9 * (0.6 * unit["spatial"] ** 3 + 0.4 * unit["temporal"] ** 3) + 0.1 * unit["global"] ** 3
    np.testing.assert_allclose(streams[NAME], expected, rtol=1e-4, atol=1e-6)
    assert np.ptp(streams[NAME]) > 0 and streams[NAME].max() <= 1


@pytest.mark.parametrize("stride", [1, 3])
def test_a_stream_brings_the_same_images_before_the_backbone_as_the_clips_of_a_video(stride: int):
    """Whole frames and crops once each, however many clips share them: see test_patches.py."""
    detector, video = loaded(f"detectors.{NAME}.scoring.stride={stride}"), by_id(footage().test, "strange")
    images: list[int] = []  # of each call of the backbone
    assert detector._features is not None
    hook = detector._features.backbone.register_forward_hook(lambda _, inputs, output: images.append(len(inputs[0])))
    detector.score(video, causal=True)
    offline, images[:] = images.copy(), []
    stream = detector.stream(StreamFormat(video.size, 25.0, video.id))
    for moment in moments_of(video, needs=SPECS[0].needs):
        stream.step(moment)
    hook.remove()
    assert images == offline and sum(images) > len(video)


def test_training_footage_is_scored_by_memories_that_have_not_seen_it():
    """With as many folds as videos, each is compared with a memory of the other ones."""
    detector, videos = loaded(), footage().fit
    assert len(videos) < config().detectors[NAME].training["folds"]  # so that videos are cut into blocks
    scored = detector.calibrate(videos)
    assert [len(one.streams[NAME]) for one in scored] == [len(video) for video in videos]
    seen = np.concatenate([detector.score(video).streams[STREAMS[1]] for video in videos])
    unseen = np.concatenate([one.streams[STREAMS[1]] for one in scored])
    assert seen.max() < 1e-3 < unseen.min()  # what is in the memory has no distance
    table = pd.read_parquet(RunFiles.of(config()).scores(NAME)).query(
        "split == 'calibration' and stream == @STREAMS[1]"
    )
    assert set(table["video"]) == {video.id for video in [*videos, *footage().held.calibration]}
    np.testing.assert_array_equal(table["score"].tail(len(unseen)), unseen)  # after those of held-out footage


def test_frames_whose_objects_have_no_scores_of_folds_are_not_in_the_fusion_of_objects():
    """The memories of folds score frames alone; a frame of 0 would say that there is no object."""
    index, files = footage(), RunFiles.of(config())
    of_objects, of_frames = (pd.read_parquet(path(OBJECTS)) for path in (files.object_scores, files.scores))
    held = {video.id for video in index.held.calibration}
    frames = of_frames[of_frames["split"] == "calibration"]
    assert len(frames) == sum(map(len, index.held.calibration)) and set(frames["video"]) == held
    assert set(of_objects.loc[of_objects["split"] == "calibration", "video"]) <= held


def test_footage_scored_in_folds_does_not_count_as_frames_that_scoring_took_time_for():
    files, index = RunFiles.of(config()), footage()
    frames = sum(map(len, [*index.test, *index.held.calibration]))
    seconds = read_record(files.record(f"score-{NAME}")).seconds
    assert frames_per_second(config(), index) == {NAME: frames / max(seconds, 0.1)}


def test_without_folds_held_out_footage_alone_calibrates(tmp_path: Path):
    detector, index = fresh(NO_FOLDS), footage()
    detector.fit(index.fit[:1], index.held, TrainingRun(NAME, trainer_config(), tmp_path, CPU, 0))
    assert set(detector._calibrated.table["video"]) == {video.id for video in index.held.calibration}
    assert detector.calibrate(index.fit[:1]) == []


def test_scores_of_objects_lie_beside_those_of_frames_with_their_boxes():
    files = RunFiles.of(config())
    objects = pd.read_parquet(files.object_scores(NAME))
    columns = ["frame", "track", "x1", "y1", "x2", "y2", "class", "stream", "score", "split", "video"]
    assert sorted(objects.columns) == sorted(columns)
    assert set(objects["stream"]) == set(STREAMS[1:3])
    assert (objects["class"] == "motion").all()
    assert objects[["x1", "y1"]].min().min() >= 0 and (objects["x2"] <= WIDTH).all() and (objects["y2"] <= HEIGHT).all()
    assert "still" not in set(objects["video"])
    assert files.object_scores(NAME) in [one.path for one in read_record(files.record(f"score-{NAME}")).outputs]
    strange = objects[(objects["video"] == "strange") & (objects["stream"] == STREAMS[1])]
    assert 10 <= int(strange.loc[strange["score"].idxmax(), "frame"]) <= 16


def test_each_memory_entry_names_the_place_that_it_comes_from():
    detector = loaded()
    fit = {video.id for video in footage().fit}
    for stream, bank in detector._banks.items():
        sources = detector._sources[stream]
        assert len(sources) == len(bank)
        assert set(sources["video"]) <= fit
        assert sources["frame"].between(0, FRAMES - 1).all()
        assert (sources["x2"] > sources["x1"]).all()
    whole = detector._sources["global"][["x1", "y1", "x2", "y2"]].drop_duplicates()
    assert whole.to_numpy().tolist() == [[0, 0, WIDTH, HEIGHT]]


def test_training_that_was_killed_goes_on_with_the_next_video_and_remembers_the_same(tmp_path: Path, monkeypatch):
    index, settings = footage(), config().detectors[NAME]
    run = TrainingRun(NAME, trainer_config(), tmp_path / "training", CPU, 0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(videopatchcore, "store", interrupted_at("00001"))
        VideoPatchCore(NAME, settings, CPU).fit(index.fit, index.held, run)
    first = (stored(tmp_path / "training") / "spatial.npy").stat().st_mtime_ns
    detector = VideoPatchCore(NAME, settings, CPU)
    detector.fit(index.fit, index.held, run)
    detector.save(tmp_path / "saved")
    assert (stored(tmp_path / "training") / "spatial.npy").stat().st_mtime_ns == first
    trained = RunFiles.of(config()).detector(NAME)
    for name in ("spatial.faiss", "temporal.faiss", "global.faiss", "detector.json", "spatial-sources.parquet"):
        assert (tmp_path / "saved" / name).read_bytes() == (trained / name).read_bytes(), name


def test_noise_changes_what_is_remembered_and_the_seed_decides_it(tmp_path: Path):
    index = footage()
    kept = []
    for i, (share, seed) in enumerate(((1.0, 0), (1.0, 0), (1.0, 1), (0.0, 0))):
        settings = config(f"detectors.{NAME}.training.noise.share={share}", NO_FOLDS).detectors[NAME]
        run = TrainingRun(NAME, trainer_config(), tmp_path / str(i), CPU, seed)
        VideoPatchCore(NAME, settings, CPU).fit(index.fit[:1], index.held, run)
        kept.append((stored(run.folder) / "spatial.npy").read_bytes())
    assert kept[0] == kept[1]
    assert len(set(kept)) == 3


def test_footage_without_any_object_is_refused_with_what_to_do(tmp_path: Path):
    still = by_id(footage().test, "still")
    run = TrainingRun(NAME, trainer_config(), tmp_path, CPU, 0)
    detector = VideoPatchCore(NAME, config().detectors[NAME], CPU)
    with pytest.raises(DataError, match=r"no object was detected in any normal footage.*objects\.method=both"):
        detector.fit([still], Heldout([still], [still]), run)
    moving = footage().fit[0]
    run = TrainingRun(NAME, trainer_config(), tmp_path / "other", CPU, 0)
    with pytest.raises(DataError, match=r"no object was followed in held-out normal footage.*method=both"):
        detector.fit([moving], Heldout([still], [still]), run)


def test_another_backbone_than_that_of_the_memory_is_refused(tmp_path: Path):
    save_backbone(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(DataError, match=r"holds features of .*weights.*asked for are"):
        loaded(f"weights.backbone_file={tmp_path}/other.safetensors")


@pytest.fixture
def copied(remembered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The finished run again, as working directory, to be changed."""
    shutil.copytree(remembered, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    assert not train.pending(config()) and not score.pending(config())


@pytest.mark.usefixtures("copied")
def test_other_weights_in_the_same_file_are_trained_and_scored_with():
    before = pd.read_parquet(RunFiles.of(config()).scores(NAME))
    save_backbone(Path("backbone.safetensors"), seed=1)
    assert train.pending(config()) and score.pending(config())
    changed = config(f"detectors.{NAME}.scoring.power=3")
    for stage in (train, score):
        stage.run(changed)
    after = pd.read_parquet(RunFiles.of(config()).scores(NAME))
    spatial = before["stream"] == STREAMS[1]
    assert not np.allclose(before.loc[spatial, "score"], after.loc[spatial, "score"])
    assert not train.pending(changed) and not score.pending(changed)


@pytest.mark.usefixtures("copied")
def test_the_same_weights_in_another_place_need_no_new_training():
    Path("other").mkdir()
    Path("backbone.safetensors").rename("other/moved.safetensors")
    moved = "weights.backbone_file=other/moved.safetensors"
    assert not train.pending(config(moved)) and not score.pending(config(moved))
    loaded(moved)
    save_backbone(Path("other/moved.safetensors"), seed=1)
    assert train.pending(config(moved)) and score.pending(config(moved))


@pytest.mark.usefixtures("copied")
def test_a_damaged_detector_is_trained_again_when_the_message_says_so():
    changed = config(f"detectors.{NAME}.scoring.power=3")
    for name in ("detector.json", "spatial.faiss", "global-sources.parquet", "calibration.parquet"):
        path = RunFiles.of(config()).detector(NAME) / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(PixelPlayError, match=name):
            score.run(changed)
        train.run(changed)
        assert path.read_bytes() == whole
    score.run(changed)
    assert not score.pending(changed)


@pytest.mark.usefixtures("copied")
def test_features_of_training_clips_are_found_again_by_a_training_with_another_coreset():
    kept = RunFiles.of(config()).detector(NAME) / "training-kept"

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()}

    settings, before = f"detectors.{NAME}.training", times()
    hnsw = f"{settings}.bank.index=hnsw"
    for change in (f"{settings}.coreset.spatial.count=20", hnsw):
        assert train.pending(config(NO_FOLDS, change))
        train.run(config(NO_FOLDS, change))
        assert times() == before, change
    assert len(loaded(NO_FOLDS, hnsw)._banks["spatial"]) > 20
    train.run(config(NO_FOLDS, f"{settings}.patches.channels=4"))
    assert not set(times()) & set(before)  # features of other settings replace them


@pytest.mark.parametrize("change", ["weights.videomae=a/b", "weights.image_size=224", "trainer.learning_rate=0.5"])
def test_what_the_detector_does_not_use_needs_no_new_training(change: str):
    assert not train.pending(config(change))


def test_vectors_of_another_backbone_are_not_gone_on_with(tmp_path: Path):
    index, settings = footage(), config(NO_FOLDS).detectors[NAME]
    run = TrainingRun(NAME, trainer_config(), tmp_path / "training", CPU, 0)
    vectors = []
    for seed in (0, 1, 1):
        save_backbone(tmp_path / "weights.safetensors", seed)
        backbone = settings.training["backbone"] | {"file": str(tmp_path / "weights.safetensors")}
        changed = settings.model_copy(update={"training": settings.training | {"backbone": backbone}})
        VideoPatchCore(NAME, changed, CPU).fit(index.fit[:1], index.held, run)
        vectors.append(np.load(stored(tmp_path / "training") / "global.npy"))
    assert not np.allclose(vectors[0], vectors[1])
    assert np.array_equal(vectors[1], vectors[2])


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("weights.encoder.widths=[8,8,8]", ConfigError, "weights.encoder.widths.*at least 4"),
        ("weights.backbone_file=nowhere.pt", WeightsError, "nowhere.pt: no weights found"),
        (f"detectors.{NAME}.training.stride=5", ConfigError, "training.stride=5: would skip frames between clips of 4"),
        (f"detectors.{NAME}.scoring.stride=5", ConfigError, "scoring.stride=5: would skip frames"),
        (f"detectors.{NAME}.scoring.quantile=0", ConfigError, "scoring.quantile=0"),
        (f"~detectors.{NAME}.training.coreset.global", ConfigError, "must be for spatial, temporal, global"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(override: str, error: type[Exception], message: str):
    with pytest.raises(error, match=f"(?s){message}"):
        registry.check_settings(config(override).detectors)


def test_each_row_of_objects_is_about_one_frame_and_noise_leaves_none_without(remembered: Path):
    """With an object in every clip, every frame has rows, also where clips look at a frame beside their centre."""
    video = by_id(footage().test, "strange")
    noise = np.zeros(len(video), np.float32)
    noise[2::4] = 50.0  # the middle frames of every other clip
    noisy = loaded(f"detectors.{NAME}.scoring.noise_above=8.0").score(replace(video, noise=noise)).objects
    clean = loaded().score(video).objects
    for table in (clean, noisy):
        assert sorted(table["frame"].unique()) == video.numbers.tolist()
        assert not table.duplicated(["frame", "stream", "x1", "y1", "x2", "y2"]).any()
