"""VideoPatchCore where published code goes wrong: footage without objects, smaller than a crop, or of several sizes;
too few vectors, weights that are not finite; tails, videos and labels that must not touch each other.
"""

import logging
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file
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
    loaded,
    run_stages,
    stored,
    write_video,
)
from tests.pipeline import CPU, trainer_config
from torch import nn

from pixelplay.detectors import registry
from pixelplay.detectors.videopatchcore.clip_features import LOCAL
from pixelplay.detectors.videopatchcore.clip_features import STREAMS as PARTS
from pixelplay.errors import ConfigError, DataError
from pixelplay.objects.boxes import boxes_of
from pixelplay.run.files import RunFiles
from pixelplay.stages import detect, fuse, prepare, score, train
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout, Index
from pixelplay.videos.windows import windows

SMALL, TALL = (40, 26), (50, 80)  # width and height: the first is smaller than the crop of 64 each way
SETTINGS = f"detectors.{NAME}.training"


def resize(folder: Path, size: tuple[int, int]) -> None:
    for path in folder.iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), size, interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of several sizes and lengths, in some of which nothing moves; all stages have run."""
    folder = tmp_path_factory.mktemp("bad_input")
    data = folder / "data"
    for i, name in enumerate(("a", "b", "small")):
        write_video(data / "train" / name, seed=i)
    write_video(data / "train/still", seed=0, walks=False)
    for name in ("small", "strange", "tall"):
        write_video(data / "test" / name, seed=1, strange=range(11, 16))
    write_video(data / "test/short", seed=2)
    for path in sorted((data / "test/short").iterdir())[CLIP - 1 :]:
        path.unlink()
    write_video(data / "test/still", seed=0, walks=False)
    write_video(data / "test/end", seed=0, walks=False, strange=range(FRAMES - 1, FRAMES))
    for name, size in (("train/small", SMALL), ("test/small", SMALL), ("test/tall", TALL)):
        resize(data / name, size)
    run_stages(folder)
    return folder


@pytest.fixture(autouse=True)
def index(place: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.chdir(place)
    return footage()


def training(folder: Path) -> TrainingRun:
    return TrainingRun(NAME, trainer_config(), folder, CPU, 0)


# --- footage ---------------------------------------------------------------------------------------------------------


def test_a_training_video_without_any_object_is_remembered_by_its_whole_frames_alone(index: Index):
    sources = loaded()._sources
    assert len(boxes_of(by_id(index.train, "still"))) == 0
    assert {stream: "still" in set(sources[stream]["video"]) for stream in PARTS} == {
        "spatial": False,
        "temporal": False,
        "global": True,
    }
    assert {"a", "b", "small"} <= set(sources["spatial"]["video"])


def test_every_frame_of_every_video_has_a_score_also_without_objects_and_when_shorter_than_a_clip(index: Index):
    scores = pd.read_parquet(RunFiles.of(config()).scores(NAME)).query("split == 'test'")
    for video in index.test:
        for stream in STREAMS:
            rows = scores[(scores["video"] == video.id) & (scores["stream"] == stream)]
            assert rows["frame"].tolist() == video.numbers.tolist()
            assert np.isfinite(rows["score"]).all()
    assert len(by_id(index.test, "short")) == CLIP - 1


@pytest.mark.parametrize(("name", "size"), [("small", SMALL), ("tall", TALL), ("strange", (WIDTH, HEIGHT))])
def test_each_video_s_objects_lie_in_frames_of_its_own_size(index, name: str, size: tuple[int, int]):
    video = by_id(index.test, name)
    assert video.size == size
    table = loaded().score(video).objects
    assert len(table) > 0
    assert table[["x1", "y1"]].min().min() >= 0
    assert table["x2"].max() <= size[0] and table["y2"].max() <= size[1]


def test_the_strange_object_is_found_in_frames_smaller_than_the_crop(index: Index):
    """The whole frame, 40 x 26, is less than the 64 x 64 that the backbone sees of each object."""
    spatial = loaded().score(by_id(index.test, "small")).streams[f"{NAME}/spatial"]
    assert spatial[12:15].mean() > 1.3 * spatial[:7].mean()


def test_memory_entries_lie_in_frames_of_their_video_s_own_size():
    whole = loaded()._sources["global"].groupby("video")[["x1", "y1", "x2", "y2"]].agg(["min", "max"])
    for video in ("a", "small"):
        width, height = SMALL if video == "small" else (WIDTH, HEIGHT)
        assert whole.loc[video].tolist() == [0, 0, 0, 0, width, width, height, height]
    local = loaded()._sources["spatial"].query("video == 'small'")
    assert local["x2"].max() <= SMALL[0] and local["y2"].max() <= SMALL[1]


def test_the_last_frames_of_a_video_count(index: Index):
    """Clips of 4 at every 4th of 23 frames: the last starts at 19, whatever the stride, and has the changed frame."""
    streams = [
        loaded(f"detectors.{NAME}.scoring.stride=4").score(by_id(index.test, name).block(1, FRAMES)).streams
        for name in ("still", "end")
    ]
    differs = streams[0][f"{NAME}/global"] != streams[1][f"{NAME}/global"]
    assert np.flatnonzero(differs).tolist() == [19, 20, 21, 22]


def test_the_last_frames_of_training_footage_are_remembered_where_the_stride_does_not_reach_them(index, tmp_path):
    video = by_id(index.train, "a").block(0, 23)
    fresh(f"{SETTINGS}.stride=4").fit([video], Heldout([video], [video]), training(tmp_path))
    clips = pd.read_parquet(stored(tmp_path) / "global.parquet")["clip"]
    assert sorted({int(t) for clip in clips for t in clip}) == list(range(23))


# --- memory ----------------------------------------------------------------------------------------------------------


def test_with_fewer_vectors_than_the_coreset_asks_for_all_are_taken_and_that_is_said(index, tmp_path, caplog):
    video = index.fit[0]
    detector = fresh()
    with caplog.at_level(logging.WARNING):
        detector.fit([video], Heldout([video], [video]), training(tmp_path))
    tubes = len(pd.read_parquet(stored(tmp_path) / "spatial.parquet"))
    clips = len(windows(len(video), CLIP, 2))
    there = {"spatial": (3000, 49 * tubes), "temporal": (2000, (CLIP - 1) * tubes), "global": (1000, CLIP * clips)}
    for stream, (asked, count) in there.items():
        assert len(detector._banks[stream]) == len(detector._sources[stream]) == count
        assert f"coreset of {asked} requested, but there are only {count} vectors: all are kept" in caplog.text


def test_a_ratio_that_rounds_to_no_vector_keeps_one(index: Index, tmp_path: Path):
    tiny = [f"{SETTINGS}.coreset.{stream}={{count:null,ratio:0.0001,per_group:null}}" for stream in PARTS]
    detector = fresh(*tiny)
    detector.fit(index.fit[:1], Heldout(index.fit[:1], index.fit[:1]), training(tmp_path))
    assert {stream: len(bank) for stream, bank in detector._banks.items()} == dict.fromkeys(PARTS, 1)
    assert np.isfinite(detector.score(by_id(index.test, "strange")).streams[NAME]).all()


@pytest.mark.parametrize(
    ("override", "saved", "asked"),
    [
        (f"{SETTINGS}.patches.channels=4", "'channels': 8", "'channels': 4"),
        (f"{SETTINGS}.patches.image_size=48", "'image_size': 64", "'image_size': 48"),
        ("objects.tubes.enlarge=1.5", "'enlarge': 1.2", "'enlarge': 1.5"),
    ],
)
def test_a_memory_of_other_feature_settings_is_refused_naming_both(override: str, saved: str, asked: str):
    with pytest.raises(ConfigError, match=rf"(?s)trained with.*{saved}.*not.*{asked}.*train again"):
        loaded(override)


def test_features_that_are_not_finite_are_refused_naming_the_video(index: Index, tmp_path: Path):
    state = timm.create_model("test_resnet").state_dict()
    state["layer2.0.conv1.weight"][0] = np.nan
    save_file(state, tmp_path / "damaged.safetensors")
    detector = fresh(f"weights.backbone_file={tmp_path / 'damaged.safetensors'}")
    with pytest.raises(
        DataError, match=r"video b, clip from frame \d+, \w+: \d+ of \d+ feature values are NaN.*weights"
    ):
        detector.fit([video for video in index.fit if video.id == "b"], index.held, training(tmp_path / "run"))
    assert not list(tmp_path.rglob("0000*"))


def test_crops_too_small_for_the_pooling_are_refused_before_any_work():
    with pytest.raises(ConfigError, match=r"patches\.image_size=32"):
        registry.check_settings(config(f"{SETTINGS}.patches.image_size=32").detectors)


# --- what must not touch each other ----------------------------------------------------------------------------------


def test_a_frame_s_score_depends_on_no_frame_beyond_its_clips(index: Index):
    """Nothing is normalised over the video: half of it has the scores that the whole has, up to where clips end."""
    video = by_id(index.test, "strange")
    whole, half = loaded().score(video).streams, loaded().score(video.block(0, 12)).streams
    for stream in STREAMS:
        np.testing.assert_allclose(whole[stream][:10], half[stream][:10], rtol=1e-5, atol=1e-7)
    assert whole[f"{NAME}/spatial"].max() > 1.2 * half[f"{NAME}/spatial"].max()  # a scale by the video would differ


def test_labels_of_test_videos_change_nothing_that_is_submitted(place: Path, tmp_path: Path, monkeypatch):
    shutil.copytree(place, tmp_path / "labelled")
    monkeypatch.chdir(tmp_path / "labelled")
    Path("data/test_labels").mkdir()
    for name in ("strange", "still"):
        rows = "".join(f"{t},{int(t % 2)}\n" for t in range(FRAMES))
        Path(f"data/test_labels/{name}.csv").write_text("frame,label\n" + rows)
    for stage in (prepare, detect, train, score, fuse):
        stage.run(config())
    assert prepare.load_labels(config(), prepare.load_index(config()))["strange"].labels is not None
    files = RunFiles.of(config())
    for path in (files.scores(NAME), files.fused, files.submission):
        assert path.read_bytes() == (place / path).read_bytes()


# --- work that is not done twice, or for nothing ---------------------------------------------------------------------


def test_the_backbone_ends_at_the_last_stage_that_is_used_and_runs_each_convolution_once():
    network = timm.create_model("test_resnet")
    used = [module for name, module in network.named_modules() if not name.startswith(("layer4", "fc"))]
    expected = sum(isinstance(module, nn.Conv2d) for module in used)
    assert expected < sum(isinstance(module, nn.Conv2d) for module in network.modules())
    backbone = loaded()._features.backbone
    convolutions = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    calls: list[nn.Module] = []
    for module in convolutions:
        module.register_forward_hook(lambda module, inputs, output: calls.append(module))
    backbone(torch.rand(1, 3, 64, 64))
    assert len(convolutions) == expected
    assert sorted(map(id, calls)) == sorted(map(id, convolutions))


def test_objects_are_brought_before_the_backbone_together_and_not_one_by_one(index: Index):
    detector, video = loaded(f"detectors.{NAME}.scoring.batch_size=1000"), by_id(index.test, "strange")
    images: list[int] = []
    detector._features.backbone.register_forward_hook(lambda module, inputs, output: images.append(len(inputs[0])))
    detector.score(video)
    assert 0 < len(images) <= len(windows(len(video), CLIP, 2))  # one call for a clip at most
    assert max(images) >= 2 * CLIP  # an object and the frame


def test_a_tube_takes_58_short_vectors_on_disk(place: Path):
    """49 spatial and T - 1 temporal ones of 8 channels in float32; the published code keeps 1 MB for each."""
    folders = sorted(RunFiles.of(config()).detector(NAME).glob("training-kept/features-*/0*"))
    tubes = size = 0
    for folder in folders:
        if (folder / "spatial.npy").exists():
            tubes += len(pd.read_parquet(folder / "spatial.parquet"))
            size += sum(np.load(folder / f"{stream}.npy", mmap_mode="r").nbytes for stream in LOCAL)
    assert tubes == 20
    assert size == tubes * (49 + CLIP - 1) * 8 * 4
