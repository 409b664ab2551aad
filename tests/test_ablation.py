"""What an ablation compares and how it measures: on scores and labels of known values."""

from functools import cache
from math import comb, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from pixelplay.ablation.measure import METRICS, Bench, Measured, Truth, figures, measured, rank_correlations
from pixelplay.ablation.settings import AblateConfig
from pixelplay.ablation.tables import CONFIGURED, ablate
from pixelplay.ablation.variants import (
    alone,
    equal_weights,
    leave_one_out,
    methods,
    named,
    normalisations,
    poolings,
    shares_of,
    simplex,
    smoothings,
    weighings,
)
from pixelplay.cli import load_config
from pixelplay.errors import ConfigError, DataError
from pixelplay.scores.fuse import FUSED, fuse
from pixelplay.scores.settings import FusionConfig

AUC, AP = (METRICS.index(name) for name in ("auc", "ap"))
KINDS = ("freeze", "reversal", "speed_up")
T = 24  # frames of a clip


SHARES = {"spatial": 0.49, "temporal": 0.21, "global": 0.3}
PARTS = ",".join(f"videopatchcore/{n}:{{weight:{share},normalise:{{method:minmax}}}}" for n, share in SHARES.items())
COMPOSITE = f"+fusion.composites.videopatchcore={{method:power_mean,power:4.0,streams:{{{PARTS}}}}}"


@cache
def fusion_of(*overrides: str) -> FusionConfig:
    return load_config(["experiment=tiny", *overrides]).fusion


def ablate_config(**changes: object) -> AblateConfig:
    return settings_of_tiny().model_copy(update=changes)


@cache
def settings_of_tiny() -> AblateConfig:
    return load_config(["experiment=tiny"]).ablate


PLAIN = ("fusion.default.normalise.method=none", "fusion.default.smooth.method=none")


def truth_of(clips: int = 6) -> Truth:
    """Clips of which frames 8 to 15 are anomalous, of three kinds in turn."""
    labels = ((np.arange(T) >= 8) & (np.arange(T) < 16)).astype(int)
    ids = [f"{KINDS[i % 3]}-{i // 3}" for i in range(clips)]
    return Truth.of([(one, np.arange(T), labels) for one in ids], {one: one.rpartition("-")[0] for one in ids})


def table_of(stream: str, truth: Truth, scores: np.ndarray, split: str = "pseudo") -> pd.DataFrame:
    """A scores table of the truth's frames, and of a test and a held-out video that no figure depends on."""
    own = pd.DataFrame({"split": split, "video": truth.videos, "frame": truth.frames, "score": scores})
    other = pd.DataFrame({"split": ["test"] * 3 + ["calibration"] * 3, "video": "v", "frame": [0, 1, 2] * 2})
    rows = [own, *([other.assign(score=[1.0, 2.0, 3.0, 0.0, 1.0, 5.0])] if split == "pseudo" else [])]
    table = pd.concat(rows, ignore_index=True).assign(stream=stream)
    return table.astype({"score": np.float32, "video": str})


def bench_of(truth: Truth, **scores: np.ndarray) -> Bench:
    streams = {name.replace("__", "/"): values for name, values in scores.items()}
    return Bench({s: table_of(s, truth, values) for s, values in streams.items()}, {"pseudo": truth}, {})


def noisy(truth: Truth, signal: float, seed: int, kinds: tuple[str, ...] = KINDS) -> np.ndarray:
    """Standard normal noise, raised by `signal` in anomalous frames of these kinds."""
    raised = np.isin(truth.kinds, kinds) * truth.labels
    return np.random.default_rng(seed).normal(size=len(truth)) + signal * raised


# --- the frames that are measured -----------------------------------------------------------------------------------


def test_frames_of_one_class_and_no_frames_are_refused():
    with pytest.raises(DataError, match=r"all 3 labels are 0 \(normal\): AP, ROC-AUC, EER and F1 need both classes"):
        Truth.of([("a", np.arange(3), np.zeros(3, int))])
    with pytest.raises(DataError, match="there are no frames to measure on"):
        Truth.of([])


