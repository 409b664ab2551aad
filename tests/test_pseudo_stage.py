"""Pseudo-anomalies in a run: prepared, restored and scored like test footage, and changed without anything else."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from tests.pipeline import ROOT, files_below
from tests.plaza import video_of, walk
from tests.street import drawn
from tests.test_detect_stage import COUNTING

import pixelplay.detectors
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.evaluation.score_tables import read_scores
from pixelplay.run.files import RunFiles
from pixelplay.scores.table import check
from pixelplay.stages import detect, evaluate, events, extract, fuse, prepare, score, train
from pixelplay.videos.index import Index
from pixelplay.videos.video import format_name

STAGES = (prepare, detect, extract, train, score, fuse, events, evaluate)
FRAMES = 64
FLIPPED = drawn(FRAMES, 0.25)
KINDS = ["foreign_patch", "freeze", "wrong_place", "throwing"]


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training videos, so whole ones are held out, and a test video of which a quarter is flipped."""
    folder = tmp_path_factory.mktemp("footage")
    for i in range(8):
        video_of(folder / f"train/{i}", walk(FRAMES, top=40 + i))
    frames = walk(FRAMES)
    frames[FLIPPED] = frames[FLIPPED][:, ::-1]
    video_of(folder / "test/1", frames)
    (folder / "test_labels").mkdir()
    labels = pd.DataFrame({"frame": np.arange(10, 10 + FRAMES), "label": np.arange(FRAMES) % 2})
    labels.to_csv(folder / "test_labels/1.csv", index=False)
    return folder


def options(footage: Path, cache: Path) -> list[str]:
    run = ["experiment=folder", f"dataset.root={footage}", f"paths.cache={cache}", "device=cpu", "workers=1"]
    tiny = ["restore=tiny", "restore.flip=background", "detector=[conv_ae_tiny]"]
    tiny += ["trainer=tiny", "trainer.max_epochs=1", "trainer.precision=fp32"]
    clips = [f"pseudo.kinds=[{','.join(KINDS)}]", "pseudo.seeds=[0]", "pseudo.frames=40", "pseudo.context_frames=20"]
    return [*run, *tiny, *clips]


@pytest.fixture(scope="module")
def finished(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `work` in which every stage has run, and the `cache` beside it; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "work").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "work")
        for stage in STAGES:
            stage.run(load_config(options(footage, folder / "cache")))
    return folder


class Place:
    """A copy of the finished run, as working directory."""

    def __init__(self, footage: Path, cache: Path):
        self.footage, self.cache = footage, cache

    def with_own_cache(self, folder: Path) -> "Place":
        """The same with a copy of the cache, which a test may change."""
        shutil.copytree(self.cache, folder / "cache")
        own = Place(self.footage, folder / "cache")
        own.run()
        return own

    def config(self, *more: str) -> Config:
        return load_config([*options(self.footage, self.cache), *more])

    def index(self) -> Index:
        return prepare.load_index(self.config())

    def run(self, *more: str) -> None:
        for stage in STAGES:
            stage.run(self.config(*more))

    def pending(self, *more: str) -> set[str]:
        return {stage.__name__.split(".")[-1] for stage in STAGES if stage.pending(self.config(*more))}


