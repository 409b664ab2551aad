"""Stage `report` on small runs: what it gathers, when it has work to do, what it refuses, and the clips."""

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.footage import write_frames, write_video
from tests.pipeline import ROOT, cached_video, files_below, run_here, user_environment, walking_square
from tests.reports import OPTIONS, run_all, tiny
from tests.test_report_charts import scored
from tests.test_report_page import Elements
from tests.test_report_pictures import objects

import pixelplay.detectors
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.drawing.annotate import data_uri
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.explain.frames import full_size_frames
from pixelplay.explain.gallery import gallery_frames
from pixelplay.explain.scored_boxes import Objects
from pixelplay.report import gather as reporting
from pixelplay.report.manifest import image_uri, read_manifest
from pixelplay.report.outcome import load_outcome
from pixelplay.report.settings import ReportConfig
from pixelplay.report.timelines import Scale
from pixelplay.run.commit import git_commit
from pixelplay.run.files import RunFiles
from pixelplay.stages import detect, evaluate, events, explain, fuse, prepare, report, score, train

FAMILY = ["conv_ae", "st_ae"]
SCRIPT = "<img src=x onerror=document.title=1>"  # a name that a folder of frames may have
UNREACHABLE = ("events.method=fixed", "+events.thresholds.fixed.tiny=1e6")
PNG = cv2.imencode(".png", np.zeros((2, 3, 3), np.uint8))[1].tobytes()


def page(config: Config) -> Elements:
    return Elements(RunFiles.of(config).report.read_text())


def drawn(config: Config) -> dict:
    """The data that the page's script draws."""
    text = RunFiles.of(config).report.read_text()
    return json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[0])


def positions(runs: list[list[int]]) -> list[int]:
    return [t for start, stop in runs for t in range(start, stop)]


def sections(found: Elements) -> list[str]:
    return [section["id"] for section in found.named("section")]


def picture(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2], validate=True)
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


# --- what is on the page --------------------------------------------------------------------------------------------


def test_the_page_has_a_chart_for_each_video_a_histogram_for_each_detector_and_two_curves(finished: Path):
    found = page(tiny())
    index = prepare.load_index(tiny())
    styles = [svg.get("class", "") for svg in found.named("svg")]
    assert styles.count("chart timeline") == len(index.test)
    assert styles.count("chart curves") == 2
    assert styles.count("chart histogram") == 3  # and one of the fusion
    assert sections(found) == ["events", "timelines", "scores", "details", "run"]
    assert RunFiles.of(tiny()).report.stat().st_size < 5e6
    for video, one in zip(drawn(tiny())["videos"], index.test, strict=True):
        assert [line["name"] for line in video["lines"]] == [*FAMILY, "fused"]
        assert sum(count for _, count in video["numbers"]) == len(one)


def test_the_figures_are_those_of_metrics_json(finished: Path):
    metrics = json.loads(RunFiles.of(tiny()).metrics.read_text())
    text = page(tiny()).text
    for figures in (
        metrics["fused"],
        *metrics["detectors"].values(),
        *metrics["detectors"]["st_ae"]["streams"].values(),
    ):
        assert f"{figures['ap']:.3f}" in text
        assert f"{figures['eer']:.3f}" in text


def test_labels_and_corrupted_frames_are_marked_as_the_artefacts_have_them(finished: Path):
    index, charts = prepare.load_index(tiny()), drawn(tiny())["videos"]
    table = pd.read_csv("outputs/tiny/restoration.csv", dtype={"video": str})
    truth = prepare.load_labels(tiny(), index)
    assert table["flipped"].sum() > 0
    for video, chart in zip(index.test, charts, strict=True):
        rows = table[table["video"] == video.id].set_index("frame").loc[video.numbers]
        marked = {strip["style"]: positions(strip["runs"]) for strip in chart["strips"]}
        noisy = rows["noise_level"].to_numpy() > tiny().restore.noise_above
        assert marked.get("flipped", []) == np.flatnonzero(rows["flipped"]).tolist()
        assert marked.get("noisy", []) == np.flatnonzero(noisy).tolist()
        assert positions(chart["labels"]) == np.flatnonzero(truth[video.id].labels).tolist()