def test_scores_are_those_of_the_fusion_in_the_order_of_the_truth_whatever_the_table_s():
    truth = truth_of(3)
    streams = {name: noisy(truth, 1, seed) for seed, name in enumerate(("a", "b"))}
    tables = {s: table_of(s, truth, values) for s, values in streams.items()}
    config = named(fusion_of("fusion.method=rank_mean"), ["a", "b"])
    fused = fuse(tables, config).query(f"stream == '{FUSED}' and split == 'pseudo'").set_index(["video", "frame"])
    expected = fused["score"].loc[list(zip(truth.videos, truth.frames, strict=True))].to_numpy()
    shuffled = {s: table.sample(frac=1, random_state=3) for s, table in tables.items()}
    found = Bench(shuffled, {"pseudo": truth}, {}).scores(config)
    assert np.array_equal(found, expected)


def test_a_frame_without_a_score_is_named_with_what_to_do():
    truth = truth_of(2)
    table = table_of("a", truth, noisy(truth, 1, 0)).drop(index=30)
    with pytest.raises(DataError, match=r"stream 'a' has no score for video 'reversal-0', frame 6 .*score\.py"):
        Bench({"a": table}, {"pseudo": truth}, {}).scores(named(fusion_of(), ["a"]))


def test_scores_that_are_not_finite_are_refused_with_their_place():
    truth = truth_of(2)
    scores = noisy(truth, 1, 0)
    scores[30] = np.nan
    with pytest.raises(DataError, match=r"stream 'a', video 'reversal-0', frame 6 .*not finite"):
        bench_of(truth, a=scores).scores(named(fusion_of(), ["a"]))


def test_a_bench_without_planted_anomalies_says_which_command_scores_them():
    truth = truth_of(2)
    table = table_of("a", truth, noisy(truth, 1, 0)).query("split != 'pseudo'")
    with pytest.raises(DataError, match=r"no scores of split=pseudo: run `python src/score\.py`"):
        Bench({"a": table}, {"pseudo": truth}, {}).scores(named(fusion_of(), ["a"]))


# --- figures and how sure they are ----------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=48, max_size=48))
def test_figures_are_scikit_learn_s_ties_included(values):
    truth, scores = truth_of(2), np.array(values, float)
    found = figures(scores, truth)
    assert found[AUC] == pytest.approx(roc_auc_score(truth.labels, scores))
    assert found[AP] == pytest.approx(average_precision_score(truth.labels, scores))


def test_figures_of_some_frames_are_those_of_these_alone():
    truth = truth_of(6)
    scores, rows = noisy(truth, 1, 0), truth.kinds == "freeze"
    assert figures(scores, truth, rows)[AP] == average_precision_score(truth.labels[rows], scores[rows])
    assert np.isnan(figures(scores, truth, truth.labels == 0)[AUC])


def test_the_error_of_a_gain_is_that_of_differences_over_the_same_draws_of_whole_clips():
    truth = truth_of(5)
    one, other = noisy(truth, 2, 0), noisy(truth, 1, 1)
    a, b = (measured(scores, truth, draws=40, seed=7) for scores in (one, other))
    gain, error = a.gain_over(b)
    clips = list(dict.fromkeys(truth.videos))
    drawn = np.random.default_rng(7).multinomial(len(clips), [1 / len(clips)] * len(clips), size=40)
    gains, firsts = [], []
    for counts in drawn:  # the clips themselves laid side by side, as often as they were drawn
        rows = np.concatenate(
            [np.flatnonzero(truth.videos == c) for c, n in zip(clips, counts, strict=True) for _ in range(n)]
        )
        figure = [average_precision_score(truth.labels[rows], scores[rows]) for scores in (one, other)]
        gains.append(figure[0] - figure[1])
        firsts.append(figure[0])
    assert error[AP] == pytest.approx(np.std(gains, ddof=1))
    assert a.errors[AP] == pytest.approx(np.std(firsts, ddof=1))
    assert gain[AP] == a.figures[AP] - b.figures[AP]


def test_draws_of_one_class_do_not_count_and_too_few_give_no_error():
    one = Measured(np.array([0.5, 0.5]), np.array([[0.4, np.nan, 0.6], [np.nan, np.nan, 0.5]]))
    assert one.errors[0] == pytest.approx(sqrt(0.02))
    assert np.isnan(one.errors[1])


