"""`pixelplay runs`: runs and variants, what differs in their options, and their own figures."""

import csv
import io
import json
from pathlib import Path

import pytest
from tests.pipeline import run_here
from tests.scored import prepared, write_scores

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError
from pixelplay.evaluation.runs import find_run
from pixelplay.run.files import RunFiles

PLAIN = ["pseudo=none", "restore.flip=none", "workers=1"]


@pytest.fixture
def fused(small_run: list[str], tmp_path: Path) -> list[str]:
    """Paths of two runs of one experiment, the second of which has a variant of its fusion and labels measured."""
    for name in ([], ["run=second"]):
        config, index = prepared([*small_run, *name])
        write_scores(config, index, {"conv_ae": range(8), "conv_ae/mean": range(8)[::-1]})
    second = [*small_run, *PLAIN, "run=second"]
    sigma = "fusion.default.smooth.sigma=2.0"
    for command in (
        ["fuse.py", *small_run, *PLAIN],
        ["fuse.py", *second, "fusion.method=maximum"],
        ["events.py", *second],
        ["evaluate.py", *second],
        ["fuse.py", *second, "name=w2", sigma],
    ):
        done = run_here(command[0], *command[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    return [option for option in small_run if option.startswith("paths.")]


def test_runs_are_listed_with_what_differs_and_their_own_figures_the_newest_last(fused: list[str], tmp_path: Path):
    done = run_here("runs.py", "--csv", *fused, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["run"] for row in rows] == ["folder", "folder/second", "folder/second:w2"]
    assert [row["options"] for row in rows] == [
        "",
        "fusion.method=maximum",
        "fusion.method=maximum fusion.default.smooth.sigma=2.0",
    ]
    metrics = json.loads((tmp_path / "outputs/folder/second/metrics.json").read_text())["fused"]
    assert float(rows[1]["ap"]) == metrics["ap"] and float(rows[1]["auc_micro"]) == metrics["auc_micro"]
    assert rows[0]["ap"] == rows[2]["ap"] == rows[0]["ap_pseudo"] == ""


def test_the_table_fits_a_terminal_whatever_names_and_options_there_are(fused: list[str], tmp_path: Path):
    config = load_config(["experiment=folder", *fused])
    name = "a" * 100
    RunFiles.of(config).outputs.rename(tmp_path / f"outputs/{name}")
    options = tmp_path / f"outputs/{name}/config.yaml"
    options.write_text(options.read_text().replace("options:", f"options:\n- detectors.x={'b' * 300}"))
    done = run_here("runs.py", *fused, cwd=tmp_path)
    assert done.returncode == 0 and max(map(len, done.stdout.splitlines())) <= 120
    assert f"\n{name}/second:w2\n" in done.stdout
    assert done.stdout.replace("\n    ", "").count("b" * 300) == 1


def test_only_runs_of_the_experiment_that_is_named_are_listed(fused: list[str], tmp_path: Path):
    assert "folder/second" in run_here("runs.py", "experiment=folder", *fused, cwd=tmp_path).stdout
    done = run_here("runs.py", "experiment=tiny", *fused, cwd=tmp_path)
    assert done.returncode == 1 and "error: no runs in " in done.stderr and "outputs/tiny/" in done.stderr


def test_damaged_files_of_one_run_do_not_hide_the_others(fused: list[str], tmp_path: Path):
    (tmp_path / "outputs/folder/second/fused.parquet").write_text("no table")
    done = run_here("runs.py", *fused, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "folder/second/fused.parquet is damaged" in done.stdout.replace("\n    ", " ")
    assert "folder/second:w2" in done.stdout


def test_a_run_is_found_by_its_name_and_one_of_the_same_experiment_by_the_short_one(fused: list[str]):
    config = load_config(["experiment=folder", *fused])
    for name, found in {
        "folder": "folder",
        "second": "folder/second",
        "folder/second": "folder/second",
        "second:w2": "folder/second:w2",
    }.items():
        assert find_run(config, name).name == found
    with pytest.raises(ConfigError, match=r"'secnd': no such run in .*folder/second"):
        find_run(config, "secnd")