def test_small_frames_are_those_of_the_footage_and_keep_to_their_budget(finished: Path):
    index, files = prepare.load_index(tiny()), RunFiles.of(tiny())
    sprites = read_manifest(files, index).sprites
    assert [one.video for one in sprites] == [video.id for video in index.test]
    assert sum((files.explain / one.picture).stat().st_size for one in sprites) <= 2e6
    for one, video in zip(sprites, index.test, strict=True):
        assert one.frames == video.numbers.tolist(), "there is room for all of so few"
        sheet, (width, height) = cv2.imread(str(files.explain / one.picture), cv2.IMREAD_COLOR_RGB), one.size
        k = len(one.frames) // 2
        top, left = k // one.columns * height, k % one.columns * width
        tile = sheet[top : top + height, left : left + width]
        assert np.abs(cv2.resize(list(video.full_size())[k], one.size).astype(int) - tile).mean() < 12


def test_the_gallery_shows_the_frames_as_they_were_put_right_with_a_heat_map_from_each_autoencoder(reported: Path):
    config = tiny(*UNREACHABLE)  # so that there are no events
    for stage in (events, evaluate, explain, report):
        stage.run(config)
    outcome = load_outcome(config, prepare.load_index(config))
    chosen = gallery_frames(outcome.videos, config.report)
    assert "No score of the test videos is above" in page(config).text
    pictures = [picture(image["src"]) for image in page(config).named("img")][: 4 * (1 + len(FAMILY))]
    assert len(chosen) == 4 and len(pictures) == 4 * (1 + len(FAMILY))
    for (i, t), image in zip(chosen, pictures[:: 1 + len(FAMILY)], strict=True):
        frame = list(outcome.index.test[i].full_size())[t]
        assert image.shape == (270, 480, 3)
        assert np.abs(cv2.resize(frame, (480, 270)).astype(int) - image).mean() < 8
    assert all(heat.shape == (135, 240, 3) for i, heat in enumerate(pictures) if i % 3)
    config = tiny(*UNREACHABLE, "report.gallery=0", "report.thumbnails_mb=0.0")
    for stage in (explain, report):
        stage.run(config)
    assert sections(page(config)) == ["events", "timelines", "scores", "details", "run"]
    assert [image["alt"] for image in page(config).named("img")] == sorted(
        path.stem.replace("_", " ") for path in RunFiles.of(config).thresholds.glob("*.png")
    )


def test_events_are_shown_with_the_frames_of_their_peaks_the_most_severe_first(finished: Path):
    config = tiny()
    found = json.loads(RunFiles.of(config).events.read_text())["events"]
    assert found, "the run is meant to have some"
    shown = page(config)
    ids = [article["id"] for article in shown.named("article") if article.get("class") == "event"]
    assert ids == [f"event-{rank}" for rank in range(1, len(found) + 1)][:4]
    moments = read_manifest(RunFiles.of(config), prepare.load_index(config)).gallery
    assert [(one.video, one.frame) for one in moments] == [(e["video"], e["peak"]["frame"]) for e in found][:4]
    images = [image for image in shown.named("img") if image["src"].startswith("data:image/jpeg")]
    clips = shown.named("video")  # each with the event's picture as its poster
    assert len(images) + len(clips) == len(ids) * (1 + len(FAMILY)) + 3, (
        "heat maps of both; three sheets of small frames"
    )
    assert all((RunFiles.of(config).report.parent / clip["src"]).is_file() for clip in clips)


def test_a_flipped_frame_is_shown_upright(finished: Path):
    video = next(v for v in prepare.load_index(tiny()).test if v.originals.flipped.any())
    t = int(np.flatnonzero(video.originals.flipped)[0])
    ((_, shown),) = full_size_frames(video, [t])
    stored = cv2.imread(str(video.originals.source.files()[video.originals.shown[t]]), cv2.IMREAD_COLOR_RGB)
    assert (shown == stored[::-1]).all()


def test_nothing_is_drawn_of_rows_that_are_not_of_the_test(reported: Path):
    """A fusion that was made for held-out footage, too, has a column `split`, and a histogram."""
    config = tiny()
    before = load_outcome(config, prepare.load_index(config))
    table = pd.read_parquet("outputs/tiny/fused.parquet").query("split == 'test'")
    other = table.assign(split="calibration", score=99.0)
    pd.concat([other, table], ignore_index=True).to_parquet("outputs/tiny/fused.parquet")
    after = load_outcome(config, prepare.load_index(config))
    assert Scale.of(after.videos) == Scale.of(before.videos)
    for a, b in zip(before.videos, after.videos, strict=True):
        assert (a.fused == b.fused).all()
    shown = reporting._distributions(config, after)
    assert list(shown) == [*FAMILY, "fused"]
    assert (shown["fused"]["held-out normal"] == 99).all()


