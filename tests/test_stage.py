"""The contract of stages: when a task has work to do, what it needs, and what becomes of damaged outputs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pixelplay.errors import DamagedArtifactError, MissingArtifactError
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import Stage, Task, forget, read_record


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Task]:
    """Makes tasks that write one file with a text, of the run in outputs/."""

    def task(name: str, text: str = "whole", suffix: str = "csv", **changes: object) -> Task:
        output = tmp_path / f"outputs/{name}.{suffix}"

        def work() -> list[Path]:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(text)
            return [output]

        whole = Task(
            stage=name,
            name=name,
            files=RunFiles(*[tmp_path / "outputs"] * 6),
            version=1,
            settings={"a": 1, "b": {"c": [2.5, None]}},
            work=work,
        )
        return replace(whole, **changes)

    return task


def test_a_task_is_current_once_it_has_run_and_does_nothing_then(make, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    assert make("score").pending() == "not done yet"
    assert make("score").run()
    assert make("score").pending() is None
    assert not make("score").run()
    assert caplog.messages == ["score: up to date"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"settings": {"a": 1, "b": {"c": [2.5, 0]}}}, "b.c changed"),
        ({"settings": {"a": 1}}, "b changed"),
        ({"settings": {"a": 1, "b": {"c": [2.5, None]}, "d": None}}, "d changed"),
        ({"version": 2}, "made by another version of this project"),
        ({"contents": lambda: ["abc"]}, "files changed on disk"),
        ({"about": lambda: "kept, not compared"}, None),
    ],
)
def test_what_makes_a_task_run_again(make, changes: dict, reason: str | None):
    make("score").run()
    assert make("score", **changes).pending() == reason
    assert make("score", **changes).run() == (reason is not None)
    assert make("score", **changes).pending() is None


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("text", ["whol", "", "whole of it", "while", None])
def test_a_damaged_output_is_named_never_used_and_made_again(make, suffix: str, text: str | None):
    score, fuse = make("score", suffix=suffix), make("fuse", reads=[make("score", suffix=suffix)])
    score.run()
    fuse.run()
    [output] = score.outputs()
    output.unlink() if text is None else output.write_text(text)
    problem = "is missing" if text is None else "has other contents than were written"
    assert score.pending() == f"{output} {problem}"
    fuse.record_path.unlink()
    with pytest.raises(
        (DamagedArtifactError, MissingArtifactError), match=r"score\.\w+ is .*run `python src/score\.py`"
    ):
        fuse.run()
    assert not fuse.record_path.exists()
    score.run()
    assert output.read_text() == "whole"
    assert fuse.run()


def test_a_task_runs_again_where_footage_has_another_folder_and_its_key_stays(make, tmp_path: Path):
    make("detect").run()
    key = make("detect").require().key
    assert make("detect", folders=lambda: [tmp_path / "outputs"]).pending() is None
    elsewhere = make("detect", folders=lambda: [tmp_path / "outputs", tmp_path / "elsewhere"])
    assert elsewhere.pending() == f"nothing in {tmp_path / 'elsewhere'} yet"
    assert elsewhere.run() and elsewhere.require().key == key


def test_keys_chain_through_records(make):
    def chain(a: int) -> list[Task]:
        train = make("train", settings={"a": a})
        score = make("score", reads=[train])
        return [train, score, make("fuse", reads=[score])]

    for task in chain(1):
        assert task.run()
    train, score, fuse = chain(2)
    assert (score.pending(), fuse.pending()) == ("train: a changed", "score: train: a changed")
    with pytest.raises(MissingArtifactError, match=r"train: a changed; not done with these settings.*src/train\.py"):
        fuse.run()
    train.run()
    assert (score.pending(), fuse.pending()) == ("train was done again", "score: train was done again")
    for task in (score, fuse):
        assert task.run()
    [output] = train.outputs()
    output.unlink()  # later tasks do not look at what their own inputs were made from
    assert fuse.pending() is None
    train.run()  # and the same work has the same key
    assert [task.pending() for task in chain(2)] == [None, None, None]


def test_a_task_after_another_needs_it_done_but_does_not_depend_on_its_key(make):
    def pair(key: str) -> tuple[Task, Task]:
        prepare = make("prepare", contents=lambda: key)
        return prepare, make("train", after=[prepare])

    prepare, train = pair("one")
    with pytest.raises(MissingArtifactError, match=r"prepare: not done yet; .*run `python src/prepare\.py`"):
        train.run()
    prepare.run()
    train.run()
    prepare, train = pair("two")
    assert prepare.run()
    assert train.pending() is None
    assert replace(train, after=[replace(prepare, settings={})]).pending() == "prepare: a changed"


def test_a_task_that_fails_is_not_current_even_if_it_was_before(make):
    def die() -> list[Path]:
        raise RuntimeError("died")

    make("score").run()
    with pytest.raises(RuntimeError, match="died"):
        make("score", version=2, work=die).run()
    assert make("score").pending() == "not done yet"


def test_former_outputs_of_the_run_go_and_shared_and_kept_ones_stay(make, tmp_path: Path):
    shared, kept = tmp_path / "cache/frames.npy", tmp_path / "outputs/fusion.yaml"
    shared.parent.mkdir()
    task = make("ablate", kept=[kept])

    def work() -> list[Path]:
        written = [*task.work(), shared, kept]
        for path in (shared, kept):
            path.touch()
        return written

    replace(task, work=work).run()
    replace(task, version=2, work=lambda: []).run()
    assert (shared.exists(), kept.exists(), (tmp_path / "outputs/ablate.csv").exists()) == (True, True, False)
    assert replace(task, version=2).outputs() == []


def test_what_is_forgotten_is_not_done_and_its_outputs_are_gone(make):
    task = make("evaluate")
    task.run()
    [output] = task.outputs()
    forget(task.record_path)
    assert (output.exists(), task.pending()) == (False, "not done yet")
    forget(task.record_path)  # nothing to do


@pytest.mark.parametrize("place", ["../own.txt", "outputs/../../own.txt", "cache/own.txt"])
def test_a_record_cannot_have_files_outside_the_run_s_folder_removed(make, tmp_path: Path, place: str):
    own = tmp_path / "work" / place
    (tmp_path / "work/outputs").mkdir(parents=True)
    own.parent.mkdir(exist_ok=True)
    own.write_text("mine")
    task = make("evaluate", files=RunFiles(*[tmp_path / "work/outputs"] * 6))
    replace(task, work=lambda: [*task.work(), own]).run()
    replace(task, version=2).run()
    assert own.read_text() == "mine"
    replace(task, version=3, work=lambda: [own]).run()
    forget(task.record_path)
    assert own.read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{}", "[]", "\x00", '{"key": 3}', "[" * 100_000])
def test_a_record_that_cannot_be_read_is_none(make, text: str):
    task = make("score")
    task.run()
    task.record_path.write_text(text)
    assert read_record(task.record_path) is None
    assert task.pending() == "not done yet"


def test_a_record_says_what_was_depended_on_written_and_how_long_it_took(make, tmp_path: Path):
    make("train").run()
    make("score", reads=[make("train")], contents=lambda: "abc", about=lambda: {"frames": 3}).run()
    record = json.loads((tmp_path / "outputs/stages/score.json").read_text())
    trained = json.loads((tmp_path / "outputs/stages/train.json").read_text())
    assert record["settings"] == {"a": 1, "b": {"c": [2.5, None]}}
    assert record["reads"] == {"train": trained["key"]}
    assert (record["contents"], record["about"], record["version"]) == ("abc", {"frames": 3}, 1)
    [output] = record["outputs"]
    assert output["size"] == 5
    assert output["sha256"] == "5d5766cf2d78701614200418ee1450690d9af12c84d52545e4802f001ad53099"
    assert record["seconds"] >= 0


def test_a_stage_is_its_tasks_in_order(make):
    stage = Stage("score", lambda config: [make("score"), make("score-pseudo", reads=[make("score")])])
    assert stage.pending(None) == "score: not done yet; score-pseudo: not done yet"
    stage.run(None)
    assert stage.pending(None) is None
