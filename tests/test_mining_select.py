"""What is made of scores: figures and a histogram, renders, calibrated and diverse selections, the contact sheet."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.footage import write_frames
from tests.mining import lines, mine, write_videomae

from pixelplay.errors import ConfigError, DataError, MissingArtifactError, PixelPlayError
from pixelplay.mining.clips import Clip
from pixelplay.mining.distribution import statistics
from pixelplay.mining.files import ANY_CLIP, of_clip
from pixelplay.mining.render import overlay
from pixelplay.mining.select import ROBUST_Z, above, calibrated, unit_length, unlike_each_other
from pixelplay.run.files import plain_name


def table(scores: list[float], cameras: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame({"score": scores, "camera": cameras or ["c"] * len(scores), "scene": ["s"] * len(scores)})


# --- calibration and choice ------------------------------------------------------------------------------------------


def test_scores_are_robust_z_scores_within_their_camera():
    """Camera a: median 3, deviations 2 1 0 1 97, so a MAD of 1. Camera b: ten times as high, likewise."""
    rows = table([1, 2, 3, 4, 100, 10, 20, 30, 40, 1000], ["a"] * 5 + ["b"] * 5)
    found = calibrated(rows, rows, "camera", min_group=5)
    expected = np.array([-2, -1, 0, 1, 97]) / 1.4826
    assert found == pytest.approx(np.concatenate([expected, expected]))
    assert calibrated(rows, rows, "none", 5).tolist() == rows["score"].tolist()


def test_a_small_group_is_calibrated_by_all_and_clips_without_a_score_stay_without():
    rows = table([1, 2, 3, 4, 5, np.nan, 30], ["a"] * 6 + ["b"])
    found = calibrated(rows, rows, "camera", min_group=2)
    assert np.isnan(found[5])
    assert found[6] == pytest.approx((30 - 3.5) / (1.4826 * 1.5))  # median and MAD of all six
    assert found[:5] == pytest.approx(np.array([-2, -1, 0, 1, 2]) / 1.4826)


def test_what_is_usual_is_learned_from_the_baseline_where_it_knows_the_camera():
    usual = table([1, 2, 3, 4, 5], ["a"] * 5)
    found = calibrated(table([7, 8, 9, 10, 20, 30], ["a"] * 3 + ["b"] * 3), usual, "camera", min_group=3)
    assert found[:3] == pytest.approx(np.array([4, 5, 6]) / 1.4826)  # the baseline's 3 and 1
    assert found[3:] == pytest.approx(np.array([-10, 0, 10]) / 14.826)  # b is new: its own 20 and 10


def test_the_highest_come_first_equals_in_order_and_only_what_is_above_the_threshold():
    scores = np.array([2.0, np.nan, 5.0, 2.0, 7.0, -np.inf, 3.0])
    assert above(scores, None).tolist() == [4, 2, 6, 0, 3]
    assert above(scores, 2.0).tolist() == [4, 2, 6]
    assert above(scores, 7.0).tolist() == []


POINTS = np.array([[0, 0], [0.1, 0], [10, 0], [10, 0.1], [0, 9], [0.1, 9]], np.float32)  # three pairs


@pytest.mark.parametrize(("method", "expected"), [("none", [0, 1, 2]), ("k_center", [0, 3, 5]), ("k_means", [0, 2, 4])])
def test_of_three_pairs_of_copies_one_each_is_taken(method: str, expected: list[int]):
    """k_center: the first, from it the farthest, (10, 0.1), then (0.1, 9); k_means: the first of each pair."""
    assert unlike_each_other(POINTS, 3, method, seed=0).tolist() == expected


@given(count=st.integers(1, 9), method=st.sampled_from(["none", "k_center"]), seed=st.integers(0, 5))
def test_no_clip_is_taken_twice_and_the_highest_is_always_taken(count: int, method: str, seed: int):
    points = np.random.default_rng(seed).random((6, 3)).astype(np.float32)
    taken = unlike_each_other(points, count, method, seed)
    assert len(taken) == len(set(taken.tolist())) == min(count, 6)
    assert taken[0] == 0 and (np.diff(taken) > 0).all()


def test_of_equal_embeddings_as_many_are_taken_as_asked_for():
    assert unlike_each_other(np.ones((5, 2), np.float32), 3, "k_center", 0).tolist() == [0, 1, 2]
    with pytest.warns(Warning, match="distinct clusters"):
        assert unlike_each_other(np.ones((5, 2), np.float32), 3, "k_means", 0).tolist() == [0, 1, 2]


def test_embeddings_are_compared_by_direction():
    assert unit_length([np.array([3.0, 4.0]), np.array([0.0, 0.0])]) == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
    assert ROBUST_Z.clip is None


# --- figures ---------------------------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_scores_that_there_are():
    found = statistics(table([4, np.nan, 1, 2, 3]))
    assert (found["clips"], found["scored"], found["unread"]) == (5, 4, 1)
    assert (found["min"], found["max"], found["mean"], found["median"], found["mad"]) == (1, 4, 2.5, 2.5, 1)
    assert found["std"] == pytest.approx(1.25**0.5)
    assert found["percentiles"]["25"] == 1.75 and found["percentiles"]["99"] == pytest.approx(3.97)
    assert statistics(table([np.nan])) == {"clips": 1, "scored": 0, "unread": 1}


def test_hidden_patches_are_darkened_on_the_overlay():
    frame = np.full((4, 6, 3), 100, np.uint8)
    shown = overlay(frame, np.array([[True, False], [False, True]]))
    assert shown[:2, :3].max() == shown[2:, 3:].max() == 25
    assert shown[:2, 3:].min() == shown[2:, :3].min() == 100


@given(scene=st.text(max_size=200), camera=st.text(max_size=20))
def test_names_from_data_never_lead_out_of_the_folder(scene: str, camera: str):
    name = of_clip(1, 2, Clip(scene, camera, ("a.jpg",), None))
    assert name.startswith("0001-clip0000002-") and Path(name).match(ANY_CLIP)
    assert re.fullmatch(r"[\w.-]+", name, re.ASCII) and len(name) < 120


def test_plain_names_keep_what_is_harmless():
    assert plain_name("Test-001_a.b") == "Test-001_a.b"


def test_plain_names_of_two_texts_are_two_names():
    texts = ["a b", "a_b", "a/b", "../a b", "_./a b", ".a", "_a", "ä", "x" * 80, "x" * 81, "x" * 82, ""]
    names = [plain_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert all(re.fullmatch(r"([\w-][\w.-]*)?", name, re.ASCII) and len(name) < 90 for name in names)


ALL = ["mine.select.min_gap=0", "mine.select.min_distance=0"]  # near-duplicates, too


# --- the steps -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scored run in `out`: 20 clips of two scenes, one of them with a name that is HTML."""
    root = tmp_path_factory.mktemp("select")
    write_frames(root / "footage/<script>alert(1)&lt;", range(40), seed=1)
    write_frames(root / "footage/b$x^2$", range(40), seed=2)
    write_videomae(root / "weights")
    mine("manifest", root / "out", f"mine.source={root}/footage")
    mine("score", root / "out", f"weights.videomae={root}/weights")
    return root


