"""What the search chooses, and when it leaves equal weights alone; how its choice is told."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.test_ablation import KINDS, PLAIN, ablate_config, bench_of, fusion_of, noisy, truth_of

from pixelplay.ablation.measure import METRICS, figures
from pixelplay.ablation.search import Choice, Trial, nearest_to_equal, search
from pixelplay.ablation.summary import explanation, introduction, markdown
from pixelplay.ablation.tables import CONFIGURED, ablate
from pixelplay.ablation.variants import named, shares_of
from pixelplay.scores.settings import FusionConfig


def chosen(truth, members=("a", "b"), fusion: FusionConfig | None = None, config=None, **scores) -> Choice:
    bench = bench_of(truth, **scores)
    fusion = named(fusion or fusion_of(*PLAIN), members)
    streams = [name.replace("__", "/") for name in scores]
    return search(bench, fusion, streams, config or ablate_config(n_bootstrap=50, max_points=30))


# --- the rule -------------------------------------------------------------------------------------------------------


def test_taken_is_the_candidate_nearest_to_equal_weights_that_is_not_worse_beyond_the_noise():
    values, distances = np.array([0.5, 0.7, 0.8, 0.79]), np.array([0.0, 0.5, 1.0, 2.0])

    def at(error: float, margin: float = 1.0) -> int:
        return nearest_to_equal(values, distances, lambda i, j: error if i != j else 0.0, margin)

    assert at(0.0) == 2
    assert at(0.05) == 2  # 0.7 is two errors away
    assert at(0.11) == 1
    assert at(0.31) == 0
    assert at(0.11, margin=3.0) == 0
    assert at(float("nan")) == 0  # nothing is known of the noise


def test_of_candidates_as_far_from_equal_weights_the_better_one_is_taken():
    values, distances = np.array([0.2, 0.7, 0.72, 0.8]), np.array([0.0, 0.5, 0.5, 1.0])
    assert nearest_to_equal(values, distances, lambda i, j: 0.15, 1.0) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=12), st.floats(0, 0.5), st.floats(0, 3)
)
def test_no_candidate_nearer_to_equal_weights_than_the_taken_one_would_have_done(pairs, error, margin):
    values, distances = (np.array(column, float) for column in zip(*pairs, strict=True))
    at = nearest_to_equal(values, distances, lambda i, j: error, margin)
    assert not values.max() - values[at] > margin * error
    assert all(values.max() - values[i] > margin * error for i in np.flatnonzero(distances < distances[at]))


# --- the search -----------------------------------------------------------------------------------------------------


def test_weights_that_win_on_every_kind_are_taken_and_nothing_nearer_to_equal_would_do():
    truth = truth_of(12)
    choice = chosen(truth, a=noisy(truth, 4, 0), b=noisy(truth, -2, 1))
    assert choice.changed
    share = shares_of(choice.fusion)[0]
    assert share > 0.7
    assert [trial.step for trial in choice.trials] == ["weights"]
    assert set(choice.unseen) == set(KINDS)
    assert choice.unseen_gain > 0.05
    assert sum(m.weight for m in choice.fusion.members.values()) == pytest.approx(2)


def test_of_members_that_are_alike_but_for_noise_equal_weights_stay_and_the_noise_is_told():
    truth = truth_of(6)
    choice = chosen(truth, a=noisy(truth, 1, 0), b=noisy(truth, 1, 1))
    assert not choice.changed
    assert shares_of(choice.fusion).tolist() == [0.5, 0.5]
    (trial,) = choice.trials
    assert trial.taken is None and 0 <= trial.gain <= trial.error
    config = ablate_config(n_bootstrap=50)
    assert "which is not beyond the noise" in explanation(choice, config, 21) or trial.gain == 0
    assert explanation(choice, config, 21).startswith("Equal weights are kept.")


def test_without_a_margin_the_best_is_taken_and_with_one_nothing_farther_from_equal_weights():
    truth = truth_of(12)
    scores = {"a": noisy(truth, 1.2, 0), "b": noisy(truth, 0.9, 1)}
    careful, bold = (chosen(truth, config=ablate_config(n_bootstrap=50, margin=m), **scores) for m in (1.0, 0.0))
    (trial,) = bold.trials
    assert trial.taken == trial.best
    far, farther = (abs(shares_of(one.fusion)[0] - 0.5) for one in (careful, bold))
    assert far < farther


def test_a_gain_on_one_kind_that_costs_on_kinds_not_seen_is_refused():
    """b finds freezing so well that weighing it up pays for all clips together, and harms the other kinds."""
    truth = truth_of(6)
    a = noisy(truth, 1.5, 0, kinds=("reversal", "speed_up"))
    b = noisy(truth, 30, 1, kinds=("freeze",)) * 0.5
    b[np.isin(truth.kinds, ("reversal", "speed_up"))] *= 4
    choice = chosen(truth, a=a, b=b, config=ablate_config(n_bootstrap=50, max_points=30, margin=0.0))
    assert any(trial.taken for trial in choice.trials)
    assert choice.unseen_gain <= 0
    assert not choice.changed and choice.fusion == choice.start
    assert "That is no gain to count on." in explanation(choice, ablate_config(), 21)


def test_a_single_clip_can_choose_nothing():
    truth = truth_of(1)
    choice = chosen(truth, a=noisy(truth, 9, 0), b=noisy(truth, -9, 1))
    assert not choice.changed and choice.unseen == {}
    assert np.isnan(choice.unseen_gain)
    assert "With a single clip" in explanation(choice, ablate_config(), 21)


def test_clips_of_one_kind_are_left_out_one_by_one():
    truth = truth_of(12)
    only = type(truth)(truth.videos, truth.frames, truth.labels, np.full(len(truth), "freeze", object))
    choice = chosen(only, a=noisy(only, 4, 0), b=noisy(only, -2, 1))
    assert choice.changed
    assert list(choice.unseen) == list(dict.fromkeys(truth.videos))


def test_the_search_starts_from_equal_weights_whatever_is_configured():
    truth = truth_of(6)
    fusion = fusion_of(*PLAIN, "+fusion.members={a:{weight:9.0},b:{weight:1.0}}")
    choice = chosen(truth, fusion=fusion, a=noisy(truth, 1, 0), b=noisy(truth, 1, 1))
    assert [member.weight for member in choice.start.members.values()] == [5, 5]


def test_without_weights_to_choose_it_starts_from_what_is_configured():
    truth = truth_of(6)
    fusion = fusion_of(*PLAIN, "+fusion.members={a:{weight:9.0},b:{weight:1.0}}")
    config = ablate_config(n_bootstrap=50, choose=["smooth"])
    choice = chosen(truth, fusion=fusion, config=config, a=noisy(truth, 1, 0), b=noisy(truth, 1, 1))
    assert [member.weight for member in choice.start.members.values()] == [9, 1]


def test_steps_build_on_each_other_in_their_order_and_each_must_win():
    """Anomalies last eight frames, so smoothing lifts them out of the noise; a/x is its detector's better stream."""
    truth = truth_of(12)
    scores = {"a": noisy(truth, 0.3, 0), "a__x": noisy(truth, 2, 1), "b": noisy(truth, 1, 2)}
    config = ablate_config(n_bootstrap=50, max_points=30, choose=["pooling", "smooth", "weights"])
    choice = chosen(truth, config=config, **scores)
    assert [trial.step for trial in choice.trials] == ["pooling", "smooth", "weights"]
    assert choice.trials[0].taken == "a/x for a"
    assert choice.trials[1].taken is not None and choice.trials[1].taken != "none"
    assert list(choice.fusion.members) == ["a/x", "b"]
    assert choice.changed and choice.unseen_gain > 0
    bench = bench_of(truth, **scores)
    before, after = (figures(bench.scores(one), truth)[METRICS.index("ap")] for one in (choice.start, choice.fusion))
    told = sum(trial.taken_gain for trial in choice.trials)
    assert after - before == pytest.approx(told, abs=1e-6)


