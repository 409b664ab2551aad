"""`submissions/LEDGER.csv`: a row per submission, the user's own entries untouched, safe with two processes."""

import csv
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from tests.pipeline import run_here
from tests.scored import prepared, write_scores

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import ConfigError, DataError
from pixelplay.evaluation import ledger
from pixelplay.evaluation.figures import read_figures
from pixelplay.run.files import RunFiles
from pixelplay.stages import evaluate, events, fuse
from pixelplay.videos.index import Index, load_index

PLAIN = ["pseudo=none", "restore.flip=none", "workers=1"]


@pytest.fixture
def scored(small_run: list[str]) -> tuple[list[str], Config, Index]:
    """Options, configuration and index of a run with raw scores; one of its two test videos has labels."""
    config, index = prepared(small_run)
    write_scores(config, index, {"conv_ae": range(8), "conv_ae/mean": range(8)[::-1]})
    return [*small_run, *PLAIN], config, index


def rows_of(config: Config) -> list[dict[str, str]]:
    with open(RunFiles.of(config).ledger, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_submission_is_a_row_and_the_same_one_again_is_none(scored: tuple[list[str], Config, Index]):
    _, config, _ = scored
    fuse.run(config)
    [row] = rows_of(config)
    files = RunFiles.of(config)
    assert (row["file"], row["run"], row["leaderboard"]) == ("folder.csv", "folder", "")
    assert row["sha256"] == hashlib.sha256(files.submission.read_bytes()).hexdigest()
    assert row["ap_pseudo"] == row["ap_labels"] == ""  # nothing planted, not evaluated yet
    before = files.ledger.read_bytes()
    files.record("fuse").unlink()
    fuse.run(config)
    assert files.ledger.read_bytes() == before


def test_evaluate_fills_in_the_figure_on_labels_of_that_very_file(scored: tuple[list[str], Config, Index]):
    options, config, _ = scored
    fuse.run(config)
    other = load_config([*options, "fusion.default.smooth.sigma=9.0"])
    fuse.run(other)
    events.run(other)
    evaluate.run(other)
    first, second = rows_of(config)
    assert first["ap_labels"] == "" and first["sha256"] != second["sha256"]
    fused = pd.read_parquet(RunFiles.of(other).fused).query("stream == 'fused' and split == 'test' and video == '01'")
    expected = average_precision_score([0, 1, 1, 0, 0], fused.sort_values("frame")["score"])
    assert float(second["ap_labels"]) == pytest.approx(expected, abs=1e-6)
    assert read_figures(RunFiles.of(other)).ap == pytest.approx(expected)


def test_figures_of_an_earlier_fusion_are_not_those_of_the_run(scored: tuple[list[str], Config, Index]):
    options, config, _ = scored
    fuse.run(config)
    events.run(config)
    evaluate.run(config)
    assert read_figures(RunFiles.of(config)).ap is not None
    fuse.run(load_config([*options, "fusion.default.smooth.sigma=9.0"]))
    assert read_figures(RunFiles.of(config)).ap is None


def test_what_the_user_entered_stays_in_their_spreadsheet_s_form(scored: tuple[list[str], Config, Index]):
    options, config, _ = scored
    fuse.run(config)
    files = RunFiles.of(config)
    [row] = rows_of(config)
    head = [*ledger.COLUMNS[:7], "leaderboard", "note", "sha256"]
    cells = {**row, "leaderboard": "0,8123", "note": "=1+1 best; so far"}
    lines = [";".join(f'"{cells[name]}"' if ";" in cells[name] else cells[name] for name in head)]
    files.ledger.write_text("\n".join([";".join(head), *lines]) + "\n", encoding="utf-8-sig")
    events.run(config)
    evaluate.run(config)
    fuse.run(load_config([*options, "fusion.default.smooth.sigma=9.0"]))
    with open(files.ledger, newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file, delimiter=";")
    assert (first["leaderboard"], first["note"]) == ("0,8123", "=1+1 best; so far")
    assert float(first["ap_labels"]) > 0 and first["date"] == row["date"]
    assert (second["leaderboard"], second["note"]) == ("", "")


def test_an_option_that_a_spreadsheet_would_compute_is_text(scored: tuple[list[str], Config, Index], tmp_path: Path):
    options, config, _ = scored
    done = run_here("fuse.py", "+fusion.members.conv_ae.weight=2.0", *options, "name=w2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [row] = rows_of(config)
    assert (row["file"], row["run"]) == ("folder-w2.csv", "folder:w2")
    assert row["options"] == "'+fusion.members.conv_ae.weight=2.0"


@pytest.mark.parametrize("text", ["a,b\n1,2\n", '"', "", ",".join(ledger.COLUMNS) + "\n" + "," * 20 + "\n"])
def test_a_file_that_is_no_ledger_is_refused_before_anything_is_written(
    text: str, scored: tuple[list[str], Config, Index]
):
    _, config, _ = scored
    files = RunFiles.of(config)
    files.ledger.parent.mkdir(parents=True, exist_ok=True)
    files.ledger.write_text(text)
    with pytest.raises(DataError, match=r"LEDGER\.csv is no ledger of submissions"):
        fuse.run(config)
    assert files.ledger.read_text() == text and not files.submission.exists()


def test_two_runs_never_write_to_one_submission(scored: tuple[list[str], Config, Index]):
    options, config, _ = scored
    fuse.run(load_config([*options, "name=a-b"]))
    before = RunFiles.of(load_config([*options, "name=a-b"])).submission.read_bytes()
    with pytest.raises(ConfigError, match=r"folder-a-b\.csv is the submission of folder:a-b"):
        fuse.run(load_config([*options, "run=a", "name=b"]))
    assert (RunFiles.of(config).submission.parent / "folder-a-b.csv").read_bytes() == before


def test_no_row_is_lost_where_several_write_at_once(scored: tuple[list[str], Config, Index]):
    _, config, index = scored
    fuse.run(config)
    names = [f"v{i}" for i in range(6)]
    for name in names:
        files = RunFiles.of(config.model_copy(update={"name": name}))
        files.fusion.mkdir(parents=True)
        files.fused.write_bytes(RunFiles.of(config).fused.read_bytes())
        files.submission.write_text(name)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: ledger.note(config.model_copy(update={"name": name}), index), names))
    assert sorted(row["run"] for row in rows_of(config)) == ["folder", *(f"folder:{name}" for name in names)]


def test_the_figure_on_pseudo_anomalies_is_scikit_learn_s(reported: Path):
    config = load_config(["experiment=tiny"])
    files, index = RunFiles.of(config), load_index(config)
    labels = pd.read_parquet(files.truth / "pseudo/frames.parquet").set_index(["video", "frame"])["label"]
    rows = pd.read_parquet(files.fused).query("stream == 'fused' and split == 'pseudo'").set_index(["video", "frame"])
    expected = average_precision_score(labels.loc[rows.index], rows["score"])
    assert ledger.ap_on_pseudo(files, index) == pytest.approx(expected)
    [row] = rows_of(config)
    assert float(row["ap_pseudo"]) == pytest.approx(expected, abs=1e-6)
    assert float(row["ap_labels"]) == pytest.approx(read_figures(files).ap or np.nan, abs=1e-6)
