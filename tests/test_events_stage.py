"""The stage `events`: what it writes, logs and needs; vectors of objects."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.scored import prepared, write_scores

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.events.event import Events
from pixelplay.events.vectors import EventVectors
from pixelplay.run.artifacts import read_model
from pixelplay.run.files import RunFiles
from pixelplay.stages import events, fuse

RAW = [0.0, 9.0, 9.0, 3.0, 8.0, 4.0, 40.0, 4.0]  # frames 5 6 8 9 12 of video 01, 0 1 2 of video 02
OPTIONS = ("fusion.default.smooth.method=none", "fusion.default.normalise.method=none")
EVENTS = ("events.method=percentile", "events.thresholds.percentile=100.0", "events.min_duration=0.0")

Run = Callable[..., Config]


@pytest.fixture
def run(small_run: list[str]) -> Run:
    """Configuration of a scored and fused run of folders of images, without objects, with further overrides."""
    config, index = prepared(small_run)
    write_scores(config, index, {"conv_ae": RAW})

    def configured(*overrides: str) -> Config:
        options = ["pseudo=none", "restore.flip=none", "workers=1", *OPTIONS, *EVENTS]
        return load_config([*small_run, *options, *overrides])

    fuse.run(configured())
    return configured


def found(config: Config) -> Events:
    return read_model(RunFiles.of(config).events, Events, made_by="events")


def test_events_are_written_without_labels_or_objects_and_the_most_severe_told(
    run: Run, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    config = run("events.merge_gap=0.0")  # the highest of the held-out scores, 0 to 4, is the threshold
    events.run(config)
    written, files = found(config), RunFiles.of(config)
    threshold = written.alarms[0].threshold
    assert threshold == 4.0 and [event.id for event in written.events] == ["event-02-1", "event-01-6", "event-01-12"]
    # 4 in frame 2, and 3 in frame 9, are not below the end, half way from 2 to 4; frames 10 and 11 are missing.
    spans = [(one.start.frame, one.end.frame, one.start.seconds) for one in written.events]
    assert spans == [(1, 2, None), (6, 9, None), (12, 12, None)]
    assert written.events[0].contributions == {"conv_ae": 1.0}
    table = pd.read_csv(files.events_table)
    assert table["event"].tolist() == [event.id for event in written.events]
    lines = caplog.messages[-1].splitlines()
    assert lines[0].startswith("events: fused: ") and "independent peak" in lines[0]
    assert lines[1] == f"events: 3 events: {files.events_table}"
    assert lines[2] == f"events:   02, frames 1 to 2: fused 40 (threshold {threshold:.3g}); conv_ae 100%"


def test_it_runs_again_for_its_own_settings_only_and_removes_nothing_else(run: Run):
    events.run(run())
    assert events.pending(run()) is None
    assert events.pending(run("report.gallery=3", "evaluate.aupro_limit=0.2")) is None
    assert "events.merge_gap changed" in (events.pending(run("events.merge_gap=5.0")) or "")
    before = RunFiles.of(run()).events.read_bytes()
    RunFiles.of(run()).events.unlink()
    events.run(run())
    assert RunFiles.of(run()).events.read_bytes() == before


def test_a_run_without_normal_scores_says_so_first_and_has_no_events(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    external = tmp_path / "old.csv"
    ids = ["1_5", "1_6", "1_8", "1_9", "1_12", "2_0", "2_1", "2_2"]
    external.write_text("\n".join(["Id,Predicted", *(f"{one},{i}" for i, one in enumerate(ids))]) + "\n")
    config = run(f"fusion.external=[{external}]")
    fuse.run(config)
    caplog.set_level(logging.INFO)
    events.run(config)
    assert found(config).events == [] and found(config).alarms == []
    lines = caplog.messages[-1].splitlines()
    assert lines[0].startswith("events: fused: no fused scores of held-out normal footage")
    assert lines[1] == f"events: 0 events: {RunFiles.of(config).events_table}"


def test_damaged_events_are_told_with_what_mends_them(run: Run):
    config = run()
    events.run(config)
    path = RunFiles.of(config).events
    path.write_text(json.dumps({**json.loads(path.read_text()), "alarms": 3}))
    with pytest.raises(DamagedArtifactError, match=r"events\.json is damaged .* run `python src/events\.py`"):
        found(config)


# --- vectors ----------------------------------------------------------------------------------------------------------


def test_vectors_come_back_as_they_were_saved_with_equal_bytes(tmp_path: Path):
    one = EventVectors(
        frame=np.array([3, 4]),
        track=np.array([7, 7]),
        xyxy=np.array([[0, 1, 2, 3], [1, 2, 3, 4]], np.float32),
        label=np.array(["person", "car"], np.str_),
        vectors={"crops": np.ones((2, 5), np.float32), "flow": np.zeros((2, 9), np.float32)},
    )
    for name in ("a.npz", "b.npz"):
        one.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = EventVectors.load(tmp_path / "a.npz")
    assert again.frame.tolist() == [3, 4] and again.label.tolist() == ["person", "car"]
    assert set(again.vectors) == {"crops", "flow"} and again.vectors["crops"].dtype == np.float32


def test_missing_and_damaged_vectors_name_the_command(tmp_path: Path):
    with pytest.raises(MissingArtifactError, match=r"run `python src/events\.py`"):
        EventVectors.load(tmp_path / "a.npz")
    for content in (b"", b"PK\x03\x04 no", b"\x93NUMPY"):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(DamagedArtifactError, match=r"a\.npz is damaged"):
            EventVectors.load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", frame=np.arange(2), track=np.arange(3), xyxy=np.zeros((2, 4)), label=np.array(["a"]))
    with pytest.raises(DamagedArtifactError, match="different lengths"):
        EventVectors.load(tmp_path / "a.npz")


def test_without_the_footage_there_are_events_and_what_is_left_out_is_said(
    run: Run, small_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    shutil.rmtree(small_folder)
    shutil.rmtree(tmp_path / "cache")
    config = run()
    events.run(config)
    assert found(config).events
    assert "events: event-clips left out: " in caplog.text and "run `python src/prepare.py`" in caplog.text
    assert "event-clips" in (events.pending(config) or "")
