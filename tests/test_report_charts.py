"""Geometry of the report's charts, and the data of its timelines."""

import base64
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.evaluation.clock import Clock
from pixelplay.report.charts import Axis, line_style, path, runs, thin, widened
from pixelplay.report.distributions import BINS, histogram, precision_recall_chart, roc_chart
from pixelplay.report.outcome import ScoredVideo
from pixelplay.report.timelines import Scale, consecutive, times, video_data

finite = st.floats(-1e6, 1e6)


def corners(drawn: str) -> list[tuple[float, float]]:
    return [tuple(map(float, corner.split())) for corner in re.split("[ML]", drawn)[1:]]


def scored(
    numbers: list[int],
    fused: list[float],
    labels: list[int] | None = None,
    flipped: tuple[int, ...] = (),
    noisy: tuple[int, ...] = (),
    **streams: list[float],
) -> ScoredVideo:
    """A video whose frames at the positions `flipped` and `noisy` are marked so."""
    at = np.arange(len(numbers))
    return ScoredVideo(
        video="a",
        anchor="video-1",
        numbers=np.array(numbers),
        fused=np.array(fused, np.float64),
        streams={name: np.array(scores, np.float64) for name, scores in streams.items()},
        labels=None if labels is None else np.array(labels, np.uint8),
        flipped=np.isin(at, flipped),
        noisy=np.isin(at, noisy),
    )


# --- axes and lines -------------------------------------------------------------------------------------------------


def test_an_axis_maps_its_ends_to_its_pixels_and_what_is_between_proportionally():
    axis = Axis(10, 30, 100, 0)  # vertical: starts at the bottom
    assert axis(np.array([10, 15, 30])).tolist() == [100, 75, 0]


