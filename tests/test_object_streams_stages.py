"""`object_motion` and `object_appearance` in the stages: flow and crops made once, scores of folds fused."""

import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.patchcore import save_backbone
from tests.pipeline import ROOT, files_below, run
from tests.test_detect_stage import FRAMES, options, prepared

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors.base import Spec
from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.events.event import Events
from pixelplay.events.vectors import EventVectors
from pixelplay.objects import tables
from pixelplay.objects.features import crop_vectors, features_of, flow_of
from pixelplay.objects.tracks import tracks_of
from pixelplay.run.artifacts import read_model
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.scores.settings import OBJECTS
from pixelplay.stages import detect, events, extract, fuse, prepare, score, status, train
from pixelplay.videos.index import Index

__all__ = ["options"]  # a fixture

POOLING = "+detectors.pooling={algorithm:pooling,frames:null,training:{},scoring:{}}"
STREAMS = {"object_motion/magnitude": 2, "object_motion/direction": 1, "object_appearance": 3}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def both(options: list[str], kept: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The run of `options` with both detectors, fused per object, and a small backbone; all is extracted.

    It lies in the same folder for all tests, as it was extracted once, since the name of its cache depends on that.
    """
    save_backbone(Path("backbone.safetensors"))
    backbone = ["weights.backbone=timm:test_resnet", "weights.backbone_file=backbone.safetensors"]
    streams = ",".join(f"{name}:{weight}" for name, weight in STREAMS.items())
    fusion = [f"++fusion.objects.streams={{{streams}}}", "fusion.objects.smooth.method=none"]
    small = ["objects.features.image_size=48", "workers=1"]
    made = [*options[:-2], "detector=[object_motion,object_appearance]", *backbone, *fusion, *small]
    here, saved = kept / "run", kept / "saved"
    if saved.exists():
        shutil.rmtree(here)
        shutil.copytree(saved, here)
        monkeypatch.chdir(here)
    else:
        shutil.copytree(".", here)
        monkeypatch.chdir(here)
        extracted(made)
        shutil.copytree(here, saved)
    return made


def extracted(options: list[str], *more: str) -> Config:
    config = prepared(options, *more)
    detect.run(config)
    extract.run(config)
    return config


def with_objects(config: Config, *needs: tables.Need) -> Index:
    return tables.with_objects(config, prepare.load_index(config), ("boxes", "tracks", *needs))


def cached(pattern: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path("cache").rglob(pattern))}


def times(pattern: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path("cache").rglob(pattern)}


def pending(config: Config) -> list[str]:
    return [task.name for stage in (detect, extract, train) for task in stage.tasks(config) if task.pending()]


def test_a_detector_that_asks_for_crops_or_flow_gets_tracks_too():
    assert Spec("any", 1, "any", crops=True).needs == ("boxes", "tracks", "crops")
    assert Spec("any", 1, "any", flow=True).needs == ("boxes", "tracks", "flow")


# --- a whole run ------------------------------------------------------------------------------------------------------


def test_a_run_scores_all_rows_of_the_tracks_and_fuses_them_with_training_footage_scored_in_folds(both: list[str]):
    config = extracted(both)
    for stage in (train, score, fuse):
        stage.run(config)
    assert all(not status.STAGES[name].pending(config) for name in ("detect", "extract", "train", "score", "fuse"))
    files, index = RunFiles.of(config), with_objects(config, "flow", "crops")
    footage = [("test", video) for video in index.test]
    footage += [("calibration", video) for video in (*index.held.calibration, *index.fit)]
    assert [len(video) for _, video in footage][:2] == [FRAMES, FRAMES]
    rows = [
        (split, video.id, int(number), int(track))
        for split, video in footage
        for number, track in zip(video.numbers[tracks_of(video).position], tracks_of(video).track, strict=True)
    ]
    raw = pd.concat([pd.read_parquet(files.object_scores(name)) for name in config.detectors])
    fused, key = pd.read_parquet(files.object_scores(OBJECTS)), ["split", "video", "frame", "track"]
    for stream in (*STREAMS, OBJECTS):
        of = raw[raw["stream"] == stream] if stream in STREAMS else fused
        assert sorted(map(tuple, of[key].to_numpy().tolist())) == sorted(rows), stream
    total = 0.0
    for stream, weight in STREAMS.items():
        of = raw[raw["stream"] == stream].set_index(key)["score"].sort_index()
        low, high = (of["calibration"].astype(float).quantile(q) for q in (0, 0.999))
        total += weight / 6 * ((of - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(fused.set_index(key)["score"].sort_index(), total, atol=1e-5)
    frames = pd.read_parquet(files.scores(OBJECTS)).set_index(key[:3])["score"]
    highest = fused.sort_values("score", ascending=False).groupby(key[:3]).head(3).groupby(key[:3])["score"].sum() / 3
    np.testing.assert_allclose(frames, highest.reindex(frames.index, fill_value=0.0), atol=1e-6)
    assert len(frames) == sum(len(video) for _, video in footage)
    events_keep_what_the_detectors_compared(config, index)


def events_keep_what_the_detectors_compared(config: Config, index: Index) -> None:
    lowest = {"method": "percentile", "thresholds": config.events.thresholds.model_copy(update={"percentile": 0.0})}
    config = config.model_copy(update={"events": config.events.model_copy(update=lowest)})
    events.run(config)
    files, test = RunFiles.of(config), {video.id: video for video in index.test}
    found = [one for one in read_model(files.events, Events, made_by="events").events if one.tracks]
    assert found and events.pending(config) is None
    for event in found:
        kept, video = EventVectors.load(files.events_folder / f"{event.id}.npz"), test[event.video]
        tracks = tracks_of(video)
        at = video.numbers[tracks.position]
        inside = (at >= event.start.frame) & (at <= event.end.frame)
        rows = inside & np.isin(tracks.track, [one.track for one in event.tracks])
        assert np.array_equal(kept.track, tracks.track[rows]) and np.array_equal(kept.frame, at[rows])
        assert np.array_equal(kept.vectors["crops"], crop_vectors(video)[rows])
        assert np.array_equal(kept.vectors["flow"], flow_of(video)[rows], equal_nan=True)


def test_a_damaged_file_of_flow_is_named_and_made_again(both: list[str]):
    config = extracted(both)
    before = cached("flow-*")
    assert len(before) == 4
    path = Path(next(iter(before)))
    path.write_bytes(before[str(path)][:200])
    assert f"{path.name} has other contents" in (extract.pending(config) or "")
    with pytest.raises(
        (MissingArtifactError, DamagedArtifactError), match=rf"{path.name}.*run `python src/extract\.py`"
    ):
        train.run(config)
    extract.run(config)
    assert cached("flow-*") == before


# --- what is made, and what decides it --------------------------------------------------------------------------------


def test_flow_and_crops_have_a_row_for_each_of_the_tracks(both: list[str]):
    config = extracted(both)
    index = with_objects(config, "flow", "crops")
    for video in (*index.train, *index.test, *index.held):
        count = len(tracks_of(video))
        assert flow_of(video).shape == (count, 9) and len(crop_vectors(video)) == count
    walker = index.train[0]  # by 3 pixels a frame to the right, at 25 frames per second
    assert np.isnan(flow_of(walker)[0]).all()
    assert 30 < np.median(flow_of(walker)[1:, 0]) < 90
    assert (np.nanargmax(flow_of(walker)[1:, 1:], axis=1) == 0).mean() > 0.8


def test_settings_of_flow_and_backbone_have_only_those_detectors_trained_again_that_use_them(both: list[str]):
    config = extracted(both)
    train.run(config)
    assert pending(config) == []
    for change, expected in (
        ("objects.flow.bins=4", ["extract-flow", "train-object_motion"]),
        ("objects.flow.preset=fast", ["extract-flow", "train-object_motion"]),
        ("objects.features.every=3", ["extract-features", "train-object_appearance"]),
        ("weights.backbone=timm:test_efficientnet", ["extract-features", "train-object_appearance"]),
        ("objects.features.batch_size=3", []),
        ("detectors.object_motion.scoring.quantile=0.5", []),
    ):
        assert pending(load_config([*both, change])) == expected, change
    before = times("flow-*")
    extract.run(load_config([*both, "objects.flow.bins=4"]))
    assert len(times("flow-*")) == 8 and before.items() <= times("flow-*").items()
    tracks = load_config([*both, "objects.tracks.fps=5"])
    assert "extract-flow" in pending(tracks)


def test_crops_and_a_backbone_s_feature_maps_are_one_file(both: list[str]):
    config = extracted(both)
    before = cached("features-*")
    assert len(before) == 4
    together = extracted([*both, POOLING])
    assert cached("features-*") == before and pending(config) == ["train-object_motion", "train-object_appearance"]
    for video in with_objects(together, "features", "crops").train:
        assert video.features == video.crops
        maps = features_of(video).maps.astype(np.float32)
        assert maps.shape[2:] == (3, 3)
        np.testing.assert_allclose(crop_vectors(video), maps.mean(axis=(2, 3)), rtol=1e-6)


def test_crops_beside_yolo_s_feature_maps_are_files_of_their_own_with_a_cell_each(both: list[str], yolo_weights: Path):
    of_blobs = cached("features-*")
    config = extracted([*both, POOLING], f"weights.yolo={yolo_weights}")
    assert len(cached("features-*").keys() - of_blobs.keys()) == 8
    index = with_objects(config, "features", "crops")
    for video in (*index.train, *index.test):
        assert video.features is not None and video.crops is not None
        assert video.features.by_box and not video.crops.by_box and video.features.path != video.crops.path
        assert features_of(video).maps.shape[1:] == (448, 3, 3)
        assert np.load(video.crops.path, mmap_mode="r").shape[2:] == (1, 1)
        assert len(crop_vectors(video)) == len(tracks_of(video))
    alone = load_config([*both, f"weights.yolo={yolo_weights}"])
    assert tables.cells(alone, "crops") == 1  # nobody's feature maps could be shared
    before = times("features-*")
    extracted([*both, f"weights.yolo={yolo_weights}"])
    assert times("features-*") == before


def test_the_run_s_own_encoder_is_trained_for_crops(both: list[str]):
    encoder = ("widths=[4,8,8,16]", "max_epochs=1", "batch_size=8", "contrast_channels=8", "image_size=48")
    own = [*both, "weights=in_domain", "weights.backbone=in_domain", "weights.backbone_file=null"]
    own += [f"weights.encoder.{one}" for one in encoder]
    config = extracted(own)
    record = read_record(RunFiles.of(config).record(tables.ENCODER))
    assert record is not None and tables.encoder_digest(config, "crops") == record.outputs[0].sha256
    train.run(config)
    assert pending(config) == []


def test_killed_flow_goes_on_with_the_next_video_and_ends_with_the_same_bytes(both: list[str]):
    config = load_config(both)
    for path in cached("flow-*"):
        Path(path).unlink()
    script = (
        f"import os, signal, sys; sys.path.insert(0, {str(ROOT / 'src')!r}); "
        "from pixelplay.cli import load_config; from pixelplay.stages import extract; of = extract.flow_in_boxes; "
        "whole = [of, of, lambda *given: os.kill(os.getpid(), signal.SIGKILL)]; "  # at the third video
        "extract.flow_in_boxes = lambda *given: whole.pop(0)(*given); extract.run(load_config(sys.argv[1:]))"
    )
    dead = run(sys.executable, "-c", script, *both, cwd=Path.cwd())
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    done = times("flow-*")
    assert len(done) == 2
    extract.run(config)
    assert {path: path.stat().st_mtime_ns for path in done} == done  # not made twice
    resumed = cached("flow-*")
    for path in resumed:
        Path(path).unlink()
    extract.run(config)
    assert cached("flow-*") == resumed and len(resumed) == 4
    assert not [path for path in files_below(Path("cache")) if path.name.endswith(".tmp")]
