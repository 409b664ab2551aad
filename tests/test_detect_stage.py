"""Stage `detect`: who asks for objects, what is found, kept and shared, kills, and how boxes reach detectors."""

import os
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.pipeline import ROOT, files_below, run, run_here
from tests.test_boxes import rows
from tests.test_weights import unplugged
from tests.test_yolo import random_weights

import pixelplay.detectors
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError, DamagedArtifactError, MissingArtifactError, WeightsError
from pixelplay.explain.boxes import write_boxes
from pixelplay.objects import detection, motion
from pixelplay.objects.boxes import load
from pixelplay.objects.tables import table
from pixelplay.run.files import RunFiles
from pixelplay.stages import detect, evaluate, events, explain, fuse, prepare, report, score, status, train

__all__ = ["unplugged"]  # a fixture

ASKING = ROOT / "tests" / "asking"
COUNTING = "{algorithm:counting,frames:null,training:{tubes:${objects.tubes}},scoring:{}}"
FRAMES, WIDTH, HEIGHT = 24, 96, 64
VIDEOS = ("train/a", "train/b", "test/c", "test/still")


def write_video(folder: Path, walks: bool) -> None:
    folder.mkdir(parents=True)
    ground = cv2.GaussianBlur(np.random.default_rng(1).normal(120, 200, (HEIGHT, WIDTH)), (0, 0), 5)
    for t in range(FRAMES):
        frame = ground.copy()
        if walks:
            frame[20:44, 4 + 3 * t : 14 + 3 * t] -= 60
        cv2.imwrite(str(folder / f"{t:03d}.png"), np.clip(frame, 0, 255).astype(np.uint8))


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run in a folder of its own whose detector asks for objects; in one of its videos nothing moves."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pixelplay.detectors, "__path__", [*pixelplay.detectors.__path__, str(ASKING)])
    for name in VIDEOS:
        write_video(tmp_path / "data" / name, walks="still" not in name)
    small = ["objects.motion.frames.width=96", "objects.motion.frames.height=64", "objects.yolo.image_size=64"]
    run = ["experiment=folder", "dataset.root=data", "restore.flip=none", "pseudo=none", "device=cpu", "trainer=tiny"]
    run += ["dataset.heldout.gap=2"]
    return [*run, *small, "detector=[]", f"+detectors.counting={COUNTING}"]


def prepared(options: list[str], *more: str) -> Config:
    config = load_config([*options, *more])
    prepare.run(config)
    return config


def tables(folder: str | Path = "cache") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("objects-*.parquet"))}


# --- who asks -------------------------------------------------------------------------------------------------------


def test_a_detector_asks_for_boxes_in_its_spec_which_needs_no_torch(options: list[str]):
    script = (
        "import sys, pixelplay.detectors, pixelplay.stages.status as s; "
        f"pixelplay.detectors.__path__.append({str(ASKING)!r}); "
        "from pixelplay.cli import load_config; from pixelplay.detectors import registry; "
        "from pixelplay.objects import detection as detecting; "
        "configs = [load_config([*sys.argv[1:], *more]) for more in ([], ['detector=[conv_ae]'])]; "
        "print([detecting.methods(config, registry.needing(config, 'boxes')) for config in configs], "
        "sorted({'torch', 'ultralytics'} & set(sys.modules)))"
    )
    done = run(sys.executable, "-c", script, *options, cwd=Path.cwd())
    assert done.stdout.strip() == "[('motion',), ('motion',)] []", done.stderr


def test_the_autoencoder_asks_for_nothing_and_the_stage_does_nothing(options: list[str], caplog):
    caplog.set_level("INFO")
    config = prepared([*options[:-2], "detector=[conv_ae_tiny]", "detectors.conv_ae.training.window=2"])
    assert registry.needing(config, "boxes") == []
    assert detection.settings(config, []) == {}
    assert detect.pending(config) is None
    detect.run(config)
    assert "no detector of this run asks for objects" in caplog.text
    assert tables() == {}
    assert not list(Path("cache").rglob("96x64*"))  # the working size of motion is not stored either


def test_an_unknown_algorithm_is_refused_as_ever(options: list[str]):
    config = load_config([*options, "detectors.counting.algorithm=conting"])
    with pytest.raises(ConfigError, match=r"unknown algorithm; did you mean 'counting'"):
        registry.spec("counting", config.detectors["counting"])


