"""The stages of a run, one after the other on a very small data set: what they write, and when they have work to do."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.pipeline import cached_video, files_below, walking_square

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors.autoencoder.detector import POOLINGS, AutoencoderDetector
from pixelplay.detectors.base import Scores
from pixelplay.durations import START, Estimate
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError, MissingArtifactError, PixelPlayError
from pixelplay.evaluation.speed import frames_per_second
from pixelplay.run.files import RunFiles
from pixelplay.scores import submission
from pixelplay.scores.table import check
from pixelplay.stages import ablate, evaluate, events, explain, fuse, prepare, report, score, status, train
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video, format_name

STREAMS = {"conv_ae", *(f"conv_ae/{pooling}" for pooling in POOLINGS)}
STAGES = {"prepare": prepare, "train": train, "score": score, "fuse": fuse, "events": events, "evaluate": evaluate}
STAGES |= {"explain": explain, "report": report}
FROM_FUSE = {"fuse", "events", "evaluate", "explain", "report"}
SHARES = {"ap", "pr_auc", "auc_micro", "auc_macro", "auc_macro_anchored", "eer", "best_f1"}
FIGURES = SHARES | {"macro_videos", "intervals"}
RECORDS = {
    "prepare": "outputs/tiny/stages/prepare.json",
    "train": "outputs/tiny/stages/train-conv_ae.json",
    "score": "outputs/tiny/stages/score-conv_ae.json",
    "fuse": "outputs/tiny/stages/fuse.json",
    "events": "outputs/tiny/stages/events.json",
    "evaluate": "outputs/tiny/stages/evaluate.json",
    "explain": "outputs/tiny/stages/explain.json",
    "report": "outputs/tiny/stages/report.json",
}


class Place:
    """A working directory, and the shared folders that a run in it reads: rendered footage and decoded frames."""

    def __init__(self, folder: Path, shared: Path):
        self.folder, self.shared = folder, shared

    def config(self, *overrides: str) -> Config:
        fixed = [
            "experiment=tiny",
            "detector=[conv_ae_tiny]",  # whatever else the experiment has
            "workers=1",
            "trainer.precision=fp32",
            "dataset.sample.min_frames=30",
            "dataset.sample.max_frames=40",
            "pseudo.kinds=[freeze,foreign_patch]",
            f"dataset.root={self.shared}/data",
            f"paths.cache={self.shared}/cache",
        ]
        return load_config([*fixed, *overrides])

    def run(self, *overrides: str) -> set[str]:
        """Run every stage; returns those that did something."""
        before = self._records()
        for stage in STAGES.values():
            stage.run(self.config(*overrides))
        after = self._records()
        return {name for name in STAGES if before.get(name) != after.get(name)}

    def pending(self, *overrides: str) -> set[str]:
        return {name for name, stage in STAGES.items() if stage.pending(self.config(*overrides))}

    def _records(self) -> dict[str, int]:
        paths = {name: self.folder / path for name, path in RECORDS.items()}
        return {name: path.stat().st_mtime_ns for name, path in paths.items() if path.exists()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where all stages have run; to be copied, not changed."""
    base = tmp_path_factory.mktemp("finished")
    place = Place(base / "work", base / "shared")
    place.folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        assert place.run() == set(STAGES)
    return place


