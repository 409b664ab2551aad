"""Geometry of the report's charts: axes, thinned lines, stretches of frames, labels that keep apart."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.report.charts import Axis, blocks, curve, line_style, path, runs, spread, thin, widened
from pixelplay.report.distributions import BINS, histogram, precision_recall_chart, roc_chart
from pixelplay.report.outcome import ScoredVideo
from pixelplay.report.timelines import Scale, timeline

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


def test_ticks_of_frame_numbers_are_whole():
    assert [tick.text for tick in Axis(7, 9, 0, 100, whole=True).ticks(12)] == ["7", "8", "9"]


@given(st.lists(finite, min_size=1, max_size=200), st.integers(4, 40))
def test_a_thinned_line_is_short_and_keeps_its_ends_and_its_extremes(values: list[float], points: int):
    x, y = np.arange(len(values)), np.array(values)
    at, kept = thin(x, y, points)
    assert len(at) <= max(points, min(len(values), 4))
    assert (np.diff(at) > 0).all()
    assert (at[0], at[-1]) == (0, len(values) - 1)
    assert (kept.min(), kept.max()) == (y.min(), y.max())
    assert (kept == y[at]).all()


def test_a_path_has_a_tenth_of_a_pixel_and_is_lifted_before_breaks():
    x, y = np.array([0, 1.04, 2.06, 3]), np.array([5, 6, 7.55, 8])
    assert path(x, y, np.array([2])) == "M0 5L1 6M2.1 7.6L3 8" or path(x, y, np.array([2])) == "M0 5L1 6M2.1 7.5L3 8"
    assert path(x[:2], y[:2]) == "M0 5L1 6"


def test_a_line_goes_over_a_few_missing_frames_and_stops_at_a_wide_gap():
    x, y = Axis(0, 1000, 0, 1000), Axis(0, 1, 1, 0)
    small = curve(x, y, np.array([0, 1, 2, 9, 10]), np.zeros(5))
    wide = curve(x, y, np.array([0, 1, 2, 30, 31]), np.zeros(5))
    assert small.count("M") == 1
    assert wide.count("M") == 2 and "M30 1" in wide
    sparse = curve(x, y, np.arange(0, 1000, 50), np.zeros(20))  # every step is as wide: there is no gap
    assert sparse.count("M") == 1


def test_colours_repeat_dashed():
    assert [line_style(i) for i in (0, 5, 6, 7)] == ["s0", "s5", "s0 dashed", "s1 dashed"]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12))
def test_labels_keep_apart_stay_in_order_and_inside_where_there_is_room(wanted: list[float]):
    places = spread(wanted, 0, 150, gap=12)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    ordered = [places[i] for i in order]
    assert all(b - a >= 12 - 0.11 for a, b in pairwise(ordered))  # rounded to a tenth
    assert min(places) >= 0 and max(places) <= 150


def test_labels_that_are_apart_stay_where_they_are():
    assert spread([80, 10, 40], 0, 100) == [80, 10, 40]
    assert spread([50, 50, 50], 0, 100, gap=10) == [50, 60, 70]
    assert spread([99, 98], 0, 100, gap=10) == [100, 90]


def test_an_axis_of_equal_values_can_be_drawn():
    assert widened(2, 2) == (1.5, 2.5)
    assert widened(2, 3) == (2, 3)


# --- stretches of frames --------------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=40))
def test_runs_are_where_the_mask_holds_and_as_long_as_can_be(mask: list[bool]):
    found = runs(np.array(mask, bool))
    assert [i for a, b in found for i in range(a, b)] == [i for i, one in enumerate(mask) if one]
    assert all(b < a for (_, b), (a, _) in pairwise(found))


def test_a_block_reaches_half_a_frame_to_both_sides_and_names_its_frames():
    x = Axis(0, 10, 100, 200)
    numbers, mask = np.array([0, 2, 3, 4, 10]), np.array([1, 0, 1, 1, 1], bool)
    first, second = blocks(x, numbers, mask, "noisy")
    assert (first.start, first.width, first.title) == (100, 5, "noisy: frame 0")  # cut off at the axis' end
    assert (second.start, second.width, second.title) == (125, 75, "noisy: frames 3 to 10")


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
    chart = timeline(one, scale, {})
    tops = {line.label: min(y for _, y in corners(line.path)) for line in chart.lines}
    assert tops["narrow"] == tops["wide"] == tops["fused"]
    assert (chart.y.low, chart.y.high) == scale.fused


def test_a_timeline_stands_over_the_frames_original_numbers():
    one = scored([318, 319, 320, 377], [0, 1, 2, 3], a=[1, 1, 1, 1])
    chart = timeline(one, Scale.of([one]), {7: 2})
    assert [line.label for line in chart.lines] == ["a", "fused"]
    fused = corners(chart.lines[1].path)
    assert [x for x, _ in fused] == pytest.approx(chart.x(np.array([318, 319, 320, 377])), abs=0.06)
    assert [y for _, y in fused] == pytest.approx(chart.y(np.array([0, 1, 2, 3])), abs=0.06)
    assert all(318 <= int(tick.text) <= 377 for tick in chart.x_ticks)
    (marker,) = chart.markers
    assert (marker.x, marker.y) == pytest.approx(fused[2], abs=0.1)
    assert (marker.text, marker.href) == ("7", "#peak-7")


def test_a_timeline_has_seconds_beside_frame_numbers_where_they_are_known():
    one = scored([0, 1, 2, 4, 100], [0, 1, 2, 3, 0], a=[1, 1, 1, 1, 1])
    one = replace(one, seconds=np.array([0, 0.04, 0.08, 0.16, 4.0]))
    chart = timeline(one, Scale.of([one]), {1: 3})
    assert chart.x_title == "frame (seconds)"
    assert [tick.text for tick in chart.x_ticks] == [f"{n} ({n / 25:.1f} s)" for n in range(0, 101, 20)]
    assert "frame 4 at 0.16 s, fused score 3" in chart.markers[0].title
    assert chart.about.endswith("frames 0 to 100, 0.00 to 4.00 s")


def test_labels_are_shaded_and_corrupted_frames_marked_with_their_number():
    one = scored([1, 2, 3, 4], [0, 1, 2, 3], labels=[0, 1, 1, 0], flipped=(0,), noisy=(1, 3))
    chart = timeline(one, Scale.of([one]), {})
    assert [block.title for block in chart.shaded] == ["labelled anomalous: frames 2 to 3"]
    assert [(strip.style, strip.label) for strip in chart.strips] == [
        ("flipped", "flipped (corrected): 1"),
        ("noisy", "noisy: 2"),
    ]
    assert [len(strip.blocks) for strip in chart.strips] == [1, 2]
    plain = scored([1, 2], [0, 1])
    assert (timeline(plain, Scale.of([plain]), {}).shaded, timeline(plain, Scale.of([plain]), {}).strips) == ([], [])


def test_a_video_of_one_frame_and_constant_scores_can_be_drawn():
    one = scored([5], [2.0], labels=[1], a=[2.0])
    chart = timeline(one, Scale.of([one]), {1: 0})
    assert len(corners(chart.lines[0].path)) == 1
    assert chart.x.start <= chart.markers[0].x <= chart.x.end
    assert chart.y.end <= chart.markers[0].y <= chart.y.start


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
