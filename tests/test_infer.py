"""Online inference from end to end: the command and `Pipeline`, on the run of a rendered data set."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks.causality import causally_restored, online
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.pipeline import CPU, ROOT, run_here, user_environment
from tests.reports import OPTIONS
from tests.streams import file_size, rows_of, times_of

from pixelplay.cli import load_config
from pixelplay.drawing.annotate import write_clip
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.events.event import Event
from pixelplay.online import Pipeline
from pixelplay.online import infer as infer_command
from pixelplay.online.detectors import load_detectors
from pixelplay.online.result import Result
from pixelplay.run.files import RunFiles
from pixelplay.stages import detect, events, extract, fuse, prepare, score, train

DETECTORS = "detector=[conv_ae_tiny,object_motion]"  # objects are moving blobs
FRAMES = int(os.environ.get("PIXELPLAY_FRAMES", "2000"))  # of the test of memory; its long form has 20000
TEST_VIDEO = "data/tiny/test/01"
LONG = 1000  # frames


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with a finished run, and its options."""
    folder = tmp_path_factory.mktemp("trained")
    options = [*(option for option in OPTIONS if not option.startswith("detector=")), DETECTORS]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = load_config(options)
        for stage in (prepare, detect, extract, train, score, fuse, events):
            stage.run(config)
    return folder, options


