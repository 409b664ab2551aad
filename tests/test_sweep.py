"""The command `sweep`: a run per variant, nothing twice, and a table of what the runs' own files say."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from tests.pipeline import run_here, stages_here
from tests.scored import write_record

from pixelplay import pipeline
from pixelplay.ablation.sweeps import caption, cells, markdown, results, write
from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.overrides import choices
from pixelplay.run.artifacts import write_json
from pixelplay.run.files import RunFiles
from pixelplay.sweep import variants_of

TINY = (
    "experiment=tiny",
    "dataset.sample.min_frames=30",
    "dataset.sample.max_frames=40",
    "pseudo.kinds=[freeze]",
    "workers=1",
    "device=cpu",
    "trainer.max_epochs=1",
    "evaluate.bootstrap.n_bootstrap=2",
    "ablate.n_bootstrap=2",
    "seeds=[3,5]",
)
SWEEP = (
    "sweep.name=dropout",
    "sweep.detectors=[conv_ae]",
    '+sweep.variants.usual=["detectors.conv_ae.training.dropout=0.2"]',
    '+sweep.variants.narrow=["detectors.conv_ae.training.dropout=0.0","detectors.conv_ae.training.widths=[4,4,8,8]"]',
    '+sweep.variants.mean=["detectors.conv_ae.scoring.pooling=mean"]',
)
RUNS = {
    "usual": "conv_ae",
    "narrow": "conv_ae,training.dropout=0.0,training.widths=_4,4,8,8_",
    "mean": "conv_ae,scoring.pooling=mean",
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str]], str]:
    """The folder in which the sweep ran, the stages that ran, and what was printed."""
    folder = tmp_path_factory.mktemp("swept")
    with stages_here() as started:
        done = run_here("sweep.py", *TINY, *SWEEP, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, started, done.stdout


def record(folder: Path, variant: str, name: str) -> dict:
    return json.loads((folder / "outputs/tiny" / RUNS[variant] / f"stages/{name}.json").read_text())


def test_every_figure_of_the_table_is_that_of_the_runs_own_files(swept):
    folder, _, _ = swept
    with open(folder / "outputs/tiny/sweeps/dropout/table.csv", newline="") as file:
        rows = {row["variant"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(RUNS)
    assert (
        int(rows["narrow"]["parameters"]) < int(rows["usual"]["parameters"])
        and rows["mean"]["ap"] != rows["usual"]["ap"]
    )
    for variant, run in RUNS.items():
        row, outputs = rows[variant], folder / "outputs/tiny" / run
        found = json.loads((outputs / "metrics.json").read_text())["detectors"]["conv_ae"]
        for name in ("auc_micro", "ap"):
            assert float(row[name]) == found["seeds"][name]["mean"]
            assert float(row[f"{name}_deviation"]) == found["seeds"][name]["deviation"]
        alone = pd.read_csv(outputs / "ablation/alone.csv", index_col=0).loc["conv_ae"]
        assert (float(row["pseudo_ap"]), float(row["pseudo_ap_error"])) == (alone["ap"], alone["ap_error"])
        assert int(row["parameters"]) == found["parameters"]
        for stage in ("train", "score"):
            seconds = sum(record(folder, variant, f"{stage}-conv_ae-seed{seed}")["seconds"] for seed in (3, 5)) / 2
            column = {"train": "training_minutes", "score": "scoring_minutes"}[stage]
            assert float(row[column]) == pytest.approx(seconds / 60, abs=0.006)
        assert {row[name] for name in ("pixel_auroc", "pixel_ap", "rbdc", "tbdc")} == {""}  # it has no boxes


def test_the_text_says_at_what_budget_and_which_figures_are_on_labels(swept):
    folder, *_ = swept
    text = (folder / "outputs/tiny/sweeps/dropout/table.md").read_text()
    assert "2 seeds (3, 5)" in text and "`trainer.max_epochs=1`" in text
    assert "window 16, stride 2, max epochs 1" in text
    assert "On test labels: frame AUC, frame AP: reported only, never to be chosen on." in text
    assert "AP on pseudo-anomalies needs no labels" in text
    assert "RBDC" not in text
    assert (folder / "outputs/tiny/sweeps/dropout/figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_variant_that_only_scores_differently_is_not_trained_again(swept):
    folder, started, _ = swept
    assert [stage for run, stage in started if run == RUNS["narrow"]][:2] == ["prepare", "detect"]
    assert (RUNS["narrow"], "train") in started and (RUNS["mean"], "train") not in started
    usual, mean = (folder / "checkpoints/tiny" / RUNS[one] for one in ("usual", "mean"))
    for seed in (3, 5):
        own = record(folder, "mean", f"train-conv_ae-seed{seed}")
        first = record(folder, "usual", f"train-conv_ae-seed{seed}")
        assert (own["seconds"], own["settings"]) == (first["seconds"], first["settings"])
        assert all(Path(one["path"]).is_relative_to(f"checkpoints/tiny/{RUNS['mean']}") for one in own["outputs"])
    names = {path.relative_to(mean) for path in mean.rglob("*.safetensors")}
    assert names and all((mean / name).read_bytes() == (usual / name).read_bytes() for name in names)


def test_resumed_it_runs_nothing_and_writes_the_same_table(swept):
    folder, _, _ = swept
    table = folder / "outputs/tiny/sweeps/dropout/table.csv"
    before = table.read_bytes()
    with stages_here() as started:
        done = run_here("sweep.py", *TINY, *SWEEP, cwd=folder)
    assert (done.returncode, started) == (0, []), done.stderr
    assert table.read_bytes() == before
    assert done.stdout.count(": up to date (outputs/tiny/") == 3


def test_another_sweep_shares_the_baseline(swept, monkeypatch):
    started = list[str]()
    monkeypatch.setattr("pixelplay.sweep._run", lambda variant, others: started.append(variant.name))
    other = ("sweep.name=mean", SWEEP[1], '+sweep.variants.as=["detectors.conv_ae.training.dropout=0.2"]', SWEEP[4])
    done = run_here("sweep.py", *TINY, *other, cwd=swept[0])
    assert (done.returncode, started) == (0, []), done.stderr


def test_a_variant_that_fails_is_named(swept, monkeypatch):
    def fail(stage: str, overrides: Sequence[str], started_by: str) -> None:
        assert started_by == "sweep"
        raise SystemExit(1)

    monkeypatch.setattr(pipeline, "_run_process", fail)
    more = '+sweep.variants.half=["detectors.conv_ae.training.dropout=0.5"]'
    done = run_here("sweep.py", *TINY, *SWEEP, more, cwd=swept[0])
    assert done.returncode == 1
    assert "variant 'half': the run outputs/tiny/conv_ae,training.dropout=0.5/ failed" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["sweep=poolin"], "did you mean 'pooling'? allowed here: alpha, losses, mask_ratio, none, pooling, "),
        ([], "which one? sweep=alpha, sweep=losses, sweep=mask_ratio, sweep=pooling, sweep=sequence_length"),
        ([*SWEEP[:2], '+sweep.variants.a=["trainer.epochs=0"]'], "sweep=dropout, variant 'a': trainer.epochs: "),
        ([*SWEEP[:2], '+sweep.variants.a=["detectors.conv_ae.training.dropout=2.0"]'], "variant 'a': detectors."),
        ([*SWEEP, "detector=[st_ae_tiny]"], "sweep=dropout varies conv_ae, and detector= names other detectors"),
    ],
)
def test_what_is_impossible_is_refused_before_any_work(options: list[str], message: str, tmp_path: Path):
    done = run_here("sweep.py", "experiment=tiny", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split()) and "Traceback" not in done.stderr
    assert not [path for path in tmp_path.rglob("index.json")]


@pytest.mark.parametrize("name", [name for name in choices("sweep") if name != "none"])
def test_the_sweeps_that_come_along_are_possible_and_vary_what_they_are_named_after(name: str):
    options = ["experiment=tiny", f"sweep={name}", "detector=[temporal_mae_small]"]
    variants = variants_of(load_config(options), options[::2])
    settings = [one.config.detectors["temporal_mae"].model_dump() for one in variants]
    assert all(one not in settings[:i] for i, one in enumerate(settings))
    assert sum(one.config.run == "temporal_mae" for one in variants) == 1  # the baseline that all of them share
    for one in variants:
        registry.check_settings(one.config.detectors)
        assert list(one.config.detectors) == ["temporal_mae"]
    if name == "alpha":
        assert all(one["training"] == settings[0]["training"] for one in settings)


def outputs_of(folder: Path, seconds: float) -> RunFiles:
    """A run as far as the table of a sweep reads it: records alone."""
    files = RunFiles(folder, folder, folder, folder, folder, folder)
    training, scoring = {"window": 8, "stride": 4, "max_epochs": 2}, {"stride": 3}
    for stage, settings in {"train": {"trainer": {}, "training": training}, "score": {"scoring": scoring}}.items():
        write_record(files.record(f"{stage}-mae"), settings=settings, about={"parameters": 1234}, seconds=seconds)
    return files


def test_figures_of_boxes_are_those_of_the_detectors_default_stream(tmp_path: Path):
    files = outputs_of(tmp_path, seconds=90.0)
    pixel, region = {"auroc": 0.75, "ap": 0.25, "auroc_per_frame": 0.5}, {"rbdc": 0.625, "tbdc": 0.875}
    streams = {"mae": {"pixel": pixel, "region": region}, "mae/other": {"region": {"rbdc": 0.1, "tbdc": 0.1}}}
    frames = {"mae": {"auc_micro": 0.5, "ap": 0.125}}
    write_json(files.metrics, {"detectors": frames, "objects": {"detectors": {"mae": {"streams": streams}}}})
    found = results({"a|b": files}, ["mae"], [None])
    shown = {"auc_micro": 0.5, "ap": 0.125, "pixel_auroc": 0.75, "pixel_ap": 0.25, "rbdc": 0.625, "tbdc": 0.875}
    costs = {"parameters": 1234, "training_minutes": 1.5, "scoring_minutes": 1.5}
    assert found.table.iloc[0].dropna().to_dict() == {"variant": "a|b", "detector": "mae", **shown, **costs}
    assert markdown(cells(found.table)).splitlines()[2:] == [
        "| a\\|b | 0.500 | 0.125 | 0.750 | 0.250 | 0.625 | 0.875 | 1,234 | 1.5 | 1.5 |"
    ]
    budget, on_labels = caption(found, [])
    assert budget.startswith(
        "Budget of every variant: mae: window 8, stride 4, max epochs 2, scoring stride 3; one seed."
    )
    assert "RBDC, TBDC: reported only" in on_labels and "of one seed, without a spread" in on_labels


def test_without_labels_there_are_costs_and_figures_on_pseudo_anomalies(tmp_path: Path):
    runs = {}
    for name, ap in {"first": "0.25", "second": "0.5"}.items():
        runs[name] = outputs_of(tmp_path / name, seconds=6.0)
        runs[name].ablation.mkdir()
        (runs[name].ablation / "alone.csv").write_text(
            f"fusion,ap,ap_error\nconfigured fusion,0.1,0.1\nmae,{ap},0.05\n"
        )
    printed = write(tmp_path / "sweep", "x", results(runs, ["mae"], [None]), ["device=cpu"])
    assert printed.splitlines()[-1].split() == ["second", "0.500", "±", "0.050", "1,234", "0.1", "0.1"]
    text = (tmp_path / "sweep/table.md").read_text()
    assert "| first | 0.250 ± 0.050 | 1,234 | 0.1 | 0.1 |\n| second | 0.500 ± 0.050 | 1,234 | 0.1 | 0.1 |" in text
    assert "No test labels are known" in text and "options `device=cpu`" in text
    assert (tmp_path / "sweep/figure.png").is_file()
