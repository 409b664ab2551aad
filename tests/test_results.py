"""results/*.csv: what a measured run adds to them, and that docs/RESULTS.md shows them."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks import runs

from pixelplay.cli import load_config
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

RUNS = [path for path in sorted((runs.ROOT / "results").glob("*.csv")) if path.read_text().startswith("run,commit,")]


def test_the_tables_of_the_document_are_those_of_the_csvs():
    text = runs.DOCUMENT.read_text(encoding="utf-8")
    assert runs.with_tables(text) == text
    shown = {match[2] for match in runs.TABLE.finditer(text)}
    assert shown == {f"results/{path.name}" for path in (runs.ROOT / "results").glob("*.csv")}


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_a_row_has_a_stream_a_data_set_and_figures_between_0_and_1(path: Path):
    table = pd.read_csv(path)
    assert list(table.columns) == runs.COLUMNS
    assert table[["dataset", "stream"]].notna().all(axis=None)
    assert not table.duplicated(["run", "dataset", "stream", "settings"]).any()
    figures = table[[name for name in runs.FIGURES if name not in ("minutes", "fps")]]
    assert figures.notna().any(axis=1).all()
    assert (figures.isna() | figures.apply(lambda column: column.between(0, 1))).all(axis=None)


def video(name: str) -> Video:
    return Video(name, "test" if name == "a" else "train", np.arange(30), (32, 24), Path("none"))


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_a_run_adds_a_row_per_stream_and_its_table_has_a_column_per_run(tmp_path: Path):
    outputs, path = tmp_path / "outputs", tmp_path / "made.csv"
    figures = {"ap": 0.5, "auc_micro": 0.6251, "auc_macro": None, "eer": 0.25}
    pixel = {"auroc": 0.9, "ap": 0.1, "aupro_0.3": 0.7, "auroc_per_frame": 0.8, "ap_per_frame": 0.2}
    boxes = {"pixel": pixel, "region": {"rbdc": 0.3, "tbdc": 0.4}, "tao": {}}
    metrics = {
        "detectors": {"ae": {**figures, "streams": {"ae/mean": figures}}},
        "fused": {**figures, "ap": 0.75},
        "objects": {"detectors": {"ae": {"streams": {"ae/mean": boxes}}}},
    }
    write_json(outputs / "metrics.json", metrics)
    index = Index(
        "toy",
        "",
        "",
        load_config(["experiment=tiny"]).dataset.heldout,
        [video(f"t{i}") for i in range(8)],
        [video("a")],
    )
    index.save(outputs / "index.json")
    write_json(outputs / "stages/evaluate.json", {"finished": "2026-11-29T10:00:00+0000", "seconds": 6.0})
    write_json(outputs / "stages/score-ae.json", {"finished": "2026-11-29T09:00:00+0000", "seconds": 84.0})
    (outputs / "ablation").mkdir()
    planted = "fusion,ap,ap_error,auc,auc_error\nconfigured fusion,0.7,0.05,0.8,0.04\nae,0.6,,0.7,\n"
    (outputs / "ablation/alone.csv").write_text(planted)
    for run in ("before", "after"):
        runs.add(path, runs.rows_of(outputs, run, ""))
    rows = list(csv.DictReader(path.open(newline="")))
    assert [(row["run"], row["stream"]) for row in rows[:3]] == [("before", s) for s in ("ae", "ae/mean", "fused")]
    ae, mean, fused = rows[:3]
    assert (ae["date"], ae["dataset"], ae["detectors"]) == ("2026-11-29", "toy", "ae")
    assert (ae["ap"], ae["auc_micro"], ae["auc_macro"], ae["pseudo_ap_error"]) == ("0.500", "0.625", "", "")
    assert float(ae["fps"]) == pytest.approx(sum(map(len, [*index.test, *index.held.calibration])) / 84, abs=1e-3)
    assert (mean["rbdc"], mean["aupro"], mean["pixel_ap_per_frame"]) == ("0.300", "0.700", "0.200")
    assert (fused["ap"], fused["minutes"], fused["pseudo_auc_error"]) == ("0.750", "1.500", "0.040")
    head, _, *lines = runs.table_of(path).splitlines()
    assert head.startswith("| stream | AP before | AP after | AUC micro before |") and "AUC macro" not in head
    assert len(lines) == 3 and lines[2].startswith("| `fused` | 0.750 | 0.750 |") and "0.700 ± 0.050" in lines[2]


def test_the_judges_are_ranked_against_labels_by_hand():
    """AP planted and on labels: in the same order but for one pair of neighbours; stability of only three streams.

    Kinds of frames rank the streams as labels do, kinds of objects the other way round.
    """
    alone = pd.DataFrame(
        {
            "stability": [np.nan, 0.9, 0.8, 0.7, np.nan],
            "ap": [0.5, 0.1, 0.2, 0.4, 0.3],
            "on_labels_ap": [0.5, 0.1, 0.2, 0.3, 0.4],
            "on_labels_auc": [0.5, 0.5, 0.5, 0.5, 0.5],
        },
        index=["configured fusion", "a", "b", "c", "d"],
    )
    kinds = pd.DataFrame(
        {
            "freeze": [0.5, 0.1, 0.2, 0.3, 0.4],
            "reversal": [0.5, 0.1, 0.2, 0.3, 0.4],
            "standing": [0.5, 0.9, 0.8, 0.7, 0.6],
        },
        index=alone.index,
    )
    text = runs.agreement(alone, kinds)
    assert "| `a` | 0.100 | 0.100 | 0.900 | 0.900 | 0.100 | 0.500 |" in text
    assert "| `d` | 0.300 | 0.400 | 0.600 |  | 0.400 | 0.500 |" in text
    assert "| AP, kinds of frames | 4 | 1.000 |  |\n| AP, kinds of objects | 4 | -1.000 |  |" in text
    assert "configured" not in text
    assert "| AP planted | 4 | 0.800 |  |" in text and text.endswith("| stability | 3 | -1.000 |  |")