# --- methods --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "method", "expected"),
    [
        ("motion", "auto", ("motion",)),
        ("motion", "motion", ("motion",)),
        ("a.pt", "auto", ("yolo",)),
        ("a.pt", "yolo", ("yolo",)),
        ("a.pt", "motion", ("motion",)),
        ("a.pt", "both", ("yolo", "motion")),
    ],
)
def test_the_methods_follow_the_method_and_the_weights(options: list[str], weights, method, expected):
    config = load_config([*options, f"weights.yolo={weights}", f"objects.method={method}"])
    assert detection.methods(config, ["counting"]) == expected
    assert (config.objects.motion.frames in prepare.formats(config)) == ("motion" in expected)


@pytest.mark.parametrize("method", ["yolo", "both"])
def test_yolo_without_weights_is_a_contradiction_that_is_told(options: list[str], method: str):
    with pytest.raises(ConfigError, match=rf"objects\.method={method} needs weights, and weights\.yolo=motion"):
        detection.methods(load_config([*options, f"objects.method={method}"]), ["counting"])


def test_each_method_has_a_table_per_video_and_both_shares_theirs(options: list[str], yolo_weights: Path):
    yolo = [*options, f"weights.yolo={yolo_weights}"]
    detect.run(prepared(options))
    by_motion = tables()
    assert len(by_motion) == 4
    detect.run(prepared(yolo))
    assert len(tables()) == 8
    before = {path: path.stat().st_mtime_ns for path in Path("cache").rglob("objects-*.parquet")}
    detect.run(prepared(yolo, "objects.method=both"))
    assert {path: path.stat().st_mtime_ns for path in Path("cache").rglob("objects-*.parquet")} == before


# --- what is found --------------------------------------------------------------------------------------------------


def test_the_walker_is_found_in_every_frame_and_a_still_video_has_an_empty_table(options: list[str], caplog):
    caplog.set_level("INFO")
    config = prepared(options)
    detect.run(config)
    index = prepare.load_index(config)
    for video in (*index.train, *index.test):
        boxes = load(table(config, video, "motion"))
        assert boxes.position.tolist() == ([] if video.id == "still" else list(range(FRAMES)))
        for t, x1, y1, x2, y2, *_ in rows(boxes):
            assert np.abs(np.array([x1, y1, x2, y2]) - [4 + 3 * t, 20, 14 + 3 * t, 44]).max() <= 4  # blurred
    assert "none in 1 of 4 videos" in caplog.text


def test_a_detector_gets_the_boxes_of_its_videos_and_blocks_in_training_and_scoring(options: list[str]):
    """Two training videos: blocks of both are held out. One object in each frame is usual, none is one less."""
    config = prepared(options)
    for stage in (detect, train, score, fuse, events, evaluate, explain, report):
        stage.run(config)
    import pandas as pd

    found = pd.read_parquet("outputs/folder/scores/counting.parquet")
    assert found.groupby("video")["score"].unique().map(list).to_dict() == {
        "a": [0],
        "b": [0],
        "c": [0],
        "still": [-1],
    }
    assert all(not stage.pending(config) for stage in status.STAGES.values())


# --- when there is something to do ----------------------------------------------------------------------------------


def test_a_finished_stage_has_nothing_to_do_and_runs_share_its_tables(options: list[str], monkeypatch):
    config = prepared(options)
    assert detect.pending(config) == "detect: not done yet"
    detect.run(config)
    assert detect.pending(config) is None
    monkeypatch.setattr(motion, "detect", None)  # nobody calls it again
    detect.run(config)
    detect.run(prepared(options, "run=other", "objects.tubes.enlarge=2.0", "objects.yolo.batch_size=3"))


@pytest.mark.parametrize(
    "change",
    [
        "objects.motion.threshold=30.0",
        "objects.motion.frames.width=88",
        "objects.method=yolo",
        "restore.flip=background",
    ],
)
def test_what_decides_the_boxes_has_them_found_again_and_detectors_trained_again(
    options: list[str], yolo_weights: Path, change: str
):
    more = [f"weights.yolo={yolo_weights}"] if change == "objects.method=yolo" else []
    config = prepared(options)
    for stage in (detect, train, score):
        stage.run(config)
    for path in Path("data/test/c").iterdir():  # restoring then has something to do
        if int(path.stem) in (3, 7, 11):
            cv2.imwrite(str(path), cv2.imread(str(path))[::-1])
    changed = prepared(options, change, *more)
    assert detect.pending(changed)
    with pytest.raises(MissingArtifactError, match=r"^(detect|train): .*run `python src/(detect|train)\.py`"):
        (score if change.startswith("restore") else train).run(changed)
    detect.run(changed)
    assert bool(train.pending(changed)) == (not change.startswith("restore"))  # of the test videos alone
    assert score.pending(changed)


