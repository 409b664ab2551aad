"""Mahalanobis' distance: what differs in what is usually the same counts most."""

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from pixelplay.cli import load_config
from pixelplay.errors import DataError
from pixelplay.memory import bank
from pixelplay.memory.bank import Bank, BankConfig, whitening

FLAT = BankConfig.model_validate(
    load_config(["detector=[videopatchcore]"]).detectors["videopatchcore"].training["bank"]
)


def vectors(count: int, size: int, seed: int) -> np.ndarray:
    """Correlated, of very different scales, far from the origin."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) * np.logspace(0, 2, size)
    return (mixed + 500).astype(np.float32)


@pytest.mark.parametrize("rows", [7, 65536])
def test_distances_are_those_of_scipy_with_the_shrunk_covariance(rows: int, monkeypatch):
    monkeypatch.setattr(bank, "ROWS", rows)
    x = vectors(400, 6, seed=0)
    covariance = np.cov(x.astype(np.float64).T, bias=True)
    shrunk = 0.9 * covariance + 0.1 * np.trace(covariance) / 6 * np.eye(6)
    matrix = whitening([x[:150], x[150:150], x[150:]], shrinkage=0.1)
    assert matrix.dtype == np.float32
    for a, b in ((x[0], x[1]), (x[7], x[300])):
        expected = mahalanobis(a.astype(np.float64), b.astype(np.float64), np.linalg.inv(shrunk))
        assert np.linalg.norm(matrix @ (a - b)) == pytest.approx(expected, rel=1e-4)


def test_a_bank_finds_the_nearest_by_it_and_keeps_it_on_disk(tmp_path):
    kept, queries = vectors(200, 5, seed=1), vectors(50, 5, seed=2)
    matrix = whitening([kept], shrinkage=0.01)
    Bank.build(kept, FLAT, {}, seed=0, whitening=matrix).save(tmp_path / "bank.faiss")
    found, ids = Bank.load(tmp_path / "bank.faiss", {}).nearest(queries)
    each = np.linalg.norm((queries[:, None] - kept[None]).astype(np.float64) @ matrix.T, axis=2)
    np.testing.assert_allclose(found, each.min(axis=1), rtol=1e-3)
    assert (ids == each.argmin(axis=1)).all()
    assert (ids != Bank.build(kept, FLAT, {}, seed=0).nearest(queries)[1]).any(), "Euclid's neighbours are others"


def test_what_is_in_the_bank_has_distance_0():
    kept = vectors(50, 4, seed=3)
    distances, ids = Bank.build(kept, FLAT, {}, seed=0, whitening=whitening([kept], 0.01)).nearest(kept)
    assert (distances == 0).all() and (ids == np.arange(50)).all()


def test_a_direction_that_never_varies_does_not_count_infinitely():
    x = np.random.default_rng(4).normal(size=(100, 3)).astype(np.float32)
    x[:, 2] = 1.0
    matrix = whitening([x], shrinkage=0.01)
    assert np.isfinite(matrix).all()
    here, there = (np.linalg.norm(matrix @ np.eye(3, dtype=np.float32)[axis]) for axis in (0, 2))
    assert 5 * here < there < 100 * here


def test_of_footage_in_which_nothing_varies_it_is_the_euclidean_one():
    assert (whitening([np.full((9, 3), 2.0, np.float32)], 0.01) == np.eye(3)).all()


def test_values_that_are_not_finite_are_refused():
    x = vectors(10, 3, seed=5)
    x[4, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        whitening([x], 0.01)
