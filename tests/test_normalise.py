"""Normalisers: hand-worked values, order, and what they must not depend on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, zscore

from pixelplay.errors import DataError
from pixelplay.scores.normalise import FITTED_ON_NORMAL, FITTED_ON_SCORES, normalise
from pixelplay.scores.settings import NormaliseConfig

METHODS = sorted([*FITTED_ON_SCORES, *FITTED_ON_NORMAL])
Z_LIKE = ["calibrated", "calibrated_z", "robust_z"]
# Multiples of 1/8: differences are exact, so that strict order can't be lost to rounding before the division.
VALUES = st.lists(st.integers(-8000, 8000).map(lambda n: n / 8), min_size=1, max_size=40).map(np.array)
SCALES = st.floats(1e-3, 1e3)
SHIFTS = st.floats(-1e3, 1e3)


def config(method: str, low: float = 0.0, high: float = 100.0, clip: list[float] | None = None) -> NormaliseConfig:
    others = {"scope": "all", "quantile": 0.9, "min_p": 0.01}
    return NormaliseConfig(method=method, low=low, high=high, clip=clip, **others)


def test_a_method_is_fitted_on_one_kind_of_scores() -> None:
    assert not set(FITTED_ON_NORMAL) & set(FITTED_ON_SCORES)


def test_none_gives_the_scores_back_in_float64() -> None:
    result = normalise(np.array([0.5, 2.0], dtype=np.float32), None, config("none"))
    assert result.tolist() == [0.5, 2.0] and result.dtype == np.float64


def test_minmax_by_hand() -> None:
    assert normalise(np.array([2.0, 4.0, 10.0]), None, config("minmax")).tolist() == [0.0, 0.25, 1.0]


def test_minmax_of_another_reference_goes_on_in_a_straight_line_beyond_it() -> None:
    result = normalise(np.array([0.0, 4.0, 14.0]), None, config("minmax"), reference=np.array([2.0, 10.0]))
    assert result.tolist() == [-0.25, 0.25, 1.5]


def test_percentile_by_hand() -> None:
    # Of 0..10 the 20th percentile is 2 and the 70th is 7.
    result = normalise(np.arange(11.0), None, config("percentile", 20, 70))
    np.testing.assert_allclose(result, [0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1], atol=1e-15)


def test_percentile_keeps_rare_outliers_when_both_percentiles_coincide() -> None:
    scores = np.array([3.0] * 99 + [8.0])
    assert normalise(scores, None, config("percentile", 5, 95)).tolist() == [0.0] * 99 + [1.0]


def test_rank_by_hand_with_a_tie() -> None:
    # Of four, 5 and 5 share the places 2 and 3: (0 + 1/2) / 4, (1 + 2/2) / 4 twice, (3 + 1/2) / 4.
    assert normalise(np.array([5.0, 1.0, 9.0, 5.0]), None, config("rank")).tolist() == [0.5, 0.125, 0.875, 0.5]


def test_rank_among_another_reference_counts_its_scores_below() -> None:
    result = normalise(np.array([0.0, 2.0, 3.0, 99.0]), None, config("rank"), reference=np.array([1.0, 2.0, 5.0, 4.0]))
    assert result.tolist() == [0.0, 0.375, 0.5, 1.0]


def test_robust_z_by_hand() -> None:
    # Median 3, absolute deviations 2 1 0 1 97, so MAD 1 whatever the outlier is.
    result = normalise(np.array([1.0, 2, 3, 4, 100]), None, config("robust_z"))
    np.testing.assert_allclose(result * 1.4826, [-2, -1, 0, 1, 97], atol=1e-12)


def test_calibrated_by_hand() -> None:
    result = normalise(np.array([3.0, 3 + 1.4826, 3 - 2 * 1.4826]), np.array([1.0, 2, 3, 4, 100]), config("calibrated"))
    np.testing.assert_allclose(result, [0, 1, -2], atol=1e-15)


def test_calibrated_z_by_hand() -> None:
    # Mean 5, variance (9 + 1 + 1 + 9) / 4 = 5.
    result = normalise(np.array([5.0, 10.0]), np.array([2.0, 4, 6, 8]), config("calibrated_z"))
    np.testing.assert_allclose(result, [0, 5 / np.sqrt(5)], atol=1e-15)


@pytest.mark.parametrize(("method", "heldout"), [("calibrated", True), ("robust_z", False)])
def test_the_standard_deviation_is_the_scale_when_the_mad_is_zero(method: str, heldout: bool) -> None:
    reference = np.array([5.0, 5, 5, 9])  # mean 6, variance (1 + 1 + 1 + 9) / 4 = 3
    calibration, other = (reference, None) if heldout else (None, reference)
    result = normalise(np.array([5.0, 8.0]), calibration, config(method), other)
    np.testing.assert_allclose(result, [0, np.sqrt(3)])


def test_calibrated_minmax_by_hand() -> None:
    # Of 0..10 the 90th percentile is 9.
    result = normalise(np.array([-1.0, 0.0, 4.5, 9.0, 30.0]), np.arange(11.0), config("calibrated_minmax"))
    np.testing.assert_allclose(result, [0, 0, 0.5, 1, 1], atol=1e-15)
    constant = normalise(np.array([2.0, 3.0, 3.5]), np.full(4, 3.0), config("calibrated_minmax"))
    assert constant.tolist() == [0.0, 0.0, 1.0]


def test_calibrated_tail_by_hand() -> None:
    # Of nine references, p is (1 + those at or above) / 10; `min_p` is 0.01, which is the square of the least p.
    result = normalise(np.array([0.0, 1.0, 5.0, 9.0, 50.0]), np.arange(1.0, 10.0), config("calibrated_tail"))
    np.testing.assert_allclose(result, np.log10([1, 1, 0.6, 0.2, 0.1]) / -2, atol=1e-15)
    many = normalise(np.array([5000.0]), np.arange(1000.0), config("calibrated_tail"))
    assert many.tolist() == [1.0]  # p would be 0.001


@pytest.mark.parametrize("method", ["calibrated", "calibrated_z"])
def test_the_scale_is_one_when_the_calibration_is_constant(method: str) -> None:
    # np.std([0.1] * 3) is 1.4e-17 by rounding, which must not become the scale; their mean is not 0.1 either.
    result = normalise(np.array([0.1, 2.1]), np.array([0.1] * 3), config(method))
    assert result.tolist() == [0.0, 2.0]


def test_clip_bounds_the_normalised_scores() -> None:
    calibration = np.array([1.0, 2, 3, 4, 5])  # median 3, MAD 1
    scores = 3 + 1.4826 * np.array([-9.0, -1, 0.5, 4, 30])
    result = normalise(scores, calibration, config("calibrated", clip=[-1.0, 4.0]))
    np.testing.assert_allclose(result, [-1, -1, 0.5, 4, 4], atol=1e-12)
    assert (result.min(), result.max()) == (-1.0, 4.0)


@pytest.mark.parametrize("method", sorted(FITTED_ON_NORMAL))
@pytest.mark.parametrize("missing", [None, np.empty(0)])
def test_held_out_scores_that_are_missing_are_told_with_what_to_do(method: str, missing: np.ndarray | None) -> None:
    with pytest.raises(DataError, match=r"held-out normal footage.*run score\.py.*none, minmax, percentile, rank, rob"):
        normalise(np.array([1.0]), missing, config(method))


@pytest.mark.parametrize("method", sorted(FITTED_ON_SCORES))
def test_a_reference_without_scores_is_refused(method: str) -> None:
    with pytest.raises(DataError, match=f"normalise.method={method} has no scores to learn from"):
        normalise(np.array([1.0]), None, config(method), reference=np.empty(0))


@pytest.mark.parametrize("method", ["minmax", "percentile", *Z_LIKE])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e30])
@pytest.mark.parametrize("count", [1, 7])
def test_constant_scores_and_a_single_one_give_zeros(method: str, value: float, count: int) -> None:
    constant = np.full(count, value)
    assert normalise(constant, constant, config(method, 5, 95)).tolist() == [0.0] * count


def test_constant_scores_and_a_single_one_have_the_middle_rank() -> None:
    for count in (1, 7):
        assert normalise(np.full(count, 0.1), None, config("rank")).tolist() == [0.5] * count


@pytest.mark.parametrize("method", METHODS)
def test_no_scores_give_no_scores(method: str) -> None:
    assert normalise(np.empty(0), np.array([1.0, 2.0]), config(method)).shape == (0,)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(method: str, bad: float) -> None:
    good = np.array([0.0, 1.0])
    with pytest.raises(DataError, match="scores: 1 of 2 are not finite, the first at 1"):
        normalise(np.array([0.0, bad]), good, config(method))
    with pytest.raises(DataError, match="calibration scores: 1 of 2 are not finite"):
        normalise(good, np.array([0.0, bad]), config(method))
    with pytest.raises(DataError, match="reference scores: 1 of 2 are not finite"):
        normalise(good, good, config(method), np.array([0.0, bad]))


def test_an_overflow_is_an_error_and_no_wrong_number() -> None:
    with pytest.raises(DataError, match="overflows"):
        normalise(np.array([-1.7e308, 0.0, 1.7e308]), None, config("minmax"))


@given(VALUES, VALUES)
@settings(deadline=None)
def test_order_is_strictly_kept_where_nothing_is_clipped(scores: np.ndarray, calibration: np.ndarray) -> None:
    distinct = np.unique(scores)
    clipped = {"calibrated_minmax", "calibrated_tail"}
    for method in set(METHODS) - clipped:  # percentile from 0 to 100 clips nothing
        assert (np.diff(normalise(distinct, calibration, config(method))) > 0).all()


@given(VALUES, VALUES, VALUES, st.sampled_from(METHODS), st.sampled_from([None, [-1.0, 4.0]]))
@settings(deadline=None)
def test_no_method_turns_order_round_whatever_it_learns_from(
    scores: np.ndarray, calibration: np.ndarray, reference: np.ndarray, method: str, clip: list[float] | None
) -> None:
    result = normalise(np.sort(scores), calibration, config(method, 10, 90, clip), reference)
    assert (np.diff(result) >= 0).all()


@given(VALUES, VALUES, VALUES, st.sampled_from(METHODS))
@settings(deadline=None)
def test_each_score_is_mapped_on_its_own(
    scores: np.ndarray, calibration: np.ndarray, reference: np.ndarray, method: str
) -> None:
    together = normalise(scores, calibration, config(method, 10, 90), reference)
    alone = [normalise(scores[[at]], calibration, config(method, 10, 90), reference)[0] for at in range(len(scores))]
    assert together.tolist() == alone


@given(VALUES, st.integers(0, 49), st.integers(51, 100))
@settings(deadline=None)
def test_percentile_stays_in_0_1(scores: np.ndarray, low: int, high: int) -> None:
    result = normalise(scores, None, config("percentile", low, high))
    assert result.min() >= 0 and result.max() <= 1


@given(VALUES, SCALES, SHIFTS)
@settings(deadline=None)
def test_minmax_fills_0_1_and_ignores_positive_affine_maps(scores: np.ndarray, scale: float, shift: float) -> None:
    result = normalise(scores, None, config("minmax"))
    expected_top = 1.0 if np.ptp(scores) else 0.0
    assert (result.min(), result.max()) == (0.0, expected_top)
    np.testing.assert_allclose(normalise(scale * scores + shift, None, config("minmax")), result, atol=1e-6)


@given(VALUES)
@settings(deadline=None)
def test_rank_is_scipys_average_rank_and_ignores_every_increasing_map(scores: np.ndarray) -> None:
    result = normalise(scores, None, config("rank"))
    np.testing.assert_allclose(result, (rankdata(scores) - 0.5) / len(scores), atol=1e-15)
    assert normalise(scores**3 + 5, None, config("rank")).tolist() == result.tolist()


@given(VALUES.filter(lambda values: np.ptp(values) > 0))
@settings(deadline=None)
def test_calibrated_z_of_the_calibration_itself_is_scipys_z_score(scores: np.ndarray) -> None:
    np.testing.assert_allclose(normalise(scores, scores, config("calibrated_z")), zscore(scores), atol=1e-9)


@given(VALUES, VALUES.filter(lambda values: np.ptp(values) > 0), SCALES, SHIFTS, st.sampled_from(Z_LIKE))
@settings(deadline=None)
def test_z_scores_ignore_a_positive_affine_map_of_the_scores_and_what_they_learn_from(
    scores: np.ndarray, reference: np.ndarray, scale: float, shift: float, method: str
) -> None:
    # The standard deviation must stand in for a MAD of 0 in both or in neither; powers of two keep that 0 exact.
    if np.median(np.abs(reference - np.median(reference))) == 0:
        scale, shift = 4.0, 16.0
    result = normalise(scores, reference, config(method), reference)
    mapped = scale * reference + shift
    again = normalise(scale * scores + shift, mapped, config(method), mapped)
    np.testing.assert_allclose(again, result, rtol=1e-6, atol=1e-4)
