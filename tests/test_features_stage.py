"""Feature maps in stages `detect` and `extract`: who makes them, what decides them, kills, and how they are read."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from tests.pipeline import files_below
from tests.test_detect_stage import options, prepared
from tests.test_extract_stage import interrupted_after_one
from tests.test_weights import unplugged

from pixelplay.backbones.object_maps import ObjectMaps
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import ConfigError, DamagedArtifactError, MissingArtifactError, PixelPlayError, WeightsError
from pixelplay.objects import tables
from pixelplay.objects.features import features_of
from pixelplay.objects.tracks import tracks_of
from pixelplay.run.files import RunFiles
from pixelplay.stages import detect, extract, fuse, prepare, score, status, train
from pixelplay.videos.index import Index

__all__ = ["options", "unplugged"]  # fixtures

NEEDS = ("boxes", "tracks", "features")
POOLING = "{algorithm:pooling,frames:null,training:{},scoring:{}}"
ENCODER = ("widths=[4,8,8,16]", "max_epochs=1", "batch_size=8", "contrast_channels=8", "image_size=48")


@pytest.fixture
def pooling(options: list[str]) -> list[str]:
    """The run of `options` with a detector that asks for feature maps, by moving blobs and a small encoder."""
    small = [f"weights.encoder.{one}" for one in ENCODER]
    named = ["weights=in_domain", f"+detectors.pooling={POOLING}"]
    return [*options[:-1], *named, *small, "objects.features.image_size=48"]


@pytest.fixture
def by_timm(pooling: list[str]) -> list[str]:
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), "backbone.safetensors")
    return [*pooling, "weights.backbone=timm:test_resnet", "weights.backbone_file=backbone.safetensors"]


def extracted(options: list[str], *more: str) -> Config:
    config = prepared(options, *more)
    detect.run(config)
    extract.run(config)
    return config


def with_maps(config: Config) -> Index:
    return tables.with_objects(config, prepare.load_index(config), NEEDS)


def cached(pattern: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path("cache").rglob(pattern))}


def times(pattern: str, folder: str = "cache") -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob(pattern)}


# --- YOLO's ---------------------------------------------------------------------------------------------------------


def test_yolo_pools_while_it_detects_and_its_boxes_are_the_same_bytes(options, pooling, yolo_weights: Path, caplog):
    caplog.set_level("INFO")
    yolo = f"weights.yolo={yolo_weights}"
    detect.run(prepared(options, yolo))
    boxes = cached("objects-yolo-*")
    assert cached("features-*") == {}
    before = times("objects-yolo-*")
    config = extracted([*pooling, yolo])
    assert cached("objects-yolo-*") == boxes and times("objects-yolo-*") == before
    alongside = cached("features-*")
    for path in (*boxes, *alongside):
        Path(path).unlink()
    extracted([*pooling, yolo])
    assert cached("objects-yolo-*") == boxes and cached("features-*") == alongside
    assert "GB of" in caplog.text and "an estimate from 20.0 in a frame" in caplog.text
    index = with_maps(config)
    for video in (*index.train, *index.test, index.held.calibration[0]):
        found, tracks = features_of(video), tracks_of(video)
        assert found.row.tolist() == tracks.box.tolist()
        assert found.maps.shape[1:] == (448, 3, 3) and found.maps.dtype == np.float16
    assert not (Path("outputs/folder/stages") / "extract-features.json").exists()  # nothing left for `extract`


def test_detectors_that_ask_for_no_maps_cause_none(options: list[str], yolo_weights: Path):
    config = prepared(options, f"weights.yolo={yolo_weights}", "objects.features.source=yolo")
    detect.run(config)
    assert cached("features-*") == {} and extract.tasks(config) == []


# --- a backbone's ---------------------------------------------------------------------------------------------------


def test_a_backbone_s_maps_have_a_row_for_each_of_the_tracks_and_reach_the_detector(by_timm: list[str]):
    config = extracted(by_timm)
    for stage in (train, score, fuse):
        stage.run(config)
    assert all(not status.STAGES[name].pending(config) for name in ("detect", "extract", "train", "score", "fuse"))
    for video in (index := with_maps(config)).train + index.test:
        assert features_of(video).row.tolist() == list(range(len(tracks_of(video))))
        assert len(features_of(video).maps) == len(tracks_of(video))


def test_what_decides_the_maps_has_them_made_again_and_nothing_else_does(by_timm: list[str], unplugged: None):
    config = extracted(by_timm)
    before = times("features-*")
    same = ("objects.features.batch_size=3", "trainer.max_epochs=9", "weights.encoder.max_epochs=7")
    for change in (*same, "+detectors.pooling.scoring.a=1", "+detectors.pooling.training.coreset=3"):
        assert extract.pending(load_config([*by_timm, change])) is None, change
    boxes, tracks = times("objects-*"), times("tracks-*")
    for change in ("objects.features.every=1", "objects.features.cells=2", "objects.features.enlarge=2"):
        changed = load_config([*by_timm, change])
        assert extract.pending(changed) and not detect.pending(changed), change
        extract.run(changed)
        assert len(times("features-*")) == len(before) + 4, change
        for path in times("features-*").keys() - before.keys():
            path.unlink()
    assert (times("objects-*"), times("tracks-*")) == (boxes, tracks)
    torch.manual_seed(1)
    save_file(timm.create_model("test_resnet").state_dict(), "backbone.safetensors")  # another network
    config = load_config(by_timm)
    assert "objects.features.backbone changed" in (extract.pending(config) or "")
    extract.run(config)
    assert len(times("features-*")) == len(before) + 4
    Path("backbone.safetensors").unlink()
    assert extract.pending(load_config(by_timm)) is None  # weights that are gone are no longer needed
    assert len(with_maps(config).train) == 2


def test_damaged_and_foreign_maps_are_told_and_made_again(by_timm: list[str]):
    config = extracted(by_timm)
    before = cached("features-*")
    one, other = (Path(next(name for name in before if place in name)) for place in ("/train/a/", "/train/b/"))
    for damage in (other.read_bytes(), one.read_bytes()[:500]):
        one.write_bytes(damage)
        assert f"{one.name} has other contents" in (extract.pending(config) or "")
        with pytest.raises((MissingArtifactError, DamagedArtifactError), match=r"run `python src/extract\.py`"):
            with_maps(config)
        extract.run(config)
        assert cached("features-*") == before


def test_interrupted_it_goes_on_with_the_next_video_and_ends_with_the_same_bytes(by_timm: list[str], monkeypatch):
    config = prepared(by_timm)
    detect.run(config)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ObjectMaps, "of", interrupted_after_one(ObjectMaps.of))
        extract.run(config)
    done = times("features-*")
    assert len(done) == 1
    extract.run(config)
    assert {path: path.stat().st_mtime_ns for path in done} == done  # not made twice
    resumed = cached("features-*")
    for path in resumed:
        Path(path).unlink()
    extract.run(config)
    assert cached("features-*") == resumed and len(resumed) == 4
    assert not [path for path in files_below(Path("cache")) if path.name.endswith(".tmp")]


def test_a_full_disk_is_refused_before_anything_is_extracted(by_timm: list[str], monkeypatch):
    config = prepared(by_timm)
    detect.run(config)
    from pixelplay.objects import features

    def full(*_: object) -> int:
        raise PixelPlayError("cache: 900 MB are needed, 3 MB free: make room or set paths.cache=FOLDER")

    monkeypatch.setattr(features.decoded, "require_space", full)
    with pytest.raises(PixelPlayError, match="900 MB are needed"):
        extract.run(config)
    assert cached("features-*") == {}


# --- the run's own encoder ------------------------------------------------------------------------------------------


def test_the_encoder_is_trained_once_for_the_maps_and_for_videopatchcore_whoever_comes_first(pooling: list[str]):
    patchcore = [one.replace("detector=[]", "detector=[videopatchcore]") for one in pooling]
    key = "detectors.videopatchcore.training"
    patchcore += [f"{key}.clip=2", f"{key}.stride=2", f"{key}.patches.image_size=48", f"{key}.folds=0"]
    patchcore += ["detectors.videopatchcore.scoring.stride=2", "trainer.precision=fp32"]
    config = extracted(patchcore)
    (first,) = Path("checkpoints/folder/shared").rglob("*.safetensors")
    assert [path.name for path in first.parent.iterdir()] == [first.name]  # neither crops nor checkpoints stay
    content, before = first.read_bytes(), times("*.safetensors", "checkpoints/folder/shared")
    maps = cached("features-*")
    train.run(config)
    assert times("*.safetensors", "checkpoints/folder/shared") == before
    assert (RunFiles.of(config).detector("videopatchcore") / "encoder.safetensors").read_bytes() == content
    first.unlink()
    alone = prepared([*patchcore, "run=other", "paths.outputs=elsewhere", "~detectors.pooling"])  # finds no other run
    for stage in (detect, extract, train):
        stage.run(alone)
    (other,) = Path("checkpoints/folder/other/shared").rglob("*.safetensors")
    assert other.read_bytes() == content and other.parent.name == first.parent.name
    again = prepared([*patchcore, "run=other", "paths.outputs=elsewhere"])
    detect.run(again)
    made = times("*.safetensors", "checkpoints/folder/other/shared")
    extract.run(again)
    assert times("*.safetensors", "checkpoints/folder/other/shared") == made
    assert cached("features-*") == maps  # of the same encoder: found, not made
    assert extract.pending(config) and "encoder.safetensors is missing" in str(extract.pending(config))


def test_a_run_with_another_run_s_detectors_takes_its_encoder_and_trains_none(pooling: list[str], monkeypatch):
    config = extracted(pooling)
    (first,) = Path("checkpoints/folder/shared").rglob("*.safetensors")
    monkeypatch.setattr(extract, "_trained_encoder", lambda *_: pytest.fail("an encoder is trained"))
    again = extracted(pooling, "run=again", "checkpoints_of=folder")
    (copied,) = Path("checkpoints/folder/again/shared").rglob("*.safetensors")
    assert copied.read_bytes() == first.read_bytes()
    assert tables.encoder_digest(again, "features") == tables.encoder_digest(config, "features") is not None
    assert extract.pending(again) is None


def test_a_run_with_the_same_settings_takes_the_encoder_of_another_and_trains_none(pooling: list[str], monkeypatch):
    extracted(pooling)
    (first,) = Path("checkpoints/folder/shared").rglob("*.safetensors")
    monkeypatch.setattr(extract, "_trained_encoder", lambda *_: pytest.fail("an encoder is trained"))
    again = extracted(pooling, "run=again")
    (copied,) = Path("checkpoints/folder/again/shared").rglob("*.safetensors")
    assert copied.read_bytes() == first.read_bytes() and copied.parent.name == first.parent.name
    assert extract.pending(again) is None


# --- what can't be --------------------------------------------------------------------------------------------------


def test_sources_follow_the_methods_and_impossible_ones_are_refused_before_any_work(pooling, yolo_weights: Path):
    yolo = f"weights.yolo={yolo_weights}"
    for more, expected in (
        ([], "backbone"),
        ([yolo], "yolo"),
        ([yolo, "objects.method=both"], "backbone"),
        ([yolo, "objects.method=motion"], "backbone"),
        ([yolo, "objects.features.source=backbone"], "backbone"),
        ([yolo, "objects.features.source=yolo"], "yolo"),
        ([yolo, "objects.yolo.backend=openvino"], "backbone"),
    ):
        assert tables.features_source(load_config([*pooling, *more])) == expected
    for more, by in (([], "motion"), ([yolo, "objects.method=both"], "yolo and motion")):
        with pytest.raises(ConfigError, match=rf"objects\.features\.source=yolo: .*come from {by}: set weights\.yolo"):
            prepare.run(load_config([*pooling, *more, "objects.features.source=yolo"]))
    exporting = [*pooling, yolo, "objects.yolo.backend=onnx", "objects.features.source=yolo"]
    with pytest.raises(ConfigError, match=r"source=yolo: .*backend=onnx .*: set objects\.yolo\.backend=torch, or obj"):
        prepare.run(load_config(exporting))


def test_a_backbone_without_weights_stops_prepare_before_it_does_anything(pooling: list[str], tmp_path: Path):
    config = load_config([*pooling, "weights.backbone=timm:test_resnet", "weights.backbone_file=nowhere.safetensors"])
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors: no weights found"):
        prepare.run(config)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
