"""Independent peaks, and what thresholds from them keep: counted by hand, and on series that depend on themselves."""

import numpy as np
import pytest
from scipy.stats import chi2, genpareto, norm

from pixelplay.errors import ConfigError
from pixelplay.events.alarms import LabelledScores, alarm_rates
from pixelplay.events.settings import EvtConfig, ThresholdsConfig
from pixelplay.events.tails import extremal_index, fit_tail, peaks_above
from pixelplay.events.thresholds import evt, percentile
from pixelplay.metrics.settings import BootstrapConfig
from pixelplay.settings import validate

EVT = EvtConfig(tail=0.1, false_alarm_rate=0.01)


def series(videos: int, frames: int, memory: float, drift: float, seed: int) -> list[np.ndarray]:
    """AR(1) scores of each video, standard normal, shifted by `drift` standard deviations from video to video."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(videos, frames))
    for frame in range(1, frames):
        scores[:, frame] = memory * scores[:, frame - 1] + np.sqrt(1 - memory**2) * scores[:, frame]
    return list(scores + drift * rng.normal(size=(videos, 1)))


def quantile_as_before(videos: list[np.ndarray]) -> float:
    """The 1 % threshold of a tail fitted to all frames as if each were a peak of its own."""
    scores = np.concatenate(videos)
    start = float(np.quantile(scores, 0.9))
    return fit_tail(start, 0.1, scores[scores > start] - start).exceeded_by(0.01)


def fresh_rate(threshold: float, drift: float) -> float:
    """The share of frames of new videos above a threshold: they are normal with variance 1 + drift^2."""
    return float(norm.sf(threshold / np.sqrt(1 + drift**2)))


# --- peaks ----------------------------------------------------------------------------------------------------------


def test_peaks_that_stand_together_are_one_and_videos_part_them():
    burst, quiet = [5.0, 0, 5, 5], [0.0] * 20
    one = np.array([*quiet, *burst, *quiet, *burst, *quiet])
    # Times between frames above: 2 1 21 2 1. Their index is 2 (1 + 0 + 20 + 1 + 0)^2 / (5 (0 + 0 + 20 19 + 0 + 0)).
    found = peaks_above(1.0, [one])
    assert found.extremal_index == pytest.approx(2 * 22**2 / (5 * 380))
    assert (found.clusters, found.run_length, found.share) == (2, 1, pytest.approx(6 / 68))
    assert peaks_above(1.0, [np.full(4, 5.0), np.full(4, 5.0)]).clusters == 2


def test_scores_that_follow_nothing_are_a_peak_each_and_slow_ones_a_few():
    loose, slow = (peaks_above(1.28, series(1, 20_000, memory, 0.0, 0)) for memory in (0.0, 0.95))
    assert loose.extremal_index > 0.95 and loose.clusters > 0.85 * loose.share * loose.frames
    assert 0.05 < slow.extremal_index < 0.2
    assert slow.clusters == pytest.approx(slow.extremal_index * slow.share * slow.frames, rel=0.2)


def test_the_quarters_of_a_single_video_count_as_videos():
    # 3 of the 6 high frames are in the second quarter and 3 in the third: Var = 4 / chi2 sum (c - 1.5)^2 / 68^2.
    one = np.zeros(68)
    one[[20, 22, 23, 44, 46, 47]] = 5.0
    share, variance = 6 / 68, 4 * (4 * 1.5**2 / 68**2) / chi2.ppf(0.2, 3)
    found = peaks_above(1.0, [one])
    assert found.independent == pytest.approx(share * share * (1 - share) / variance)
    assert found.effective_frames == pytest.approx(share * (1 - share) / variance)
    apart = np.zeros(68)
    apart[[3, 20, 37, 54]] = 5.0  # one in each quarter: they are as many as they seem
    assert peaks_above(1.0, [apart]).independent == 4


@pytest.mark.parametrize(("frames", "memory"), [(200, 0.9), (600, 0.97)])
def test_one_short_video_keeps_to_what_it_says(frames: int, memory: float):
    found = [evt(series(1, frames, memory, 0.0, seed), EVT, 0.95) for seed in range(40)]
    assert np.mean([fresh_rate(one.value, 0.0) > one.expected for one in found]) <= 0.1


def test_peaks_of_a_video_that_is_high_as_a_whole_are_not_independent():
    # Nine videos without a peak, and one of which every other frame is above: at most as much worth as ten frames.
    videos = [np.zeros(200)] * 9 + [np.tile([0.0, 0.0, 0.0, 5.0], 50)]
    found = peaks_above(1.0, videos)
    assert found.clusters == 50
    assert found.effective_frames < 30


def test_nothing_above_is_no_peak():
    found = peaks_above(1.0, [np.zeros(10), np.ones(10)])
    assert (found.share, found.independent, found.effective_frames) == (0.0, 0.0, 2.0)
    assert extremal_index(np.array([], int)) == 1.0


# --- what a threshold keeps -----------------------------------------------------------------------------------------


def test_independent_scores_have_their_quantile_and_the_limit_is_a_profile_likelihoods():
    normal = list(np.random.default_rng(4).exponential(size=(10, 400)))
    found = evt(normal, EVT, 0.95)
    assert found.parameters["estimate"] == pytest.approx(np.log(100), rel=0.15)
    assert found.parameters["estimate"] < found.value
    assert found.remark is None and found.expected == 0.01
    # More confidence, a higher limit; fewer independent peaks, a higher one still.
    assert found.value < evt(normal, EVT, 0.99).value
    tail = fit_tail(0.0, 0.1, np.random.default_rng(6).exponential(size=500))
    limits = [tail.upper_limit(0.01, peaks, 0.95) for peaks in (500.0, 50.0, 10.0)]
    assert limits == sorted(limits) and tail.exceeded_by(0.01) < limits[0]


def test_the_limit_is_the_highest_quantile_among_the_tails_that_are_likely_enough():
    excess = genpareto.rvs(0.1, scale=2.0, size=80, random_state=3)
    tail, rng = fit_tail(1.0, 0.1, excess), np.random.default_rng(0)
    best = genpareto.logpdf(excess, tail.shape, scale=tail.scale).sum()
    shape, scale, share = rng.uniform([-0.5, 1, 0.08], [0.5, 4, 0.14], (15_000, 3)).T
    likely = genpareto.logpdf(excess[:, None], shape, scale=scale).sum(axis=0)
    loss = best - likely - 80 * np.log(share / 0.1) - 720 * np.log((1 - share) / 0.9)
    enough = loss <= 2.7055 / 2  # the 90 % quantile of chi2 with one degree of freedom: 95 % on one side
    highest = 1.0 + genpareto.isf(0.01 / share[enough], shape[enough], scale=scale[enough]).max()
    assert tail.upper_limit(0.01, 80.0, 0.95) == pytest.approx(highest, rel=0.03)


@pytest.mark.parametrize(("videos", "frames", "memory", "drift"), [(20, 300, 0.9, 0.0), (40, 300, 0.9, 0.3)])
def test_enough_footage_keeps_the_rate_on_new_videos_where_the_estimate_misses_it_half_the_time(
    videos: int, frames: int, memory: float, drift: float
):
    runs = [series(videos, frames, memory, drift, seed) for seed in range(40)]
    before = np.array([fresh_rate(quantile_as_before(run), drift) for run in runs])
    found = [evt(run, EVT, 0.95) for run in runs]
    after = np.array([fresh_rate(one.value, drift) for one in found])
    assert (before > 0.01).mean() > 0.3
    assert (after > 0.01).mean() <= 0.1 and 0.001 < after.mean() < 0.01
    assert sum(one.remark is None for one in found) >= 38


@pytest.mark.parametrize(("videos", "drift", "missed"), [(2, 0.7, 0.05), (4, 0.7, 0.02), (8, 0.0, 0.01)])
def test_too_little_footage_says_so_and_keeps_to_what_it_says(videos: int, drift: float, missed: float):
    """Two to eight videos of 200 frames, as a small data set holds out: before, several times the rate asked for."""
    runs = [series(videos, 200, 0.95, drift, seed) for seed in range(40)]
    before = np.mean([fresh_rate(quantile_as_before(run), drift) for run in runs])
    found = [evt(run, EVT, 0.95) for run in runs]
    after = np.array([fresh_rate(one.value, drift) for one in found])
    assert before > missed and after.mean() < before
    assert np.mean([rate > one.expected for rate, one in zip(after, found, strict=True)]) <= 0.1
    warned = [one for one in found if one.remark and "1 % cannot be estimated; expect up to" in one.remark]
    assert len(warned) >= 30
    assert all(one.expected > 0.01 for one in warned)


def test_the_remark_names_footage_peaks_and_what_to_expect():
    found = evt([np.arange(85.0), np.zeros(100)], EVT, 0.95)
    assert found.value == 84.0 and found.expected == pytest.approx(
        1 - 0.05 ** (1 / found.parameters["effective_frames"])
    )
    expect = f"{100 * found.expected:.2g} %" if found.expected < 0.995 else "100 %"
    footage = "185 normal frames of 2 videos, 1 independent peak"
    assert found.remark == f"{footage}: 1 % cannot be estimated; expect up to {expect}"
    assert percentile([np.arange(85.0), np.zeros(100)], 95.0, 0.95).remark.startswith(f"{footage}: 5 % cannot be")


def test_one_video_says_nothing_of_others():
    remark = evt(series(1, 20_000, 0.0, 0.0, 0), EVT, 0.95).remark
    assert remark.startswith("20,000 normal frames of one video, ") and "between videos is unknown" in remark


def test_equal_scores_have_the_greatest_as_their_threshold():
    assert evt([np.zeros(1000), np.zeros(10)], EVT, 0.95).value == 0.0
    tied = np.random.default_rng(0).permutation(np.repeat([0.0, 1.0], [9500, 500]))
    found = evt([tied[:5000], tied[5000:]], EVT, 0.95)
    assert (found.value, found.remark) == (1.0, None)  # thousands of scores that follow nothing, and none above it


def test_confidence_is_more_than_a_coins():
    settings = {"evt": {"tail": 0.1, "false_alarm_rate": 0.01}, "percentile": 95.0, "fixed": {}}
    with pytest.raises(ConfigError, match="confidence"):
        validate(ThresholdsConfig, {**settings, "adaptive": {"window": 4, "n_sigma": 2.0}, "confidence": 0.5})


# --- alarms -----------------------------------------------------------------------------------------------------------


SETTINGS = ThresholdsConfig.model_validate(
    {"confidence": 0.95, "evt": EVT, "percentile": 95.0, "fixed": {}, "adaptive": {"window": 4, "n_sigma": 2.0}}
)
BOOTSTRAP = BootstrapConfig(n_bootstrap=500, level=0.95, seed=0)


def test_the_rate_on_unseen_normal_frames_is_counted_on_those_alone():
    normal = [np.arange(0.0, 50.0), np.arange(50.0, 101.0)]  # the 95th percentile of 0..100 is 95
    test = [
        LabelledScores(np.array([96.0, 200, 3, 4]), np.array([0, 1, 0, 0])),
        LabelledScores(np.array([97.0, 1]), np.array([1, 0])),
    ]
    found = alarm_rates(normal, test, "none", SETTINGS, BOOTSTRAP)["percentile"]
    assert found["false_alarms_unseen"] == pytest.approx(1 / 4)  # 96 of 96 3 4 and 1
    low, high = found["intervals"]["false_alarms_unseen"]
    assert (low, high) == (0.0, pytest.approx(1 / 3))  # of videos with one of three and none of one
    assert found["intervals"]["level"] == 0.95


def test_the_interval_of_false_alarms_is_over_videos_and_not_over_frames():
    normal = series(10, 400, 0.0, 2.0, 1)  # ten videos that differ: 4,000 frames would say far more than they do
    test = [LabelledScores(scores, np.zeros(400, int)) for scores in series(10, 400, 0.0, 2.0, 2)]
    found = alarm_rates(normal, test, "none", SETTINGS, BOOTSTRAP)["percentile"]
    low, high = found["intervals"]["false_alarms_unseen"]
    rate = found["false_alarms_unseen"]
    assert low <= rate <= high
    assert high - low > 3 * 2 * 1.96 * np.sqrt(rate * (1 - rate) / 4000)


@pytest.mark.parametrize(("label", "unseen", "recall"), [(0, 0.5, None), (1, None, 0.5)])
def test_labels_of_one_class_leave_what_they_allow(label: int, unseen: float | None, recall: float | None):
    normal = [np.arange(0.0, 50.0), np.arange(50.0, 101.0)]
    test = [LabelledScores(np.array([96.0, 3.0]), np.full(2, label))]
    found = alarm_rates(normal, test, "none", SETTINGS, BOOTSTRAP)["percentile"]
    assert (found["false_alarms_unseen"], found["recall"]) == (unseen, recall)
    assert (found["precision"], found["f1"]) == (None, None)
    assert found["no_precision"].startswith(f"all 2 labels are {label} (")


def test_thresholds_without_a_promise_say_when_their_rate_is_unknown():
    normal = series(3, 130, 0.95, 0.5, 0)
    found = alarm_rates(normal, [LabelledScores(np.zeros(2), np.array([0, 1]))], "none", SETTINGS, BOOTSTRAP)
    high = found["adaptive"]["intervals"]["false_alarms"][1]
    assert found["adaptive"]["remark"].startswith("390 normal frames of 3 videos, ")
    assert found["adaptive"]["remark"].endswith(
        f": its false-alarm rate cannot be estimated; expect up to {100 * high:.2g} %"
    )
