"""Models of usual vectors: mean distances to neighbours by hand, mixtures as scikit-learn has them, round trips."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.mixture import GaussianMixture

from pixelplay.cli import load_config
from pixelplay.detectors.object_streams.models import DensityConfig, fit_density, load_density
from pixelplay.errors import DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.settings import validate

WHAT = {"stream": "direction"}


def config(**changes: Any) -> DensityConfig:
    shipped = load_config(["detector=[object_motion]"]).detectors["object_motion"].training["density"]
    return validate(DensityConfig, shipped | changes)


def vectors(*rows: Any) -> np.ndarray:
    return np.array(rows, np.float32)


def normal(count: int, d: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, d)).astype(np.float32)


# --- nearest neighbours -----------------------------------------------------------------------------------------------


def test_a_score_is_the_mean_distance_to_the_nearest_by_hand():
    model = fit_density(vectors([0, 0], [3, 4], [0, 10]), config(neighbours=2), WHAT, seed=0)
    found = model.score(vectors([0, 0], [3, 0], [0, 20]))
    np.testing.assert_allclose(found, [(0 + 5) / 2, (3 + 4) / 2, (10 + np.hypot(3, 16)) / 2], rtol=1e-6)
    assert found.dtype == np.float64


def test_of_one_neighbour_it_is_the_distance_as_scipy_has_it():
    kept, asked = normal(300), normal(50, seed=1)
    found = fit_density(kept, config(neighbours=5), WHAT, seed=0).score(asked)
    np.testing.assert_allclose(found, np.sort(cdist(asked, kept), axis=1)[:, :5].mean(axis=1), rtol=1e-4)
    one = fit_density(kept, config(neighbours=1), WHAT, seed=0).score(asked)
    np.testing.assert_allclose(one, cdist(asked, kept).min(axis=1), rtol=1e-4)


def test_with_fewer_vectors_than_neighbours_the_mean_is_over_all():
    model = fit_density(vectors([0], [2]), config(neighbours=5), WHAT, seed=0)
    assert model.score(vectors([0], [4])).tolist() == [1, 3]


def test_no_more_vectors_are_kept_than_the_coreset_says_and_those_are_spread():
    """Ten times the same two places, and one far away: a coreset of three has one of each."""
    chosen = config(neighbours=1, coreset={"count": 3, "ratio": None, "per_group": None})
    model = fit_density(vectors(*[[0, 0]] * 10, *[[0, 5]] * 10, [90, 0]), chosen, WHAT, seed=0)
    assert model.score(vectors([0, 0], [0, 5], [90, 0], [90, 2])).tolist() == [0, 0, 0, 2]


# --- mixtures ---------------------------------------------------------------------------------------------------------


def test_a_mixture_is_scikit_learn_s():
    kept, asked = normal(200), normal(20, seed=1)
    found = fit_density(kept, config(method="gmm", components=3), WHAT, seed=4).score(asked)
    expected = GaussianMixture(3, random_state=4).fit(kept.astype(np.float64)).score_samples(asked.astype(np.float64))
    np.testing.assert_allclose(found, -expected, rtol=1e-9)


def test_a_mixture_has_no_more_components_than_vectors_and_needs_two():
    few = fit_density(vectors([0.0], [1.0]), config(method="gmm", components=8), WHAT, seed=0)
    assert few.score(vectors([0.0]))[0] < few.score(vectors([0.5]))[0]
    with pytest.raises(DataError, match="1 normal objects are too few for a mixture of Gaussians"):
        fit_density(vectors([0.0]), config(method="gmm"), WHAT, seed=0)


# --- both -------------------------------------------------------------------------------------------------------------

METHODS = ("knn", "gmm")


@pytest.mark.parametrize("method", METHODS)
def test_vectors_with_nan_teach_nothing_and_have_no_score(method: str):
    kept = normal(100)
    holes = np.insert(kept, [0, 50, 100], np.array([np.nan, 1, np.inf]), axis=0)
    chosen, asked = config(method=method, components=2), normal(9, seed=1)
    expected = fit_density(kept, chosen, WHAT, seed=0).score(asked)
    asked[[2, 5], [0, 1]] = np.nan
    found = fit_density(holes, chosen, WHAT, seed=0).score(asked)
    assert np.flatnonzero(np.isnan(found)).tolist() == [2, 5]
    np.testing.assert_array_equal(np.delete(found, [2, 5]), np.delete(expected, [2, 5]))
    assert np.isnan(fit_density(kept, chosen, WHAT, seed=0).score(asked[[2, 5]])).all()
    assert fit_density(kept, chosen, WHAT, seed=0).score(asked[:0]).shape == (0,)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_loaded_has_the_same_scores_and_bytes(tmp_path: Path, method: str):
    chosen, asked = config(method=method, components=3), normal(20, seed=1)
    model = fit_density(normal(200), chosen, WHAT, seed=0)
    model.save(tmp_path, "direction")
    again = load_density(tmp_path, "direction", chosen, WHAT)
    np.testing.assert_array_equal(again.score(asked), model.score(asked))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again.save(tmp_path, "direction")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    fit_density(normal(200), chosen, WHAT, seed=0).save(tmp_path, "direction")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("method", "name"), [("knn", "direction.faiss"), ("gmm", "direction.safetensors")])
def test_damaged_and_missing_files_are_named_with_the_command_that_makes_them(tmp_path: Path, method: str, name: str):
    chosen, path = config(method=method, components=2), tmp_path / name
    fit_density(normal(100), chosen, WHAT, seed=0).save(tmp_path, "direction")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedArtifactError, match=rf"{name} is damaged.*src/train\.py"):
        load_density(tmp_path, "direction", chosen, WHAT)
    path.unlink()
    with pytest.raises(MissingArtifactError, match=rf"{name} is missing.*src/train\.py"):
        load_density(tmp_path, "direction", chosen, WHAT)


# --- accepted objects -------------------------------------------------------------------------------------------------


def test_scores_beside_accepted_objects_are_mean_distances_to_the_nearest_of_all():
    kept, asked, accepted = normal(300), normal(50, seed=1), [normal(20, seed=2), normal(7, seed=3)]
    model = fit_density(kept, config(neighbours=5), WHAT, seed=0)
    assert model.accept([*accepted, vectors([np.nan, 0, 0])])
    expected = np.sort(cdist(asked, np.concatenate([kept, *accepted])), axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(model.score(asked), expected, rtol=1e-4)
    assert not model.accept([vectors([np.nan, 0, 0])])
    np.testing.assert_array_equal(
        model.score(asked), fit_density(kept, config(neighbours=5), WHAT, seed=0).score(asked)
    )


def test_an_accepted_object_of_two_vectors_has_each_three_times_among_five_neighbours():
    """At 10: three at distance 0 and two at 1. At 0: the five of the memory, since all others are farther."""
    model = fit_density(vectors([0], [0.1], [0.2], [0.3], [0.4]), config(neighbours=5), WHAT, seed=0)
    model.accept([vectors([10], [11])])
    np.testing.assert_allclose(model.score(vectors([10], [0])), [2 / 5, 0.2], rtol=1e-5)
