"""`doctor` names all that is missing, and estimates the time from the records of earlier runs."""

import re
from pathlib import Path

import pytest
from tests.scored import write_record

from pixelplay import doctor
from pixelplay.cli import load_config
from pixelplay.run.artifacts import write_json


@pytest.fixture
def options(small_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return small_run


def told(capsys: pytest.CaptureFixture) -> str:
    """What was printed, a line for each check."""
    return re.sub(r"\n +", " ", capsys.readouterr().out)


def finished(folder: Path, frames: int, **seconds: float) -> None:
    """An earlier run with so many frames, whose stages took this long."""
    halves = [{"numbers": list(range(frames // 2))}]
    write_json(folder / "index.json", {"train": halves, "test": halves})
    for part, time in seconds.items():
        write_record(folder / f"stages/{part.replace('__', '-')}.json", seconds=time)


def test_a_run_that_has_all_it_needs_passes_and_nothing_is_written(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    doctor.run(load_config(options))
    lines = told(capsys).splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 6
    assert lines[0].endswith("5 videos, 60 frames for training and 8 for testing")
    assert lines[5].endswith(f"unknown: no earlier run in {tmp_path}/outputs/ to go by")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_missing_data_and_weights_are_named_and_the_status_is_1(options: list[str], capsys: pytest.CaptureFixture):
    wrong = ["dataset.root=nowhere", "detector=[videopatchcore]", "weights.yolo=motion"]
    wrong += ["weights.backbone=timm:resnet18", "weights.backbone_file=no.pt"]
    with pytest.raises(SystemExit) as end:
        doctor.run(load_config([*options[:1], *wrong, "device=cpu"]))
    assert end.value.code == 1
    text = told(capsys)
    assert "PROBLEM data set  data set 'folder' not found: no such folder: nowhere" in text
    assert "PROBLEM weights   weights.backbone=timm:resnet18 weights.backbone_file=no.pt: no weights found" in text


def test_the_time_is_that_of_earlier_runs_scaled_by_frames(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    """68 frames here. Half as many there: twice the seconds."""
    parts = {"prepare": 30.0, "train__conv_ae": 600.0, "score__conv_ae": 60.0, "score__st_ae": 9999.0}
    finished(Path("outputs/other"), 34, **parts)
    doctor.run(load_config(options))
    text = told(capsys)
    assert f"about 23 min in all, by the times of {tmp_path}/outputs/other/ scaled by frames\n" in text
    Path("outputs/other/stages/train-conv_ae.json").write_text("damaged")
    doctor.run(load_config(options))
    text = told(capsys)
    assert "about 3 min in all" in text and text.endswith("unknown and not counted: train-conv_ae\n")