@pytest.mark.parametrize(
    ("ends", "count", "texts"),
    [
        ((0, 1), 5, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ((-0.3, 2.1), 3, ["0", "1", "2"]),
        ((0, 4000), 4, ["0", "1,000", "2,000", "3,000", "4,000"]),
        ((0.01, 0.05), 3, ["0.02", "0.04"]),
    ],
)
def test_ticks_are_round_values_inside_the_axis_with_as_many_digits_as_they_need(ends, count, texts):
    axis = Axis(*ends, 0, 100)
    ticks = axis.ticks(count)
    assert [tick.text for tick in ticks] == texts
    assert [tick.at for tick in ticks] == pytest.approx([float(axis(float(t.replace(",", "")))) for t in texts])


@given(st.lists(finite, min_size=1, max_size=200), st.integers(4, 40))
def test_a_thinned_line_is_short_and_keeps_its_ends_and_its_extremes(values: list[float], points: int):
    x, y = np.arange(len(values)), np.array(values)
    at, kept = thin(x, y, points)
    assert len(at) <= max(points, min(len(values), 4))
    assert (np.diff(at) > 0).all()
    assert (at[0], at[-1]) == (0, len(values) - 1)
    assert (kept.min(), kept.max()) == (y.min(), y.max())
    assert (kept == y[at]).all()


def test_a_path_has_a_tenth_of_a_pixel():
    assert path(np.array([0, 1.04, 2.06]), np.array([5, 6, 7.51])) == "M0 5L1 6L2.1 7.5"


def test_colours_repeat_dashed_and_dotted():
    numbers = (0, 5, 6, 7, 12)
    assert [line_style(i) for i in numbers] == ["s0", "s5", "s0 dashed", "s1 dashed", "s0 dotted"]


def test_an_axis_of_equal_values_can_be_drawn():
    assert widened(2, 2) == (1.5, 2.5)
    assert widened(2, 3) == (2, 3)


# --- stretches of frames --------------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=40))
def test_runs_are_where_the_mask_holds_and_as_long_as_can_be(mask: list[bool]):
    found = runs(np.array(mask, bool))
    assert [i for a, b in found for i in range(a, b)] == [i for i, one in enumerate(mask) if one]
    assert all(b < a for (_, b), (a, _) in pairwise(found))


# --- timelines ------------------------------------------------------------------------------------------------------


def test_the_scale_holds_all_of_the_fusion_of_all_videos():
    first, second = scored([1, 2], [0.0, 2.0], a=[0, 1]), scored([1, 2], [-1.0, 1.0], a=[3, 0])
    scale = Scale.of([first, second])
    assert scale.shared
    low, high = scale.fused
    assert low == -1 and 3 <= high < 3.3
    assert scale.streams == {"a": scale.fused}


def test_a_rare_outlier_of_a_detector_does_not_flatten_the_others():
    count = 1000
    noise = np.random.default_rng(0).random(count)
    one = scored(list(range(count)), noise.tolist(), a=[*noise[:-1].tolist(), 5.0])
    scale = Scale.of([one])
    assert scale.shared
    assert scale.fused[1] < 1.1


def test_detectors_of_very_different_width_get_a_scale_each_and_the_axis_is_the_fusion_s():
    one = scored([1, 2, 3], [0, 50, 100], narrow=[0, 1, 2], wide=[0, 100, 1000])
    scale = Scale.of([one])
    assert not scale.shared
    assert scale.fused == (0, 104)
    assert scale.streams == {"narrow": (0, 2.08), "wide": (0, 1040)}
    axes = {line["name"]: line["axis"] for line in drawn(one)["lines"]}
    assert axes == {**scale.streams, "fused": scale.fused}


def drawn(one: ScoredVideo, seconds: np.ndarray | None = None) -> dict:
    """The data of a video's timeline, its lines in the colours s0, s1, …"""
    styles = {name: f"s{i}" for i, name in enumerate(one.streams)} | {"fused": "fused"}
    clock = Clock(one.numbers / 25.0 if seconds is None else seconds, seconds is not None)
    return video_data(one, clock, Scale.of([one]), styles, [])


def decoded(values: dict) -> np.ndarray:
    if "f64" in values:
        return np.frombuffer(base64.b64decode(values["f64"]), "<f8")
    share = np.frombuffer(base64.b64decode(values["u16"]), "<u2") / 65535
    return values["low"] + share * (values["high"] - values["low"])


@given(st.lists(finite, min_size=1, max_size=60))
def test_the_fused_score_is_exact_and_other_lines_are_finer_than_a_pixel(values: list[float]):
    data = drawn(scored(list(range(len(values))), values, a=values))
    line, fused = (decoded(one["values"]) for one in data["lines"])
    assert fused.tolist() == values
    spread = max(values) - min(values)
    assert np.abs(line - values).max() <= spread / 65535


def test_frame_numbers_are_runs_and_even_times_a_start_and_a_step():
    assert consecutive(np.array([5, 6, 8, 9, 12])) == [(5, 2), (8, 2), (12, 1)]
    assert times(np.array([0.5, 0.75, 1.0])) == {"start": 0.5, "step": 0.25}
    assert decoded(times(np.array([0.0, 0.04, 0.12]))).tolist() == [0.0, 0.04, 0.12]
    assert times(np.array([3.0])) == {"start": 3.0, "step": 0.0}


def test_labels_and_corrupted_frames_are_runs_of_positions():
    data = drawn(scored([1, 2, 3, 4], [0, 1, 2, 3], labels=[0, 1, 1, 0], flipped=(0,), noisy=(1, 3)))
    assert data["labels"] == [(1, 3)]
    assert [(strip["label"], strip["runs"]) for strip in data["strips"]] == [
        ("flipped (corrected)", [(0, 1)]),
        ("noisy", [(1, 2), (3, 4)]),
    ]
    plain = drawn(scored([1, 2], [0, 1]))
    assert (plain["labels"], plain["strips"], plain["timed"]) == ([], [], False)


# --- curves and histograms ------------------------------------------------------------------------------------------


def test_a_roc_curve_goes_through_its_points_above_the_diagonal_of_chance():
    chart = roc_chart({"a": (np.array([0, 0.25, 1]), np.array([0, 0.5, 1])), "fused": 2 * (np.arange(2),)})
    assert [line.style for line in chart.lines] == ["chance", "s0", "fused"]
    assert corners(chart.lines[1].path) == [
        (chart.x.start, chart.y.start),
        (chart.x.start + 100, chart.y.start - 200),
        (chart.x.end, chart.y.end),
    ]


def test_a_precision_recall_curve_has_the_steps_that_average_precision_sums():
    """Precision 1 at recall 0.5 and 0.75 at recall 1: the area of the steps is 0.5 x 1 + 0.5 x 0.75."""
    chart = precision_recall_chart({"a": (np.array([0, 0.5, 1.0]), np.array([1, 1, 0.75]))}, prevalence=0.25)
    (x, y) = (np.array(v) for v in zip(*corners(chart.lines[1].path), strict=True))
    recall, precision = (x - chart.x.start) / 400, (chart.y.start - y) / 400
    assert np.trapezoid(precision, recall) == pytest.approx(0.875)
    assert {y for _, y in corners(chart.lines[0].path)} == {chart.y.start - 100}  # chance: the prevalence


def test_a_histogram_has_each_kind_s_shares_which_add_up_to_all_of_its_frames():
    rng = np.random.default_rng(0)
    scores = {"held-out normal": rng.normal(0, 1, 500), "test": rng.normal(3, 1, 100)}
    chart = histogram("a", scores, "histogram-0")
    assert [line.label for line in chart.lines] == ["held-out normal", "test"]
    for line in chart.lines:
        heights = [y for _, y in corners(line.path)][1:-1:2]
        shares = [(chart.y.start - y) / (chart.y.start - chart.y.end) * chart.y.high for y in heights]
        assert len(shares) == BINS
        assert sum(shares) == pytest.approx(100, abs=0.7)  # per cent, of pixels rounded to a tenth
    peaks = [min(corners(line.path), key=lambda corner: corner[1])[0] for line in chart.lines]
    assert peaks[0] < peaks[1]


def test_a_histogram_of_one_value_or_without_held_out_footage_can_be_drawn():
    chart = histogram("a", {"held-out normal": np.array([]), "test": np.full(9, 3.0)}, "h")
    assert [line.label for line in chart.lines] == ["test"]
    assert min(y for _, y in corners(chart.lines[0].path)) == pytest.approx(chart.y(100), abs=0.06)
