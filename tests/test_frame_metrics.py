"""Frame metrics: values worked out by hand or by counting, and a clear error for every degenerate input."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelplay.errors import DataError
from pixelplay.metrics.frames import frame_metrics


def metrics(scores: list, labels: list, videos: list | None = None) -> dict:
    return frame_metrics(np.array(scores), np.array(labels), np.array(videos or ["01"] * len(labels)))


def auc_by_pairs(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of (anomalous, normal) pairs in the right order; a tie counts half."""
    difference = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def ap_by_thresholds(scores: np.ndarray, labels: np.ndarray) -> float:
    """Sum over falling thresholds of precision times the step in recall."""
    ap, recall = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        picked = labels[scores >= threshold]
        new = picked.sum() / labels.sum()
        ap, recall = ap + picked.mean() * (new - recall), new
    return ap


def f1_by_thresholds(scores: np.ndarray, labels: np.ndarray) -> float:
    """Greatest 2 TP / (reported + present) over all thresholds."""
    picked = [labels[scores >= threshold] for threshold in np.unique(scores)]
    return max(2 * one.sum() / (len(one) + labels.sum()) for one in picked)


def test_four_frames_by_hand() -> None:
    # Falling scores have labels 1 0 1 0: AP = (1/1 + 2/3) / 2, three of four pairs are right, and at the second
    # threshold one of two normal frames is above it and one of two anomalous below.
    result = metrics([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    assert result["ap"] == pytest.approx(5 / 6)
    assert result["auc_micro"] == pytest.approx(0.75)
    assert result["eer"] == pytest.approx(0.5)
    assert (result["prevalence"], result["frames"]) == (0.5, 4)
    assert (result["auc_macro"], result["macro_videos"]) == (pytest.approx(0.75), 1)
    # Points (recall, precision): (0, 1), (1/2, 1), (1/2, 1/2), (1, 2/3), (1, 1/2); F1 is greatest at (1, 2/3).
    assert result["pr_auc"] == pytest.approx(1 / 2 + (1 / 2 + 2 / 3) / 4)
    assert result["best_f1"] == pytest.approx(4 / 5)


def test_perfect_reversed_and_constant_scores() -> None:
    labels = [0, 0, 0, 1]
    perfect, reverse, constant = (metrics(s, labels) for s in ([1, 2, 3, 4], [4, 3, 2, 1], [7, 7, 7, 7]))
    assert (perfect["ap"], perfect["auc_micro"], perfect["eer"]) == (1.0, 1.0, 0.0)
    assert (reverse["ap"], reverse["auc_micro"], reverse["eer"]) == (0.25, 0.0, 1.0)
    assert (constant["ap"], constant["auc_micro"], constant["eer"]) == (0.25, 0.5, 0.5)


def test_eer_is_interpolated_between_the_points_of_the_roc_curve() -> None:
    # Points (0, 0), (1/2, 1), (1, 1): on the first piece TPR = 2 FPR, so 1 - 2 FPR = FPR.
    assert metrics([2, 2, 1], [1, 0, 0])["eer"] == pytest.approx(1 / 3)


def test_macro_is_the_mean_over_videos_with_both_classes_whatever_their_length() -> None:
    scores = [1, 2, 4, 3, 2, 1, 9, 9, 0]
    labels = [0, 1, 0, 0, 1, 1, 1, 1, 0]  # a: AUC 1; b: AUC 0; c: only anomalous; d: only normal
    result = metrics(scores, labels, list("aabbbbccd"))
    assert (result["auc_macro"], result["macro_videos"]) == (0.5, 2)


def test_macro_does_not_need_a_videos_frames_to_stand_together() -> None:
    result = metrics([1, 5, 2, 4], [0, 0, 1, 1], ["a", "b", "a", "b"])
    assert (result["auc_macro"], result["macro_videos"]) == (0.5, 2)


def test_macro_is_none_when_no_video_has_both_classes() -> None:
    result = metrics([1, 2], [0, 1], ["a", "b"])
    assert (result["auc_macro"], result["macro_videos"], result["auc_micro"]) == (None, 0, 1.0)


def test_the_papers_macro_mean_scales_each_video_and_adds_a_point_of_each_class() -> None:
    # a: 1 2 4 become 0 1/3 1 with labels 0 1 0; with a normal 0 and an anomalous 1 the pairs are
    # 1/3 against 0 1 0: 2 of 3 right; 1 against 0 1 0: 2.5 of 3. b has normal frames alone, 5 7 as 0 1, and the
    # anomalous 1 against 0 1 0: 2.5 of 3. c is constant, anomalous, at 0: 0 against 0 is half, 1 against 0 is right.
    scores, labels, videos = [1, 2, 4, 5, 7, 3], [0, 1, 0, 0, 0, 1], list("aaabbc")
    expected = (4.5 / 6 + 2.5 / 3 + 1.5 / 2) / 3
    assert metrics(scores, labels, videos)["auc_macro_anchored"] == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
@settings(deadline=None)
def test_agree_with_counting_and_with_the_mirrored_task(rows: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([s for s, _ in rows]), np.array([int(label) for _, label in rows])
    result = metrics(scores.tolist(), labels.tolist())
    assert result["auc_micro"] == pytest.approx(auc_by_pairs(scores, labels))
    assert result["ap"] == pytest.approx(ap_by_thresholds(scores, labels))
    assert result["best_f1"] == pytest.approx(f1_by_thresholds(scores, labels))
    mirrored = metrics((-scores).tolist(), (1 - labels).tolist())  # both error rates change places
    assert mirrored["eer"] == pytest.approx(result["eer"])
    assert 0 <= result["eer"] <= 1


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_only_the_order_of_scores_matters(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores, labels = generator.integers(-20, 20, size=50), np.arange(50) % 3 == 0
    videos = generator.integers(0, 4, size=50)
    plain, bent = (frame_metrics(s, labels, videos) for s in (scores, np.exp(scores / 5)))
    assert plain == bent  # the anchors are at the extremes of each video, whatever they are


@pytest.mark.parametrize(
    ("scores", "labels", "videos", "message"),
    [
        ([0.1, np.nan], [0, 1], ["a", "b"], r"1 scores are not finite, the first at 1 \(video b\): nan"),
        ([np.inf, 0.1], [0, 1], ["a", "b"], r"first at 0 \(video a\): inf"),
        ([0.1, 0.2, 0.3], [0, 1], ["a", "b"], r"\(3,\), \(2,\), \(2,\)"),
        ([0.1, 0.2], [0, 1], ["a"], "alike"),
        ([[0.1], [0.2]], [0, 1], ["a", "b"], "alike"),
        ([0.1, 0.2], [0, 2], ["a", "b"], "neither 0 nor 1, the first at 1: 2"),
        ([0.1, 0.2], [0, np.nan], ["a", "b"], "neither 0 nor 1"),
        ([0.1, 0.2], [0, -1], ["a", "b"], "neither 0 nor 1"),
        ([], [], [], "no frames"),
    ],
)
def test_degenerate_inputs_are_refused(scores: list, labels: list, videos: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        frame_metrics(np.array(scores), np.array(labels), np.array(videos))


@pytest.mark.parametrize(("label", "what"), [(0, "normal"), (1, "anomalous")])
def test_labels_of_one_class_give_a_reason_instead_of_figures(label: int, what: str) -> None:
    found = metrics([0.1, 0.2, 0.3], [label] * 3, ["a", "a", "b"])
    assert found.pop("reason") == f"all 3 labels are {label} ({what}): AP, ROC-AUC, EER and F1 need both classes"
    assert (found.pop("prevalence"), found.pop("frames"), found.pop("macro_videos")) == (label, 3, 0)
    assert set(found.values()) == {None}


def test_as_dict_is_ready_for_json() -> None:
    values = json.loads(json.dumps(metrics([1, 2], [0, 1], ["a", "b"])))
    assert values == {
        "ap": 1.0,
        "pr_auc": 1.0,
        "auc_micro": 1.0,
        "auc_macro": None,
        "macro_videos": 0,
        "auc_macro_anchored": 0.875,  # a: 1; b: 1/2 and 1
        "eer": 0.0,
        "best_f1": 1.0,
        "prevalence": 0.5,
        "frames": 2,
    }
