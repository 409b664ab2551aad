"""Heights of persons by the row on which they stand: lines through made persons, and when there is none."""

from pathlib import Path

import numpy as np
import pytest

from pixelplay.detectors.object_streams.heights import UsualHeight
from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.objects.tracks import Tracks


def standing(foot: np.ndarray, height: np.ndarray, label: str = "person", interpolated: bool = False) -> Tracks:
    """Boxes that end at `foot`, each of a track of its own."""
    count = len(foot)
    xyxy = np.stack([0 * foot, foot - height, 0 * foot + 10, foot], axis=1).astype(np.float32)
    ids, ones = np.arange(1, count + 1), np.ones(count, np.float32)
    marked = np.full(count, interpolated)
    return Tracks(0 * ids, xyxy, np.array([label] * count, np.str_), ones, ids, marked, ids - 1)


FEET = np.linspace(60, 230, 120)
ASKED = standing(np.array([70.0, 100, 200]), np.array([5.0, 90, 7]))


def test_persons_who_are_half_as_high_as_their_row_give_that_line_whatever_box_asks():
    """A tenth of the boxes is far too high: groups, which a least-squares line would follow."""
    height = 0.5 * FEET - 10 + np.random.default_rng(0).normal(0, 0.5, len(FEET))
    height[::10] = 4 * FEET[::10] / 5
    usual = UsualHeight.of([standing(FEET[:50], height[:50]), standing(FEET[50:], height[50:])], estimate=True)
    np.testing.assert_allclose(usual.at(ASKED), [25, 40, 90], atol=1)


@pytest.mark.parametrize(("slope", "least"), [(0.5, 10), (1.0, -30), (0.25, 4)])
def test_heights_without_any_scatter_are_found_too(slope: float, least: float):
    usual = UsualHeight.of([standing(FEET, slope * FEET + least)], estimate=True)
    np.testing.assert_allclose(usual.at(ASKED), slope * np.array([70, 100, 200]) + least, rtol=1e-3)


@pytest.mark.parametrize(
    ("foot", "height"),
    [
        (FEET[:99], FEET[:99] / 2),  # too few
        (FEET, 200 - FEET / 2),  # lower the nearer
        (np.full(200, 77.0), np.linspace(20, 40, 200)),  # all in one row
    ],
)
def test_where_no_line_can_be_known_each_box_has_its_own_height(foot: np.ndarray, height: np.ndarray):
    usual = UsualHeight.of([standing(foot, height)], estimate=True)
    assert usual.slope is None
    np.testing.assert_allclose(usual.at(ASKED), [5, 90, 7])


def test_what_flies_above_the_horizon_has_half_the_height_of_the_lowest_persons():
    usual = UsualHeight.of([standing(FEET, FEET - 59.5)], estimate=True)
    lowest = np.quantile(FEET - 59.5, 0.05) / 2
    np.testing.assert_allclose(usual.at(standing(np.array([30.0, 100]), np.array([5.0, 5]))), [lowest, 40.5], rtol=1e-3)


def test_without_footage_or_estimate_each_box_has_its_own_height_and_a_pixel_at_least():
    flat = standing(np.array([50.0]), np.array([0.25]))
    assert UsualHeight.of([], estimate=True).at(flat).tolist() == [1]
    assert UsualHeight.of([standing(FEET, FEET / 2)], estimate=False).at(flat).tolist() == [1]


def test_persons_decide_where_there_are_any_and_moving_blobs_where_there_are_none():
    persons, cars = standing(FEET, FEET / 2), standing(FEET, FEET / 4, "car")
    assert UsualHeight.of([persons, cars], estimate=True).at(ASKED)[1] == pytest.approx(50, rel=1e-3)
    blobs = standing(FEET, FEET / 5, "motion")
    assert UsualHeight.of([blobs], estimate=True).at(ASKED)[1] == pytest.approx(20, rel=1e-3)


def test_interpolated_boxes_teach_nothing():
    made_up = standing(FEET, FEET / 2, interpolated=True)
    assert UsualHeight.of([made_up], estimate=True).slope is None
    both = UsualHeight.of([made_up, standing(FEET, FEET / 4)], estimate=True)
    assert both.at(ASKED)[1] == pytest.approx(25, rel=1e-3)


@pytest.mark.parametrize("height", [FEET / 2, 200 - FEET / 2])
def test_what_is_loaded_has_the_same_heights(tmp_path: Path, height: np.ndarray):
    usual = UsualHeight.of([standing(FEET, height)], estimate=True)
    usual.save(tmp_path)
    assert UsualHeight.load(tmp_path) == usual
    (tmp_path / "heights.json").write_text('{"slope": "steep"}')
    with pytest.raises(DamagedArtifactError, match=r"heights\.json is damaged.*src/train\.py"):
        UsualHeight.load(tmp_path)
    (tmp_path / "heights.json").unlink()
    with pytest.raises(MissingArtifactError, match=r"heights\.json is missing.*src/train\.py"):
        UsualHeight.load(tmp_path)
