"""Pixel metrics: those of scikit-learn on all pixels at once, AUPRO of its definition, values worked out by hand."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score
from tests.areas import area_directly

from pixelplay.errors import DataError
from pixelplay.metrics import pixels
from pixelplay.metrics.boxes import components
from pixelplay.metrics.pixels import PixelCounts

EIGHT = np.ones((3, 3))
BELOW_ALL = -1e9  # stands for "no box" in the reference


def painted(xyxy: np.ndarray, scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixel by pixel, the highest score of the boxes that hold the pixel's centre, float (H, W)."""
    canvas = np.full(shape, BELOW_ALL)
    for y in range(shape[0]):
        for x in range(shape[1]):
            held = (xyxy[:, 0] <= x + 0.5) & (x + 0.5 < xyxy[:, 2]) & (xyxy[:, 1] <= y + 0.5) & (y + 0.5 < xyxy[:, 3])
            canvas[y, x] = scores[held].max(initial=BELOW_ALL)
    return canvas


def directly(maps: list[np.ndarray], masks: list[np.ndarray], limit: float) -> dict[str, float]:
    """All pixels laid side by side; the overlap of every region anew at every threshold."""
    scores, truth = np.concatenate([m.ravel() for m in maps]), np.concatenate([m.ravel() for m in masks])
    thresholds = np.unique(scores)[::-1]
    taken = [scores >= t for t in thresholds]
    curve = [(0.0, 0.0)]
    for threshold, above in zip(thresholds, taken, strict=True):
        shares = []
        for one, mask in zip(maps, masks, strict=True):
            regions, count = label(mask, EIGHT)
            shares += [(one[regions == r] >= threshold).mean() for r in range(1, count + 1)]
        curve.append((above[~truth].mean(), np.mean(shares)))
    return {
        "auroc": roc_auc_score(truth, scores),
        "ap": average_precision_score(truth, scores),
        "best_f1": max(2 * (above & truth).sum() / (above.sum() + truth.sum()) for above in taken),
        f"aupro_{limit:g}": area_directly(curve, limit) / limit,
        "prevalence": truth.mean(),
    }


def agrees(found: dict[str, float], expected: dict[str, float]) -> None:
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


# --- by hand --------------------------------------------------------------------------------------------------------


def test_one_box_by_hand():
    # 10 x 10 pixels, a region of 8, a box over 4 of them and 12 others: TPR 1/2 at FPR 12/92, then straight to (1, 1).
    mask = np.zeros((10, 10), bool)
    mask[0, :8] = True
    counts = PixelCounts()
    counts.add_boxes(np.array([[4.0, 0, 8, 4]]), np.array([7.0]), components(mask))
    found = counts.result(0.5)
    fpr = 12 / 92
    assert found["auroc"] == pytest.approx(fpr * 0.5 / 2 + (1 - fpr) * (0.5 + 1) / 2)
    assert found["ap"] == pytest.approx(0.5 * 4 / 16 + 0.5 * 8 / 100)
    assert found["best_f1"] == pytest.approx(2 * 4 / (16 + 8))
    at_half = 0.5 + 0.5 * (0.5 - fpr) / (1 - fpr)
    assert found["aupro_0.5"] == pytest.approx((fpr * 0.5 / 2 + (0.5 - fpr) * (0.5 + at_half) / 2) / 0.5)
    assert (found["regions"], found["frames"], found["prevalence"]) == (1, 1, 0.08)


def test_without_any_box_all_pixels_tie():
    mask = np.eye(4, dtype=bool)
    counts = PixelCounts()
    counts.add_boxes(np.empty((0, 4)), np.empty(0), components(mask))
    found = counts.result(0.3)
    assert (found["auroc"], found["ap"]) == (0.5, 0.25)
    assert found["aupro_0.3"] == pytest.approx(0.15)  # a straight line to (1, 1)
    assert found["best_f1"] == pytest.approx(2 * 4 / (16 + 4))


def test_a_small_region_counts_as_much_as_a_large_one_and_diagonal_neighbours_are_one():
    mask = np.zeros((6, 10), bool)
    mask[0:2, 0:4] = True  # 8 pixels
    mask[4, 8] = mask[5, 9] = True  # 2 pixels that touch at a corner
    counts = PixelCounts()
    counts.add_boxes(np.array([[8.0, 4, 9, 5]]), np.array([1.0]), components(mask))
    found = counts.result(1.0)
    assert found["regions"] == 2
    assert found["aupro_1"] == pytest.approx((0.25 + 1) / 2)  # half of one of two regions at FPR 0, then straight to 1