@pytest.fixture
def options(trained: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of the run, in whose folder the test works."""
    monkeypatch.chdir(trained[0])
    return trained[1]


@pytest.fixture(scope="module")
def pipeline(trained: tuple[Path, list[str]]) -> Pipeline:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained[0])
        return Pipeline(load_config(trained[1]))


@pytest.fixture(scope="module")
def long_video(trained: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The test video's frames over and over, ten a second."""
    path, frames = tmp_path_factory.mktemp("long") / "long.mp4", frames_of(str(trained[0] / TEST_VIDEO))
    write_clip(path, [frames[t % len(frames)] for t in range(LONG)], 10)
    return str(path)


def frames_of(video: str = TEST_VIDEO) -> list[np.ndarray]:
    """RGB frames of a folder."""
    return [cv2.imread(str(path))[..., ::-1].copy() for path in sorted(Path(video).glob("*.jpg"))]


def infer(options: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    """The command, in this process."""
    return run_here("infer.py", *options, *more, cwd=Path.cwd())


def test_the_command_writes_what_python_gives(options: list[str], pipeline: Pipeline, tmp_path: Path):
    done = infer(options, f"source={TEST_VIDEO}", f"online.folder={tmp_path}", "events.min_duration=0")
    assert done.returncode == 0, done.stderr
    with pipeline.open(TEST_VIDEO) as capture:
        results = list(pipeline.run(capture))
    rows = rows_of(tmp_path / "scores.csv")
    names = [int(path.stem.removeprefix("frame_")) for path in sorted(Path(TEST_VIDEO).glob("*.jpg"))]
    assert [int(row["frame"]) for row in rows] == [result.number for result in results] == names
    assert [float(row["fused"]) for row in rows] == [result.score for result in results]
    for member in ("conv_ae", "objects"):
        assert [float(row[member]) for row in rows] == [result.members[member] for result in results], member
    assert len(times_of(tmp_path / "video.mp4")) == len(rows)
    told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert {one["state"] for one in told} <= {"started", "ended"}
    over = [one for one in told if one["state"] == "ended"]
    for one in over:
        event = Event.model_validate({name: one[name] for name in Event.model_fields})
        assert event.clip is not None and times_of(tmp_path / "events" / event.clip)


def test_raw_scores_are_those_of_the_detector_scoring_causally_also_of_corrupted_frames(
    options: list[str], pipeline: Pipeline
):
    index = causally_restored(pipeline.config, pipeline.index)
    (detector,), corrupted = pipeline.detectors["conv_ae"], 0
    for video in index.test:
        assert video.originals is not None
        corrupted += int((video.originals.flipped | (video.originals.noise > 0)).sum())
        found = online(pipeline, video)
        for stream, expected in detector.score(video, causal=True).streams.items():
            np.testing.assert_allclose(found[stream], expected, rtol=1e-5, err_msg=f"{video.id} {stream}")
    assert corrupted > 5


def test_results_do_not_depend_on_what_comes_later(options: list[str], pipeline: Pipeline):
    frames = frames_of()
    changed = frames[:12] + [255 - frame for frame in frames[12:]]
    before, after = (list(pipeline.run(one)) for one in (frames, changed))
    assert [one.score for one in before[:12]] == [one.score for one in after[:12]]
    assert [one.score for one in before[12:]] != [one.score for one in after[12:]]


def test_sessions_of_one_pipeline_do_not_influence_each_other(options: list[str], pipeline: Pipeline):
    alone = [result.score for result in pipeline.run(frames_of())]
    first, second = pipeline.run(frames_of()), pipeline.run(frames_of()[::-1])
    both = [(next(first).score, next(second).score) for _ in alone]
    assert [one for one, _ in both] == alone


def test_another_size_begins_anew_and_no_track_id_comes_twice(
    options: list[str], pipeline: Pipeline, caplog: pytest.LogCaptureFixture
):
    frames = frames_of()
    larger = [cv2.resize(frame, None, fx=1.5, fy=1.5) for frame in frames]
    results = list(pipeline.run([*frames, *larger, *frames]))
    assert [result.image.shape for result in results] == [one.shape for one in [*frames, *larger, *frames]]
    parts = np.split(np.array(results, object), [len(frames), 2 * len(frames)])
    ids = [{one.track for result in part for one in result.objects} for part in parts]
    assert not ids[0] & ids[1] and not ids[1] & ids[2] and not ids[0] & ids[2] and ids[0]
    assert "the run has learnt from 160x90" in caplog.text
    first = [result.score for result in parts[0]]
    assert [result.score for result in parts[2]] == pytest.approx(first, rel=1e-9)  # nothing is left of what was before


def test_another_frame_rate_is_scored_and_told(
    options: list[str], pipeline: Pipeline, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    write_clip(tmp_path / "slow.mp4", frames_of(), 5)
    with pipeline.open(str(tmp_path / "slow.mp4")) as capture:
        results = list(pipeline.run(capture))
    assert [result.seconds for result in results] == pytest.approx([t / 5 for t in range(len(frames_of()))])
    rates = {video.fps for video in pipeline.index.train}
    assert ("5 frames per second, the run has learnt from" in caplog.text) is (rates != {None})


def test_memory_is_flat(options: list[str], pipeline: Pipeline):
    """2,000 frames; the long form is PIXELPLAY_FRAMES=20000."""
    frames, used = frames_of(), list[int]()
    looped = (frames[t % len(frames)] for t in range(FRAMES))
    for t, result in enumerate(pipeline.run(looped)):
        assert np.isfinite(result.score)
        if t % 100 == 99:
            used.append(memory_in_use())
    early, late = used[len(used) // 4], used[-1]
    assert late - early < 12 * 2**20, [value // 2**20 for value in used]


def memory_in_use() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(options: list[str], long_video: str, tmp_path: Path, number: signal.Signals):
    folder, late = tmp_path / "out", list[int]()

    def send() -> None:
        if waited_for(lambda: rows_in(folder) > 3):
            os.kill(os.getpid(), number)

    before = signal.signal(number, lambda number, _: late.append(number))  # else one that comes late ends the tests
    sender = threading.Thread(target=send)
    sender.start()
    try:
        done = infer(options, f"source={long_video}", f"online.folder={folder}", "online.keep_up=latest")
        sender.join()
    finally:
        signal.signal(number, before)
    assert done.returncode == 0 and not late, done.stderr
    assert 3 < len(times_of(folder / "video.mp4")) == len(rows_of(folder / "scores.csv")) < LONG
    told = done.stdout + done.stderr
    assert f"{number.name}: ending" in told and "in all:" in told and "Traceback" not in told


def test_a_kill_leaves_a_video_that_plays_and_whole_lines(options: list[str], long_video: str, tmp_path: Path):
    folder = tmp_path / "out"
    more = f"source={long_video}", f"online.folder={folder}", "online.keep_up=latest"
    command = [sys.executable, os.fspath(ROOT / "src/infer.py"), *options, *more]
    with subprocess.Popen(command, env=user_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        waited_for(lambda: rows_in(folder) > 15 or process.poll() is not None)
        process.kill()
        told, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL and rows_in(folder) > 15, told
    rows, times = rows_of(folder / "scores.csv"), times_of(folder / "video.mp4")
    assert all(None not in row.values() for row in rows)
    seconds = [float(row["seconds"]) - float(rows[0]["seconds"]) for row in rows]
    assert times and times[-1] > seconds[-1] - 2.5
    assert times[: len(seconds)] == pytest.approx(seconds[: len(times)], abs=1e-3)
    for line in (folder / "events.jsonl").read_text().splitlines() if (folder / "events.jsonl").exists() else []:
        json.loads(line)


def test_a_webhook_that_hangs_holds_nothing_up(options: list[str], tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        done = infer(
            options,
            *(f"source={TEST_VIDEO}", f"online.folder={tmp_path}", "online.video.write=false", *always_alarmed()),
            *("events.sinks=[webhook]", f"events.webhook.url={address}", "events.webhook.timeout=1000"),
            *("events.delivery.patience=0.5", "events.delivery.attempts=1"),
        )
    assert done.returncode == 0
    assert len(rows_of(tmp_path / "scores.csv")) == len(frames_of())
    assert (tmp_path / "events.jsonl").read_text().count("\n") >= 2  # it began and was over
    assert "not sent" in done.stdout + done.stderr


def test_a_full_disk_stops_what_is_written_and_not_the_scoring(options: list[str], tmp_path: Path):
    with file_size(30_000):
        done = infer(options, f"source={TEST_VIDEO}", f"online.folder={tmp_path}")
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())  # where lines break depends on the folder's name
    assert "video.mp4: File too large: it ends here; scoring goes on" in told
    assert len(rows_of(tmp_path / "scores.csv")) == len(frames_of())


def test_the_last_epoch_and_another_folder_can_be_used(options: list[str], pipeline: Pipeline, tmp_path: Path):
    def network(checkpoint: str) -> dict[str, torch.Tensor]:
        config = load_config([*options, f"checkpoint={checkpoint}"])
        return load_detectors(config, ["conv_ae"], CPU)["conv_ae"][0]._model.state_dict()

    folder = RunFiles.of(pipeline.config).detector("conv_ae")
    best, last = pipeline.detectors["conv_ae"][0]._model.state_dict(), network("last")
    (path,) = folder.glob("training-*/last.ckpt")
    saved = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    assert all(torch.equal(last[name], saved[f"model.{name}"]) for name in best)
    written = load_file(folder / "weights.safetensors")
    assert all(torch.equal(best[name], written[name]) for name in best)  # what is in the folder stayed as it was
    shutil.copytree(RunFiles.of(pipeline.config).checkpoints, tmp_path / "other")
    others = {name: values + 1 for name, values in written.items()}
    with safe_open(folder / "weights.safetensors", "pt") as file:
        save_file(others, tmp_path / "other/conv_ae/weights.safetensors", file.metadata())
    other = network(str(tmp_path / "other"))
    assert all(torch.equal(other[name], others[name]) for name in best)
    with pytest.raises(ConfigError, match="checkpoint=nowhere: must be best, last, or a folder"):
        network("nowhere")


def test_what_is_missing_is_said_first(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infer_command, "Pipeline", None)  # nothing is loaded before
        assert "source=demo.mp4" in infer(options).stderr
        assert "no such file or folder" in infer(options, "source=nowhere.mp4").stderr
        assert "NO_SUCH_PASSWORD is not set" in infer(options, "source='rtsp://me:$NO_SUCH_PASSWORD@cam/x'").stderr
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingArtifactError, match="no run of that name has been trained here"):
        Pipeline(load_config(options))


def test_a_folder_with_results_is_not_written_to(options: list[str], tmp_path: Path):
    (tmp_path / "scores.csv").touch()
    done = infer(options, f"source={TEST_VIDEO}", f"online.folder={tmp_path}")
    assert done.returncode == 1 and "is not empty: name another one" in " ".join(done.stderr.split())


def test_alarms_of_results_are_those_of_the_events(options: list[str], trained: tuple[Path, list[str]]):
    pipeline = Pipeline(load_config([*options, *always_alarmed()]))
    session = pipeline.run(frames_of(), "cam")
    results: list[Result] = list(session)
    begun = [event.id for result in results for event in result.started]
    over = [event.id for result in results for event in result.ended] + [event.id for event in session.ended]
    assert begun and sorted(begun) == sorted(over) and all("cam" in one for one in begun)
    first = next(t for t, result in enumerate(results) if result.started)
    assert results[first].alarm and all(result.threshold < result.score for result in results)


def always_alarmed() -> tuple[str, ...]:
    """A threshold that every score is above."""
    return "events.method=fixed", "+events.thresholds.fixed.tiny=-1e6", "events.min_duration=0"


def rows_in(folder: Path) -> int:
    path = folder / "scores.csv"
    return len(pd.read_csv(path)) if path.exists() and path.stat().st_size else 0


def waited_for(holds: Callable[[], bool], seconds: float = 300.0) -> bool:
    """Whether it holds in time."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()