def test_restored_frames_have_tables_of_their_own(options: list[str], yolo_weights: Path):
    config = prepared(options, f"weights.yolo={yolo_weights}", "objects.method=both")
    detect.run(config)
    before = tables()
    for t in (3, 7, 11):
        path = f"data/test/c/{t:03d}.png"
        cv2.imwrite(path, cv2.imread(path)[::-1])
    changed = prepared(options, f"weights.yolo={yolo_weights}", "objects.method=both", "restore.flip=background")
    detect.run(changed)
    [video] = [video for video in prepare.load_index(changed).test if video.id == "c"]
    assert video.restored is not None
    kept = {path: content for path, content in before.items() if "/c/" in path}
    for method in ("yolo", "motion"):
        [old] = [Path(path) for path in kept if f"objects-{method}" in path] or [None]
        assert old is None or not old.exists()  # they were of other footage
        boxes = load(table(changed, video, method))
        assert len(boxes) > 0
    assert {t for t, *_ in rows(load(table(changed, video, "motion")))} == set(range(FRAMES))


def test_other_weights_of_the_same_name_are_noticed(options: list[str], tmp_path: Path, yolo_weights: Path):
    (tmp_path / "mine.pt").write_bytes(yolo_weights.read_bytes())
    config = prepared(options, "weights.yolo=mine.pt")
    detect.run(config)
    random_weights(tmp_path / "mine.pt", bias=-2.0)
    assert detect.pending(config)


@pytest.mark.parametrize("damage", [b"", b"\x93" * 500, None])
def test_a_damaged_or_foreign_table_is_told_with_what_to_do_and_that_helps(options: list[str], damage: bytes | None):
    config = prepared(options)
    detect.run(config)
    before = tables()
    one, other = (Path(next(name for name in before if place in name)) for place in ("/train/a/", "/test/still/"))
    one.write_bytes(other.read_bytes() if damage is None else damage)
    assert f"{one.name} has other contents than were written" in (detect.pending(config) or "")
    with pytest.raises(MissingArtifactError, match=rf"{one.name}.*run `python src/detect\.py`"):
        train.run(config)
    detect.run(config)
    assert tables() == before


def test_it_waits_for_prepare_and_says_so(options: list[str]):
    with pytest.raises(MissingArtifactError, match=r"index\.json is missing: run `python src/prepare\.py`"):
        detect.run(load_config(options))


def test_an_index_of_an_older_version_is_made_again(options: list[str]):
    import json

    config = prepared(options)
    path = RunFiles.of(config).index
    value = json.loads(path.read_text())
    for video in value["train"]:
        del video["originals"]
    path.write_text(json.dumps(value))
    with pytest.raises(DamagedArtifactError, match="another version of this project"):
        detect.pending(config)


# --- weights --------------------------------------------------------------------------------------------------------


def test_weights_that_are_not_to_be_had_stop_prepare_before_it_does_anything(options: list[str], unplugged, tmp_path):
    config = load_config([*options, "weights.yolo=yolov5lu.pt"])
    with pytest.raises(WeightsError, match=r"weights\.yolo=yolov5lu\.pt: YOLO weights not found"):
        prepare.run(config)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_weights_that_have_gone_are_work_to_do_and_an_error_to_who_does_it(options: list[str], yolo_weights, tmp_path):
    (tmp_path / "mine.pt").write_bytes(yolo_weights.read_bytes())
    config = prepared(options, "weights.yolo=mine.pt")
    (tmp_path / "mine.pt").unlink()
    assert detect.pending(config) == "detect: not done yet"
    with pytest.raises(WeightsError, match=r"weights\.yolo=mine\.pt"):
        detect.run(config)


def test_a_run_that_asks_for_no_objects_needs_no_weights(options: list[str], unplugged: None):
    prepared([*options[:-2], "detector=[conv_ae_tiny]", "detectors.conv_ae.training.window=2", "weights=hub"])


# --- kills ----------------------------------------------------------------------------------------------------------