# --- what is compared -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 8))
def test_the_grid_has_every_way_to_share_the_steps_once(count, steps):
    points = list(simplex(count, steps))
    assert len(points) == len(set(points)) == comb(steps + count - 1, count - 1)
    assert all(sum(point) == steps and min(point) >= 0 for point in points)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 7), st.integers(1, 20), st.integers(2, 400))
def test_a_sweep_is_the_finest_grid_within_its_bounds_with_corners_and_equal_weights(count, steps, points):
    fusion = named(fusion_of(), [f"s{i}" for i in range(count)])
    found = weighings(fusion, steps, points)
    shares = np.array([shares_of(one.fusion) for one in found])
    finest = max([1, *(n for n in range(1, steps + 1) if comb(n + count - 1, n) <= points)])
    assert len(found) == comb(finest + count - 1, finest) + (finest % count != 0)
    assert all(np.isclose(shares, corner, atol=1e-6).all(axis=1).any() for corner in np.eye(count))
    assert [one.name for one in found].count("equal") == 1
    assert np.ptp(shares[[one.name for one in found].index("equal")]) < 1e-5
    assert all(sum(m.weight for m in one.fusion.members.values()) == pytest.approx(count, abs=1e-5) for one in found)


def test_a_sweep_is_named_by_its_weights_and_keeps_their_sum():
    fusion = named(fusion_of("+fusion.members={a:{weight:3.0},b:{weight:1.0}}"), ["a", "b"])
    found = {one.name: [m.weight for m in one.fusion.members.values()] for one in weighings(fusion, 4, 100)}
    expected = {"4 b": [0, 4], "1 a + 3 b": [1, 3], "equal": [2, 2], "3 a + 1 b": [3, 1], "4 a": [4, 0]}
    assert found == expected
    assert [m.weight for m in equal_weights(fusion).members.values()] == [2, 2]
    assert weighings(named(fusion_of(), ["a"]), 4, 100) == []


def test_each_stream_alone_is_processed_like_its_detector_and_put_together_with_nothing():
    fusion = fusion_of("fusion.method=product", "+fusion.members={a/mean:{weight:0.0,smooth:{method:median}}}")
    fusion = named(fusion, ["a/mean", "b"])
    found = {one.name: one.fusion for one in alone(fusion, ["a", "a/mean", "b/max"])}
    assert [list(one.members) for one in found.values()] == [["a"], ["a/mean"], ["b/max"]]
    assert {one.method for one in found.values()} == {"weighted_mean"}
    assert all(next(iter(one.members.values())).weight == 1 for one in found.values())
    assert [one.members[s].smooth.method for s, one in found.items()] == ["gaussian", "median", "gaussian"]


def test_leave_one_out_leaves_out_each_member_that_weighs_and_changes_nothing_else():
    fusion = named(fusion_of("+fusion.members={a:{weight:2.0},b:{},c:{weight:0.0}}"), ["a", "b", "c"])
    found = leave_one_out(fusion)
    assert [(one.name, list(one.fusion.members)) for one in found] == [
        ("without a", ["b", "c"]),
        ("without b", ["a", "c"]),
    ]
    assert all(one.fusion.members[s] == fusion.members[s] for one in found for s in one.fusion.members)
    assert leave_one_out(named(fusion_of(), ["a"])) == []


def test_another_stream_takes_its_member_s_place_and_weight_and_all_at_once_where_all_have_one():
    fusion = named(fusion_of("+fusion.members={a:{weight:2.0},b:{}}"), ["a", "b"])
    found = {one.name: list(one.fusion.members.items()) for one in poolings(fusion, ["a", "b", "a/x", "a/y", "b/x"])}
    a, b = fusion.members.values()
    assert found == {
        "a/x for a": [("a/x", a), ("b", b)],
        "a/y for a": [("a/y", a), ("b", b)],
        "b/x for b": [("a", a), ("b/x", b)],
        "x for 2 members": [("a/x", a), ("b/x", b)],
    }