@pytest.fixture
def place(finished: Path, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    shutil.copytree(finished / "work", tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return Place(footage, finished / "cache")


def scores() -> pd.DataFrame:
    """Of test and held-out footage, and of the clips, which have a table of their own."""
    paths = sorted(Path("outputs/folder/scores").glob("conv_ae*.parquet"))
    return pd.concat(map(pd.read_parquet, paths), ignore_index=True)


# --- what prepare makes ---------------------------------------------------------------------------------------------


def test_the_index_has_a_clip_of_every_kind_with_labels_and_masks(place: Place):
    index = place.index()
    truth = prepare.load_labels(place.config(), index, "pseudo")
    assert [video.id for video in index.pseudo] == [f"{kind}-0" for kind in KINDS]
    for video in index.pseudo:
        assert (video.split, len(video), video.size) == ("pseudo", 40, (120, 80))
        known = truth[video.id]
        assert known.labels.tolist() == [int(known.masks.at(t).any()) for t in range(40)]
        assert known.labels.sum() == 12
    assert len({video.key for video in index.pseudo}) == len(KINDS)


def test_clips_are_as_corrupted_as_the_test_footage_and_are_put_right_like_it(place: Place):
    index, files = place.index(), RunFiles.of(place.config())
    found = pd.read_csv(files.restoration)
    assert found["flipped"].tolist() == FLIPPED.astype(int).tolist()  # clips are not in the table of test frames
    share, count = 0.25, 0
    for video in index.pseudo:
        clip = video.folder.parents[1] / "clips" / video.id
        kinds = json.loads((clip / "clip.json").read_text())["corruption"]
        on_disk = [cv2.imread(str(path)) for path in sorted((clip / "frames").iterdir())]
        restored = [frame[..., ::-1] for frame in video.full_size()]
        for kind, seen, stored in zip(kinds, restored, on_disk, strict=True):
            assert (seen == (stored[::-1] if kind == "flip" else stored)).all()
        count += kinds.count("flip")
        ground = np.median([frame[0] for frame in restored], axis=0)
        assert all(np.abs(frame[0] - ground).mean() < 10 for frame in restored)  # all the same way up
    frames = 40 * len(KINDS)
    assert abs(count / frames - share) < 5 * np.sqrt(share * (1 - share) / frames)


def test_what_is_found_in_clips_is_listed_like_what_is_found_in_test_footage(place: Place):
    index, files = place.index(), RunFiles.of(place.config())
    found, of_test = pd.read_csv(files.pseudo_restoration), pd.read_csv(files.restoration)
    assert list(found.columns) == list(of_test.columns)
    assert list(zip(found["video"], found["frame"], strict=True)) == [
        (v.id, n) for v in index.pseudo for n in v.numbers
    ]
    noise = np.concatenate([video.noise for video in index.pseudo])
    np.testing.assert_allclose(found["noise_level"], noise, rtol=1e-5)
    for video in index.pseudo:
        kinds = json.loads((video.folder.parents[1] / "clips" / video.id / "clip.json").read_text())["corruption"]
        flipped = found.loc[found["video"] == video.id, "flipped"].tolist()
        assert flipped == [int(kind == "flip") for kind in kinds]  # all are found here
    assert found["flipped"].sum() > 20


def test_clips_are_left_clean_where_the_test_footage_is_clean_or_nobody_wants_them_corrupted(place: Place):
    for more in (["pseudo.corrupted=false"], ["restore.flip=none"]):  # without judging, no frame is known as flipped
        prepare.run(place.config(*more, "pseudo.kinds=[freeze]"))
        index = Index.load(Path("outputs/folder/index.json"))
        assert len(index.pseudo) == 1
        assert all(video.restored is None for video in index.pseudo)


def test_the_table_names_kind_seed_source_and_anomalous_frames_of_every_clip(place: Place):
    table = pd.read_csv("outputs/folder/pseudo_anomalies.csv", dtype={"source": str}, keep_default_na=False)
    assert table["kind"].tolist() == KINDS and set(table["seed"]) == {0}
    by_id = prepare.load_labels(place.config(), place.index(), "pseudo")
    held = {video.id: video for video in place.index().held.planting}
    for row in table.itertuples():
        video, source = by_id[row.video], held[row.source]
        anomalous = np.flatnonzero(video.labels)
        assert (row.frames, row.first, row.last, row.left_out) == (len(video.numbers), anomalous[0], anomalous[-1], "")
        assert source.numbers[0] <= row.source_first <= row.source_last <= source.numbers[-1]


def test_the_picture_shows_a_row_for_every_kind(place: Place):
    picture = cv2.imread("outputs/folder/pseudo_anomalies.png")
    height, width = picture.shape[:2]
    assert 0.35 < height / width < 1  # four rows of six frames of 120 x 80
    red = (picture[..., 2] > 200) & (picture[..., 1] < 120) & (picture[..., 0] < 120)
    rows = [part.any() for part in np.array_split(red, len(KINDS))]
    assert all(rows)
    columns = np.array_split(red, 6, axis=1)
    assert columns[1].any() and columns[4].any() and not columns[0].any() and not columns[5].any()


def test_a_run_may_have_none(place: Place):
    prepare.run(place.config("pseudo.kinds=[]"))
    assert place.index().pseudo == []
    assert not Path("outputs/folder/pseudo_anomalies.csv").exists()
    assert not Path("outputs/folder/pseudo_anomalies.png").exists()


def test_footage_too_short_for_any_clip_is_said_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.chdir(tmp_path)
    for name in ("train/1", "train/2", "test/1"):
        video_of(tmp_path / "data" / name, walk(36))  # of each three frames are held out for them
    short = ["dataset.heldout.gap=4", "detectors.conv_ae.training.window=4"]
    config = load_config([*options(tmp_path / "data", tmp_path / "cache"), *short])
    prepare.run(config)
    assert prepare.load_index(config).pseudo == []
    assert caplog.text.count("left out: no held-out video has the") == len(KINDS)
    assert prepare.pending(config) is None


def test_what_is_deleted_is_made_again(place: Place):
    paths = [Path("outputs/folder", name) for name in ("pseudo_anomalies.csv", "pseudo_anomalies.png")]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.rename("away")
        assert place.pending() == {"prepare"}
        Path("away").rename(path)
    for path in paths:
        path.unlink()
    prepare.run(place.config())
    assert [path.read_bytes() for path in paths] == before
    assert place.pending() == set()


def test_deleted_clips_are_made_again_and_scored_as_before(place: Place, tmp_path: Path):
    before = scores()
    place = place.with_own_cache(tmp_path)
    shutil.rmtree(place.index().pseudo[0].folder.parents[1])
    assert "prepare" in place.pending()
    place.run()
    pd.testing.assert_frame_equal(scores(), before)


# --- scores ---------------------------------------------------------------------------------------------------------


def test_every_frame_of_every_clip_is_scored_in_every_stream(place: Place):
    table = scores()
    check(table)
    pseudo = table[table["split"] == "pseudo"]
    expected = {(video.id, int(number)) for video in place.index().pseudo for number in video.numbers}
    assert set(pseudo["stream"]) == set(table["stream"])
    for _, rows in pseudo.groupby("stream"):
        assert set(zip(rows["video"], rows["frame"], strict=True)) == expected


def test_clips_are_scored_like_test_videos_with_what_the_detector_sees_of_them(place: Place):
    config, index = place.config(), place.index()
    detector = registry.create("conv_ae", config.detectors["conv_ae"], torch.device("cpu"))
    detector.load(RunFiles.of(config).detector("conv_ae"))
    table = scores().set_index(["split", "video", "stream"])
    video = index.pseudo[2]
    expected = detector.score(video).streams["conv_ae"]
    assert table.loc[("pseudo", video.id, "conv_ae"), "score"].to_numpy() == pytest.approx(expected, rel=1e-5)


def test_pseudo_scores_leave_the_fusion_and_the_submission_as_they_are(place: Place):
    names = ("submissions/folder.csv", "outputs/folder/metrics.json")
    with_pseudo = [Path(name).read_bytes() for name in names]
    fused = pd.read_parquet("outputs/folder/fused.parquet").query("split != 'pseudo'").reset_index(drop=True)
    place.run("pseudo.kinds=[]", "run=none")
    others = ("submissions/folder/none.csv", "outputs/folder/none/metrics.json")
    assert [Path(name).read_bytes() for name in others] == with_pseudo
    config = place.config("pseudo.kinds=[]", "run=none")
    assert set(read_scores(config, "conv_ae", prepare.load_index(config))["split"]) == {"test", "calibration"}
    pd.testing.assert_frame_equal(pd.read_parquet("outputs/folder/none/fused.parquet"), fused)


def test_other_pseudo_anomalies_need_no_training_and_no_other_scores_than_their_own(place: Place, tmp_path: Path):
    place = place.with_own_cache(tmp_path)
    before = scores()
    config, index = place.config(), place.index()
    kept = {path: path.stat().st_mtime_ns for path in files_below(tmp_path)}
    prepare.run(place.config("pseudo.seeds=[1]"))
    assert place.pending("pseudo.seeds=[1]") == {"score", "fuse", "events", "evaluate"}  # by which members are chosen
    frames = f"{format_name(config.detectors['conv_ae'].frames)}.npy"
    for video in (*index.test, *index.held):
        for folder in {video.folder, video.restored} - {None}:
            (folder / frames).rename(folder / "away")  # nobody reads them
    score.run(place.config("pseudo.seeds=[1]"))
    after = scores()
    real = ["test", "calibration"]
    pd.testing.assert_frame_equal(
        after[after["split"].isin(real)].reset_index(drop=True),
        before[before["split"].isin(real)].reset_index(drop=True),
    )
    assert set(after.loc[after["split"] == "pseudo", "video"]) == {f"{kind}-1" for kind in KINDS}
    same = {path for path, time in kept.items() if path.exists() and path.stat().st_mtime_ns == time}
    assert all(path in same for path in kept if "checkpoints" in str(path))
    assert all(path in same for path in kept if path.suffix == ".npy" and path.name != frames)


def test_a_run_killed_between_the_two_steps_of_scoring_goes_on_with_the_second(place: Place):
    path = Path("outputs/folder/scores/conv_ae-pseudo.parquet")
    before = path.read_bytes()
    path.unlink()
    Path("outputs/folder/stages/score-conv_ae-pseudo.json").unlink()
    assert place.pending() == {"score", "fuse", "events", "evaluate"}
    with pytest.raises(MissingArtifactError, match=r"run `python src/score\.py`"):
        Path("outputs/folder/stages/fuse.json").unlink()
        fuse.run(place.config())
    score.run(place.config())
    assert path.read_bytes() == before


def test_a_deleted_table_is_made_again_with_all_its_rows(place: Place):
    path = Path("outputs/folder/scores/conv_ae.parquet")
    before = path.read_bytes()
    path.unlink()
    score.run(place.config())
    assert path.read_bytes() == before


def test_changed_test_footage_has_the_pseudo_rows_scored_with_it(place: Place):
    before = scores()
    place.run("restore.threshold=0.6")  # another key, the same frames
    after = scores()
    pd.testing.assert_frame_equal(before, after)
    assert place.pending("restore.threshold=0.6") == set()


# --- objects --------------------------------------------------------------------------------------------------------


def test_objects_are_looked_for_in_clips_too_and_reach_the_detector(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pixelplay.detectors, "__path__", [*pixelplay.detectors.__path__, str(ROOT / "tests/asking")])
    small = ["objects.motion.frames.width=96", "objects.motion.frames.height=64", "restore.flip=none"]
    chosen = ["detector=[]", f"+detectors.counting={COUNTING}", "pseudo.kinds=[foreign_patch]"]
    config = load_config([*options(footage, tmp_path / "cache"), *small, *chosen, "pseudo.seeds=[0,1,2]"])
    prepare.run(config)
    train_videos = prepare.load_index(config).train
    detect.run(config)
    assert len(list(Path("cache").rglob("objects-motion-*.parquet"))) == len(train_videos) + 1 + 3
    train.run(config)
    score.run(config)
    table = pd.read_parquet("outputs/folder/scores/counting-pseudo.parquet")
    index, gains = prepare.load_index(config), []
    for clip, known in prepare.load_labels(config, index, "pseudo").items():
        patch = table[(table["split"] == "pseudo") & (table["video"] == clip)]["score"].to_numpy()
        gains.append(patch[known.labels == 1].mean() - patch[known.labels == 0].mean())
    assert max(gains) > 0.5  # the patch is one thing more, where it stands out from the ground
    path = next(index.pseudo[0].folder.glob("objects-motion-*.parquet"))
    path.unlink()
    assert path.name in (detect.pending(config) or "")


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pseudo.kinds=[foreign_path]", r"pseudo\.kinds\.0='foreign_path'.*'foreign_patch'"),
        ("pseudo.kinds=[freeze,freeze]", r"pseudo\.kinds=.*freeze is listed more than once"),
        ("pseudo.seeds=[1,1]", "1 is listed more than once"),
        ("pseudo.seeds=[-1]", r"pseudo\.seeds\.0=-1"),
        ("pseudo.anomalous_share=0.5", r"pseudo\.anomalous_share=0\.5.*less than 0\.5"),
        ("pseudo.frames=3", r"pseudo\.frames=3"),
        ("pseudo.speed_factor=1", r"pseudo\.speed_factor=1"),
        ("pseudo.size_factor=1.0", r"pseudo\.size_factor=1\.0"),
        ("pseudo.patch.size=[0.3,0.2]", "the first of the two, 0.3, must not be above the second, 0.2"),
        ("pseudo.patch.size=[0.3,1.0]", "must be smaller than the frame"),
        ("pseudo.patch.speed=[0.3]", r"pseudo\.patch\.speed"),
        ("pseudo.moving.min_area=0.2", "min_area=0.2 is greater than max_area=0.1"),
        ("+pseudo.kind=freeze", r"pseudo\.kind: unknown key; did you mean 'kinds'"),
    ],
)
def test_impossible_settings_are_refused(override: str, message: str):
    with pytest.raises(ConfigError, match=message):
        load_config([override])