def test_frames_without_any_anomaly_count_as_normal_pixels():
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    counts = PixelCounts()
    counts.add_boxes(np.array([[0.0, 0, 4, 1]]), np.array([1.0]), components(mask))
    assert counts.result(0.3)["auroc"] == 1.0
    counts.add_boxes(np.array([[0.0, 0, 4, 4]]), np.array([2.0]), components(np.zeros((4, 4), bool)))
    assert counts.result(0.3)["auroc"] == pytest.approx(12 / 28)  # of 28 normal pixels, 16 lie above


def test_boxes_reach_over_the_border_and_hold_pixels_by_their_centres():
    mask = np.zeros((3, 3), bool)
    mask[0, 0] = True
    outside = np.array([[-5.0, -5, 0.6, 0.6], [3, 3, 9, 9], [-3, 0, -1, 2]])
    counts = PixelCounts()
    counts.add_boxes(outside, np.array([1.0, 2.0, 3.0]), components(mask))
    assert counts.result(0.3)["auroc"] == 1.0
    short = PixelCounts()
    short.add_boxes(np.array([[0.0, 0, 0.5, 0.6]]), np.array([1.0]), components(mask))  # 0.5 is not within
    assert short.result(0.3)["auroc"] == 0.5


def test_a_negative_score_is_still_above_what_no_box_covers():
    mask = np.eye(3, dtype=bool)
    counts = PixelCounts()
    counts.add_boxes(np.array([[0.0, 0, 1, 1]]), np.array([-4.0]), components(mask))
    assert counts.result(0.3)["auroc"] == pytest.approx(1 / 3 + 2 / 3 / 2)


# --- against scikit-learn and the definition --------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.3, 1.0]))
@settings(deadline=None, max_examples=60)
def test_boxes_agree_with_all_pixels_at_once(seed: int, limit: float):
    rng = np.random.default_rng(seed)
    counts, maps, masks = PixelCounts(), [], []
    for frame in range(int(rng.integers(1, 4))):
        mask = rng.random((9, 11)) < (0.0 if frame == 1 else 0.25)
        number = int(rng.integers(0, 5))
        low = rng.uniform(-3, 11, (number, 2))
        xyxy = np.concatenate([low, low + rng.uniform(0.2, 8, (number, 2))], axis=1)
        scores = rng.integers(-3, 3, number).astype(float)
        counts.add_boxes(xyxy, scores, components(mask))
        maps.append(painted(xyxy, scores, mask.shape))
        masks.append(mask)
    agrees(counts.result(limit), directly(maps, masks, limit))


# --- memory, bad input ------------------------------------------------------------------------------------------------


def test_putting_equal_scores_together_on_the_way_changes_nothing_and_bounds_memory(monkeypatch: pytest.MonkeyPatch):
    def counted() -> PixelCounts:
        rng, counts = np.random.default_rng(2), PixelCounts()
        for _ in range(60):
            low = rng.uniform(0, 9, (5, 2))
            boxes = np.concatenate([low, low + rng.uniform(1, 4, (5, 2))], axis=1)
            counts.add_boxes(boxes, rng.integers(0, 90, 5) * 1.0, components(rng.random((12, 12)) < 0.3))
        return counts

    whole = counted()
    rows = sum(map(len, whole._rows))
    monkeypatch.setattr(pixels, "COMPACT", 100)
    compacted = counted()
    assert compacted.result(0.3) == pytest.approx(whole.result(0.3), abs=1e-12)
    assert sum(map(len, compacted._rows)) <= 200 < rows


def test_the_name_of_aupro_has_its_limit():
    counts = PixelCounts()
    counts.add_boxes(np.array([[0.0, 0, 1, 1]]), np.array([1.0]), components(np.eye(2, dtype=bool)))
    assert set(json.loads(json.dumps(counts.result(0.25)))) == {
        *("auroc", "ap", "best_f1", "aupro_0.25", "prevalence", "regions", "frames"),
        *("auroc_per_frame", "ap_per_frame", "pr_auc_per_frame", "averaged_frames"),
        *("auroc_per_video", "ap_per_video", "pr_auc_per_video", "averaged_videos"),
    }