def test_a_change_replaces_what_it_names_in_every_member_and_leaves_the_rest():
    fusion = named(fusion_of("+fusion.members={a:{smooth:{window:9}},b:{weight:2.0}}"), ["a", "b"])
    (one,) = smoothings(fusion, [{"method": "median"}])
    assert one.name == "median"
    assert [(m.smooth.method, m.smooth.window, m.weight) for m in one.fusion.members.values()] == [
        ("median", 9, 1.0),
        ("median", 15, 2.0),
    ]
    (two,) = normalisations(fusion, [{"method": "minmax", "scope": "video"}])
    assert two.name == "minmax, scope video"
    assert {(m.normalise.method, m.normalise.scope) for m in two.fusion.members.values()} == {("minmax", "video")}
    assert [m.smooth for m in two.fusion.members.values()] == [m.smooth for m in fusion.members.values()]
    (three,) = methods(fusion, [{"method": "power_mean", "power": 2.0}])
    assert (three.name, three.fusion.method, three.fusion.power) == ("power_mean, power 2", "power_mean", 2.0)
    assert three.fusion.members == fusion.members


def test_a_composite_is_smoothed_in_its_parts_once_and_normalised_as_a_whole():
    fusion = named(fusion_of(COMPOSITE), ["videopatchcore"])
    (smooth,) = smoothings(fusion, [{"method": "median"}])
    parts = smooth.fusion.composites["videopatchcore"].streams.values()
    assert {part.smooth.method for part in parts} == {"median"}
    assert smooth.fusion.members["videopatchcore"].smooth.method == "none"
    (normal,) = normalisations(fusion, [{"method": "rank"}])
    assert normal.fusion.composites == fusion.composites
    assert normal.fusion.members["videopatchcore"].normalise.method == "rank"


def test_a_composite_is_composed_anew_where_its_parts_are_processed_in_another_way():
    truth = truth_of(3)
    parts = [f"videopatchcore/{part}" for part in ("spatial", "temporal", "global")]
    streams = {part: noisy(truth, 1, seed) for seed, part in enumerate(parts)}
    tables = {s: table_of(s, truth, v) for s, v in {**streams, "videopatchcore": np.zeros(len(truth))}.items()}
    bench, fusion = Bench(tables, {"pseudo": truth}, {}), named(fusion_of(COMPOSITE), ["videopatchcore"])
    (unsmoothed,) = smoothings(fusion, [{"method": "none"}])
    unit = [(s - s.min()) / (s.max() - s.min()) for s in (np.float32(streams[p]).astype(float) for p in parts)]
    whole = (0.49 * unit[0] ** 4 + 0.21 * unit[1] ** 4 + 0.3 * unit[2] ** 4) ** 0.25
    found = bench.scores(unsmoothed.fusion)
    assert np.array_equal(rankdata(found.round(9)), rankdata(whole.round(9)))
    assert not np.array_equal(rankdata(found), rankdata(bench.scores(fusion)))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ablate.normalise=[{method: foo}]", r"ablate\.normalise\.0\.method='foo': Input should be 'none', 'minmax'"),
        ("ablate.smooth=[{sgma: 2.0}]", r"ablate\.smooth\.0\.sgma: unknown key; did you mean 'sigma'\?"),
        ("ablate.smooth=[{method: savitzky_golay, window: 2}]", r"ablate\.smooth\.0.*smooths nothing"),
        ("ablate.method=[{weight: 2.0}]", r"ablate\.method\.0\.weight: unknown key; allowed here: method, power"),
        ("ablate.method=[{method: mean}]", r"ablate\.method\.0\.method='mean': Input should be 'weighted_mean'"),
        ("ablate.choose=[weights,weights]", r"ablate\.choose=.*weights is listed more than once"),
        ("ablate.choose=[]", r"ablate\.choose=\[\]: List should have at least 1 item"),
        ("ablate.n_bootstrap=1", r"ablate\.n_bootstrap=1: Input should be greater than or equal to 2"),
        ("ablate.metric=f1", r"ablate\.metric='f1': Input should be 'ap' or 'auc'"),
    ],
)
def test_impossible_settings_are_refused_with_what_is_allowed(override: str, message: str):
    with pytest.raises(ConfigError, match=message):
        load_config(["experiment=tiny", override])