def test_another_stream_that_wins_by_less_than_the_margin_is_not_taken():
    truth = truth_of(6)
    scores = {"a": noisy(truth, 0.3, 0), "a__x": noisy(truth, 2, 1)}
    for margin, taken in ((0.0, "a/x for a"), (1000.0, None)):
        config = ablate_config(n_bootstrap=50, choose=["pooling"], margin=margin)
        (trial,) = chosen(truth, members=("a",), config=config, **scores).trials
        assert trial.best == "a/x for a" and trial.gain > 0
        assert trial.taken == taken


def test_it_chooses_by_the_metric_that_is_asked_for():
    """b has a tail of normal frames, which costs AP more than AUC."""
    truth = truth_of(12)
    a, b = noisy(truth, 1.2, 0), noisy(truth, 3, 1)
    b[np.flatnonzero(truth.labels == 0)[::8]] = 6
    a, b = (np.float32(one).astype(float) for one in (a, b))
    best = {}
    for metric, measure in (("ap", average_precision_score), ("auc", roc_auc_score)):
        (trial,) = chosen(truth, config=ablate_config(n_bootstrap=50, max_points=30, metric=metric), a=a, b=b).trials
        by_hand = max(range(21), key=lambda k: measure(truth.labels, k * a + (20 - k) * b))
        assert trial.best == f"{by_hand} a + {20 - by_hand} b"
        best[metric] = by_hand
    assert best["ap"] != best["auc"]


