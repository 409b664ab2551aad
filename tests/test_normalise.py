"""Normalisers: hand-worked values, order, and what they must not depend on."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelplay.config import NormaliseConfig
from pixelplay.errors import DataError
from pixelplay.scores.normalise import NORMALISERS, normalise

# Multiples of 1/8: differences are exact, so that strict order can't be lost to rounding before the division.
VALUES = st.lists(st.integers(-8000, 8000).map(lambda n: n / 8), min_size=1, max_size=40).map(np.array)
SCALES = st.floats(1e-3, 1e3)
SHIFTS = st.floats(-1e3, 1e3)


def config(method: str, low: float = 0.0, high: float = 100.0) -> NormaliseConfig:
    return NormaliseConfig(method=method, low=low, high=high)


def test_every_method_of_the_config_has_its_function() -> None:
    assert set(NORMALISERS) == set(get_args(NormaliseConfig.model_fields["method"].annotation))


def test_none_gives_the_scores_back_in_float64() -> None:
    result = normalise(np.array([0.5, 2.0], dtype=np.float32), None, config("none"))
    assert result.tolist() == [0.5, 2.0] and result.dtype == np.float64


def test_minmax_by_hand() -> None:
    assert normalise(np.array([2.0, 4.0, 10.0]), None, config("minmax")).tolist() == [0.0, 0.25, 1.0]


def test_percentile_by_hand() -> None:
    # Of 0..10 the 20th percentile is 2 and the 70th is 7.
    result = normalise(np.arange(11.0), None, config("percentile", 20, 70))
    np.testing.assert_allclose(result, [0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1], atol=1e-15)


def test_percentile_keeps_rare_outliers_when_both_percentiles_coincide() -> None:
    scores = np.array([3.0] * 99 + [8.0])
    assert normalise(scores, None, config("percentile", 5, 95)).tolist() == [0.0] * 99 + [1.0]


def test_calibrated_by_hand() -> None:
    # Median 3, absolute deviations 2 1 0 1 97, so MAD 1 whatever the outlier is.
    result = normalise(np.array([3.0, 3 + 1.4826, 3 - 2 * 1.4826]), np.array([1.0, 2, 3, 4, 100]), config("calibrated"))
    np.testing.assert_allclose(result, [0, 1, -2], atol=1e-15)


def test_calibrated_falls_back_to_the_standard_deviation_when_the_mad_is_zero() -> None:
    calibration = np.array([5.0, 5, 5, 9])  # mean 6, variance (1 + 1 + 1 + 9) / 4 = 3
    np.testing.assert_allclose(normalise(np.array([5.0, 8.0]), calibration, config("calibrated")), [0, np.sqrt(3)])


def test_calibrated_falls_back_to_one_when_the_calibration_is_constant() -> None:
    # np.std([0.1] * 3) is 1.4e-17 by rounding, which must not become the scale.
    result = normalise(np.array([0.1, 2.1]), np.array([0.1] * 3), config("calibrated"))
    np.testing.assert_allclose(result, [0.0, 2.0], atol=1e-15)


@pytest.mark.parametrize("missing", [None, np.empty(0)])
def test_calibrated_without_calibration_says_what_to_do(missing: np.ndarray | None) -> None:
    with pytest.raises(DataError, match=r"held-out normal footage.*run score\.py"):
        normalise(np.array([1.0]), missing, config("calibrated"))


@pytest.mark.parametrize("method", ["minmax", "percentile", "calibrated"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e30])
def test_constant_scores_give_zeros(method: str, value: float) -> None:
    constant = np.full(7, value)
    assert normalise(constant, constant, config(method, 5, 95)).tolist() == [0.0] * 7


@pytest.mark.parametrize("method", sorted(NORMALISERS))
def test_no_scores_give_no_scores(method: str) -> None:
    assert normalise(np.empty(0), np.array([1.0, 2.0]), config(method)).shape == (0,)


@pytest.mark.parametrize("method", sorted(NORMALISERS))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(method: str, bad: float) -> None:
    with pytest.raises(DataError, match="1 of 2 are not finite, the first at 1"):
        normalise(np.array([0.0, bad]), np.array([0.0, 1.0]), config(method))
    with pytest.raises(DataError, match="calibration scores: 1 of 2 are not finite"):
        normalise(np.array([0.0, 1.0]), np.array([0.0, bad]), config(method))


def test_an_overflow_is_an_error_and_no_wrong_number() -> None:
    with pytest.raises(DataError, match="overflows"):
        normalise(np.array([-1.7e308, 0.0, 1.7e308]), None, config("minmax"))


@given(VALUES, VALUES)
@settings(deadline=None)
def test_order_is_strictly_kept_where_nothing_is_clipped(scores: np.ndarray, calibration: np.ndarray) -> None:
    distinct = np.unique(scores)
    for method in ("none", "minmax", "percentile", "calibrated"):  # percentile from 0 to 100 clips nothing
        assert (np.diff(normalise(distinct, calibration, config(method))) > 0).all()


@given(VALUES, st.integers(0, 49), st.integers(51, 100))
@settings(deadline=None)
def test_percentile_never_turns_order_round_and_stays_in_0_1(scores: np.ndarray, low: int, high: int) -> None:
    result = normalise(np.sort(scores), None, config("percentile", low, high))
    assert (np.diff(result) >= 0).all() and result.min() >= 0 and result.max() <= 1


@given(VALUES, SCALES, SHIFTS)
@settings(deadline=None)
def test_minmax_fills_0_1_and_ignores_positive_affine_maps(scores: np.ndarray, scale: float, shift: float) -> None:
    result = normalise(scores, None, config("minmax"))
    expected_top = 1.0 if np.ptp(scores) else 0.0
    assert (result.min(), result.max()) == (0.0, expected_top)
    np.testing.assert_allclose(normalise(scale * scores + shift, None, config("minmax")), result, atol=1e-6)


@given(VALUES, VALUES.filter(lambda values: np.ptp(values) > 0), SCALES, SHIFTS)
@settings(deadline=None)
def test_calibrated_ignores_a_positive_affine_map_of_scores_and_calibration(
    scores: np.ndarray, calibration: np.ndarray, scale: float, shift: float
) -> None:
    # The standard deviation must stand in for a MAD of 0 in both or in neither; powers of two keep that 0 exact.
    if np.median(np.abs(calibration - np.median(calibration))) == 0:
        scale, shift = 4.0, 16.0
    result = normalise(scores, calibration, config("calibrated"))
    mapped = normalise(scale * scores + shift, scale * calibration + shift, config("calibrated"))
    np.testing.assert_allclose(mapped, result, rtol=1e-6, atol=1e-4)