@pytest.fixture
def place(finished: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of the finished run, which a test may change, as working directory."""
    shutil.copytree(finished.folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return Place(tmp_path / "work", finished.shared)


@pytest.fixture
def empty(finished: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A working directory in which nothing has run yet, with the same footage at hand."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return Place(tmp_path / "work", finished.shared)


def read_index(place: Place) -> Index:
    return Index.load(place.folder / "outputs/tiny/index.json")


def raw_scores() -> pd.DataFrame:
    """All of the detector's raw scores: those of pseudo-anomalies have a file of their own."""
    return pd.concat([pd.read_parquet(f"outputs/tiny/scores/conv_ae{end}.parquet") for end in ("", "-pseudo")])


def frames_on_disk(place: Place, split: str) -> set[tuple[str, int]]:
    paths = (place.shared / "data" / split).glob("*/*.jpg")
    return {(path.parent.name, int(path.stem.removeprefix("frame_"))) for path in paths}


# --- what the stages write ------------------------------------------------------------------------------------------


def test_the_index_lists_the_frames_on_disk_and_holds_out_footage_that_is_not_fitted_on(place: Place):
    index = read_index(place)
    assert {(v.id, int(n)) for v in index.test for n in v.numbers} == frames_on_disk(place, "test")
    fit = {(v.id, int(n)) for v in index.fit for n in v.numbers}
    held = {(v.id, int(n)) for v in index.held for n in v.numbers}
    assert fit | held < frames_on_disk(place, "train")  # the gaps between them are neither
    assert not fit & held


def test_raw_scores_are_a_scores_table_of_every_test_held_out_and_pseudo_frame_in_every_stream(place: Place):
    table = raw_scores()
    check(table)
    assert table["score"].dtype == np.float32
    assert set(table["stream"]) == STREAMS
    index = read_index(place)
    held, pseudo = (
        {(v.id, int(n)) for v in videos for n in v.numbers} for videos in (index.held.calibration, index.pseudo)
    )
    for _, rows in table.groupby("stream"):
        by_split = {split: set(zip(r["video"], r["frame"], strict=True)) for split, r in rows.groupby("split")}
        assert by_split == {"test": frames_on_disk(place, "test"), "calibration": held, "pseudo": pseudo}


def test_the_fused_table_holds_the_fusion_and_every_stream_for_every_test_and_held_out_frame(place: Place):
    table = pd.read_parquet("outputs/tiny/fused.parquet")
    check(table)
    assert set(table["stream"]) == STREAMS | {"fused"}
    index = read_index(place)
    held, planted = (
        {(v.id, int(n)) for v in videos for n in v.numbers} for videos in (index.held.calibration, index.pseudo)
    )
    for _, rows in table.groupby("stream"):
        by_split = {split: set(zip(r["video"], r["frame"], strict=True)) for split, r in rows.groupby("split")}
        assert by_split == {"test": frames_on_disk(place, "test"), "calibration": held, "pseudo": planted}
    scores = {stream: rows["score"].to_numpy() for stream, rows in table.groupby("stream")}
    assert np.array_equal(scores["fused"], scores["conv_ae"])  # its only member


def test_the_submission_has_the_ids_of_the_test_frames_in_order_and_the_fused_scores(place: Place):
    rows = pd.read_csv("submissions/tiny.csv", dtype={"Id": str})
    assert list(rows.columns) == ["Id", "Predicted"]
    frames = sorted(frames_on_disk(place, "test"))
    assert rows["Id"].tolist() == [f"{int(video)}_{number}" for video, number in frames]
    fused = pd.read_parquet("outputs/tiny/fused.parquet").query("stream == 'fused' and split == 'test'")
    assert rows["Predicted"].tolist() == fused.set_index(["video", "frame"])["score"].loc[frames].tolist()
    assert submission.validate(Path("submissions/tiny.csv"), rows["Id"].tolist()) == []


def test_metrics_have_the_documented_form(place: Place):
    metrics = json.loads(Path("outputs/tiny/metrics.json").read_text())
    assert set(metrics) == {
        *("frames", "prevalence", "detectors", "external", "fused", "events", "objects", "thresholds"),
        *("published", "videos"),
    }
    labels = pd.concat([pd.read_csv(path) for path in (place.shared / "data/test_labels").glob("*.csv")])["label"]
    assert metrics["frames"] == len(labels)
    assert metrics["prevalence"] == pytest.approx(labels.mean())
    assert set(metrics["fused"]) == FIGURES
    assert set(metrics["detectors"]) == {"conv_ae"}
    assert metrics["external"] == {}
    whole = FIGURES | {"frames", "prevalence", "unsmoothed"}
    assert set(metrics["detectors"]["conv_ae"]) == whole | {"streams", "parameters"}
    streams = metrics["detectors"]["conv_ae"]["streams"]
    assert set(streams) == STREAMS - {"conv_ae"}
    assert all(set(figures) == whole for figures in streams.values())
    assert all(0 <= figures[name] <= 1 for figures in streams.values() for name in SHARES)
    low, high = metrics["fused"]["intervals"]["ap"]
    assert low <= metrics["fused"]["ap"] <= high
    assert "conv_ae" in metrics["thresholds"]
    assert set(metrics["thresholds"]["conv_ae"]) == {"evt", "percentile", "fixed", "adaptive"}
    assert (metrics["objects"], metrics["published"]) == ({}, [])  # no detector with boxes, no figures of others
    assert Path("outputs/tiny/thresholds/conv_ae.png").is_file()


def test_an_external_member_is_measured_like_a_detector(place: Place):
    before = json.loads(Path("outputs/tiny/metrics.json").read_text())["fused"]
    shutil.copy("submissions/tiny.csv", place.folder / "old.csv")
    as_it_is = "+fusion.members.old={normalise:{method:none},smooth:{method:none}}"
    assert place.run(f"fusion.external=[{place.folder}/old.csv]", as_it_is) == FROM_FUSE
    figures = json.loads(Path("outputs/tiny/metrics.json").read_text())["external"]["old"]
    assert {name: figures[name] for name in SHARES} == pytest.approx({name: before[name] for name in SHARES})


def test_figures_of_a_stream_are_those_of_its_smoothed_and_of_its_raw_scores(place: Place):
    from sklearn.metrics import average_precision_score, roc_auc_score

    files = sorted((place.shared / "data/test_labels").glob("*.csv"))
    labels = pd.concat([pd.read_csv(path).assign(video=path.stem) for path in files]).set_index(["video", "frame"])
    figures = json.loads(Path("outputs/tiny/metrics.json").read_text())["detectors"]["conv_ae"]["streams"]
    raw = pd.read_parquet("outputs/tiny/scores/conv_ae.parquet").query("split == 'test'")
    tables = {"": pd.read_parquet("outputs/tiny/fused.parquet").query("split == 'test'"), "unsmoothed": raw}
    for key, table in tables.items():
        scores = table[table["stream"] == "conv_ae/mean"].set_index(["video", "frame"])["score"].loc[labels.index]
        found = figures["conv_ae/mean"][key] if key else figures["conv_ae/mean"]
        assert found["ap"] == pytest.approx(average_precision_score(labels["label"], scores))
        assert found["auc_micro"] == pytest.approx(roc_auc_score(labels["label"], scores))


def test_every_evaluation_on_labels_is_logged_once(place: Place):
    def logged() -> list[dict]:
        return [json.loads(line) for line in Path("outputs/tiny/evaluations.jsonl").read_text().splitlines()]

    assert len(logged()) == 1
    place.run()
    assert len(logged()) == 1
    place.run("fusion.default.smooth.sigma=2.0")
    assert len(logged()) == 2
    assert logged()[0]["config"] != logged()[1]["config"]
    assert set(logged()[1]) == {"date", "config", "frames", "fused", "detectors", "objects", "events"}


# --- what evaluate measures -----------------------------------------------------------------------------------------


def evaluated(place: Place, *overrides: str) -> dict:
    evaluate.run(place.config(*overrides))
    return json.loads(Path("outputs/tiny/metrics.json").read_text())


def test_thresholds_are_those_of_the_scores_that_enter_the_fusion(place: Place):
    from sklearn.metrics import precision_recall_fscore_support

    table = pd.read_parquet("outputs/tiny/fused.parquet").query("stream == 'conv_ae'")
    found = json.loads(Path("outputs/tiny/metrics.json").read_text())["thresholds"]["conv_ae"]["percentile"]
    normal = table.loc[table["split"] == "calibration", "score"].astype(np.float64)
    assert found["value"] == pytest.approx(np.percentile(normal, 95))
    files = sorted((place.shared / "data/test_labels").glob("*.csv"))
    labels = pd.concat([pd.read_csv(path).assign(video=path.stem) for path in files]).set_index(["video", "frame"])
    scores = table[table["split"] == "test"].set_index(["video", "frame"])["score"].loc[labels.index]
    expected = precision_recall_fscore_support(labels["label"], scores > found["value"], average="binary")
    assert (found["precision"] or 0.0, found["recall"], found["f1"]) == pytest.approx(expected[:3])


def test_pictures_of_thresholds_are_those_of_the_last_settings(place: Place):
    Path("outputs/tiny/thresholds/conv_ae.png").unlink()
    assert place.run() == {"evaluate"}  # and the same picture, so the report has nothing to do
    assert Path("outputs/tiny/thresholds/conv_ae.png").is_file()
    assert place.run("evaluate.metrics=[]") == {"evaluate", "report"}
    assert not Path("outputs/tiny/thresholds").exists()
    assert json.loads(Path("outputs/tiny/metrics.json").read_text())["thresholds"] == {}


def test_boxes_of_an_object_table_are_measured_against_the_track_files(place: Place, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    files = sorted((place.shared / "data/test_tracks").glob("*.csv"))
    truth = pd.concat([pd.read_csv(path).assign(video=path.stem) for path in files])
    table = truth.rename(columns={"track_id": "track"}).assign(split="test", stream="conv_ae", score=1.0)
    table.assign(**{"class": "runner"}).to_parquet("outputs/tiny/scores/conv_ae-objects.parquet", index=False)
    Path(RECORDS["evaluate"]).unlink()
    objects = evaluated(place)["objects"]
    assert objects["videos"] == {"tracks": 3, "masks": 0, "normal": 0}
    assert (objects["regions"], objects["frames"]) == (len(truth), len(frames_on_disk(place, "test")))
    figures = objects["detectors"]["conv_ae"]["streams"]["conv_ae"]
    assert (figures["region"]["rbdc"], figures["region"]["tbdc"]) == (1.0, 1.0)
    assert 0.95 < figures["pixel"]["auroc"] <= 1  # the masks are within the boxes
    assert "RBDC" in caplog.text
    assert json.loads(Path("outputs/tiny/evaluations.jsonl").read_text().splitlines()[-1])["objects"]


def rewritten(path: Path) -> None:
    """A changed byte near the end, under the same times."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_changed_masks_and_settings_are_measured_again(place: Place, tmp_path: Path):
    shutil.copytree(place.shared / "data", tmp_path / "data")
    overrides = ["dataset.sample=null", f"dataset.root={tmp_path}/data"]
    place.run(*overrides)
    mask = next((tmp_path / "data/test_masks").glob("*/*.png"))
    mask.touch()
    assert "prepare" not in place.pending(*overrides)
    cv2.imwrite(str(mask), 255 - cv2.imread(str(mask)))
    assert place.run(*overrides) == {"prepare", "evaluate", "explain", "report"}
    assert place.pending(*overrides, "evaluate.bootstrap.n_bootstrap=10") == {"evaluate", "report"}


def test_files_replaced_under_the_same_sizes_and_times_are_noticed(place: Place, tmp_path: Path):
    shutil.copytree(place.shared / "data", tmp_path / "data")
    overrides = ["dataset.sample=null", f"dataset.root={tmp_path}/data"]
    prepare.run(place.config(*overrides))
    for folder in ("train", "test", "test_masks", "test_labels", "test_tracks"):
        assert not prepare.pending(place.config(*overrides))
        path = next(files_below(tmp_path / "data" / folder))
        rewritten(path)
        assert prepare.pending(place.config(*overrides)), folder
        rewritten(path)  # as it was


def test_a_parameter_count_is_shown_where_the_detector_states_it(place: Place, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    record = Path(RECORDS["train"])
    value = json.loads(record.read_text())
    stated = json.loads(Path("checkpoints/tiny/conv_ae/detector.json").read_text())["parameters"]
    assert value["about"]["parameters"] == stated
    value["about"]["parameters"] = 12345
    record.write_text(json.dumps(value))
    Path("outputs/tiny/metrics.json").unlink()
    assert evaluated(place)["detectors"]["conv_ae"]["parameters"] == 12345
    assert "12,345" in caplog.text


def test_frames_per_second_are_those_of_the_last_scoring(place: Place):
    index, record = read_index(place), Path("outputs/tiny/stages/score-conv_ae.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "seconds": 4.0}))
    frames = sum(len(video) for video in [*index.test, *index.held.calibration])
    assert frames_per_second(place.config(), index) == {"conv_ae": frames / 4}


def test_the_time_left_is_the_longest_that_tasks_with_the_same_settings_took_or_is_not_told(place: Place):
    seconds = {"train-conv_ae": 100.0, "score-conv_ae": 10.0, "score-conv_ae-pseudo": 20.0}
    for name, took in seconds.items():
        record = Path(f"outputs/tiny/stages/{name}.json")
        record.write_text(json.dumps({**json.loads(record.read_text()), "seconds": took}))

    def left(*overrides: str, stages: tuple[str, ...] = ("train", "score")) -> float | None:
        config = place.config("run=second", *overrides)
        return Estimate(config).seconds(config, stages)

    assert left() is None  # not prepared: what there is to do is not known
    prepare.run(place.config("run=second"))
    assert left() == 100 + 10 + 20 + 2 * START
    assert left("trainer.max_epochs=3") is None  # such a training was never timed
    assert left("trainer.max_epochs=3", stages=("score",)) == 10 + 20 + START
    train.run(place.config("run=second"))
    Path("outputs/tiny/stages/score-conv_ae-pseudo.json").unlink()
    assert left(stages=("train",)) == START  # it is up to date
    assert left() is None


# --- when a stage has work to do ------------------------------------------------------------------------------------


def test_a_finished_run_has_nothing_to_do(place: Place, capsys: pytest.CaptureFixture):
    assert place.pending() == set()
    before = {path: path.stat().st_mtime_ns for path in files_below(place.folder)}
    assert place.run() == set()
    assert {path: path.stat().st_mtime_ns for path in files_below(place.folder)} == before
    for stage in (ablate, report):  # which shows the ablation
        stage.run(place.config())
    status.run(place.config())
    assert [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()][-8:] == ["up to date"] * 8


def damaged_arrays(place: Place) -> dict[str, Path]:
    """An array of each kind that the finished run reads."""
    index, [form] = read_index(place), prepare.formats(place.config())[:1]
    restored = next(video.restored for video in index.test if video.restored)
    folders = {"train": index.train[0].folder, "restored": restored, "pseudo": index.pseudo[0].folder}
    return {name: folder / f"{format_name(form)}.npy" for name, folder in folders.items()}


@pytest.mark.parametrize(("kind", "cut"), [("train", 1), ("restored", "a frame"), ("pseudo", 1)])
def test_a_damaged_array_is_noticed_and_made_again_by_prepare_alone(place: Place, kind: str, cut: object):
    path = damaged_arrays(place)[kind]
    whole = path.read_bytes()
    if cut == 1:
        path.write_bytes(whole[:-1])
    else:
        np.save(path, np.load(path)[:-1])
    assert place.pending() == {"prepare"}
    assert place.run() == {"prepare"}
    assert path.read_bytes() == whole
    assert place.pending() == set()


def killed_at(video: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Scoring stops when it comes to this video."""
    score_video = AutoencoderDetector.score

    def score_until(self: AutoencoderDetector, one: Video, causal: bool = False) -> Scores:
        if one.id == video:
            raise KeyboardInterrupt
        return score_video(self, one, causal)

    monkeypatch.setattr(AutoencoderDetector, "score", score_until)
    return monkeypatch


def test_a_damaged_part_of_the_scores_is_scored_again_and_not_joined(place: Place, monkeypatch: pytest.MonkeyPatch):
    table = Path("outputs/tiny/scores/conv_ae.parquet")
    whole = table.read_bytes()
    Path(RECORDS["score"]).unlink()
    last = read_index(place).test[-1].id
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        killed_at(last, patch)
        score.run(place.config())
    first, second, *_ = sorted(Path("outputs/tiny/scores").glob(".conv_ae.parts-*/*.parquet"))
    shutil.copy(second, first)  # of another video
    second.write_bytes(second.read_bytes()[:-10])
    score.run(place.config())
    assert table.read_bytes() == whole


def rows_changed(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(video=table["video"].replace("01", "99"))


@pytest.mark.parametrize("change", [rows_changed, lambda table: table[table["frame"] != 3], lambda table: table[:0]])
def test_a_table_with_other_rows_than_the_index_has_is_not_scored(place: Place, change: Callable):
    path = Path("outputs/tiny/scores/conv_ae.parquet")
    whole = path.read_bytes()
    change(pd.read_parquet(path)).to_parquet(path, index=False)
    assert place.pending() == {"score"}
    score.run(place.config())
    assert path.read_bytes() == whole
    assert place.pending() == set()


def test_a_damaged_index_is_written_again_by_prepare_as_its_reader_says(place: Place):
    path = Path("outputs/tiny/index.json")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PixelPlayError, match=r"index\.json is damaged.*src/prepare\.py"):
        train.pending(place.config())
    assert prepare.pending(place.config())
    prepare.run(place.config())
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("override", "stages"),
    [
        ("workers=2", set()),
        ("fusion.default.smooth.sigma=2.0", FROM_FUSE),
        ("trainer.max_epochs=1", {"train", "score", *FROM_FUSE}),
        ("dataset.heldout.seed=1", set(STAGES)),
    ],
)
def test_a_changed_setting_runs_what_depends_on_it_and_nothing_else(place: Place, override: str, stages: set[str]):
    """For which stages depend on what, see test_stage_table.py."""
    assert place.run(override) == stages
    assert place.run(override) == set()


def test_every_file_is_watched_by_the_stage_that_wrote_it(place: Place):
    records = [json.loads(path.read_text()) for path in Path("outputs/tiny/stages").iterdir()]
    watched = {Path(output["path"]) for record in records for output in record["outputs"]}
    others = {path.relative_to(place.folder) for path in files_below(place.folder)} - watched
    kept = {path for path in others if "stages" in path.parts or any(p.startswith("training-") for p in path.parts)}
    logs = {"outputs/tiny/evaluations.jsonl", "submissions/LEDGER.csv", "submissions/.LEDGER.csv.lock"}
    assert set(map(str, others - kept)) == logs


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # it is a copy that goes on, and has no epoch left
@pytest.mark.parametrize(
    ("deleted", "stage"),
    [
        ("outputs/tiny/restoration.csv", "prepare"),
        ("checkpoints/tiny/conv_ae/weights.safetensors", "train"),
        ("outputs/tiny/scores/conv_ae.parquet", "score"),
        ("submissions/tiny.csv", "fuse"),
        ("outputs/tiny/metrics.json", "evaluate"),
        ("outputs/tiny/explain/moment-01.jpg", "explain"),
        ("outputs/tiny/report/index.html", "report"),
    ],
)
def test_a_deleted_output_is_made_again_by_its_stage_alone_and_is_the_same(place: Place, deleted: str, stage: str):
    before = {path: path.read_bytes() for path in files_below(place.folder)}
    (place.folder / deleted).unlink()
    assert place.run() == {stage}
    assert (place.folder / deleted).read_bytes() == before[place.folder / deleted]


def test_deleted_frames_are_decoded_again(place: Place, tmp_path: Path):
    shutil.copytree(place.shared / "cache", tmp_path / "cache")
    override = f"paths.cache={tmp_path}/cache"
    assert place.run(override) == {"prepare"}  # the frames lie elsewhere now
    used = format_name(place.config().detectors["conv_ae"].frames)  # other tests' formats may lie beside it
    for path in (tmp_path / "cache").glob(f"*/test/02/{used}.npy"):  # other tests' data sets may lie beside it, too
        path.unlink()
    assert place.run(override) == {"prepare"}
    assert place.run("trainer.max_epochs=1", override) == {"train", "score", *FROM_FUSE}


def test_status_tells_the_first_stage_with_work_and_that_the_others_wait(place: Place, capsys: pytest.CaptureFixture):
    (place.folder / "outputs/tiny/scores/conv_ae.parquet").unlink()
    with pytest.raises(SystemExit) as ended:
        status.run(place.config())
    assert ended.value.code == status.WORK_TO_DO
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["prepare", "up to date"],
        ["detect", "up to date"],
        ["extract", "up to date"],
        ["train", "up to date"],
        ["score", "score-conv_ae: outputs/tiny/scores/conv_ae.parquet is missing"],
        ["fuse", "waits for score"],
        ["events", "waits for score"],
        ["evaluate", "waits for score"],
        ["ablate", "waits for score"],
        ["explain", "waits for score"],
        ["report", "waits for score"],
    ]


