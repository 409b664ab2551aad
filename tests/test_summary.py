"""What a run prints at its end, and how long the stages that are left will take."""

import json
from pathlib import Path

import pytest
from tests.scored import write_record

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.events.event import Alarm, Event, Events, Moment
from pixelplay.run.files import RunFiles
from pixelplay.summary import summary


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    config = load_config(["experiment=tiny"])
    for path in (RunFiles.of(config).submission, RunFiles.of(config).report):
        path.parent.mkdir(parents=True)
        path.touch()
    return config


def finish(config: Config, stage: str, path: Path, value: str) -> None:
    write_record(RunFiles.of(config).record(stage))
    path.write_text(value)


def figures(ap: float) -> dict[str, object]:
    drawn = {"ap": [0.5, 0.75], "auc_micro": [0.6, 0.9], "level": 0.95, "draws": 1000}
    return {"ap": ap, "auc_micro": 0.8125, "auc_macro": None, "intervals": drawn}


def event(video: str, seconds: float | None, score: float) -> Event:
    def moment(frame: int) -> Moment:
        return Moment(frame=frame, seconds=None if seconds is None else seconds + frame / 10)

    return Event(
        id=f"{video}-{score}", video=video, found_by=["frames"], start=moment(10), end=moment(30), peak=moment(20),
        score=score, stream="fused", threshold=3.0, tail_probability=None, contributions={"a": 0.75, "b": 0.25},
        tracks=[], zones=[], thumbnail=None, clip=None,
    )  # fmt: skip


def with_events(config: Config, *events: Event, remark: str | None = None) -> None:
    alarm = Alarm(
        stream="fused", method="evt", threshold=3.0, end_threshold=2.0, parameters={}, expected=0.01,
        expected_per_hour=None, remark=remark,
    )  # fmt: skip
    found = Events(alarms=[alarm], no_alarm={}, heldout_frames=100, heldout_seconds=None, events=list(events))
    finish(config, "events", RunFiles.of(config).events, found.model_dump_json())


def test_with_labels_the_figures_of_the_fusion_and_of_the_best_detector_are_told(config: Config):
    metrics = {"prevalence": 0.25, "fused": figures(0.625), "detectors": {"a": figures(0.5), "b": figures(0.7)}}
    finish(config, "evaluate", RunFiles.of(config).metrics, json.dumps(metrics))
    assert summary(config, {"prepare": 100.0, "fuse": 5.0, "score": 400.0, "report": 20.0}, 530.0) == [
        "fusion        AP 0.625 (0.500-0.750), AUC micro 0.812 (0.600-0.900); AP of random scores 0.250",
        "best detector b: AP 0.700 (0.500-0.750), AUC micro 0.812 (0.600-0.900)",
        "submission    submissions/tiny.csv",
        "page          outputs/tiny/report/index.html",
        "time          9 min, of which score 7 min, prepare 2 min, report 20 s",
    ]


def test_without_labels_the_events_are_told_with_the_most_severe_and_what_the_threshold_is_worth(config: Config):
    with_events(
        config, event("door", 12.0, 9.5), event("door", 50.0, 4.0), event("yard", None, 3.5), remark="26 frames"
    )
    assert summary(config, {}, 2.0) == [
        "events        3 in 2 videos; the most severe: door, 13.0 to 15.0 s: fused 9.5 (threshold 3); a 75%, b 25%",
        "threshold     26 frames",
        "submission    submissions/tiny.csv",
        "page          outputs/tiny/report/index.html",
        "time          2 s: everything was up to date",
    ]


def test_events_without_a_frame_rate_are_told_in_frames_and_none_as_none(config: Config):
    with_events(config, event("yard", None, 3.5))
    assert "yard, frames 10 to 30: fused 3.5" in summary(config, {}, 2.0)[0]
    with_events(config)
    assert summary(config, {}, 2.0)[0] == "events        0 in 0 videos"


def test_no_line_is_longer_than_120_characters(config: Config):
    with_events(config, event("v" * 200, 1.0, 3.5), remark="word " * 50)
    lines = summary(config, {}, 2.0)
    assert max(map(len, lines)) == 120 and lines[1].endswith("…")