def test_histograms_tell_held_out_normal_and_anomalous_frames_apart(finished: Path):
    config, index = tiny(), prepare.load_index(tiny())
    one = reporting._distributions(config, load_outcome(config, index))["conv_ae"]
    own = pd.read_parquet("outputs/tiny/fused.parquet").query("stream == 'conv_ae'")  # what the metrics measure
    test = own.query("split == 'test'").set_index(["video", "frame"])["score"]
    truth = prepare.load_labels(config, index).values()
    labels = {(v.video, int(n)): label for v in truth for n, label in zip(v.numbers, v.labels, strict=True)}
    expected = {
        "held-out normal": own.query("split == 'calibration'")["score"].tolist(),
        "test, normal": [score for key, score in test.items() if not labels[key]],
        "test, anomalous": [score for key, score in test.items() if labels[key]],
    }
    assert {kind: sorted(scores.tolist()) for kind, scores in one.items()} == {
        kind: sorted(map(float, scores)) for kind, scores in expected.items()
    }


def test_without_labels_the_page_leaves_measures_out_and_shows_all_else(reported: Path):
    shutil.rmtree("data/tiny/test_labels")
    for folder in ("test_masks", "test_tracks"):
        shutil.rmtree(f"data/tiny/{folder}", ignore_errors=True)
    run_all(tiny())
    found = page(tiny())
    assert sections(found) == ["events", "timelines", "details", "run"]
    assert "no labels on disk" in found.text
    assert "labelled" not in found.text
    labels = [path.get("data-label") for path in found.named("path")]
    assert "held-out normal" in labels and "test" in labels


def test_labels_of_one_class_end_in_a_page_that_says_why_figures_are_missing(reported: Path):
    for label, reason in ((0, "are 0 (normal)"), (1, "are 1 (anomalous)")):
        for path in Path("data/tiny/test_labels").glob("*.csv"):
            pd.read_csv(path).assign(label=label).to_csv(path, index=False)
        for stage in (prepare, evaluate, report):
            stage.run(tiny())
        metrics = json.loads(RunFiles.of(tiny()).metrics.read_text())
        assert (metrics["fused"]["ap"], metrics["fused"]["auc_micro"], metrics["prevalence"]) == (None, None, label)
        found = page(tiny())
        assert f"{reason}: AP, ROC-AUC, EER and F1 need both classes" in found.text
        assert "curves" not in [svg.get("class", "").split()[-1] for svg in found.named("svg")]
        assert "scores" in sections(found)


def test_an_ablation_is_shown_where_there_is_one_and_its_text_is_escaped(reported: Path):
    folder = Path("outputs/tiny/ablation")
    folder.mkdir()
    (folder / "ablation.csv").write_text(f'name,kind,ap\n"{SCRIPT}",alone,0.123456\n')
    (folder / "weight_sweep.png").write_bytes(PNG)
    assert report.pending(tiny()) == "report: ablation.ablation.csv changed on disk"
    report.run(tiny())
    found = page(tiny())
    assert "ablation" in [one.get("id") for one in found.named("details")]
    assert SCRIPT in found.text and "0.123" in found.text and "weight sweep" in found.text
    assert any(image["src"] == data_uri(PNG, "png") for image in found.named("img"))


@pytest.mark.parametrize(("name", "content"), [("ablation.csv", b"a,b\n1\n"), ("plot.png", b"<svg/>")])
def test_a_damaged_ablation_is_named_with_what_to_do(reported: Path, name: str, content: bytes):
    folder = Path("outputs/tiny/ablation")
    folder.mkdir()
    (folder / "ablation.csv").write_text("name,ap\na,1\n")
    (folder / name).write_bytes(content)
    with pytest.raises(DamagedArtifactError, match=rf"{name} is damaged .*run `python src/ablate\.py`"):
        report.run(tiny())
    assert report.pending(tiny())  # not passed off as done


# --- which frames ---------------------------------------------------------------------------------------------------


def settings(**changes: object) -> ReportConfig:
    return tiny().report.model_copy(update={"gallery": 9, "per_video": 9, "min_gap": 1, **changes})