def test_the_histogram_has_the_bins_asked_for_and_its_figures_beside_it(place: Path):
    mine("distribution", place / "out", "distribution.bins=7")
    found = json.loads((place / "out/score_distribution_stats.json").read_text())
    scores = [line["score"] for line in lines(place / "out/scores.jsonl")]
    assert found["clips"] == 20 and found["median"] == pytest.approx(np.median(scores))
    assert list(found["cameras"]) == ["footage"]
    picture = cv2.imread(str(place / "out/score_distribution.png"))
    assert picture is not None and picture.shape[1] > 800


def test_renders_are_those_of_the_highest_scores_and_old_ones_go(place: Path):
    mine("render", place / "out", f"weights.videomae={place}/weights", "mine.render.count=3")
    mine("render", place / "out", f"weights.videomae={place}/weights", "mine.render.count=2")
    pictures = sorted((place / "out/renders").iterdir())
    ranked = sorted(lines(place / "out/scores.jsonl"), key=lambda line: -line["score"])
    assert [path.name[:16] for path in pictures] == [f"000{i + 1}-clip{ranked[i]['step']:07d}" for i in range(2)]
    assert cv2.imread(str(pictures[0])).shape[1] > 1000


def test_a_selection_can_be_fed_back_and_says_why(place: Path):
    options = [f"weights.videomae={place}/weights", "mine.select.count=4", "mine.select.pool=2", *ALL]
    mine("select", place / "out", *options, "mine.select.calibrate=scene")
    chosen = lines(place / "out/selected_manifest.jsonl")
    clips, scores = lines(place / "out/clips_manifest.jsonl"), lines(place / "out/scores.jsonl")
    why = json.loads((place / "out/selection.json").read_text())
    assert chosen == [clips[row["step"]] for row in why["selection"]] and len(chosen) == 4
    assert [row["rank"] for row in why["selection"]] == [1, 2, 3, 4]
    z = [row["calibrated"] for row in why["selection"]]
    assert z == sorted(z, reverse=True)
    values = np.array([line["score"] for line in scores if line["scene"] == why["selection"][0]["scene"]])
    deviation = 1.4826 * np.median(np.abs(values - np.median(values)))
    assert z[0] == pytest.approx((why["selection"][0]["score"] - np.median(values)) / deviation)
    assert (why["clips"], why["candidates"], why["threshold"]) == (20, 8, None)
    again = place / "again"
    options = [f"weights.videomae={place}/weights", f"mine.manifest={place}/out/selected_manifest.jsonl"]
    mine("score", again, *options)
    assert [line["score"] for line in lines(again / "scores.jsonl")] == [row["score"] for row in why["selection"]]


