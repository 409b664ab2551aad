"""Figures of others: each has a source, and stands under a data set and a metric that exist."""

import re
from importlib.resources import files

import pytest

from pixelplay.commands import CONFIG_DIR
from pixelplay.errors import DataError
from pixelplay.metrics.frames import FrameMetrics
from pixelplay.metrics.published import published_figures, read_figures

HEAD = "dataset,method,metric,value,source\n"


def test_the_source_documents_best_score_is_there_with_its_source():
    (figure,) = [f for f in published_figures("pixelplay26") if f.value == 0.66881]
    assert (figure.method, figure.metric) == ("spatio-temporal autoencoder", "ap")
    assert "source document" in figure.source


def test_every_figure_is_of_a_data_set_and_a_metric_that_there_are():
    datasets = {path.stem for path in (CONFIG_DIR / "dataset").glob("*.yaml")}
    figures = [figure for name in datasets for figure in published_figures(name)]
    lines = files("pixelplay.metrics").joinpath("published.csv").read_text(encoding="utf-8").splitlines()
    assert len(figures) == len(lines) - 1
    assert {f.metric for f in figures} <= {*FrameMetrics.__dataclass_fields__, "rbdc", "tbdc"}


@pytest.mark.parametrize(
    ("dataset", "method", "expected"),
    [  # from the table in the README of github.com/lilygeorgescu/AED-SSMTL
        ("ped2", "AED-SSMTL", {"auc_micro": 0.975, "auc_macro": 0.998, "rbdc": 0.728, "tbdc": 0.912}),
        ("avenue", "AED-SSMTL", {"auc_micro": 0.915, "auc_macro": 0.919, "rbdc": 0.570, "tbdc": 0.583}),
        ("shanghaitech", "AED-SSMTL", {"auc_micro": 0.824, "auc_macro": 0.893, "rbdc": 0.428, "tbdc": 0.839}),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "ped2,a,ap,0.5,\n", "line 2: needs dataset, method, metric, value, source, each"),
        (HEAD + "ped2,a,ap,0.5\n", "line 2"),
        (HEAD + "ped2,a,ap,0.5,x,y\n", "line 2"),
        (HEAD + "ped2,a,ap,97.1,arXiv 1\n", r"line 2: value 97\.1 is not above 0 and at most 1"),
        (HEAD + "ped2,a,ap,0,arXiv 1\n", r"line 2: value 0\.0 is not above 0"),
        (HEAD + "ped2,a,ap,nan,arXiv 1\n", "line 2: value nan is not above 0"),
        (HEAD + "ped2,a,ap,high,arXiv 1\n", "line 2: value 'high' is no number"),
        ("dataset,method\n", "the columns are"),
    ],
)
def test_a_figure_without_source_or_with_an_impossible_value_is_refused(text: str, message: str):
    with pytest.raises(DataError, match=message):
        read_figures(text)