def test_the_gallery_has_the_local_maxima_highest_first():
    first = scored(list(range(7)), [5, 1, 3, 1, 1, 2, 0])
    second = scored(list(range(4)), [0, 0, 1, 4])
    assert gallery_frames([first, second], settings()) == [(0, 0), (1, 3), (0, 2), (0, 5)]
    assert gallery_frames([first, second], settings(gallery=2)) == [(0, 0), (1, 3)]
    assert gallery_frames([first, second], settings(per_video=1)) == [(0, 0), (1, 3)]
    assert gallery_frames([first, second], settings(gallery=0)) == []


def test_of_two_peaks_that_are_near_the_higher_is_shown():
    one = scored(list(range(8)), [0, 3, 0, 4, 0, 0, 2, 0])
    assert gallery_frames([one], settings(min_gap=1)) == [(0, 3), (0, 1), (0, 6)]
    assert gallery_frames([one], settings(min_gap=2)) == [(0, 3), (0, 6)]  # 1 and 3 have but one between them


def test_constant_scores_and_a_single_frame_have_a_peak():
    assert gallery_frames([scored(list(range(5)), [1] * 5)], settings()) == [(0, 2)]
    assert gallery_frames([scored([3], [1])], settings()) == [(0, 0)]


@pytest.mark.parametrize("kind", ["images", "video file"])
def test_single_frames_are_those_of_the_whole_stream(tmp_path: Path, small_run: list[str], kind: str):
    if kind == "video file":
        shutil.rmtree(tmp_path / "data/test/02")
        write_video(tmp_path / "data/test/02.avi", 12)
    config = load_config([*small_run, "restore.flip=none", "workers=1"])
    prepare.run(config)
    video = next(v for v in prepare.load_index(config).test if v.id == "02")
    every = list(video.full_size())
    wanted = [1, len(video) - 1]
    found = dict(full_size_frames(video, wanted))
    assert [*found] == wanted
    assert all((found[t] == every[t]).all() for t in wanted)


# --- boxes and clips ------------------------------------------------------------------------------------------------


def test_boxes_are_those_of_the_rows_that_name_the_frame():
    rows = [("test", frame, 10.0 * frame, "v", 1) for frame in (40, 41, 10, 15, 20)]
    found = Objects.of("v", objects(*rows, ("calibration", 17, 0.0, "v", 1), ("test", 40, 7.0, "v", 0)))
    assert found.of_frame("a", 20).xyxy[:, 0].tolist() == [200]
    assert sorted(found.of_frame("a", 40).xyxy[:, 0].tolist()) == [7, 400]
    assert len(found.of_frame("a", 17).xyxy) == len(found.of_frame("other", 15).xyxy) == 0


def test_the_boxes_of_a_detector_are_on_its_gallery_and_in_its_clip(tmp_path: Path, monkeypatch, small_run: list[str]):
    """The table of objects is written by hand, in the form that a detector's `score` gives."""
    monkeypatch.setattr(
        pixelplay.detectors, "__path__", [*pixelplay.detectors.__path__, str(ROOT / "tests" / "asking")]
    )
    counting = "{algorithm:counting,frames:null,training:{tubes:${objects.tubes}},scoring:{}}"
    unreachable = ("events.method=fixed", "+events.thresholds.fixed.folder=1e6")  # no event: a gallery
    options = [*small_run[:2], "detector=[]", f"+detectors.counting={counting}", *small_run[4:], *unreachable]
    config = load_config([*options, "restore.flip=none", "workers=1", 'report.clips=["01"]', "report.fps=5.0"])
    for stage in (prepare, detect, train, score, fuse):
        stage.run(config)
    files = RunFiles.of(config)
    rows = [("calibration", 0, 0.0, "counting", 1), *(("test", n, 20.0, "counting", 5 + n) for n in (5, 6, 8, 9, 12))]
    objects(*rows).assign(video="01").to_parquet(files.object_scores("counting"))
    for stage in (events, evaluate, explain, report):
        stage.run(config)
    found = page(config)
    assert "boxes: counting" in found.text
    assert "score of a box" in found.text
    capture = cv2.VideoCapture(str(files.clip("01")))
    images = [capture.read()[1] for _ in range(5)]
    assert capture.get(cv2.CAP_PROP_FPS) == 5
    assert not capture.read()[0]
    capture.release()
    left_edge = images[4][100, 199:202].astype(int).max(axis=0)  # x1 = 20 of 64, enlarged ten times; BGR of yellow
    assert left_edge[2] - left_edge[0] > 80
    assert any(a["href"] == "clips/01.mp4" for a in found.named("a"))


