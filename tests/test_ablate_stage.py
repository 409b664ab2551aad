"""The stage `ablate`: on raw scores of known values, and on a run of the tiny data set from footage to report."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.pipeline import ROOT, files_below
from tests.planted_run import CLIPS, FRAMES, LABELS, Run, planted_run, write_planted_scores
from tests.reports import tiny
from tests.scored import record_again, record_scores
from tests.test_report_page import Elements

from pixelplay.ablation import plots
from pixelplay.config import Config
from pixelplay.errors import ConfigError, DamagedArtifactError, MissingArtifactError
from pixelplay.evaluation.members import members_of, streams_of, submitted_frames
from pixelplay.run.artifacts import read_table, write_table
from pixelplay.run.files import RunFiles
from pixelplay.scores import fusion_file
from pixelplay.stages import ablate, detect, evaluate, events, explain, fuse, prepare, report, score, status, train
from pixelplay.videos.index import Index
from pixelplay.videos.restoration_table import COLUMNS
from pixelplay.videos.truth import save_truth


@pytest.fixture
def run(small_run: list[str]) -> Run:
    return planted_run(small_run)


@pytest.fixture
def pictures() -> None:
    """For tests of pictures."""


@pytest.fixture(autouse=True)
def no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other ablations write tables alone: drawing takes most of their time."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(plots, "draw_all", lambda *_: iter(()))


def ablated(config: Config) -> None:
    """The ablation, after the fusion that says which members it has."""
    fuse.run(config)
    ablate.run(config)


def write_restoration(path: Path, rows: pd.DataFrame) -> None:
    rows.reindex(columns=list(COLUMNS), fill_value=0).to_csv(path, index=False)


def table(config: Config, name: str) -> pd.DataFrame:
    return pd.read_csv(RunFiles.of(config).ablation / f"{name}.csv", index_col=0)


def files_of(config: Config) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files_below(RunFiles.of(config).ablation)}


def change_index(config: Config, change: Callable[[dict], None]) -> None:
    path = RunFiles.of(config).index
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    record_again(prepare.task(config))


def change_labels(config: Config, labels: list[int] | None) -> None:
    """Of the first test video, the only one that has labels."""
    folder, index = RunFiles.of(config).truth, prepare.load_index(config)
    first, *others = prepare.load_labels(config, index).values()
    changed = replace(first, labels=None if labels is None else np.array(labels, np.uint8))
    save_truth(folder, "test", [changed, *others])
    record_again(prepare.task(config))


# --- what it writes -------------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_planted_frames_and_labelled_ones_stand_beside_them(run: Run):
    config = run()
    ablated(config)
    raw, planted = (
        pd.read_parquet(RunFiles.of(config).scores("conv_ae", of_clips)).query("stream == 'conv_ae'")
        for of_clips in (False, True)
    )
    own = planted["score"].to_numpy()
    row = table(config, "alone").loc["conv_ae"]
    assert row["ap"] == pytest.approx(average_precision_score(np.tile(LABELS, 4), own))
    labels, test = [0, 1, 1, 0, 0], raw.query("split == 'test' and video == '01'").sort_values("frame")["score"]
    assert row["on_labels_ap"] == pytest.approx(average_precision_score(labels, test))
    assert row["on_labels_auc"] == pytest.approx(roc_auc_score(labels, test))
    freeze = own.reshape(4, FRAMES)[[0, 2]].ravel()
    expected = roc_auc_score(np.tile(LABELS, 2), freeze)
    assert table(config, "kinds_auc").loc["conv_ae", "freeze"] == pytest.approx(expected)


AVERAGED = ["fusion.default.smooth.method=moving_average", "fusion.default.smooth.window=3"]


def test_noisy_frames_of_clips_count_as_little_as_those_of_the_test_set(run: Run):
    noisy = np.arange(FRAMES) % 3 == 2
    config = run(*AVERAGED, "fusion.corrupted_frames.weight=0.0", "ablate.search=true")
    files = RunFiles.of(config)
    rows = pd.DataFrame({"video": np.repeat(CLIPS, FRAMES), "frame": np.tile(np.arange(FRAMES), len(CLIPS))})
    rows = rows.assign(noise_level=np.tile(np.where(noisy, 30.0, 0.0), len(CLIPS)), flipped=0)
    write_restoration(files.pseudo_restoration, rows)
    record_again(prepare.task(config))
    raw = pd.read_parquet(files.scores("conv_ae", pseudo=True)).query("stream == 'conv_ae'")
    smoothed = []
    for clip in CLIPS:
        values, counted = raw[raw["video"] == clip]["score"].to_numpy(np.float64), ~noisy
        reach = [slice(max(t - 1, 0), t + 2) for t in range(FRAMES)]
        smoothed += [values[at][counted[at]].mean() for at in reach]  # each has a neighbour that counts
    ablated(config)
    expected = average_precision_score(np.tile(LABELS, len(CLIPS)), smoothed)
    assert table(config, "alone").loc["conv_ae", "ap"] == pytest.approx(expected)
    write_restoration(files.pseudo_restoration, rows.assign(noise_level=0.0))
    record_again(prepare.task(config))
    for stage in ("fuse", "ablate"):  # `prepare` would have another key
        files.record(stage).unlink()
    ablated(config)
    assert table(config, "alone").loc["conv_ae", "ap"] != pytest.approx(expected)


def test_clips_without_the_table_of_their_corruption_are_told_with_what_to_do(run: Run):
    with pytest.raises(MissingArtifactError, match=r"pseudo_restoration\.csv is missing: run `python src/prepare\.py`"):
        ablated(run(*AVERAGED, "fusion.corrupted_frames.weight=0.0"))


@pytest.mark.usefixtures("pictures")
def test_it_writes_tables_pictures_and_a_summary_and_prints_how_that_starts(run: Run, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    config = run()
    ablated(config)
    written = set(files_of(config))
    names = ("comparison", "alone", "leave_one_out", "pooling", "normalise", "smooth", "method", "weights")
    tables = {f"{name}.csv" for name in (*names, "kinds_ap", "kinds_auc", "rank_correlation")}
    pictures = {
        "streams_alone.png",
        "one_choice_changed.png",
        "weights.png",
        "kinds_ap.png",
        "planted_and_labelled.png",
    }
    assert written == tables | pictures | {"summary.md"}
    assert "Measured on 4 clips of held-out normal footage" in caplog.text
    assert "for reporting only: nothing was chosen on them" in caplog.text


def test_every_run_on_labels_is_logged_as_an_evaluation_and_none_without(run: Run):
    config = run("ablate.labels=false")
    ablated(config)
    files = RunFiles.of(config)
    assert not files.evaluations.exists()
    assert not any("on_labels" in column for column in table(config, "alone"))
    assert not (files.ablation / "rank_correlation.csv").exists()
    ablated(run())
    ablated(run())
    (line,) = (json.loads(line) for line in files.evaluations.read_text().splitlines())
    assert (line["stage"], line["frames"]) == ("ablate", 5)
    shown = table(config, "comparison")["on_labels_ap"].to_dict()
    assert {name: figures["ap"] for name, figures in line["fusions"].items()} == pytest.approx(shown)


def test_the_written_fusion_says_the_same_whatever_the_labels_say_and_without_any(run: Run):
    labels = [0, 1, 1, 0, 0]
    over = "ablate.choose=[pooling,smooth,weights]"
    for options in (["ablate.search=true"], ["ablate.search=true", over, "ablate.margin=0.0"]):
        config, written, figures = run(*options), [], []
        for changed in (labels, [1 - label for label in labels], None):
            change_labels(config, changed)
            ablated(config)
            written.append(RunFiles.of(config).chosen_fusion.read_bytes())
            figures.append(table(config, "alone").get("on_labels_ap"))
        assert written[0] == written[1] == written[2]
        assert not np.allclose(figures[0], figures[1]) and figures[2] is None  # the labels did change
        change_labels(config, labels)


def test_the_chosen_fusion_is_taken_by_fuse_and_scores_as_the_table_says(run: Run):
    config = run("ablate.search=true")
    ablated(config)
    path = RunFiles.of(config).chosen_fusion
    chosen = fusion_file.read(path)
    assert list(chosen.members) == ["conv_ae", "st_ae"]
    assert chosen.members["conv_ae"].weight > chosen.members["st_ae"].weight  # only conv_ae sees anything
    fuse.run(config.model_copy(update={"fusion": chosen, "fusion_file": path}))
    rows = pd.read_parquet(RunFiles.of(config).fused).query("stream == 'fused' and split == 'pseudo'")
    row = table(config, "comparison").loc["search"]
    assert row["ap"] == pytest.approx(average_precision_score(np.tile(LABELS, 4), rows["score"]))
    assert row["auc"] == pytest.approx(roc_auc_score(np.tile(LABELS, 4), rows["score"]))


def test_a_second_run_does_nothing_and_says_the_same(run: Run, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    config = run()
    fuse.run(config)
    caplog.clear()
    assert ablate.pending(config) == "ablate: not done yet"
    ablate.run(config)
    first, before = caplog.text, {p: p.stat().st_mtime_ns for p in files_below(RunFiles.of(config).outputs)}
    assert ablate.pending(config) is None
    caplog.clear()
    ablate.run(config)
    assert "ablate: up to date" in caplog.text and caplog.text.endswith(first)
    assert {p: p.stat().st_mtime_ns for p in files_below(RunFiles.of(config).outputs)} == before


@pytest.mark.usefixtures("pictures")
def test_made_again_it_is_the_same_to_the_byte(run: Run):
    config = run("ablate.search=true")
    ablated(config)
    before = files_of(config)
    shutil.rmtree(RunFiles.of(config).ablation)
    ablated(config)
    assert files_of(config) == before


def test_changed_settings_make_it_run_again_and_other_scores_do_too(run: Run):
    ablated(run())
    for override in ("ablate.metric=auc", "fusion.power=2.0", "ablate.smooth=[{method: none}]"):
        assert ablate.pending(run(override)), override
    config = run()
    path = RunFiles.of(config).scores("st_ae", pseudo=True)
    read_table(path, "score").assign(score=lambda rows: rows["score"] + (rows["split"] == "pseudo")).to_parquet(path)
    assert score.pending(config)  # whose record the ablation reads


@pytest.mark.usefixtures("pictures")
def test_what_it_wrote_with_other_settings_is_removed_but_a_chosen_fusion_stays(run: Run):
    ablated(run("ablate.search=true", "ablate.metric=auc"))
    folder = RunFiles.of(run()).ablation
    assert (folder / "kinds_auc.png").exists()
    ablated(run("ablate.labels=false"))
    assert not (folder / "kinds_auc.png").exists() and not (folder / "rank_correlation.csv").exists()
    assert (folder / "fusion.yaml").exists()


# --- external files and members -------------------------------------------------------------------------------------


def test_an_external_file_is_left_out_and_told_and_keeps_its_weight_in_the_written_fusion(run: Run, tmp_path: Path):
    index = prepare.load_index(run())
    rows = [f"{int(v)}_{n},{i / 10}" for i, (v, n) in enumerate(submitted_frames(index))]
    (tmp_path / "old.csv").write_text("\n".join(["Id,Predicted", *rows]) + "\n")
    config = run(f"fusion.external=[{tmp_path}/old.csv]", "+fusion.members.old.weight=3.0", "ablate.search=true")
    ablated(config)
    assert "old" not in table(config, "alone").index
    assert "Left out: old: an external file" in (RunFiles.of(config).ablation / "summary.md").read_text()
    chosen = fusion_file.read(RunFiles.of(config).chosen_fusion)
    assert chosen.members["old"].weight == 3.0
    assert chosen.members["conv_ae"].weight + chosen.members["st_ae"].weight == pytest.approx(2)
    fuse.run(config.model_copy(update={"fusion": chosen, "fusion_file": RunFiles.of(config).chosen_fusion}))
    assert set(members_of(config, index, streams_of(config, index), {})[0]) == {"conv_ae", "st_ae", "old"}


def test_a_fusion_of_one_member_has_tables_but_no_weights_to_search(run: Run):
    config = run("+fusion.members={conv_ae:{weight:1.0}}", "detector=[conv_ae_tiny]")
    ablated(config)
    assert "weights.csv" not in files_of(config) and "alone.csv" in files_of(config)
    with pytest.raises(ConfigError, match=r"a fusion of conv_ae alone has no weights to choose: add detectors"):
        ablated(run("detector=[conv_ae_tiny]", "ablate.search=true"))


# --- what it refuses ------------------------------------------------------------------------------------------------


def test_a_run_without_planted_anomalies_ends_well_but_for_a_search_and_leaves_no_old_tables(
    run: Run, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    config = run()
    ablated(config)
    change_index(config, lambda index: index.update(pseudo=[], pseudo_key=""))
    assert ablate.pending(config) is None
    caplog.clear()
    ablate.run(config)
    assert "no pseudo-anomalies were planted in this run" in caplog.text and "pseudo=none" in caplog.text
    assert files_of(config) == {}
    with pytest.raises(MissingArtifactError, match=r"nothing to search on: run `\./run_all\.sh` .*pseudo=none"):
        ablate.run(run("ablate.search=true"))


def test_planted_anomalies_that_are_not_scored_yet_are_told_with_the_command(run: Run):
    config = run()
    change_index(config, lambda index: index.update(pseudo_key="others"))
    with pytest.raises(MissingArtifactError, match=r"score-conv_ae-pseudo: .*run `python src/score\.py`"):
        ablated(config)


def test_labels_of_one_class_are_left_out_with_a_remark(run: Run):
    config = run()
    change_labels(config, [0] * 5)
    ablated(config)
    summary = (RunFiles.of(config).ablation / "summary.md").read_text()
    assert "Test labels are left out: all 5 labels are 0 (normal): AP" in summary
    assert "on_labels" not in summary and "on labels" not in summary


def test_scores_that_are_not_finite_are_told_with_their_place(run: Run):
    config = run()
    path = RunFiles.of(config).scores("st_ae", pseudo=True)
    rows = read_table(path, "score")
    rows.loc[rows.index[0], "score"] = np.float32("nan")
    rows.to_parquet(path)
    record_scores(config, prepare.load_index(config), "st_ae")
    with pytest.raises(DamagedArtifactError, match=r"stream 'st_ae', video 'freeze-0', frame 0 .*not finite"):
        ablated(config)
    assert ablate.pending(config)  # not passed off as done


def test_a_lost_or_damaged_list_of_clips_is_told_with_what_to_do(run: Run):
    config = run()
    path = RunFiles.of(config).pseudo_clips
    path.unlink()
    with pytest.raises(MissingArtifactError, match=r"is missing: run `python src/prepare\.py`"):
        ablated(config)
    path.write_text("video\na\n")
    with pytest.raises(DamagedArtifactError, match=r"is damaged .*run `python src/prepare"):
        ablated(config)


# --- a whole run ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reported", "pictures")
def test_from_footage_to_a_chosen_fusion_and_the_report(capsys: pytest.CaptureFixture):
    for stage in (prepare, detect, train, score, fuse, events, evaluate):  # which finds its footage in another place
        stage.run(tiny())
    config = tiny("ablate.search=true", "ablate.choose=[pooling,normalise,smooth,method,weights]", "ablate.margin=0.0")
    ablated(config)
    files = RunFiles.of(config)
    explain.run(config)
    report.run(config)
    status.run(config)
    assert "ablate    up to date" in capsys.readouterr().out
    page = Elements(files.report.read_text())
    assert "Measured on" in page.text and "Each stream alone" in page.text
    captions = ["One choice changed at a time", "AP by kind of planted anomaly"]
    assert all(caption in page.text for caption in captions)
    assert "Made with other settings" not in page.text
    with_file = tiny(f"fusion_file={files.chosen_fusion}")
    fuse.run(with_file)
    fused = pd.read_parquet(files.fused).query("stream == 'fused'").set_index(["split", "video", "frame"])["score"]
    row = table(config, "comparison").loc["search"]
    for split, column in (("pseudo", "ap"), ("test", "on_labels_ap")):
        known = prepare.load_labels(config, prepare.load_index(config), split).values()
        places = [(split, one.video, int(n)) for one in known for n in one.numbers]
        labels = np.concatenate([one.labels for one in known])
        assert row[column] == pytest.approx(average_precision_score(labels, fused.loc[places])), split
    events.run(with_file)
    evaluate.run(with_file)
    explain.run(with_file)
    report.run(with_file)
    assert "Made with other settings than this page" in Elements(files.report.read_text()).text


def test_the_command_is_documented_and_named_in_the_pipeline():
    assert "#   ablate " in (ROOT / "run_all.sh").read_text()
    assert list(status.STAGES)[-3:] == ["ablate", "explain", "report"]


def with_more_videos(config: Config, index: Index) -> Index:
    """The index with five training videos, which are enough to judge stability."""
    others = [replace(index.train[0], id=name) for name in ("04", "05")]
    index = replace(index, train=[*index.train, *others])
    index.save(RunFiles.of(config).index)
    record_again(prepare.task(config))
    return index


def add_folds(config: Config, index: Index, name: str, raised: float) -> pd.DataFrame:
    """Give a detector scores of the training footage, those of video 04 higher: its raw scores."""
    path = RunFiles.of(config).scores(name)
    raw = read_table(path, "score")
    folds = [pd.DataFrame({"video": v.id, "frame": v.numbers, "score": v.numbers % 7}) for v in index.fit]
    rows = pd.concat(folds, ignore_index=True).assign(split="calibration", stream=name).astype({"score": np.float32})
    raw = pd.concat([raw, rows[raw.columns]], ignore_index=True)
    assert raw[raw["split"] == "calibration"]["video"].nunique() == 5
    raw.loc[(raw["split"] == "calibration") & (raw["video"] == "04"), "score"] += raised
    write_table(path, raw)
    record_scores(config, index, name)
    return raw


def test_a_member_that_both_judges_reject_is_not_fused_and_the_summary_says_why(run: Run, caplog):
    config = run("fusion.select_members=true")
    files, index = RunFiles.of(config), prepare.load_index(config)
    index = with_more_videos(config, index)
    write_planted_scores(config, index, {"conv_ae": {"conv_ae": 3.0}, "st_ae": {"st_ae": -3.0}})
    add_folds(config, index, "st_ae", raised=50)
    with caplog.at_level(logging.INFO):
        fuse.run(config)
    assert "fuse: left out st_ae: without it the AP on pseudo-anomalies is +" in caplog.text
    members = pd.read_csv(files.fusion_members)
    assert members["member"].tolist() == ["conv_ae", "st_ae"] and members["left_out"].tolist() == [False, True]
    assert set(members["of"]) == {"frames"}
    assert "its false alarms come from" in members["why"][1] and "(5 videos)" in members["why"][1]
    fused = pd.read_parquet(files.fused).query("split == 'test'")
    alone = fused[fused["stream"] == "conv_ae"]["score"].to_numpy()
    np.testing.assert_allclose(fused[fused["stream"] == "fused"]["score"], alone)
    ablated(config)
    assert "Left out of the fusion: st_ae: without it" in (files.ablation / "summary.md").read_text()
    stable = table(config, "alone")["stability"]
    assert stable["st_ae"] < 0.5 and np.isnan(stable["conv_ae"])  # which has too few videos
    fuse.run(run("fusion.select_members=false"))
    assert not pd.read_csv(files.fusion_members)["left_out"].any()


def test_an_object_stream_that_both_judges_reject_is_not_summed(run: Run, caplog):
    """One object in each frame, with the frame's score."""
    streams = ["+fusion.objects.streams={conv_ae:1.0,st_ae:1.0}", "fusion.objects.smooth.method=none"]
    streams += ["fusion.objects.normalise.method=none"]
    config = run("fusion.select_members=true", *streams)
    files, index = RunFiles.of(config), prepare.load_index(config)
    index = with_more_videos(config, index)
    write_planted_scores(config, index, {"conv_ae": {"conv_ae": 3.0}, "st_ae": {"st_ae": -3.0}})
    box = {"x1": 0.0, "y1": 0.0, "x2": 5.0, "y2": 9.0, "track": 1, "class": "person"}
    for name, raised in (("conv_ae", 0), ("st_ae", 50)):
        write_table(files.object_scores(name), add_folds(config, index, name, raised).assign(**box))
        write_table(files.object_scores(name, pseudo=True), read_table(files.scores(name, True), "score").assign(**box))
    with caplog.at_level(logging.INFO):
        fuse.run(config)
    assert caplog.text.count("fuse: left out st_ae: without it the AP on pseudo-anomalies is +") == 1
    assert "fuse: conv_ae -> objects" in caplog.text
    members = pd.read_csv(files.fusion_members)
    assert members["member"].tolist() == ["objects", "conv_ae", "st_ae"]
    assert members["of"].tolist() == ["frames", "objects", "objects"]
    assert members["left_out"].tolist() == [False, False, True] and members["weight"].tolist()[1:] == [1, 1]
    kept = pd.read_parquet(files.scores("objects"))
    fuse.run(run("fusion.select_members=false", *streams))
    assert not pd.read_csv(files.fusion_members)["left_out"].any()
    assert not np.allclose(pd.read_parquet(files.scores("objects"))["score"], kept["score"])
    fuse.run(run("fusion.select_members=false", *streams, "fusion.objects.streams.st_ae=0.0"))
    np.testing.assert_allclose(pd.read_parquet(files.scores("objects"))["score"], kept["score"])