def test_only_clips_above_the_baseline_s_percentile_are_taken(place: Path, tmp_path: Path):
    scores = lines(place / "out/scores.jsonl")
    values = np.array([line["score"] for line in scores])
    baseline, settings = tmp_path / "usual.jsonl", (place / "out/scores.settings.json").read_text()
    baseline.write_bytes((place / "out/scores.jsonl").read_bytes())
    (tmp_path / "usual.settings.json").write_text(settings)
    options = [f"mine.select.baseline={baseline}", "mine.select.calibrate=none", "mine.select.diversify=none", *ALL]
    mine("select", place / "out", *options, "mine.select.percentile=75", "mine.select.count=null")
    why = json.loads((place / "out/selection.json").read_text())
    assert why["threshold"] == pytest.approx(np.percentile(values, 75))
    expected = np.argsort(-values, kind="stable")[: (values > np.percentile(values, 75)).sum()]
    assert [row["step"] for row in why["selection"]] == expected.tolist() and len(expected) == 5
    with pytest.raises(DataError, match=r"none of 20 clips is above .*lower mine\.select\.percentile"):
        mine("select", place / "out", *options, "mine.select.percentile=100")
    (tmp_path / "usual.settings.json").write_text(settings.replace('"bf16": false', '"bf16": true'))
    with pytest.raises(ConfigError, match=r"was scored with another bf16 than"):
        mine("select", place / "out", *options)


def test_the_contact_sheet_is_one_file_without_scripts_and_escapes_names(place: Path):
    mine("select", place / "out", "mine.select.count=20", "mine.select.diversify=none", *ALL)
    page = (place / "out/contact_sheet.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&amp;lt;" in page
    assert page.count("<figure>") == 20 and page.count("background-image: url(&#34;") == 0
    sources = re.findall(r"url\(([^)]{0,30})", page)
    assert len(sources) == 20 and all(source.startswith('"data:image/jpeg;base64,') for source in sources)
    assert not re.search(r'(src|href)="(?!data:)', page) and "default-src 'none'" in page


def test_clips_close_in_time_are_left_out_and_the_table_has_their_seconds(place: Path):
    """Scenes of 1.6 s, a clip every 0.16 s, 0.12 s long: clips more than 0.5 s apart are at least 4 further on."""
    mine("select", place / "out", "mine.select.count=20", "mine.select.diversify=none", "mine.select.min_gap=0.5")
    rows = pd.read_csv(place / "out/selection.csv")
    why = json.loads((place / "out/selection.json").read_text())
    assert rows["step"].tolist() == [row["step"] for row in why["selection"]] and 4 <= len(rows) <= 6
    assert why["near_duplicates"] == 20 - len(rows) and why["candidates"] == len(rows)
    for _, scene in rows.groupby("scene"):
        assert (np.diff(np.sort(scene["step"])) >= 4).all()
    assert rows["start_seconds"].tolist() == pytest.approx([0.16 * (step % 10) for step in rows["step"]])
    assert (rows["end_seconds"] - rows["start_seconds"]).tolist() == pytest.approx([0.12] * len(rows))
    assert why["selection"][0]["seconds"] == rows[["start_seconds", "end_seconds"]].iloc[0].tolist()
    page = (place / "out/contact_sheet.html").read_text()
    assert "{:.2f} to {:.2f} s".format(*why["selection"][0]["seconds"]) in page
    highest = max(lines(place / "out/scores.jsonl"), key=lambda line: line["score"])
    assert rows["step"][0] == highest["step"]  # one camera: calibrating keeps the order


def test_scores_of_another_manifest_are_told(place: Path, tmp_path: Path):
    other = tmp_path / "other.jsonl"
    other.write_text("".join((place / "out/clips_manifest.jsonl").read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(PixelPlayError, match=r"clip \d+ is not the one that was scored"):
        mine("select", place / "out", f"mine.manifest={other}", "mine.select.diversify=none")
    with pytest.raises(MissingArtifactError, match=r"step=score"):
        mine("distribution", tmp_path)
    with pytest.raises(ConfigError, match="would choose every clip"):
        mine("select", place / "out", "mine.select.count=null")