def test_a_clip_is_made_with_the_page_and_only_where_it_is_asked_for(reported: Path):
    assert not Path("outputs/tiny/report/clips").exists()
    config = tiny("report.clips=[02]")
    for stage in (explain, report):
        stage.run(config)
    capture = cv2.VideoCapture("outputs/tiny/report/clips/02.mp4")
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == len(prepare.load_index(config).test[1])
    capture.release()
    assert explain.pending(config) is None
    Path("outputs/tiny/report/clips/02.mp4").unlink()
    assert explain.pending(config)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ("[nowhere]", r"report\.clips: 'nowhere': no such test video; .*allowed here: 01, 02, 03"),
        ("[1]", r"report\.clips: '1': no such test video"),
    ],
)
def test_a_clip_of_a_video_that_is_not_there_is_refused(finished: Path, clips: str, message: str):
    with pytest.raises(ConfigError, match=message):
        explain.run(tiny(f"report.clips={clips}"))


def test_the_names_of_pictures_and_clips_stay_in_their_folder_and_apart():
    files, names = RunFiles.of(tiny()), ["../../a", "a b", "a_b", "a/b", SCRIPT, "Grün", "a"]
    folders = {
        "report/clips": [files.clip(name) for name in names],
        "explain/errors": [files.error_maps("conv_ae", name) for name in names],
        "explain/neighbours": [files.neighbours("conv_ae", name, 7) for name in names],
    }
    for folder, paths in folders.items():
        assert {path.parent for path in paths} == {Path("outputs/tiny") / folder}
        assert len({path.name for path in paths}) == len(names)
        assert all(re.fullmatch(r"[\w.-]+\.(mp4|png)", path.name, re.ASCII) for path in paths)
    assert files.clip("Test001").name == "Test001.mp4"


def test_labels_of_some_videos_are_used_and_a_name_that_is_markup_is_shown(small_folder: Path, small_run: list[str]):
    write_frames(small_folder / "test" / SCRIPT, range(6), seed=7)
    config = load_config([*small_run, "trainer=tiny", "restore.flip=none", "workers=1", "report.gallery=6"])
    config = config.model_copy(update={"report": config.report.model_copy(update={"clips": [SCRIPT]})})
    run_all(config)
    found = page(config)
    assert "with labels for 1 of 3 test videos" in found.text
    assert sections(found) == ["events", "timelines", "scores", "details", "run"]
    assert SCRIPT in found.text
    assert all(image.get("src", "").startswith("data:") for image in found.named("img"))
    assert not any("onerror" in attributes for _, attributes in found.found)
    (clip,) = (a["href"] for a in found.named("a") if a["href"].startswith("clips/"))
    assert (RunFiles.of(config).report.parent / clip).is_file()


# --- when there is work to do ---------------------------------------------------------------------------------------


def test_a_report_that_is_up_to_date_is_left_as_it_is_and_told_where_it_is(reported: Path):
    def written() -> dict[Path, int]:
        notes = ("digests", "config.yaml", ".lock")  # of commands
        return {path: path.stat().st_mtime_ns for path in files_below(reported) if path.name not in notes}

    before = written()
    assert report.pending(tiny()) is None
    done = run_here("report.py", *OPTIONS, cwd=reported)
    assert done.stdout == "report: up to date\nreport: outputs/tiny/report/index.html\n", done.stderr
    assert written() == before


