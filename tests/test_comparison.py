"""Runs side by side: differences on the same frames, their intervals over the same draws of videos, what differs."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.pipeline import run_here
from tests.reports import OPTIONS

from pixelplay.ablation.measure import Truth
from pixelplay.cli import load_config
from pixelplay.errors import ConfigError
from pixelplay.evaluation.comparison import compare, differences
from pixelplay.evaluation.figures import LabelledScores
from pixelplay.metrics.settings import BootstrapConfig
from pixelplay.videos.index import load_index

BOOTSTRAP = BootstrapConfig(n_bootstrap=300, level=0.9, seed=4)


def scores_of(rng: np.random.Generator, videos: int = 5, frames: int = 12, skill: float = 1.0) -> LabelledScores:
    labels = np.tile(np.repeat([0, 1], frames // 2), videos)
    ids = np.repeat([f"v{i}" for i in range(videos)], frames)
    scores = rng.normal(size=len(labels)) + skill * labels
    return LabelledScores(scores, Truth(ids, np.tile(np.arange(frames), videos), labels, np.full(len(ids), "")))


def test_a_difference_is_scikit_learn_s_and_its_interval_is_over_the_same_draws_of_videos():
    rng = np.random.default_rng(0)
    own, other = scores_of(rng, skill=0.3), scores_of(rng, skill=1.5)
    ap, auc = differences(own, other, BOOTSTRAP)
    assert ap is not None and auc is not None
    for found, metric in ((ap, average_precision_score), (auc, roc_auc_score)):
        assert found.value == pytest.approx(
            metric(own.truth.labels, other.scores) - metric(own.truth.labels, own.scores)
        )
    draws = np.random.default_rng(BOOTSTRAP.seed).multinomial(5, np.full(5, 1 / 5), size=BOOTSTRAP.n_bootstrap)
    rows = [
        np.concatenate([np.flatnonzero(own.truth.videos == f"v{i}") for i in np.repeat(np.arange(5), w)]) for w in draws
    ]
    by_hand = [
        roc_auc_score(own.truth.labels[at], other.scores[at]) - roc_auc_score(own.truth.labels[at], own.scores[at])
        for at in rows
    ]
    assert (auc.low, auc.high) == pytest.approx(tuple(np.percentile(by_hand, [5, 95])))


def test_the_same_scores_differ_by_nothing_and_a_single_video_has_no_interval():
    own = scores_of(np.random.default_rng(1))
    for found in differences(own, own, BOOTSTRAP):
        assert found is not None and (found.value, found.low, found.high) == (0, 0, 0)
    single = scores_of(np.random.default_rng(1), videos=1)
    assert differences(single, single, BOOTSTRAP) == [None, None]


@pytest.fixture
def variant(reported: Path) -> Path:
    done = run_here("fuse.py", *OPTIONS, "name=w2", "fusion.default.smooth.sigma=9.0", cwd=reported)
    assert done.returncode == 0, done.stderr
    return reported


def test_a_variant_beside_its_run_has_what_differs_and_its_own_figures(variant: Path):
    config = load_config([*OPTIONS, "report.compare=[tiny:w2]"])
    found = compare(config, load_index(config))
    assert found is not None
    own, other = found.rows
    assert (own.name, other.name) == ("tiny", "tiny:w2")
    assert other.options == ["fusion.default.smooth.sigma=9.0"] and not own.differences
    assert own.figures.ap_pseudo is not None and other.figures.ap_pseudo is not None
    assert other.differences["ap_pseudo"].value == pytest.approx(other.figures.ap_pseudo - own.figures.ap_pseudo)
    ap = other.differences["ap"]
    assert ap.low <= ap.value <= ap.high and other.figures.ap is None  # it has not been evaluated
    assert other.remark == ""


def test_the_page_shows_them_and_follows_a_change_of_theirs(variant: Path):
    options = [*OPTIONS, "report.compare=[:w2]"]
    done = run_here("report.py", *options, cwd=variant)
    assert done.returncode == 0, done.stderr
    page = (variant / "outputs/tiny/report/index.html").read_text()
    assert "tiny:w2" in page and 'id="comparison"' in page
    assert run_here("report.py", *options, cwd=variant).stdout.startswith("report: up to date")
    assert run_here("evaluate.py", *OPTIONS, "name=w2", cwd=variant).returncode == 1  # its events come first
    for stage in ("events.py", "evaluate.py"):
        assert run_here(stage, *OPTIONS, "name=w2", cwd=variant).returncode == 0
    assert not run_here("report.py", *options, cwd=variant).stdout.startswith("report: up to date")


def test_a_run_that_is_not_there_is_refused(reported: Path):
    config = load_config([*OPTIONS, "report.compare=[tinny]"])
    with pytest.raises(ConfigError, match=r"'tinny': no such run in outputs/; did you mean 'tiny'\?"):
        compare(config, load_index(config))