def test_a_stage_that_runs_too_early_names_the_command_to_run_first(empty: Place):
    early = ("train", "score", "fuse", "events", "evaluate", "report")
    for stage in early:
        with pytest.raises(MissingArtifactError, match=r"index\.json is missing: run `python src/prepare\.py`"):
            STAGES[stage].run(empty.config())
    for earlier, stage in pairwise(STAGES):
        if stage in early:
            with pytest.raises(MissingArtifactError, match=rf"run `python src/{earlier}\.py` with the same options"):
                STAGES[stage].run(empty.config())
        STAGES[earlier].run(empty.config())


@pytest.mark.parametrize(
    ("stage", "override", "first"),
    [
        ("score", "trainer.max_epochs=1", "train"),
        ("fuse", "detectors.conv_ae.scoring.pooling=mean", "score"),
        ("evaluate", "fusion.default.smooth.sigma=2.0", "fuse"),
        ("report", "fusion.default.smooth.sigma=2.0", "fuse"),
    ],
)
def test_a_stage_never_passes_off_what_other_settings_made_as_its_own(place: Place, stage, override, first):
    with pytest.raises(MissingArtifactError, match=rf"with these settings: run `python src/{first}\.py`"):
        STAGES[stage].run(place.config(override))


@pytest.mark.parametrize(
    ("damaged", "damage", "stage", "redone_by"),
    [
        ("outputs/tiny/index.json", lambda content: content[: len(content) // 2], "train", "prepare"),
        ("outputs/tiny/scores/conv_ae.parquet", lambda _: b"\x93" * 500, "fuse", "score"),
        ("outputs/tiny/fused.parquet", lambda _: b"", "evaluate", "fuse"),
    ],
)
def test_a_damaged_file_is_told_with_what_to_do_and_that_helps(place: Place, damaged, damage, stage, redone_by):
    path = place.folder / damaged
    content = path.read_bytes()
    path.write_bytes(damage(content))
    if stage != "train":
        (place.folder / RECORDS[stage]).unlink()  # it has work to do
    with pytest.raises(DamagedArtifactError, match=rf"{path.name} is damaged .*src/{redone_by}\.py"):
        STAGES[stage].run(place.config())
    assert redone_by in place.run()
    assert path.read_bytes() == content


def test_scoring_goes_on_with_the_first_video_that_was_not_scored_yet(place: Place, tmp_path: Path):
    shutil.copytree(place.shared / "cache", tmp_path / "cache")
    config = place.config(f"paths.cache={tmp_path}/cache")
    prepare.run(config)
    whole = Path("outputs/tiny/scores/conv_ae.parquet").read_bytes()
    Path("outputs/tiny/scores/conv_ae.parquet").unlink()
    frames = f"{format_name(config.detectors['conv_ae'].frames)}.npy"
    first, second, third = ((video.restored or video.folder) / frames for video in read_index(place).test)
    third.rename(tmp_path / "third")
    with pytest.raises(MissingArtifactError, match="03"):
        score.run(config)
    (tmp_path / "third").rename(third)
    first.unlink()  # nobody reads them again
    second.unlink()
    score.run(config)
    assert Path("outputs/tiny/scores/conv_ae.parquet").read_bytes() == whole
    assert [path.name for path in Path("outputs/tiny/scores").iterdir()] == [
        "conv_ae.parquet",
        "conv_ae-pseudo.parquet",
    ]


# --- names, labels, fusion ------------------------------------------------------------------------------------------


def test_without_labels_a_run_ends_well_and_says_so_and_a_named_run_has_its_own_folders(
    empty: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    shutil.copytree(empty.shared / "data", tmp_path / "data")
    for truth in ("test_labels", "test_masks", "test_tracks"):
        shutil.rmtree(tmp_path / "data" / truth)
    overrides = ["dataset.sample=null", f"dataset.root={tmp_path}/data", "run=unlabelled"]
    empty.run(*overrides)
    assert evaluate.pending(empty.config(*overrides)) is None
    assert "no labels on disk for tiny" in caplog.text
    assert "submissions/tiny/unlabelled.csv" in caplog.text
    written = {str(path.relative_to(empty.folder)) for path in files_below(empty.folder)}
    assert {"submissions/tiny/unlabelled.csv", "outputs/tiny/unlabelled/fused.parquet"} <= written
    ledger = {"submissions/LEDGER.csv", "submissions/.LEDGER.csv.lock"}
    assert {path for path in written if "tiny/unlabelled" not in path} == ledger
    assert not any(path.endswith(("metrics.json", "evaluations.jsonl")) for path in written)


def test_labels_that_come_and_go_are_noticed_and_nothing_is_scored_again(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    shutil.copytree(place.shared / "data", tmp_path / "data")
    overrides = ["dataset.sample=null", f"dataset.root={tmp_path}/data"]
    place.run(*overrides)
    metrics = Path("outputs/tiny/metrics.json").read_bytes()
    (tmp_path / "data" / "test_labels").rename(tmp_path / "labels")
    assert place.run(*overrides) == {"prepare", "evaluate", "explain", "report"}
    assert not Path("outputs/tiny/metrics.json").exists()
    assert "masks or tracks, which are measured where frame labels stand beside them" in caplog.text
    (tmp_path / "labels").rename(tmp_path / "data" / "test_labels")
    assert place.run(*overrides) == {"prepare", "evaluate", "explain", "report"}
    assert Path("outputs/tiny/metrics.json").read_bytes() == metrics


def test_changed_test_footage_is_scored_again_without_new_training(place: Place, tmp_path: Path):
    shutil.copytree(place.shared / "data", tmp_path / "data")
    overrides = ["dataset.sample=null", f"dataset.root={tmp_path}/data"]
    place.run(*overrides)
    frames = sorted((tmp_path / "data/test/01").iterdir())
    shutil.copy(frames[0], frames[1])
    assert place.run(*overrides) == {"prepare", "score", *FROM_FUSE}


def test_a_member_that_is_no_stream_of_its_detector_is_an_error(place: Place):
    with pytest.raises(PixelPlayError, match=r"fusion\.members\.conv_ae/median: no such stream.*conv_ae/mean"):
        fuse.run(place.config("+fusion.members={conv_ae/median:{weight:1.0}}"))


def test_fusion_without_any_weight_is_an_error(place: Place):
    with pytest.raises(ConfigError, match="all fusion weights are 0"):
        fuse.run(place.config("fusion.default.weight=0.0"))


def test_a_folder_that_cannot_be_written_is_told_by_its_key(place: Place):
    Path("blocked").write_text("a file where a folder should be")
    for key, stage in (("outputs", prepare), ("cache", prepare), ("checkpoints", train), ("submissions", fuse)):
        overrides = [f"paths.{key}=blocked/here"] if key != "submissions" else [f"paths.{key}=blocked"]
        with pytest.raises(PixelPlayError, match=rf"cannot write to blocked.*paths\.{key}=FOLDER"):
            stage.run(place.config(*overrides, "trainer.max_epochs=2"))


def test_footage_that_the_project_did_not_render_is_never_overwritten(empty: Place, tmp_path: Path):
    mine = tmp_path / "mine"
    cached_video(mine, "kept", walking_square(5, seed=0))
    with pytest.raises(DataError, match=r"was not rendered by this project: set dataset\.root=FOLDER"):
        prepare.run(empty.config(f"dataset.root={mine}"))
    assert len(list(files_below(mine))) == 1


def test_files_of_a_run_are_where_the_readme_says(place: Place):
    files = RunFiles.of(place.config())
    written = [
        files.index,
        files.problems,
        files.fused,
        files.metrics,
        files.evaluations,
        files.submission,
        files.scores("conv_ae"),
        files.detector("conv_ae") / "weights.safetensors",
    ]
    assert all(path.is_file() for path in written)