def test_nothing_slow_is_imported_where_there_is_nothing_to_do(finished: Path):
    script = (
        "import sys; from pixelplay.cli import load_config; from pixelplay.stages import report; "
        "config = load_config(sys.argv[1:]); report.run(config); "
        "print(report.pending(config), sorted({'torch', 'matplotlib', 'sklearn', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *OPTIONS],
        capture_output=True,
        text=True,
        env={**user_environment(), "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.stdout.strip() == "None []", done.stderr


def test_a_changed_setting_draws_it_anew(reported: Path):
    before = Path("outputs/tiny/report/index.html").read_bytes()
    for override in ("report.min_gap=2", "report.picture_width=200", "report.gallery=2"):
        assert explain.pending(tiny(override)) and report.pending(tiny(override))
    for stage in (explain, report):
        stage.run(tiny(override))
    assert report.pending(tiny(override)) is None
    assert Path("outputs/tiny/report/index.html").read_bytes() != before


def test_changed_figures_are_measured_again(reported: Path):
    path = RunFiles.of(tiny()).metrics
    path.write_text(path.read_text().replace('"ap": 0.', '"ap": 0.9', 1))
    assert evaluate.pending(tiny())


def test_it_waits_for_fuse_and_for_evaluate(reported: Path):
    other = tiny("fusion.default.smooth.sigma=2.0")
    with pytest.raises(MissingArtifactError, match=r"fuse: fusion\.default\.smooth\.sigma changed.*src/fuse\.py`"):
        report.run(other)
    fuse.run(other)
    with pytest.raises(MissingArtifactError, match=r"events: .*run `python src/events\.py`"):
        report.run(other)
    events.run(other)
    with pytest.raises(MissingArtifactError, match=r"evaluate: .*run `python src/evaluate\.py`"):
        report.run(other)
    evaluate.run(other)
    report.run(other)  # with the pictures that there are, as on a machine without frames
    assert "the pictures were made with other settings" in page(other).text
    explain.run(other)
    report.run(other)
    assert "the pictures were made with other settings" not in page(other).text


def test_the_page_is_drawn_again_from_the_outputs_alone_and_is_the_same(reported: Path):
    before = Path("outputs/tiny/report/index.html").read_bytes()
    for folder in ("data", "cache", "checkpoints", "submissions"):
        shutil.rmtree(folder)
    Path("outputs/tiny/report/index.html").unlink()
    report.run(tiny())
    assert Path("outputs/tiny/report/index.html").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"video": "', '"video": "other', r"video 'other\d+' has no frame"),
        ('"frame": ', '"frame": 99', r"has no frame 99\d+"),
        ('"picture": "', '"picture": "../', r"gallery\.0\.picture"),
        ('"#', '"red;#', r"scales\.0\.colors\.0"),
        ('"clips"', '"videos"', r"clips: Field required"),
    ],
)
def test_a_manifest_that_does_not_fit_the_run_is_refused(reported: Path, old: str, new: str, message: str):
    files, index = RunFiles.of(tiny()), prepare.load_index(tiny())
    assert read_manifest(files, index).gallery
    files.manifest.write_text(files.manifest.read_text().replace(old, new, 1))
    with pytest.raises(
        DamagedArtifactError, match=rf"manifest\.json is damaged .*{message}.*run `python src/explain\.py`"
    ):
        read_manifest(files, index)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path):
    (tmp_path / "a.jpg").write_text(SCRIPT)
    for name in ("a.jpg", "missing.jpg"):
        with pytest.raises(DamagedArtifactError, match=rf"{name} is damaged .*run `python src/explain\.py`"):
            image_uri(tmp_path / name, made_by="explain")


# --- facts of the run -----------------------------------------------------------------------------------------------


def test_the_time_of_all_that_the_stages_did_is_told_in_the_order_of_its_end(reported: Path):
    stages = Path("outputs/tiny/stages")
    shutil.copy(stages / "score-st_ae.json", stages / "score-denoising_ae.json")  # of a detector that is no longer one
    times = reporting.stage_times(tiny())
    assert set(times) == {path.stem for path in stages.glob("*.json")} - {"score-denoising_ae", "report"}
    assert {"prepare", "train-conv_ae", "score-st_ae-pseudo", "fuse", "events", "explain"} <= set(times)
    assert list(times) == sorted(times, key=lambda part: times[part].finished)
    record = json.loads(Path("outputs/tiny/stages/fuse.json").read_text())
    assert times["fuse"].seconds == record["seconds"]
    Path("outputs/tiny/stages/fuse.json").write_text("{")
    assert "fuse" not in reporting.stage_times(tiny())


def test_the_page_has_seed_versions_machine_and_the_resolved_configuration(finished: Path):
    import torch

    text = page(tiny()).text
    for fact in (torch.__version__.partition("+")[0], np.__version__, "max_epochs: 2", "experiment: tiny", "cores"):
        assert fact in text


def test_the_commit_is_that_of_the_repository_and_says_when_files_differ(tmp_path: Path):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    assert git_commit(tmp_path) is None
    git("init", "--quiet")
    assert git_commit(tmp_path) is None  # nothing is committed yet
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "--quiet", "-m", "a")
    assert git_commit(tmp_path) == git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path).endswith(" (changed)")


def test_frames_that_no_file_stands_behind_are_told(tmp_path: Path):
    with pytest.raises(DataError, match="no source of full-size frames"):
        next(full_size_frames(cached_video(tmp_path, "a", walking_square(4, 0)), [1]))
