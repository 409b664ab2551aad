"""What a run leaves on Weights & Biases, read back from what wandb writes offline."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tests.pipeline import small_training, trainer_config
from tests.reports import tiny

from pixelplay import preconditions
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import ConfigError
from pixelplay.run import weights_and_biases
from pixelplay.run.weights_and_biases import log_run, open_run
from pixelplay.stages import ablate, evaluate, events, explain, fuse, report, score, train
from pixelplay.training.fit import fit

wandb = pytest.importorskip("wandb", reason="wandb is not installed: pip install wandb")

from tests import wandb_runs  # noqa: E402

LOGGED = "trainer.loggers=[csv,wandb]"
SHOWN = (train, evaluate, report)


@pytest.fixture(autouse=True)
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No login, and a home folder of its own, in which wandb keeps its cache."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    for name, folder in {
        "HOME": "",
        "WANDB_CONFIG_DIR": "config",
        "WANDB_DATA_DIR": "data",
        "WANDB_CACHE_DIR": "c",
    }.items():
        monkeypatch.setenv(name, str(home / folder))
    return home


def run_stages(config: Config) -> None:
    for stage in SHOWN:
        stage.run(config)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_finished_run_has_metrics_pictures_and_files_of_every_detector_in_one_wandb_run(
    reported: Path, no_account: Path
):
    config = tiny(LOGGED, "wandb.name=my run", "wandb.project=thesis")
    assert [stage.pending(config) for stage in SHOWN] == [None] * 3  # where things are logged decides nothing
    run_stages(config)
    found = wandb_runs.records(reported / "outputs")

    runs = {(one.run.run_id, one.run.display_name, one.run.project) for one in found if one.HasField("run")}
    [(own, *named)] = runs
    assert named == ["my run", "thesis"] and own.startswith("tiny-")

    figures, metrics = wandb_runs.summary(found), json.loads(Path("outputs/tiny/metrics.json").read_text())
    for name in ("conv_ae", "st_ae"):
        assert figures[f"{name}/evaluate/auc_micro"] == metrics["detectors"][name]["auc_micro"]
    assert figures["evaluate/fused/ap"] == metrics["fused"]["ap"]
    assert figures["evaluate/fused/intervals/ap/1"] == metrics["fused"]["intervals"]["ap"][1]
    assert not any(key.startswith("evaluate/published") for key in figures)

    pictures = {key.removesuffix("/path") for row in wandb_runs.rows(found) for key in row if key.endswith("/path")}
    there = [*Path("outputs/tiny/explain").glob("*.jpg"), *Path("outputs/tiny/thresholds").glob("*.png")]
    assert len(there) > 6
    assert pictures == {"report", *(str(path.relative_to("outputs/tiny").with_suffix("")) for path in there)}
    media = [path.read_bytes() for path in Path("outputs/tiny/wandb").glob("*/files/media/*/*/*")]
    assert all(path.read_bytes() in media for path in there)

    artifacts = wandb_runs.artifacts(found)
    checkpoint = artifacts[f"model: {own}-st_ae-checkpoint"]
    assert checkpoint["st_ae/weights.safetensors"] == reported / "checkpoints/tiny/st_ae/weights.safetensors"
    assert set(checkpoint) == {"st_ae/weights.safetensors", "st_ae/detector.json", "config.yaml"}
    assert "name: my run" in checkpoint["config.yaml"].read_text()
    assert artifacts[f"predictions: {own}-conv_ae-predictions"] == {
        f"scores/conv_ae{part}.parquet": reported / f"outputs/tiny/scores/conv_ae{part}.parquet"
        for part in ("", "-pseudo")
    }
    assert {"fused.parquet", "tiny.csv"} <= set(artifacts[f"predictions: {own}-fused-predictions"])
    assert {"events.json", "events.csv"} <= set(artifacts[f"predictions: {own}-events"])
    assert len(artifacts) == 6
    assert not list(no_account.rglob("*.safetensors")) and size_of(no_account / "data") == 0  # files are not copied


def test_what_is_up_to_date_is_logged_once_and_what_is_made_again_once_more(reported: Path, caplog):
    config = tiny(LOGGED)
    run_stages(config)
    before = len(wandb_runs.records(reported / "outputs"))
    run_stages(config)
    assert len(wandb_runs.records(reported / "outputs")) == before

    caplog.set_level(logging.INFO)
    wider = tiny(LOGGED, "evaluate.bootstrap.level=0.5")
    evaluate.run(wider)
    [told] = [one.message for one in caplog.records if one.name.startswith("pixelplay.run.w")]
    assert told.startswith("wandb: metrics -> outputs/tiny/wandb/: upload it with `wandb sync --id tiny-")
    found = wandb_runs.records(reported / "outputs")
    assert wandb_runs.summary(found)["evaluate/fused/intervals/level"] == 0.5
    assert len({one.run.run_id for one in found if one.HasField("run")}) == 1


def test_curves_of_all_trainings_of_a_run_are_groups_of_its_one_wandb_run(tmp_path: Path):
    config = load_config(["experiment=tiny", LOGGED, f"paths.outputs={tmp_path / 'outputs'}", "run=first"])
    groups = {"conv_ae-seed1": "conv_ae-seed1", "videopatchcore: encoder": "videopatchcore/encoder"}
    for name in groups:
        trainer = trainer_config(max_epochs=2, loggers=["csv", "wandb"])
        *given, training = small_training(tmp_path / name, trainer)
        fit(*given, replace(training, name=name, open_wandb=lambda: open_run(config)))
    log_run(config, "extract")
    assert wandb.run is None
    found = wandb_runs.records(tmp_path / "outputs/tiny/first/wandb")
    assert [one.run.display_name for one in found if one.HasField("run")] == ["tiny/first"]
    for name, group in groups.items():
        curve = pd.read_csv(tmp_path / name / "run/csv/version_0/metrics.csv")
        for loss in ("train/loss", "val/loss"):
            rows = [row for row in wandb_runs.rows(found) if f"{group}/{loss}" in row]
            assert [row[f"{group}/{loss}"] for row in rows] == pytest.approx(curve[loss].dropna().tolist())
            assert [row["trainer/global_step"] for row in rows] == [3, 7]  # four steps an epoch


def test_nothing_is_logged_without_the_logger(reported: Path):
    run_stages(tiny("trainer.loggers=[csv]"))
    assert not list((reported / "outputs").rglob("wandb*"))


def test_wandb_is_not_imported_where_it_is_not_asked_for():
    code = "import pixelplay.cli, pixelplay.stages.status, pixelplay.training.fit, sys; print('wandb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_failure_to_log_is_a_warning_that_names_it_and_the_rest_is_logged(reported: Path, caplog):
    config = tiny(LOGGED)
    Path("checkpoints/tiny/st_ae/weights.safetensors").unlink()
    log_run(config, "report")
    [told] = [one.message for one in caplog.records if one.levelno == logging.WARNING]
    assert told.startswith("wandb: st_ae-checkpoint (files) not logged: ") and "weights.safetensors" in told
    assert len(wandb_runs.artifacts(wandb_runs.records(reported / "outputs"))) == 5


def test_a_stage_is_done_and_says_so_where_wandb_does_not_start(reported: Path, monkeypatch, caplog):
    def broken(**_):
        raise RuntimeError("the service did not start")

    monkeypatch.setattr(wandb, "init", broken)
    evaluate.run(tiny(LOGGED))
    assert [one.message for one in caplog.records if one.levelno == logging.WARNING] == [
        "wandb: the run is not logged: the service did not start"
    ]
    log_run(tiny(LOGGED), "evaluate")  # tried again
    assert len(caplog.records) == 2


def test_online_without_a_login_is_refused_before_any_work_and_a_warning_once_a_stage_is_done(reported: Path, caplog):
    config = tiny(LOGGED, "wandb.mode=online")
    with pytest.raises(ConfigError, match=r"wandb\.mode=online: not logged in .* `wandb login`.*wandb\.mode=offline"):
        preconditions.require_all(config)
    evaluate.run(config)
    assert "not logged in to Weights & Biases" in caplog.text
    assert not list((reported / "outputs").rglob("*.wandb"))


def test_online_all_is_one_run_and_each_upload_of_files_is_waited_for(reported: Path, monkeypatch, caplog):
    config, init, waited = tiny(LOGGED, "wandb.mode=online"), wandb.init, []
    monkeypatch.setattr(wandb, "login", lambda **_: wandb.run is None)  # as wandb's own answers, with a key
    monkeypatch.setattr(wandb, "init", lambda **given: init(**{**given, "mode": "offline"}))
    monkeypatch.setattr(wandb.Artifact, "wait", lambda artifact: waited.append(artifact.name))
    opened = open_run(config)
    assert opened is not None and open_run(config) is opened
    log_run(config, "report")
    assert [name.partition(opened.id)[2] for name in waited] == [
        *("-conv_ae-checkpoint", "-st_ae-checkpoint"),
        *("-conv_ae-predictions", "-st_ae-predictions", "-fused-predictions", "-events"),
    ]
    assert not [one for one in caplog.records if one.levelno == logging.WARNING]
    log_run(tiny(LOGGED), "report")  # what went online is not in the offline run
    assert len(wandb_runs.artifacts(wandb_runs.records(reported / "outputs/tiny/wandb"))) == 6
    assert len(list(reported.rglob("*.wandb"))) == 2


def test_what_is_logged_is_what_the_tasks_of_the_stages_wrote_with_every_seed(reported: Path, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(weights_and_biases, "_outputs", lambda files, tasks: asked.extend(tasks) or [])
    config = tiny(LOGGED, "seeds=[0,1]")
    log_run(config, "report")
    stages = (train, score, fuse, events, evaluate, ablate, explain, report)
    tasks = {task.record_path.stem for stage in stages for task in stage.tasks(config)}
    assert set(asked) - {"fuse-objects", "event-vectors"} == tasks  # this run scores no objects


def test_the_old_keys_name_the_new_ones():
    with pytest.raises(ConfigError, match=r"trainer\.wandb\.mode: renamed to wandb\.mode"):
        load_config(["trainer.wandb.mode=online"])
