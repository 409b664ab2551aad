"""The command `accept`: layers beside a run, where events come from, and what of the run takes them for normal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.pipeline import files_below, run_here
from tests.test_accepted_objects import MAGNITUDE, MOTION, QUIET, event_of, found, moving
from tests.test_object_streams import EVERY, detector, fitted, flow, steady, video

from pixelplay import accepted
from pixelplay.accepted.layers import layers_of
from pixelplay.accepted.use import apply_accepted, with_accepted_scores
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.events.event import Event, Events, EventTrack, Moment
from pixelplay.events.vectors import EventVectors
from pixelplay.run.artifacts import write_json, write_table
from pixelplay.run.files import RunFiles

FAST, EMPTY = "event-01-10", "event-02-40"


def event(name: str, tracks: tuple[int, ...] = (1,), start: int = 10, end: int = 39) -> Event:
    followed = [EventTrack(track=one, label="person", score=1.0, box=None, path=[]) for one in tracks]
    at = [Moment(frame=frame, seconds=None) for frame in (start, end, start)]
    return Event(
        **{"id": name, "video": name.split("-")[1], "found_by": ["frames"], "start": at[0], "end": at[1]},
        **{"peak": at[2], "score": 5.0, "stream": "fused", "threshold": 2.0, "tail_probability": None},
        **{"contributions": {}, "tracks": followed, "zones": [], "thumbnail": None, "clip": None},
    )


@dataclass
class Run:
    """A run of `object_motion` and `conv_ae` with two events: of an object, seen in every frame, and of none."""

    folder: Path

    def config(self, *overrides: str) -> Config:
        return load_config([*self.options, *overrides])

    @property
    def options(self) -> list[str]:
        return [
            "detector=[conv_ae,object_motion]",
            *(f"paths.{one}={self.folder / one}" for one in ("outputs", "cache")),
        ]

    @property
    def files(self) -> RunFiles:
        return RunFiles.of(self.config())

    def names(self) -> list[str]:
        return [one.name for one in layers_of(self.files)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    one = Run(tmp_path / "run")
    events = Events(
        **{"alarms": [], "no_alarm": {}, "heldout_frames": 0, "heldout_seconds": None},
        events=[event(FAST), event(EMPTY, tracks=(), start=40, end=42)],
    )
    write_json(one.files.events, events.model_dump(mode="json"))
    event_of(moving(tmp_path, "fast", 4), "flow").save(one.files.events_folder / f"{FAST}.npz")
    return one


def online(run: Run, source: str, *names: str, vectors: EventVectors | None = None, end: str = "") -> None:
    """A folder as `infer` leaves it, whose list ends with this text."""
    folder = run.files.online / source
    folder.mkdir(parents=True)
    lines = [json.dumps({"run": "sample", **event(name).model_dump(mode="json")}) + "\n" for name in names]
    (folder / "events.jsonl").write_text("".join(lines) + end)
    for name in names if vectors else ():
        vectors.save(folder / "events" / f"{name}.npz")


def contents(folder: Path) -> Mapping[str, bytes]:
    return {str(path): path.read_bytes() for path in files_below(folder) if not path.name.endswith(".lock")}


# --- layers -----------------------------------------------------------------------------------------------------------


def test_an_accepted_event_is_a_layer_and_nothing_else_changes_and_taken_back_nothing_is_left(run: Run):
    before = contents(run.folder)
    layer, new = accepted.accept(run.config(), FAST)
    assert new and layer.name == FAST and layer.about.event == event(FAST) and layer.about.found_in == "events.json"
    kept = layer.vectors()
    assert kept is not None and kept.frame.tolist() == list(range(10, 40)) and set(kept.vectors) == {"flow"}
    after = contents(run.folder)
    assert {path: after[path] for path in before} == before
    assert {Path(path).parent for path in after.keys() - before} == {run.files.accepted / FAST}
    accepted.take_back(run.config(), FAST)
    assert contents(run.folder) == before


def test_a_second_time_is_no_change(run: Run):
    first, _ = accepted.accept(run.config(), FAST)
    before = contents(run.folder)
    again, new = accepted.accept(run.config(), FAST)
    assert not new and again == first and contents(run.folder) == before


def test_an_unknown_event_is_answered_with_the_nearest(run: Run):
    with pytest.raises(ConfigError, match=rf"event=event-1-10: no such event of .*; the nearest of 2: {FAST}, {EMPTY}"):
        accepted.accept(run.config(), "event-1-10")
    with pytest.raises(ConfigError, match=r"no such accepted event in .*; there are none"):
        accepted.take_back(run.config(), FAST)
    run.files.events.unlink()
    with pytest.raises(ConfigError, match="there are none"):
        accepted.accept(run.config(), FAST)


def test_an_event_from_which_nothing_can_be_learnt_is_refused(run: Run):
    with pytest.raises(DataError, match=rf"event={EMPTY}: no object was followed in it.*--scores"):
        accepted.accept(run.config(), EMPTY)
    with pytest.raises(DataError, match=rf"event={FAST}: no detector of the run compares objects with a memory"):
        accepted.accept(run.config("detector=[conv_ae]"), FAST)
    (run.files.events_folder / f"{FAST}.npz").unlink()
    with pytest.raises(MissingArtifactError, match=r"run `python src/events\.py`"):
        accepted.accept(run.config(), FAST)
    assert run.names() == []


def test_a_damaged_layer_is_reported_with_its_file(run: Run):
    layer, _ = accepted.accept(run.config(), FAST)
    (layer.folder / "vectors.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(DamagedArtifactError, match=r"accepted/event-01-10/vectors\.npz is damaged"):
        apply_accepted(run.config(), {})
    (layer.folder / "event.json").write_text("{}")
    with pytest.raises(DamagedArtifactError, match=r"accepted/event-01-10/event\.json is damaged"):
        layers_of(run.files)


# --- events that were found online ------------------------------------------------------------------------------------


def test_events_of_a_source_are_found_while_its_list_is_being_written(run: Run, tmp_path: Path):
    vectors = event_of(moving(tmp_path, "again", 4), "flow")
    online(run, "door", "event-door-7", "event-door-90", vectors=vectors, end='{"run": "sample", "id": "ev')
    npz = run.files.online / "door/events/event-door-90.npz"
    npz.rename(npz.with_suffix(".later"))
    with pytest.raises(MissingArtifactError, match=r"event-door-90\.npz is not there, or not yet"):
        accepted.accept(run.config(), "event-door-90")
    npz.with_suffix(".later").rename(npz)
    layer, _ = accepted.accept(run.config(), "event-door-90")
    assert layer.about.found_in == "online/door/events.jsonl" and layer.vectors() is not None
    elsewhere = run.config(f"online.folder={run.folder / 'elsewhere'}")
    (run.files.online / "door").rename(run.folder / "elsewhere")
    assert accepted.accept(elsewhere, "event-door-7")[0].about.found_in == "../../elsewhere/events.jsonl"


def test_of_events_with_one_name_the_source_says_which_and_their_layers_are_numbered(run: Run, tmp_path: Path):
    vectors = event_of(moving(tmp_path, "again", 4), "flow")
    for source in ("door", "door-2"):
        online(run, source, "event-door-7", vectors=vectors)
    with pytest.raises(ConfigError, match="several: event=door/event-door-7, event=door-2/event-door-7"):
        accepted.accept(run.config(), "event-door-7")
    for source in ("door", "door-2", "door"):
        accepted.accept(run.config(), f"{source}/event-door-7")
    assert run.names() == ["event-door-7", "event-door-7-2"]
    accepted.take_back(run.config(), "event-door-7")
    assert run.names() == ["event-door-7-2"]


def test_an_event_that_would_lead_out_of_the_folder_is_refused(run: Run):
    online(run, "door", "event-door-7")
    path = run.files.online / "door/events.jsonl"
    for text in ('"id": "../x"', '"id": 7'):
        path.write_text(path.read_text().splitlines()[0].replace('"id": "event-door-7"', text) + "\n")
        with pytest.raises(DamagedArtifactError, match=r"events\.jsonl is damaged \(line 1: "):
            accepted.accept(run.config(), "event-door-7")
        path.write_text(path.read_text().replace(text, '"id": "event-door-7"'))


# --- what takes them for normal ---------------------------------------------------------------------------------------


def test_detectors_of_a_run_take_its_accepted_events_for_normal_and_no_others(run: Run, tmp_path: Path):
    train = [video(tmp_path, f"n{i}", {1: EVERY, 2: EVERY}, 30, flow(steady)) for i in range(2)]
    one = fitted(detector(MOTION, "training.size=own"), train, train[:1], tmp_path)
    asked = moving(tmp_path, "asked", 4)
    before = found(one, asked, MAGNITUDE)
    assert apply_accepted(run.config(), {MOTION: [one]}) == []
    accepted.accept(run.config(), FAST)
    told = apply_accepted(run.config(), {MOTION: [one], "other": []})
    assert told == ["1 accepted event is taken as normal: object_motion"]
    assert before.min() > 0.9 and found(one, asked, MAGNITUDE).max() < QUIET
    accepted.take_back(run.config(), FAST)
    assert apply_accepted(run.config(), {MOTION: [one]}) == []
    np.testing.assert_array_equal(found(one, asked, MAGNITUDE), before)


def test_vectors_that_were_made_with_other_settings_are_not_compared_and_that_is_told(run: Run, tmp_path: Path):
    train = [video(tmp_path, f"n{i}", {1: EVERY, 2: EVERY}, 30, flow(steady)) for i in range(2)]
    one = fitted(detector(MOTION, "training.size=own"), train, train[:1], tmp_path)
    before = found(one, moving(tmp_path, "asked", 4), MAGNITUDE)
    accepted.accept(run.config(), FAST)
    first, second = apply_accepted(run.config("objects.flow.longest_side=128"), {MOTION: [one]})
    assert first == "1 accepted event is taken as normal: by no detector, since none compares with their objects"
    assert second.startswith(f"{FAST} is not compared by flow, made with another network or other settings")
    np.testing.assert_array_equal(found(one, moving(tmp_path, "again", 4), MAGNITUDE), before)


def test_scores_of_an_accepted_event_s_frames_join_the_normal_ones_if_asked_for(run: Run):
    frames = {"split": "test", "video": "02", "frame": range(38, 45), "stream": "conv_ae"}
    table = pd.DataFrame({**frames, "score": np.arange(7, dtype=np.float32)})
    for name in ("conv_ae", "object_motion"):
        write_table(run.files.scores(name), table.assign(stream=name))
    layer, new = accepted.accept(run.config(), EMPTY, scores=True)
    assert new and layer.calibrates and layer.vectors() is None
    streams = with_accepted_scores(run.config(), {"conv_ae": table, "external": table})
    added = streams["conv_ae"].iloc[7:]
    assert added["split"].unique().tolist() == ["calibration"] and added["video"].unique().tolist() == [
        f"accepted/{EMPTY}"
    ]
    assert added["frame"].tolist() == [40, 41, 42] and added["score"].tolist() == [2, 3, 4]
    assert streams["external"] is table
    accepted.accept(run.config(), FAST)
    assert not layers_of(run.files)[1].calibrates
    (run.files.scores("conv_ae")).unlink()
    with pytest.raises(MissingArtifactError, match=r"run `python src/score\.py`"):
        accepted.accept(run.config(), FAST, scores=True)


def test_scores_can_be_added_to_an_accepted_event_and_online_there_are_none(run: Run, tmp_path: Path):
    for name in ("conv_ae", "object_motion"):
        table = pd.DataFrame({"split": "test", "video": "01", "frame": [9, 10], "stream": name, "score": [1.0, 2.0]})
        write_table(run.files.scores(name), table)
    accepted.accept(run.config(), FAST)
    layer, new = accepted.accept(run.config(), FAST, scores=True)
    scores = layer.scores()
    assert new and run.names() == [FAST] and scores is not None and scores["score"].tolist() == [2.0, 2.0]
    online(run, "door", "event-door-7")
    with pytest.raises(DataError, match="--scores: event-door-7 was found online"):
        accepted.accept(run.config(), "event-door-7", scores=True)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_accepts_lists_and_takes_back(run: Run, tmp_path: Path):
    def said(*arguments: str) -> str:
        done = run_here("accept.py", *run.options, *arguments, cwd=tmp_path)
        return f"{done.returncode} {' '.join((done.stdout + done.stderr).split())}"

    assert said().startswith("0 accept: no event is accepted in ")
    assert said(f"event={FAST}").startswith(
        f"0 accept: {FAST} is taken for normal by `infer`, from its next start on: 1 "
    )
    assert said(f"event={FAST}").startswith(f"0 accept: {FAST} was accepted before, on 20")
    assert f"accept: 1 event is taken for normal, in {run.files.accepted}/: {FAST} (01, frames 10 to 39: " in said()
    assert said("--remove").startswith("1 error: event=ID names the event")
    assert said(f"event={FAST}", "--remove") == f"0 accept: {FAST} is no longer taken for normal"
    assert said(f"event={FAST}", "--remove").startswith(f"1 error: event={FAST}: no such accepted event in ")