# --- tables ---------------------------------------------------------------------------------------------------------


def run_of(truth: Truth, fusion: FusionConfig | None = None, **scores: np.ndarray):
    bench = bench_of(truth, **scores)
    streams = [name.replace("__", "/") for name in scores]
    members = [stream for stream in streams if "/" not in stream]
    return ablate(
        bench, named(fusion or fusion_of(*PLAIN), members), streams, ablate_config(n_bootstrap=20, max_points=30)
    )


def test_the_tables_hold_the_figures_of_the_fusions_that_their_rows_name():
    truth = truth_of(6)
    a, b = (np.float32(noisy(truth, signal, seed)).astype(float) for seed, signal in enumerate((2, 0)))
    tables = run_of(truth, a=a, b=b, a__x=b[::-1]).tables
    ap = {name: table["ap"] for name, table in tables.items() if "ap" in table}

    def of(scores: np.ndarray) -> object:
        return pytest.approx(average_precision_score(truth.labels, scores))

    assert ap["alone"].to_dict() == {CONFIGURED: of(a + b), "a": of(a), "b": of(b), "a/x": of(b[::-1])}
    assert ap["leave_one_out"].to_dict() == {CONFIGURED: of(a + b), "without a": of(b), "without b": of(a)}
    assert ap["pooling"].to_dict() == {CONFIGURED: of(a + b), "a/x for a": of(b[::-1] + b)}
    assert ap["method"]["maximum"] == of(np.maximum(a, b))
    assert ap["normalise"]["minmax"] == of(a / np.ptp(a) + b / np.ptp(b))
    assert ap["weights"]["15 a + 5 b"] == of(3 * a + b)
    assert tables["weights"].loc["15 a + 5 b", ["weight a", "weight b"]].tolist() == [0.75, 0.25]
    gains = tables["leave_one_out"]["ap_gain"]
    assert gains["without a"] == pytest.approx(ap["leave_one_out"]["without a"] - ap["leave_one_out"][CONFIGURED])
    freeze = truth.kinds == "freeze"
    assert tables["kinds_ap"].loc["a", "freeze"] == pytest.approx(
        average_precision_score(truth.labels[freeze], a[freeze])
    )
    assert tables["kinds_auc"].loc["b", "freeze"] == pytest.approx(roc_auc_score(truth.labels[freeze], b[freeze]))
    assert list(tables["kinds_ap"].columns) == list(KINDS)
    best = "best stream on pseudo-anomalies: a"
    assert list(ap["comparison"].index) == ["search", "equal weights", CONFIGURED, best]
    assert not any("on_labels" in column for table in tables.values() for column in table)


def test_a_stream_that_is_its_detector_s_default_over_again_is_left_out_and_told():
    truth = truth_of(3)
    a = noisy(truth, 1, 0)
    found = run_of(truth, a=a, a__max=a, a__mean=-a, b=a)
    assert found.twins == {"a/max": "a"}
    assert list(found.tables["alone"].index) == [CONFIGURED, "a", "a/mean", "b"]  # b is another detector's
    assert list(found.tables["pooling"].index) == [CONFIGURED, "a/mean for a"]


def test_a_fusion_of_one_member_has_no_weights_to_compare_but_all_else():
    truth = truth_of(3)
    tables = run_of(truth, a=noisy(truth, 1, 0), a__x=noisy(truth, 1, 1)).tables
    assert set(tables) == {"comparison", "alone", "pooling", "normalise", "smooth", "kinds_ap", "kinds_auc"}


