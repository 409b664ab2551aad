"""Figures of others: each has a source, and stands under a data set and a metric that exist."""

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


def test_a_data_set_without_figures_has_none():
    assert published_figures("folder") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "ped2,a,ap,0.5,\n", "line 2: needs dataset, method, metric, value, source, each"),
        (HEAD + "ped2,a,ap,0.5\n", "line 2"),
        (HEAD + "ped2,a,ap,0.5,x,y\n", "line 2"),
        (HEAD + "ped2,a,ap,97.1,arXiv 1\n", r"line 2: value 97\.1 is not in 0\.\.1"),
        (HEAD + "ped2,a,ap,high,arXiv 1\n", "line 2: value 'high' is no number"),
        ("dataset,method\n", "the columns are"),
    ],
)
def test_a_figure_without_source_or_with_an_impossible_value_is_refused(text: str, message: str):
    with pytest.raises(DataError, match=message):
        read_figures(text)
