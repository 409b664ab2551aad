"""Figures of others: each has a source, and stands under a data set and a metric that exist."""

import csv
import re
from importlib.resources import files

import numpy as np
import pytest

from pixelplay.cli import CONFIG_DIR
from pixelplay.metrics.frames import frame_metrics
from pixelplay.metrics.published import (
    Protocol,
    not_comparable,
    published_figures,
    published_table,
    whole_test_sets,
)


def test_the_reference_solutions_score_is_there_with_its_source():
    (figure,) = [f for f in published_figures("pixelplay26") if f.value == 0.66881]
    assert (figure.method, figure.metric) == ("spatio-temporal autoencoder", "ap")
    assert figure.source.startswith("leaderboard of the Kaggle competition Pixel Play '26, January 2026")


def test_every_figure_is_a_share_whose_source_can_be_found_by_an_outsider():
    with files("pixelplay.metrics").joinpath("published.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    for row in rows:
        assert list(row) == ["dataset", "method", "metric", "value", "source"] and all(row.values()), row
        assert 0 < float(row["value"]) <= 1, row
        assert not re.search(r"specification|source document|seed|known scores", row["source"], re.I), row
        where = r"arXiv \d{4}\.\d{5}|doi\.org/10\.|https://\w|leaderboard of the Kaggle competition Pixel Play '26"
        assert re.search(where, row["source"]), row


def test_every_figure_is_of_a_data_set_and_a_metric_that_there_are():
    datasets = {path.stem for path in (CONFIG_DIR / "dataset").glob("*.yaml")}
    figures = [figure for name in datasets for figure in published_figures(name)]
    lines = files("pixelplay.metrics").joinpath("published.csv").read_text(encoding="utf-8").splitlines()
    assert len(figures) == len(lines) - 1
    assert {f.metric for f in figures} <= {*frame_metrics(np.arange(2), np.arange(2), np.zeros(2)), "rbdc", "tbdc"}


@pytest.mark.parametrize(
    ("dataset", "method", "expected"),
    [  # from the table in the README of github.com/lilygeorgescu/AED-SSMTL
        ("ped2", "AED-SSMTL", {"auc_micro": 0.975, "auc_macro": 0.998, "rbdc": 0.728, "tbdc": 0.912}),
        ("avenue", "AED-SSMTL", {"auc_micro": 0.915, "auc_macro": 0.919, "rbdc": 0.570, "tbdc": 0.583}),
        ("shanghaitech", "AED-SSMTL", {"auc_micro": 0.824, "auc_macro": 0.893, "rbdc": 0.428, "tbdc": 0.839}),
        # from the table in the README of github.com/lilygeorgescu/UBnormal
        (
            "ubnormal",
            "Georgescu et al. with UBnormal's anomalies",
            {"auc_micro": 0.613, "auc_macro": 0.856, "rbdc": 0.2543, "tbdc": 0.56272},
        ),
        ("ped2", "conv AE of Hasan et al.", {"auc_micro": 0.90}),  # as the README says of conv_ae's model
    ],
)
def test_the_figures_of_papers_are_those_of_their_tables(dataset: str, method: str, expected: dict[str, float]):
    assert {f.metric: f.value for f in published_figures(dataset) if f.method == method} == expected


def test_the_baselines_of_the_source_document_are_there():
    methods = {f.method for name in ("ped2", "avenue", "shanghaitech") for f in published_figures(name)}
    assert {"OCAD", "BAF-AT", "AED-SSMTL", "HF2-VAD", "STPT", "VideoPatchCore"} <= methods


def test_every_figure_of_the_public_data_sets_can_be_looked_up_and_stands_there_once():
    for name in ("ped2", "avenue", "shanghaitech"):
        figures = published_figures(name)
        assert len({(f.method, f.metric) for f in figures}) == len(figures) > 10
        for figure in figures:
            assert re.search(r"arXiv \d{4}\.\d{5}\b", figure.source), figure
            assert "Table" in figure.source or "https://" in figure.source, figure


def test_a_data_set_without_figures_has_none():
    assert published_figures("folder") == []


# --- ours among them --------------------------------------------------------------------------------------------------

WHOLE = Protocol(videos=12, frames=2010, track_videos=12)


def test_the_size_of_every_test_set_with_figures_is_known():
    lines = files("pixelplay.metrics").joinpath("published.csv").read_text(encoding="utf-8").splitlines()[1:]
    sizes = whole_test_sets()
    assert set(sizes) == {line.partition(",")[0] for line in lines}
    assert sizes["ped2"] == (12, 2010) and sizes["avenue"] == (21, 15324)
    assert sizes["shanghaitech"][0] == 107 and sizes["pixelplay26"] == (21, 11706)


def test_ours_is_ranked_among_the_published_figures_of_the_same_metric():
    rows = published_table("ped2", {"fused": {"auc_micro": 0.9755, "ap": 0.9}, "conv_ae": {"auc_micro": 0.9}}, WHOLE)
    micro = [(row["method"], row["rank"]) for row in rows if row["metric"] == "auc_micro"]
    assert micro[:5] == [("HF2-VAD", 1), ("BAF-AT", 2), ("HSC", 3), ("ours: fused", 4), ("AED-SSMTL", 5)]
    assert dict(micro)["ours: conv_ae"] == dict(micro)["conv AE of Hasan et al."]  # 0.9 both
    assert {row["source"] for row in rows if row["method"].startswith("ours")} == {"this run"}
    assert not [row for row in rows if row["metric"] == "ap"]  # which nobody published there


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [
        (Protocol(2, 330, 2), "2 of 12 test videos"),
        (Protocol(12, 1900, 12), "1,900 of 2,010 test frames"),
        (Protocol(12, 2010, 12, corrupted=True), "corrupted test frames"),
        (Protocol(12, 2010, 7), "published track files of 7 of 12 test videos"),
    ],
)
def test_another_protocol_leaves_ours_without_a_rank_and_says_why(protocol: Protocol, reason: str):
    rows = published_table("ped2", {"videopatchcore": {"rbdc": 0.99, "tbdc": None}}, protocol)
    assert [row["method"] for row in rows if row["metric"] == "rbdc"] == ["TAO", "AED-SSMTL", "ours: videopatchcore"]
    (ours,) = [row for row in rows if row["method"].startswith("ours")]
    assert (ours["rank"], ours["source"]) == (None, f"{reason}: not comparable with published figures")
    assert [row["rank"] for row in rows if row["metric"] == "rbdc" and row is not ours] == [1, 2]


def test_track_files_matter_to_track_metrics_only_and_a_decoders_last_frames_to_none():
    masks = Protocol(12, 2010)
    assert not_comparable("ped2", "auc_micro", masks) is None
    assert "track files of 0 of 12" in str(not_comparable("ped2", "rbdc", masks))
    assert not_comparable("avenue", "auc_micro", Protocol(21, 15_300)) is None
    assert "11,706 of 15,324 test frames" in str(not_comparable("avenue", "auc_micro", Protocol(21, 11_706)))
    assert published_table("sample", {"fused": {"ap": 0.9}}, masks) == []
    assert "unknown" in str(not_comparable("sample", "ap", masks))
