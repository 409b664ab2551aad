"""`predict`: new files scored by a trained run, which stays as it is."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests import patchcore
from tests.footage import write_frames, write_video
from tests.pipeline import ROOT, files_below, run_here, user_environment
from tests.reports import OPTIONS, tiny

from pixelplay.command_line import take_operand
from pixelplay.drawing.annotate import write_clip
from pixelplay.errors import ConfigError, DataError, MissingArtifactError
from pixelplay.evaluation.events import find_events
from pixelplay.events.event import Events
from pixelplay.prediction import Prediction, predict
from pixelplay.run.artifacts import read_model, read_table
from pixelplay.run.files import RunFiles
from pixelplay.stages import fuse
from pixelplay.videos.index import load_index
from pixelplay.videos.layouts.raw import find_videos

EXPERIMENT, *OTHERS = OPTIONS
NOT_COMPARED = (".lock", "stages")  # records hold times


@pytest.fixture(scope="module")
def trained(reported_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `reported_run`, in which this module predicts."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    shutil.copytree(reported_run, folder)
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def predicted(path: Path, *overrides: str) -> Prediction:
    return predict(path, "tiny", overrides=[*OTHERS, *overrides])


def copied(here: Path, to: Path, *videos: str) -> Path:
    """New footage: copies of test videos of the run, in a folder."""
    for video in videos:
        shutil.copytree(here / "data/tiny/test" / video, to / video)
    return to


def test_a_new_mp4_gets_events_in_seconds_above_the_threshold_of_the_run(here: Path, tmp_path: Path):
    images = [
        cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in sorted((here / "data/tiny/train/01").glob("*.jpg"))[:30]
    ]
    board = np.kron(np.indices((9, 16)).sum(axis=0) % 2, np.ones((10, 10)))[..., None] * np.full(3, 255)  # 90 x 160
    frames = [board.astype(np.uint8) if 12 <= t < 18 else image for t, image in enumerate(images)]
    write_clip(tmp_path / "gate 1.mp4", frames, 10)
    found = predicted(tmp_path / "gate 1.mp4")

    scores, (event, *_) = found.scores, found.events
    assert list(scores.columns) == ["video", "frame", "seconds", "fused", "conv_ae", "st_ae", "alarm"]
    assert scores["seconds"].tolist() == [t / 10 for t in range(30)]
    assert event.video == "gate 1" and event.start.frame <= 14 <= event.end.frame
    assert (event.start.seconds, event.end.seconds) == (event.start.frame / 10, event.end.frame / 10)
    during = scores["frame"].between(event.start.frame, event.end.frame)
    assert (scores["alarm"] == 1).tolist() == during.tolist()
    assert scores["fused"].idxmax() == event.peak.frame and scores["fused"].max() == event.score
    run = find_events(tiny(), load_index(tiny()))
    assert read_model(found.folder / "events.json", Events, "predict").alarms == run.alarms

    written = pd.read_csv(found.folder / "scores.csv")
    pd.testing.assert_frame_equal(written, scores, check_exact=True)
    assert pd.read_csv(found.folder / "events.csv")["start_seconds"].tolist() == [
        one.start.seconds for one in found.events
    ]


def rows(path: Path, *videos: str) -> pd.DataFrame:
    """The test rows of some videos in a table of scores, sorted."""
    table = read_table(path, made_by="score")
    table = table[(table["split"] == "test") & table["video"].isin(videos)]
    return table.sort_values(["video", "stream", "frame"]).reset_index(drop=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files_below(folder)
        if not {*path.relative_to(folder).parts} & {*NOT_COMPARED}
    }


def of_run(outputs: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(outputs).items() if not name.startswith("predictions/")}


def test_copies_of_test_videos_get_the_scores_that_the_run_gave_these(here: Path, tmp_path: Path):
    run = RunFiles.of(tiny())
    before = of_run(run.outputs)
    found = predicted(copied(here, tmp_path / "new", "01", "03"))
    assert found.folder == run.predictions / "new"
    for name in ("scores/conv_ae.parquet", "scores/st_ae.parquet", "fused.parquet"):
        one, other = rows(found.folder / name, "01", "03"), rows(run.outputs / name, "01", "03")
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert of_run(run.outputs) == before


def test_normalisation_by_test_scores_is_by_those_of_the_run(reported: Path, tmp_path: Path):
    learning = ["fusion.default.normalise.method=minmax", "fusion.method=rank_mean"]
    fuse.run(tiny(*learning))
    found = predicted(copied(reported, tmp_path / "alone", "02"), *learning)
    one, other = (rows(folder / "fused.parquet", "02") for folder in (found.folder, RunFiles.of(tiny()).outputs))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_the_same_contents_are_known_wherever_they_lie_and_others_of_that_name_kept_apart(here: Path, tmp_path: Path):
    first = predicted(copied(here, tmp_path / "a/same", "01")).folder
    scores = first / "scores/conv_ae.parquet"
    written = scores.stat().st_mtime_ns
    again = predicted(copied(here, tmp_path / "b/same", "01")).folder
    assert (again, scores.stat().st_mtime_ns) == (first, written)

    other = predicted(copied(here, tmp_path / "c/same", "02")).folder
    assert other.name.startswith("same-") and other.parent == first.parent
    assert set(rows(scores, "01", "02")["video"]) == {"01"}
    assert predicted(tmp_path / "c/same").folder == other


def test_killed_while_scoring_the_same_command_ends_with_the_same_files(here: Path, tmp_path: Path):
    new = copied(here, tmp_path / "killed", "01", "02", "03")
    command = [sys.executable, str(ROOT / "src/predict.py"), str(new), *OPTIONS]
    process = subprocess.Popen(command, env=user_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not any((here / "outputs/tiny/predictions/killed/scores").glob(".conv_ae.parts-*/*.parquet")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.002)
    process.kill()
    process.wait()
    folder = here / "outputs/tiny/predictions/killed"
    assert not (folder / "fused.parquet").exists()
    predicted(new)
    resumed = contents(folder)
    shutil.rmtree(folder)
    predicted(new)
    assert resumed == contents(folder)
    assert not any(".parts-" in name for name in resumed)


def test_objects_are_found_followed_and_fused_as_in_the_run(patchcore_run: Path, tmp_path: Path, monkeypatch):
    shutil.copytree(patchcore_run, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    options = patchcore.options()[1:]
    shutil.copytree("data/test/strange", tmp_path / "new/strange")
    for t in range(patchcore.FRAMES):  # nothing moves in it: no object at all
        (tmp_path / "new/empty").mkdir(exist_ok=True)
        shutil.copy("data/test/strange/000.png", tmp_path / f"new/empty/{t:03d}.png")
    found = predict(tmp_path / "new", "folder", overrides=options)
    run = RunFiles.of(patchcore.config())
    for name in ("scores/videopatchcore.parquet", "scores/objects.parquet", "fused.parquet"):
        one, other = rows(found.folder / name, "strange"), rows(run.outputs / name, "strange")
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    objects = [read_table(folder / "scores/objects-objects.parquet", "fuse") for folder in (found.folder, run.outputs)]
    one, other = (table[table["video"] == "strange"].sort_values(["track", "frame"]) for table in objects)
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True)
    assert len(one) and set(objects[0]["video"]) >= {"strange"} and "empty" not in set(objects[0]["video"])
    assert (found.scores.loc[found.scores["video"] == "empty", "objects"].nunique()) == 1


def test_a_video_of_another_size_is_scored_and_that_is_said(here: Path, tmp_path: Path, caplog):
    write_video(tmp_path / "other.avi", frames=20)  # 64 x 48; the run's is 160 x 90
    with caplog.at_level("WARNING"):
        found = predicted(tmp_path / "other.avi")
    assert found.scores["frame"].nunique() == 20
    assert "video other has frames of 64x48 pixels, the run has learnt from 160x90" in caplog.text


def test_an_unreadable_video_is_named(here: Path, tmp_path: Path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/broken.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"broken\.mp4") as error:
        predicted(tmp_path / "new/broken.mp4")
    assert "on_unreadable" not in str(error.value)  # there is nothing else to go on with
    found = predicted(copied(here, tmp_path / "new", "01"))
    assert found.scores["video"].unique().tolist() == ["01"]
    problems = pd.read_csv(found.folder / "frame_problems.csv")
    assert problems[["video", "treatment"]].to_numpy().tolist() == [["broken", "left out"]]


def test_a_variant_of_the_fusion_has_predictions_of_its_own(here: Path, tmp_path: Path):
    new = copied(here, tmp_path / "variant", "01")
    assert run_here("fuse.py", *OPTIONS, "name=w2", "fusion.method=maximum", cwd=here).returncode == 0
    done = run_here("predict.py", new, *OPTIONS, "name=w2", cwd=here)
    assert done.returncode == 0, done.stderr
    folder = here / "outputs/tiny/fusions/w2"
    one, other = (rows(path / "fused.parquet", "01") for path in (folder / "predictions/variant", folder))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert "outputs/tiny/fusions/w2/predictions/variant/scores.csv" in done.stdout


def test_a_run_that_is_not_trained_is_named_with_the_command_that_trains_it(here: Path):
    done = run_here("predict.py", "data/tiny/test", *OPTIONS, "run=never", cwd=here)
    assert done.returncode == 1
    assert "outputs/tiny/never/: no run of that name has been trained here: run `" in done.stderr


def test_other_options_than_the_run_was_fused_with_are_refused(here: Path, tmp_path: Path):
    write_frames(tmp_path / "frames", range(5))
    with pytest.raises(MissingArtifactError, match=r"fusion\.method.* changed.*`python src/fuse\.py`"):
        predicted(tmp_path / "frames", "fusion.method=maximum")


def test_external_members_cannot_be_predicted(here: Path, tmp_path: Path):
    shutil.copy(here / "submissions/tiny.csv", tmp_path / "other.csv")
    with pytest.raises(ConfigError, match=r"fusion\.external: .*other\.csv"):
        predicted(tmp_path, f"fusion.external=[{tmp_path}/other.csv]")


class TestFindVideos:
    def ids(self, path: Path) -> list[str]:
        return [raw.id for raw in find_videos(path)]

    def test_a_video_file_is_one_video(self, tmp_path: Path):
        write_video(tmp_path / "a b=c.avi", frames=3)
        assert self.ids(tmp_path / "a b=c.avi") == ["a b=c"]

    def test_a_folder_of_frames_is_one_video_whatever_else_is_in_it(self, tmp_path: Path):
        write_frames(tmp_path / "walk", range(3))
        (tmp_path / "walk/masks").mkdir()
        (tmp_path / "walk/notes.txt").touch()
        [raw] = find_videos(tmp_path / "walk")
        assert (raw.id, raw.source.expected_frames()) == ("walk", 3)
        assert [remark[0] for remark in raw.source.remarks(3)] == ["masks", "notes.txt"]

    def test_a_folder_of_videos_and_folders_is_several_in_natural_order(self, tmp_path: Path):
        write_video(tmp_path / "cam10.avi", frames=2)
        write_frames(tmp_path / "cam9", range(2))
        (tmp_path / "cover.png").touch()
        assert self.ids(tmp_path) == ["cam9", "cam10"]

    def test_tiffs_of_several_pages_are_videos_and_those_of_one_are_frames(self, tmp_path: Path):
        pages = [np.full((8, 8), value, np.uint8) for value in (0, 90, 200)]
        for name in ("a", "b"):
            (tmp_path / "stacks").mkdir(exist_ok=True)
            assert cv2.imwritemulti(str(tmp_path / f"stacks/{name}.tif"), pages)
        assert self.ids(tmp_path / "stacks") == ["a", "b"]
        assert self.ids(tmp_path / "stacks/a.tif") == ["a"]
        write_frames(tmp_path / "single", range(3), "{:03d}.tif")
        assert self.ids(tmp_path / "single") == ["single"]

    @pytest.mark.parametrize(
        ("name", "problem"),
        [("nowhere", "no such file or folder"), ("empty", "empty"), ("notes.txt", "not a video"), ("text", "none of")],
    )
    def test_where_there_is_no_video_it_says_what_is_there(self, tmp_path: Path, name: str, problem: str):
        (tmp_path / "empty").mkdir()
        (tmp_path / "text").mkdir()
        (tmp_path / "notes.txt").touch()
        (tmp_path / "text/notes.txt").touch()
        with pytest.raises(DataError, match=rf"{name}: {problem}"):
            find_videos(tmp_path / name)


class TestOperand:
    @pytest.mark.parametrize(
        ("arguments", "path"),
        [
            (["demo.mp4", "experiment=tiny"], "demo.mp4"),
            (["experiment=tiny", "~fusion.members.x", "demo.mp4"], "demo.mp4"),
            (["experiment=tiny", "run=a=b.mp4"], "run=a=b.mp4"),  # there is such a file
            (["../other=place/x.mp4", "run=x"], "../other=place/x.mp4"),
            (["device=cpu", "~/x.mp4"], "~/x.mp4"),
        ],
    )
    def test_it_is_the_word_that_is_no_option(self, tmp_path: Path, monkeypatch, arguments: list[str], path: str):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "run=a=b.mp4").touch()
        found, rest = take_operand(arguments, "predict")
        assert (found, sorted([*rest, found])) == (path, sorted(arguments))

    def test_without_one_the_usage_is_shown(self):
        with pytest.raises(ConfigError, match=r"PATH \[experiment=NAME\]"):
            take_operand(["experiment=tiny"], "predict")
