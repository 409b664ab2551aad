"""`evaluate export=latex|csv`: the tables for a paper have the run's figures, escaped, the best in bold."""

import json
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from tests.pipeline import run_here
from tests.reports import OPTIONS

from pixelplay.evaluation.paper import _latex, figures_table

FUSED = {"ap": 0.5, "auc_micro": 0.75, "auc_macro": 0.8}


def metrics() -> dict:
    """metrics.json of a detector without boxes, one with boxes, and an external file, all of known figures."""
    region = {"region": {"rbdc": 0.25, "tbdc": 0.125}}
    return {
        "detectors": {
            "st_ae": {"ap": 0.4, "auc_micro": 0.7, "auc_macro": 0.9},
            "objects": {"ap": 0.6, "auc_micro": 0.65, "auc_macro": None},
        },
        "external": {"50%_mine": {"ap": 0.3, "auc_micro": 0.6, "auc_macro": 0.5}},
        "fused": FUSED,
        "objects": {"detectors": {"objects": {"streams": {"objects": region, "objects/place": region}}}},
    }


def test_a_row_has_the_figures_of_its_detector_and_regions_where_there_are_boxes():
    table = figures_table(metrics())
    assert table.index.tolist() == ["st_ae", "objects", "50%_mine", "fused"]
    assert table.loc["st_ae"].tolist()[:3] == [0.7, 0.9, 0.4] and table.loc["st_ae", ["RBDC", "TBDC"]].isna().all()
    assert table.loc["objects", ["RBDC", "TBDC"]].tolist() == [0.25, 0.125] and pd.isna(
        table.loc["objects", "macro AUC"]
    )


def test_latex_is_escaped_in_percent_with_rules_and_the_best_in_bold():
    lines = _latex(figures_table(metrics()), axis=0).splitlines()
    assert [line for line in lines if line.endswith("rule")] == ["\\toprule", "\\midrule", "\\bottomrule"]
    assert "st\\_ae & 70.0 & \\textbf{90.0} & 40.0 & -- & -- \\\\" in lines
    assert "50\\%\\_mine & 60.0 & 50.0 & 30.0 & -- & -- \\\\" in lines
    assert "fused & \\textbf{75.0} & 80.0 & 50.0 & -- & -- \\\\" in lines
    assert "objects & 65.0 & -- & \\textbf{60.0} & \\textbf{25.0} & \\textbf{12.5} \\\\" in lines


@pytest.fixture
def exported(reported: Path) -> Path:
    for form in ("csv", "latex"):
        done = run_here("evaluate.py", *OPTIONS, f"export={form}", cwd=reported)
        assert done.returncode == 0, done.stderr
        suffix = {"csv": "csv", "latex": "tex"}[form]
        assert done.stdout.rstrip().endswith(f"outputs/tiny/tables/videos.{suffix}")
        assert done.stdout.startswith("evaluate: up to date")
    return reported / "outputs/tiny"


def test_the_files_have_the_run_s_metrics_and_scikit_learn_s_auc_of_each_video(exported: Path):
    table = pd.read_csv(exported / "tables/metrics.csv", index_col=0)
    found = json.loads((exported / "metrics.json").read_text())
    assert table.loc["fused", "micro AUC"] == found["fused"]["auc_micro"]
    assert table.loc["st_ae", "AP"] == found["detectors"]["st_ae"]["ap"]
    videos = pd.read_csv(exported / "tables/videos.csv", index_col=0, dtype={"video": str})
    labels = pd.read_parquet(exported / "truth/test/frames.parquet").set_index(["video", "frame"])["label"]
    fused = pd.read_parquet(exported / "fused.parquet").query("split == 'test' and stream == 'fused'")
    for video, rows in fused.groupby("video"):
        own = rows.set_index(["video", "frame"])["score"]
        assert videos.loc[video, "fused"] == pytest.approx(roc_auc_score(labels.loc[own.index], own))
    assert videos["fused"].mean() == pytest.approx(found["fused"]["auc_macro"])
    assert len((exported / "tables/videos.tex").read_text().splitlines()) == len(videos) + 7