def test_the_choice_is_the_same_every_time():
    truth = truth_of(6)
    scores = {"a": noisy(truth, 2, 0), "b": noisy(truth, 0, 1)}
    first, second = (chosen(truth, **scores) for _ in range(2))
    assert first == second


# --- in words -------------------------------------------------------------------------------------------------------


def test_what_was_taken_and_why_is_told_with_the_kinds_not_seen():
    fusion = named(fusion_of(), ["a", "b"])
    trials = [
        Trial("smooth", "median", 0.01, 0.02, None),
        Trial("weights", "20 a", 0.25, 0.05, "3 a + 1 b", 0.22),
    ]
    choice = Choice(fusion, fusion, trials, {"freeze": 0.1, "reversal": -0.04}, changed=True)
    text = explanation(choice, ablate_config(), 21)
    assert "Smooth: the best, median, gains 0.010 ± 0.020, which is not beyond the noise." in text
    assert "Weights: the best of 21, 20 a, gains 0.250 ± 0.050; taken is 3 a + 1 b, which gains 0.220" in text
    assert "+0.030 AP on the kind that it has not seen, on average (freeze +0.100, reversal -0.040)" in text


def test_the_summary_says_what_was_measured_on_and_shows_every_table_long_ones_in_part():
    truth = truth_of(6)
    bench, config = bench_of(truth, a=noisy(truth, 2, 0), b=noisy(truth, 0, 1)), ablate_config(n_bootstrap=20)
    result = ablate(bench, named(fusion_of(*PLAIN), ["a", "b"]), ["a", "b"], config)
    told = introduction(result, bench.truths, config, ["old"])
    assert told[0].startswith(
        "Measured on 6 clips of held-out normal footage in which anomalies of 3 kinds are planted"
    )
    assert "(144 frames, 33% of them anomalous)" in told[0]
    assert any("Left out: old: an external file has no scores of pseudo-anomalies" in text for text in told)
    text = markdown("Ablation of |x|", told, result.tables, "ap")
    assert text.startswith("# Ablation of |x|\n\nMeasured on")
    assert "All 21 rows: `weights.csv`" in text
    sweep = text.partition("## Weights\n")[2].partition("\n## ")[0]
    assert len([line for line in sweep.splitlines() if line.startswith("| ")]) == 2 + 1 + 15
    row = result.tables["alone"].loc["a"]
    cells = f"| a | - | {row['ap']:.3f} ± {row['ap_error']:.3f} | {row['ap_gain']:+.3f} ± {row['ap_gain_error']:.3f} |"
    assert cells in text
    assert f"| {CONFIGURED} | " in text


def test_a_table_by_kind_is_shown_whole_however_many_streams_there_are():
    kinds = pd.DataFrame({"freeze": np.linspace(0, 1, 20)}, index=[f"stream {i}" for i in range(20)])
    text = markdown("Ablation", [], {"kinds_ap": kinds}, "ap")
    assert len([line for line in text.splitlines() if line.startswith("| stream")]) == 20
    assert "All 20 rows" not in text
