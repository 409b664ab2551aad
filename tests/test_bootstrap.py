"""Bootstrap intervals: those of a direct computation, draw by draw; of whole videos; the same for a seed."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from pixelplay.errors import DataError
from pixelplay.metrics import frames
from pixelplay.metrics.frames import intervals, share_interval
from pixelplay.metrics.settings import BootstrapConfig


def config(n_bootstrap: int = 200, level: float = 0.9, seed: int = 3) -> BootstrapConfig:
    return BootstrapConfig(n_bootstrap=n_bootstrap, level=level, seed=seed)


def footage(videos: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with many ties, labels, and the video of each frame; the videos' frames are mixed."""
    rng = np.random.default_rng(seed)
    names = rng.integers(0, videos, 90)
    labels = (rng.random(90) < 0.4).astype(int)
    return rng.integers(0, 12, 90) + 3 * labels, labels, names


def drawn_directly(scores: np.ndarray, labels: np.ndarray, videos: np.ndarray, settings: BootstrapConfig):
    """Frames of the drawn videos set side by side, scikit-learn's figures of each draw, percentiles of those."""
    names = list(dict.fromkeys(videos.tolist()))
    draws = np.random.default_rng(settings.seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=settings.n_bootstrap
    )
    aucs, aps = [], []
    for times in draws:
        rows = np.concatenate([np.tile(np.flatnonzero(videos == n), k) for n, k in zip(names, times, strict=True)])
        if 0 < labels[rows].sum() < len(rows):
            aucs.append(roc_auc_score(labels[rows], scores[rows]))
            aps.append(average_precision_score(labels[rows], scores[rows]))
    tails = [50 * (1 - settings.level), 50 * (1 + settings.level)]
    return np.percentile(aucs, tails), np.percentile(aps, tails), len(aucs)


@pytest.mark.parametrize("seed", range(3))
def test_intervals_are_those_of_scikit_learn_on_each_draw_set_out_in_full(seed: int):
    scores, labels, videos = footage(seed=seed)
    auc, ap, draws = drawn_directly(scores, labels, videos, config())
    found = intervals(scores, labels, videos, config())
    assert found["auc_micro"] == pytest.approx(list(auc), abs=1e-12)
    assert found["ap"] == pytest.approx(list(ap), abs=1e-12)
    assert (found["draws"], found["level"]) == (draws, 0.9)


def test_draws_that_lack_a_class_do_not_count():
    scores, labels, videos = np.arange(4.0), np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "b"])
    found = intervals(scores, labels, videos, config())
    expected = drawn_directly(scores, labels, videos, config())[2]
    assert found["draws"] == expected
    assert 60 < found["draws"] < 140  # about half: a and b are both drawn
    assert found["auc_micro"] == [1.0, 1.0]


def test_blocks_of_draws_change_nothing(monkeypatch: pytest.MonkeyPatch):
    whole = intervals(*footage(), config())
    monkeypatch.setattr(frames, "BLOCK", 500)  # 5 draws at a time
    assert intervals(*footage(), config()) == whole


def test_the_seed_alone_decides():
    assert intervals(*footage(), config()) == intervals(*footage(), config())
    assert intervals(*footage(), config()) != intervals(*footage(), config(seed=4))


def test_there_is_no_interval_where_there_is_nothing_to_draw():
    scores, labels = np.arange(4), np.array([0, 1, 0, 1])
    assert intervals(scores, labels, np.array(["a"] * 4), config()) is None
    separate = np.array([0, 0, 1, 1])  # both draws of seed 3 take one video twice
    draws = np.random.default_rng(3).multinomial(2, [0.5, 0.5], size=2)
    assert (draws.max(axis=1) == 2).all()
    assert intervals(scores, separate, separate, config(n_bootstrap=2, seed=3)) is None


def test_bad_scores_are_refused():
    with pytest.raises(DataError, match="not finite"):
        intervals(np.array([0.0, np.nan]), np.array([0, 1]), np.array(["a", "b"]), config())


def test_intervals_are_ready_for_json():
    values = intervals(*footage(), config())
    assert set(values) == {"auc_micro", "ap", "level", "draws"}
    assert isinstance(values["ap"], list)


def test_labels_of_one_class_have_no_interval():
    scores, labels, videos = footage()
    assert intervals(scores, np.zeros_like(labels), videos, config()) is None
    assert intervals(scores, np.ones_like(labels), videos, config()) is None


def test_the_interval_of_a_share_is_that_of_videos_drawn_one_by_one():
    counts = np.array([[5, 10], [0, 20], [3, 30], [0, 0]])  # the last has no frames to count
    settings = config(n_bootstrap=4000)
    rng = np.random.default_rng(1)
    drawn = [counts[:3][rng.integers(0, 3, 3)].sum(axis=0) for _ in range(4000)]
    expected = np.percentile([counted / frames for counted, frames in drawn], [5, 95])
    assert share_interval(counts, settings) == pytest.approx(tuple(expected), abs=0.03)
    assert share_interval(counts[:1], settings) is None


def test_a_share_of_nothing_in_all_videos_is_not_nothing_for_certain():
    none = share_interval(np.array([[0, 50]] * 4), config(level=0.95))
    assert none == (0.0, pytest.approx(1 - 0.05**0.25))  # one video in two could have some
    assert share_interval(np.array([[50, 50]] * 4), config(level=0.95)) == (pytest.approx(0.05**0.25), 1.0)