def test_figures_on_labels_stand_beside_the_others_and_the_best_by_them_is_marked():
    truth, labelled = truth_of(6), truth_of(4)
    scores = {"a": noisy(truth, 3, 0), "b": noisy(truth, 0, 1)}
    on_labels = {"a": noisy(labelled, 0, 2), "b": noisy(labelled, 3, 3)}
    tables = {}
    for stream in scores:
        planted = table_of(stream, truth, scores[stream]).query("split != 'test'")
        tables[stream] = pd.concat([planted, table_of(stream, labelled, on_labels[stream], "test")], ignore_index=True)
    bench = Bench(tables, {"pseudo": truth, "test": labelled}, {})
    config = ablate_config(n_bootstrap=20, max_points=30)
    found = ablate(bench, named(fusion_of(*PLAIN), ["a", "b"]), ["a", "b"], config).tables
    ap = average_precision_score(labelled.labels, np.float32(on_labels["b"]))
    assert found["alone"].loc["b", "on_labels_ap"] == pytest.approx(ap)
    marked = "chosen on labels, so no fair figure: b"
    assert list(found["comparison"].index)[3:] == ["best stream on pseudo-anomalies: a", marked]
    row, equal = found["comparison"].loc[marked], found["comparison"].loc["equal weights"]
    assert row["on_labels_ap"] == pytest.approx(ap)
    assert row["on_labels_ap_over_equal"] == pytest.approx(ap - equal["on_labels_ap"])
    assert row["on_labels_ap_error"] > 0 == equal["on_labels_ap_over_equal_error"]
    ranks = found["rank_correlation"]
    assert ranks.loc["leave_one_out", "n"] == 3
    assert ranks.loc["weights", "spearman_ap"] < -0.9  # a finds what is planted, b what is labelled
    without = ablate(Bench(tables, {"pseudo": truth}, {}), named(fusion_of(*PLAIN), ["a", "b"]), ["a", "b"], config)
    kept = [column for column in without.tables["alone"]]
    pd.testing.assert_frame_equal(found["alone"][kept], without.tables["alone"])


# --- rank correlations ----------------------------------------------------------------------------------------------


def ranked(planted: list[float], labelled: list[float]) -> pd.Series:
    table = pd.DataFrame({"ap": planted, "auc": planted, "on_labels_ap": labelled, "on_labels_auc": labelled})
    return rank_correlations({"t": table}).loc["t"]


def test_rank_correlations_are_those_worked_out_by_hand():
    row = ranked([0.1, 0.2, 0.3, 0.4], [0.5, 0.7, 0.6, 0.9])
    assert row["n"] == 4
    assert row["spearman_ap"] == pytest.approx(1 - 6 * 2 / (4 * 15))  # ranks differ by 1 in two places
    assert row["kendall_auc"] == pytest.approx((5 - 1) / 6)  # one of six pairs the other way round
    assert ranked([1, 2, 3], [3, 2, 1])["spearman_ap"] == pytest.approx(-1)


def test_fusions_with_the_same_figures_count_once():
    assert ranked([0.1, 0.2, 0.2, 0.3], [0.5, 0.7, 0.7, 0.6])["n"] == 3


@pytest.mark.parametrize(("planted", "labelled"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [4, 4, 4])])
def test_too_few_or_equal_figures_have_no_rank_correlation(planted: list[float], labelled: list[float]):
    row = ranked(planted, labelled)
    assert np.isnan(row["spearman_ap"]) and np.isnan(row["kendall_ap"])
    assert row["n"] == len(planted)


def test_a_table_without_labels_has_no_row():
    assert rank_correlations({"t": pd.DataFrame({"ap": [1.0], "auc": [1.0]})}).empty


def test_stability_stands_beside_the_figures_of_single_streams_and_is_correlated_with_labels():
    """Of four streams: AP on labels 0.1 to 0.4; stability in the opposite order for three, and unknown for one."""
    table = pd.DataFrame(
        {
            "ap": [0.1, 0.2, 0.4, 0.3],
            "auc": [0.5, 0.6, 0.7, 0.8],
            "stability": [0.9, 0.8, 0.7, np.nan],
            "on_labels_ap": [0.1, 0.2, 0.3, 0.4],
            "on_labels_auc": [0.7, 0.5, 0.6, 0.4],
        },
        index=list("abcd"),
    )
    found = rank_correlations({"alone": table, "method": table.drop(columns="stability")})
    assert found.loc["alone", "spearman_stability_ap"] == pytest.approx(-1)
    assert found.loc["alone", "spearman_stability_auc"] == pytest.approx(0.5)
    assert found.loc["alone", "spearman_ap"] == pytest.approx(0.8)
    assert np.isnan(found.loc["method", "spearman_stability_ap"])