def test_bad_input_is_refused():
    regions = components(np.eye(2, dtype=bool))
    counts = PixelCounts()
    with pytest.raises(DataError, match="1 of 1 scores of boxes of a frame are not finite"):
        counts.add_boxes(np.array([[0.0, 0, 1, 1]]), np.array([np.nan]), regions)
    with pytest.raises(DataError, match="1 of 4 edges of boxes of a frame are not finite"):
        counts.add_boxes(np.array([[0.0, 0, 1, np.inf]]), np.array([1.0]), regions)


@pytest.mark.parametrize("mask, lacking", [(np.zeros((2, 2), bool), "anomalous"), (np.ones((2, 2), bool), "normal")])
def test_pixels_of_one_class_have_no_metrics(mask: np.ndarray, lacking: str):
    counts = PixelCounts()
    counts.add_boxes(np.array([[0.0, 0, 2, 2]]), np.array([1.0]), components(mask))
    with pytest.raises(DataError, match=f"no pixel of 1 frames is {lacking}"):
        counts.result(0.3)
    with pytest.raises(DataError, match="no pixel of 0 frames is anomalous"):
        PixelCounts().result(0.3)


# --- each frame by itself, as papers do it ----------------------------------------------------------------------------


def test_averages_are_scikit_learns_of_each_frame_then_of_each_video():
    rng, counts, of_videos = np.random.default_rng(7), PixelCounts(), {"a": [], "b": []}
    for frame in range(9):
        video = "a" if frame < 6 else "b"
        mask = rng.random((9, 11)) < (0.0 if frame == 1 else 0.25)
        low = rng.uniform(-3, 8, (4, 2))
        xyxy, scores = np.concatenate([low, low + rng.uniform(2, 8, (4, 2))], axis=1), rng.integers(-3, 3, 4) * 1.0
        counts.add_boxes(xyxy, scores, components(mask), video)
        if frame != 1:  # nothing to find: it is left out
            values, truth = painted(xyxy, scores, mask.shape).ravel(), mask.ravel()
            precision, recall, _ = precision_recall_curve(truth, values)
            figures = roc_auc_score(truth, values), average_precision_score(truth, values), auc(recall, precision)
            of_videos[video].append(figures)
    found = counts.result(0.3)
    frames = np.mean(of_videos["a"] + of_videos["b"], axis=0)
    videos = np.mean([np.mean(of_videos[name], axis=0) for name in "ab"], axis=0)
    names = ("auroc", "ap", "pr_auc")
    assert [found[f"{name}_per_frame"] for name in names] == pytest.approx(list(frames))
    assert [found[f"{name}_per_video"] for name in names] == pytest.approx(list(videos))
    assert (found["averaged_frames"], found["averaged_videos"]) == (8, 2)
    assert abs(found["auroc_per_video"] - found["auroc_per_frame"]) > 1e-4


def test_a_frame_in_which_nothing_is_reported_counts_as_0_in_the_averages():
    mask = np.eye(3, dtype=bool)
    counts = PixelCounts()
    counts.add_boxes(np.array([[0.0, 0, 3, 3]]), np.array([1.0]), components(mask), "a")  # all pixels alike: 1/2
    counts.add_boxes(np.empty((0, 4)), np.empty(0), components(mask), "a")
    found = counts.result(0.3)
    assert (found["auroc_per_frame"], found["auroc"]) == (0.25, 0.5)


def test_false_alarms_in_a_video_that_is_normal_throughout_cost_pooled_figures_and_not_the_papers():
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    counts, alone = PixelCounts(), PixelCounts()
    for one in (counts, alone):
        one.add_boxes(np.array([[0.0, 0, 4, 1]]), np.array([1.0]), components(mask), "a")
    for _ in range(2):
        counts.add_boxes(np.array([[0.0, 0, 4, 4]]), np.array([2.0]), np.zeros((4, 4), np.int32), "normal")
    with_normal, without = counts.result(0.3), alone.result(0.3)
    assert (without["auroc"], without["ap"]) == (1.0, 1.0)
    assert with_normal["auroc"] == pytest.approx(12 / 44)  # 32 of 44 normal pixels lie above the anomalous ones
    assert with_normal["ap"] == pytest.approx(4 / 36)
    assert with_normal["frames"] == 3
    averages = [name for name in without if "_per_" in name or name.startswith("averaged")]
    assert len(averages) == 8
    assert [with_normal[name] for name in averages] == [without[name] for name in averages]