def test_killed_it_goes_on_with_the_next_video_and_ends_with_the_same_bytes(options: list[str], yolo_weights: Path):
    more = [f"weights.yolo={yolo_weights}", "objects.method=both", "workers=1"]
    config = prepared(options, *more)
    script = (
        "import os, signal, sys, pixelplay.detectors; "
        f"pixelplay.detectors.__path__.append({str(ASKING)!r}); "
        "import torch; torch.set_num_threads(1); "
        "from pixelplay.cli import load_config; from pixelplay.objects import boxes; "
        "from pixelplay.stages import detect; save = boxes.save; "
        "boxes.save = lambda *given: (save(*given), os.kill(os.getpid(), signal.SIGKILL)); "
        "detect.run(load_config(sys.argv[1:]))"
    )
    assert run(sys.executable, "-c", script, *options, *more, cwd=Path.cwd()).returncode == -signal.SIGKILL
    done = {path: os.stat(path).st_mtime_ns for path in tables()}
    assert len(done) == 1
    detect.run(config)
    assert {path: os.stat(path).st_mtime_ns for path in done} == done  # not made twice
    resumed = tables()
    assert len(resumed) == 8
    for path in resumed:
        Path(path).unlink()
    detect.run(config)
    assert tables() == resumed
    assert not [path for path in files_below(Path("cache")) if path.name.endswith(".tmp")]


# --- pictures -------------------------------------------------------------------------------------------------------

SHEETS = Path("outputs/folder/explain/boxes")


def test_what_was_found_is_shown_as_a_sheet_and_as_a_clip(options: list[str]):
    config = prepared(options, "show.video=c", "show.count=5", "show.clip=true")
    detect.run(config)
    assert write_boxes(config, prepare.load_index(config)) == [SHEETS / "test-c.png", SHEETS / "test-c.mp4"]
    sheet = cv2.imread(str(SHEETS / "test-c.png"))
    factor = round(640 / WIDTH)
    assert sheet.shape == (2 * HEIGHT * factor, 3 * WIDTH * factor, 3)
    first = sheet[: HEIGHT * factor, : WIDTH * factor].astype(int)
    x1, y1, x2, y2 = (round(edge * factor) for edge in rows(load(next(Path("cache").rglob("c/objects-*"))))[0][1:5])
    outline = first[(y1 + y2) // 2, x1]
    assert outline.max() - outline.min() > 100  # a colour in a grey picture
    assert (first[y1 + 3, (x1 + x2) // 2] == first[y1 + 3, (x1 + x2) // 2][0]).all()
    capture = cv2.VideoCapture(str(SHEETS / "test-c.mp4"))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
    capture.release()
    assert sorted(path.name for path in SHEETS.iterdir()) == ["test-c.mp4", "test-c.png"]


def test_a_video_without_objects_and_a_training_video_can_be_shown(options: list[str]):
    detect.run(prepared(options))
    for more in (["show.video=still"], ["show.split=train"]):
        made = load_config([*options, *more])
        write_boxes(made, prepare.load_index(made))
    names = sorted(path.name for path in SHEETS.iterdir())
    assert names == ["test-still.png", "train-a.png"]


def test_the_command_shows_boxes_before_anything_is_trained(options: list[str], caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    config = prepared(options, "show.what=[boxes]")
    detect.run(config)
    explain.run(config)
    assert caplog.messages[-1] == f"explain: {SHEETS / 'test-c.png'}"
    with pytest.raises(ConfigError, match="none of conv_ae uses detected objects"):
        explain.run(load_config([*options[:-2], "detector=[conv_ae_tiny]", "show.what=[boxes]"]))


def test_what_cannot_be_shown_is_told(options: list[str]):
    config = prepared(options)
    with pytest.raises(MissingArtifactError, match=r"run `python src/detect\.py` with the same options"):
        write_boxes(config, prepare.load_index(config))
    detect.run(config)
    with pytest.raises(ConfigError, match=r"show\.video='d': no such test video;.*allowed here: c, still"):
        write_boxes(load_config([*options, "show.video=d"]), prepare.load_index(config))
    assert write_boxes(load_config([*options[:-2], "detector=[conv_ae_tiny]"]), prepare.load_index(config)) == []


def test_the_command_is_there_and_says_how_it_is_used(tmp_path: Path):
    done = run_here("explain.py", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "show.video=Test001" in done.stdout
