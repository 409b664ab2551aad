"""Several data sets as one, and one data set scored with detectors that a run on several has trained."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests import patchcore
from tests.footage import dataset, write_frames

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.explain.nearest import with_training
from pixelplay.objects import box_files
from pixelplay.run.files import RunFiles
from pixelplay.stages import ablate, detect, evaluate, events, explain, extract, fuse, prepare, report, score, train
from pixelplay.videos.index import Index, hold_out, load_index, seen
from pixelplay.videos.layouts import read_dataset, roots
from pixelplay.videos.settings import DatasetConfig, HeldoutConfig
from pixelplay.videos.video import Video


@pytest.fixture
def walkway(tmp_path: Path) -> Path:
    """A data set of the layout `ped2`: three training videos, one test video whose frames 3 and 4 are anomalous."""
    root = tmp_path / "walkway"
    for i in (1, 2, 3):
        write_frames(root / f"Train/Train00{i}", range(1, 31), "{:03d}.tif", seed=10 + i)
    write_frames(root / "Test/Test001", range(1, 9), "{:03d}.tif", seed=20)
    (root / "Test/UCSDped2.m").write_text("TestVideoFile{end+1}.gt_frame = [3:4];\n")
    return root


def several(parts: dict[str, Path | None]) -> DatasetConfig:
    return dataset("folder", None).model_copy(update={"layout": "several", "name": "several", "parts": parts})


def test_videos_are_called_after_their_data_set_training_videos_first_and_keep_their_truth(
    walkway: Path, small_folder: Path
):
    videos = read_dataset(several({"ped2": walkway, "folder": small_folder}))
    assert [(video.split, video.id) for video in videos] == [
        *(("train", f"ped2/Train00{i}") for i in (1, 2, 3)),
        *(("train", f"folder/0{i}") for i in (1, 2, 3)),
        *(("test", name) for name in ("ped2/Test001", "folder/01", "folder/02")),
    ]
    labels = {video.id: video.labels.read() for video in videos if video.labels}
    assert labels["ped2/Test001"].at(np.arange(1, 9)).tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert labels["folder/01"].at(np.array([5, 6, 8, 9, 12])).tolist() == [0, 1, 1, 0, 0]


def test_the_user_s_boxes_lie_in_the_folder_of_the_video_s_data_set(walkway: Path, small_folder: Path):
    places = roots(several({"ped2": walkway, "folder": small_folder}))
    path = walkway / "test_boxes/Test001.csv"
    path.parent.mkdir()
    path.touch()
    assert box_files.box_file(places, "test", "ped2/Test001") == path
    assert box_files.box_file(places, "train", "folder/01") == small_folder / "train_boxes/01.csv"
    assert box_files.box_files(places) == {"test/ped2/Test001": path}


def test_a_part_that_is_unknown_missing_or_not_given_is_refused_by_name(walkway: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"dataset.parts: 'ped3' is no data set .*did you mean 'ped2'"):
        read_dataset(several({"ped3": walkway}))
    with pytest.raises(DataError, match=r"dataset.parts.avenue.*no such folder: .*nowhere"):
        read_dataset(several({"ped2": walkway, "avenue": tmp_path / "nowhere"}))
    with pytest.raises(ConfigError, match=r"dataset\.parts names no data sets"):
        read_dataset(several({}))
    with pytest.raises(ConfigError, match="root and tracks are those of one data set"):
        load_config(["experiment=several", f"dataset.root={walkway}"])


def test_of_each_part_is_held_out_what_is_held_out_of_it_alone():
    def videos(part: str, count: int) -> list[Video]:
        return [Video(f"{part}{i:02d}", "train", np.arange(60), (8, 6), Path(part)) for i in range(count)]

    held = HeldoutConfig(share=0.25, min_videos=8, gap=4, seed=3)
    many, few = videos("ped2/", 12), videos("avenue/", 4)
    index = Index("several", "", "", held, [*many, *few], [])
    alone = [hold_out(part, held) for part in (many, few)]

    def spans(parts: list[Video]) -> list[tuple[str, int, int]]:
        return [(one.id, one.start, len(one)) for one in parts]

    assert spans(index.fit) == spans([*alone[0][0], *alone[1][0]])
    for role in ("validation", "calibration", "planting"):
        assert spans(getattr(index.held, role)) == spans([v for _, of in alone for v in getattr(of, role)])


@pytest.fixture
def options(small_run: list[str]) -> list[str]:
    """Of a run without its data set."""
    small = [one for one in small_run if not one.startswith(("experiment=", "dataset.root="))]
    return [*small, "weights=in_domain", "trainer=tiny", "trainer.max_epochs=1", "evaluate.bootstrap.n_bootstrap=2"]


def run(*options: str, stages: tuple = (prepare, train, score)) -> Config:
    config = load_config(list(options))
    for stage in stages:
        stage.run(config)
    return config


def scores(config: Config, split: str) -> pd.DataFrame:
    table = pd.read_parquet(RunFiles.of(config).scores("conv_ae"))
    return table[table["split"] == split].reset_index(drop=True)


@pytest.fixture
def on_both(options: list[str], walkway: Path, small_folder: Path) -> Config:
    return run("experiment=several", f"dataset.parts={{ped2: {walkway}, folder: {small_folder}}}", *options)


@pytest.fixture
def on_one(options: list[str], walkway: Path) -> list[str]:
    return ["experiment=ped2", f"dataset.root={walkway}", "checkpoints_of=several", *options]


def test_one_data_set_is_scored_calibrated_and_measured_with_what_a_run_on_several_learnt(
    on_both: Config, on_one: list[str], caplog: pytest.LogCaptureFixture
):
    assert {video.part for video in load_index(on_both).fit} == {"ped2", "folder"}
    caplog.set_level("INFO")
    config = run(*on_one, stages=(prepare, train, score, fuse, events, evaluate))
    assert "train: conv_ae is that of several, nothing is trained" in caplog.text
    learnt, copied = (RunFiles.of(one).detector("conv_ae") for one in (on_both, config))
    files = {path.name: path.read_bytes() for path in copied.iterdir()}
    assert files and all((learnt / name).read_bytes() == data for name, data in files.items())
    for split in ("test", "calibration"):  # of the same videos the same scores, and of no others
        theirs = scores(on_both, split)
        theirs = theirs[theirs["video"].str.startswith("ped2/")].reset_index(drop=True)
        theirs["video"] = theirs["video"].str.removeprefix("ped2/")
        pd.testing.assert_frame_equal(scores(config, split), theirs)
    found = json.loads(RunFiles.of(config).metrics.read_text())
    assert found["frames"] == 8 and found["prevalence"] == 0.25
    assert [one for stage in (prepare, train, score, fuse) if (one := stage.pending(config))] == []
    run(*on_one, stages=(ablate, explain, report))
    text = RunFiles.of(config).report.read_text()
    assert "trained by" in text and "several" in text


def test_what_was_copied_stays_when_the_other_run_is_gone_and_changes_when_it_trains_again(
    on_both: Config, on_one: list[str], options: list[str]
):
    index = load_index(on_both)
    assert seen(index.held.calibration, index.fit) is None and seen(index.test, index.fit) is None
    found = seen([video.block(0, 1) for video in index.fit], index.fit)  # footage is known by its files and positions
    assert found is not None and found.id == index.fit[0].id
    config = run(*on_one)
    record = RunFiles.of(on_both).record("train-conv_ae")
    found = json.loads(record.read_text())
    record.write_text(json.dumps(found | {"key": "0" * 16}))
    assert "changed on disk" in str(train.pending(config))
    for folder in (RunFiles.of(on_both).outputs, RunFiles.of(on_both).checkpoints):
        shutil.rmtree(folder)
    assert train.pending(config) is None and score.pending(config) is None


def test_another_run_s_detectors_are_refused_where_they_do_not_fit(on_both: Config, on_one: list[str]):
    other = [*on_one, "run=other"]
    with pytest.raises(MissingArtifactError, match=r"checkpoints_of=nothing: .*that run has no train-conv_ae"):
        run(*other, "checkpoints_of=nothing", stages=(prepare, train))
    with pytest.raises(ConfigError, match=r"its conv_ae has other settings: .*window differs"):
        run(*other, "detectors.conv_ae.training.window=3", stages=(prepare, train))
    with pytest.raises(ConfigError, match=r"fitted on frames of Train00\d that this one holds out.*dataset.heldout"):
        run(*other, "dataset.heldout.share=0.3", "dataset.heldout.seed=1", stages=(prepare, train))
    with pytest.raises(ConfigError, match="this is that run itself"):
        load_config([*on_one, "checkpoints_of=ped2"])
    path = next(RunFiles.of(on_both).detector("conv_ae").glob("*.safetensors"))
    path.write_bytes(b"damaged")
    with pytest.raises(DamagedArtifactError, match=f"{path.name} is damaged"):
        run(*on_one, stages=(prepare, train))


def test_videopatchcore_of_another_run_is_calibrated_by_held_out_footage_and_shows_what_it_knows(
    remembered: Path,
):
    other, config = patchcore.config(), patchcore.config("run=again", "checkpoints_of=folder")
    for stage in (prepare, detect, extract, train, score):
        stage.run(config)
    own = load_index(config).held.calibration
    copied = patchcore.fresh()
    copied.load(RunFiles.of(config).detector("videopatchcore"))
    assert set(copied._calibrated.table["video"]) == {video.id for video in own}
    table, borrowed = (pd.read_parquet(RunFiles.of(one).scores("videopatchcore")) for one in (other, config))
    normal = borrowed["split"] == "calibration"
    held = [(video.id, number) for video in own for number in video.numbers]
    assert set(zip(borrowed["video"][normal], borrowed["frame"][normal], strict=True)) == set(held)
    assert (table["split"] == "calibration").sum() > normal.sum()  # its own run has scored its folds, too
    anew = patchcore.loaded()
    anew.recalibrate(patchcore.footage().held.calibration)
    (strange,) = (video for video in patchcore.footage().test if video.id == "strange")
    of_video = borrowed[(borrowed["video"] == "strange") & (borrowed["stream"] == "videopatchcore")]["score"]
    np.testing.assert_array_equal(of_video, anew.score(strange).streams["videopatchcore"])
    found = with_training(config, replace(load_index(config), train=[]))
    assert [video.id for video in found.train] == [video.id for video in load_index(other).train]
