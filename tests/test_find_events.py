"""Events of a run from its tables of scores: frames and tracks, with or without times, normal footage, objects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.evaluation.events import dwell_table, find_events
from pixelplay.evaluation.measured_events import measure_events
from pixelplay.events.event import Event, Events
from pixelplay.events.event_table import COLUMNS, event_rows
from pixelplay.explain.event_curves import EventCurves
from pixelplay.run.artifacts import csv_text, write_json, write_table, write_text
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.settings import HeldoutConfig
from pixelplay.videos.truth import Labelled
from pixelplay.videos.video import Video

FPS = 10.0
LENGTH = 40
PLAIN = ("events.method=percentile", "events.thresholds.percentile=100.0", "events.min_duration=0.0")
MOTION = ("object_motion/magnitude", "object_motion/direction")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two members, one of them the fused objects of two streams; the threshold is the highest normal score."""
    streams = "++fusion.objects.streams={object_motion/magnitude:3.0,object_motion/direction:1.0}"
    plain = ["fusion.objects.smooth.method=none", "fusion.objects.normalise.method=none", "fusion.bounds=null"]
    run = ["experiment=sample", "detector=[conv_ae,object_motion]", f"paths.outputs={tmp_path}", streams, *plain]
    return load_config([*run, *PLAIN])


def index(fps: float | None = FPS, numbers: np.ndarray | None = None) -> Index:
    def video(name: str, split: str) -> Video:
        at = np.arange(LENGTH) if numbers is None or split == "train" else numbers
        seconds = None if fps is None else np.arange(len(at)) / fps
        return Video(name, split, at, (64, 48), Path("cache"), seconds=seconds, fps=fps)

    train = [video(name, "train") for name in ("n1", "n2", "n3", "n4")]
    heldout = HeldoutConfig(share=0.5, min_videos=4, gap=0, seed=0)
    return Index("sample", "a", "b", heldout, train, [video("v", "test"), video("w", "test")])


def write(config: Config, run: Index, fused: dict[str, list[float]], tracks: dict[str, dict[int, list[float]]]) -> None:
    """Fused scores by test video, the member conv_ae three times as high as objects; and by video and track, scores.

    Held-out normal footage has fused scores 0 to 4, and two tracks, of scores up to 1 and 2.
    """
    files, held = RunFiles.of(config), run.held.calibration
    rows = [("test", v.id, int(n), s) for v in run.test for n, s in zip(v.numbers, fused[v.id], strict=True)]
    rows += [("calibration", v.id, int(n), float(i % 5)) for v in held for i, n in enumerate(v.numbers)]
    table = pd.DataFrame(rows, columns=["split", "video", "frame", "score"])
    shares = {"fused": 1.0, "conv_ae": 0.75, "objects": 0.25}
    parts = [table.assign(stream=stream, score=table["score"] * share) for stream, share in shares.items()]
    write_table(files.fused, pd.concat(parts, ignore_index=True))
    head = "member,of,weight,left_out,why"
    write_text(files.fusion_members, f"{head}\nconv_ae,frames,1.0,False,\nobjects,frames,1.0,False,\n")
    listed = [f"{stream},objects,1.0,False," for stream in MOTION]
    write_text(files.object_members, "\n".join([head, *listed]) + "\n")
    objects = [
        ("test", v.id, int(v.numbers[i]), t, s)
        for v in run.test
        for t, of in tracks.get(v.id, {}).items()
        for i, s in enumerate(of)
        if not np.isnan(s)
    ]
    objects += [("calibration", held[0].id, int(n), t, s) for t, s in ((1, 1.0), (2, 2.0)) for n in held[0].numbers[:9]]
    boxes = pd.DataFrame(objects, columns=["split", "video", "frame", "track", "score"])
    boxes[["x1", "y1", "x2", "y2"]] = np.add(boxes[["frame"] * 4].to_numpy(float), [0.0, 0, 4, 8])
    boxes = boxes.assign(**{"class": "person"})
    write_table(files.object_scores("objects"), boxes.assign(stream="objects"))
    both = [
        boxes.assign(stream=stream, score=boxes["score"] * of) for stream, of in zip(MOTION, (1.0, 2.0), strict=True)
    ]
    write_table(files.object_scores("object_motion"), pd.concat(both, ignore_index=True))
    frames = table.assign(stream="objects").astype({"score": np.float32})
    write_table(files.scores("objects"), frames)


def quiet(**high: float) -> list[float]:
    """Scores of 1, and others at these frames: f8=9.0."""
    scores = [1.0] * LENGTH
    for name, score in high.items():
        scores[int(name[1:])] = score
    return scores


def around(first: int, *scores: float) -> list[float]:
    """A track's scores, from its first frame on; it is in no other frame."""
    return [np.nan] * first + list(scores) + [np.nan] * (LENGTH - first - len(scores))


def told(events: Events) -> list[tuple[str, list[str], int, int, int, list[int]]]:
    return [
        (e.id, e.found_by, e.start.frame, e.peak.frame, e.end.frame, [t.track for t in e.tracks]) for e in events.events
    ]


def test_frames_and_tracks_give_events_that_are_one_where_they_overlap(config: Config):
    run = index()
    tracks = {"v": {1: around(6, 1.0, 2.5, 1.9, 0.1), 2: around(25, 0.2, 3.0)}, "w": {1: around(0, *[1.5] * 40)}}
    write(config, run, {"v": quiet(f8=6.0, f9=4.5), "w": quiet(f30=40.0)}, tracks)
    found = find_events(config, run)
    assert [(a.stream, a.threshold) for a in found.alarms] == [("fused", 4.0), ("objects", 2.0)]
    # The usual fused score is 2, that of tracks 1.5. In v, track 1 is unusual in frames 7 and 8, frames 8 and 9 are.
    assert told(found) == [
        ("event-w-30", ["frames"], 30, 30, 30, []),  # (40 - 2) / (4 - 2); its track is not high
        ("event-v-26-track2", ["objects"], 26, 26, 26, [2]),
        ("event-v-7", ["frames", "objects"], 7, 8, 9, [1]),
    ]
    merged = found.events[2]
    assert (merged.stream, merged.score, merged.threshold) == ("fused", 6.0, 4.0)
    assert (merged.start.seconds, merged.peak.seconds, merged.end.seconds) == (0.7, 0.8, 0.9)
    track = merged.tracks[0]
    assert (track.label, track.score, track.box) == ("person", 2.5, (8.0, 8.0, 12.0, 16.0))
    assert track.path == [(7, 9.0, 15.0), (8, 10.0, 16.0), (9, 11.0, 17.0)]
    assert (found.heldout_frames, found.heldout_seconds) == (40, 4.0)
    assert "one video" in found.alarms[1].remark and "2 normal tracks" in found.alarms[1].remark


def test_contributions_are_how_far_members_are_above_their_usual_score_by_weight(config: Config):
    run = index()
    write(config, run, {"v": quiet(f8=6.0), "w": quiet()}, {"v": {2: around(25, 3.0, 3.0)}})
    frames, track = find_events(config, run).events
    if frames.found_by != ["frames"]:
        frames, track = track, frames
    assert frames.contributions == pytest.approx({"conv_ae": 0.75, "objects": 0.25})
    # Of a track: magnitude 3, usually 1.5, with weight 3 of 4; direction 6, usually 3, with 1 of 4.
    assert track.contributions == pytest.approx(
        {MOTION[0]: 1.5 * 3 / (1.5 * 3 + 3), MOTION[1]: 3 / (1.5 * 3 + 3)}, abs=1e-4
    )


def test_objects_that_are_high_at_the_peak_are_shown_with_an_event_of_frames(config: Config):
    run = index()
    tracks = {"v": {1: around(6, *[1.8] * 9), 2: around(6, *[1.7] * 9), 3: around(9, 1.9)}}
    write(config, run, {"v": quiet(f8=6.0), "w": quiet()}, tracks)
    (event,) = find_events(config, run).events
    assert event.found_by == ["frames"] and [one.track for one in event.tracks] == [1]  # above (1.5 + 2) / 2


def test_without_a_frame_rate_there_are_no_seconds_and_durations_go_by_the_configured_one(config: Config):
    run = index(fps=None, numbers=np.arange(0, 10 * LENGTH, 10))  # every tenth frame
    scores = quiet(f8=6.0, f11=6.0)
    write(config, run, {"v": scores, "w": quiet()}, {})
    at = {"fps": 10.0, "merge_gap": 0.2}  # two frames lie between
    together = config.model_copy(update={"events": config.events.model_copy(update=at)})
    (event,) = find_events(together, run).events
    assert (event.start.frame, event.end.frame, event.start.seconds) == (80, 110, None)
    apart = config.model_copy(update={"events": config.events.model_copy(update={**at, "fps": 5.0})})
    found = find_events(apart, run)
    assert len(found.events) == 2
    assert found.heldout_seconds is None and all(alarm.expected_per_hour is None for alarm in found.alarms)


def test_a_stream_without_normal_footage_has_no_threshold_and_says_so(config: Config):
    run = index()
    write(config, run, {"v": quiet(f8=6.0), "w": quiet()}, {"v": {2: around(25, 3.0, 3.0)}})
    path = RunFiles.of(config).fused
    table = pd.read_parquet(path)
    write_table(path, table[(table["split"] == "test") | (table["stream"] == "conv_ae")])
    found = find_events(config, run)
    assert [alarm.stream for alarm in found.alarms] == ["objects"]
    assert found.no_alarm == {
        "fused": "no fused scores of held-out normal footage, since a member has none: no events of frames"
    }
    assert [event.stream for event in found.events] == ["objects"]
    assert found.heldout_frames == 0


def test_a_run_without_objects_has_events_of_frames(config: Config):
    run = index()
    write(config, run, {"v": quiet(f8=6.0), "w": quiet()}, {})
    alone = config.model_copy(update={"detectors": {"conv_ae": config.detectors["conv_ae"]}})
    (event,) = find_events(alone, run).events
    assert (event.id, event.tracks) == ("event-v-8", [])


def test_a_budget_is_shared_by_the_streams(config: Config):
    run = index()
    write(config, run, {"v": quiet(), "w": quiet()}, {})
    update = {"method": "evt", "false_alarms_per_hour": 3600.0}
    budgeted = config.model_copy(update={"events": config.events.model_copy(update=update)})
    fused, objects = find_events(budgeted, run).alarms
    # 1,800 an hour each. Frames: 36,000 an hour, each high one alone. Tracks: 2 in 4 seconds are as many an hour.
    assert fused.parameters["risk"] == pytest.approx(0.05)
    assert objects.parameters["risk"] == pytest.approx(0.1), "no more than the tail"


def test_the_table_has_a_row_per_event_with_what_a_person_asks(config: Config, tmp_path: Path):
    run = index()
    write(config, run, {"v": quiet(f8=6.0), "w": quiet()}, {"v": {1: around(6, 1.0, 2.5, 1.9)}})
    head, row = event_rows(find_events(config, run).events)
    cells = dict(zip(head, row, strict=True))
    assert tuple(head) == COLUMNS
    assert (cells["video"], cells["found_by"]) == ("v", "frames; objects")
    assert (cells["start_seconds"], cells["peak_frame"]) == (0.7, 8)
    assert (cells["tracks"], cells["boxes_at_peak"]) == ("1", "1: 8 8 12 16")
    assert cells["contributions"] == "conv_ae 0.7500; objects 0.2500"
    assert csv_text([row]).count("\n") == 1


def test_metrics_of_events_are_of_labelled_videos_and_say_what_the_threshold_kept(config: Config):
    run = index()
    fused = {"v": quiet(f8=6.0, f9=4.5, f20=5.0), "w": quiet(f30=40.0)}
    write(config, run, fused, {})
    files = RunFiles.of(config)
    slow = config.model_copy(
        update={"events": config.events.model_copy(update={"min_duration": 0.2, "merge_gap": 0.0})}
    )
    found = find_events(slow, run)
    assert [event.start.frame for event in found.events] == [8]
    write_json(files.events, found.model_dump(mode="json"))
    labels = np.zeros(LENGTH, np.uint8)
    labels[7:12] = 1
    scores = pd.concat({v: pd.Series(of, index=pd.RangeIndex(LENGTH, name="frame")) for v, of in fused.items()})
    measured = measure_events(slow, run, [Labelled("v", run.test[0].numbers, labels)], scores)
    assert (measured["events"], measured["right"], measured["labelled"], measured["false_alarms"]) == (1, 1, 1, 0)
    assert measured["delay_frames"] == {"mean": 2.0, "median": 2.0}  # the alarm comes in frame 9, the event began in 7
    assert measured["delay_seconds"]["mean"] == pytest.approx(0.2)
    assert measured["false_alarms_unseen"] == pytest.approx(1 / 35)  # frame 20
    assert measured["expected"] == found.alarms[0].expected
    # In order: 6 (earliness 1/5 lost: found in the second frame), then the first frame at 1, where all are taken.
    assert measured["latency_ap"] == pytest.approx(0.8 * 1 + 0.2 * 5 / 40)


def test_an_id_is_a_file_s_name_whatever_the_video_is_called(config: Config):
    run = index()
    odd = replace(run, test=[replace(run.test[0], id="../a b"), run.test[1]])
    write(config, odd, {"../a b": quiet(f8=6.0), "w": quiet()}, {})
    (event,) = find_events(config, odd).events
    assert isinstance(event, Event) and "/" not in event.id and " " not in event.id and event.id.startswith("event-")


def test_a_long_path_keeps_its_ends(config: Config, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelplay.events.tracks.PATH_POINTS", 3)
    run = index()
    write(config, run, {"v": quiet(), "w": quiet()}, {"v": {2: around(20, *[3.0] * 10)}})
    (event,) = find_events(config, run).events
    assert [frame for frame, _, _ in event.tracks[0].path] == [20, 24, 29]


ZONES = """zones:
- {name: left, points: [[0, 0], [20, 0], [20, 48], [0, 48]], unit: pixels, alarms: false, videos: [v]}
- {name: gate, points: [[0, 0], [20, 0], [20, 48], [0, 48]], unit: pixels, videos: [w]}
"""


def test_zones_silence_what_happens_in_them_and_time_in_them_gives_events(config: Config, tmp_path: Path):
    write_text(tmp_path / "zones.yaml", ZONES)
    zoned = {"zones": tmp_path / "zones.yaml", "dwell_above": 0.25}
    config = config.model_copy(update={"events": config.events.model_copy(update=zoned)})
    run = index()
    tracks = {"v": {1: around(6, 1.0, 2.5, 1.9, 0.1), 2: around(25, 0.2, 3.0)}, "w": {1: around(0, *[1.5] * 40)}}
    write(config, run, {"v": quiet(f8=6.0, f9=4.5), "w": quiet(f30=40.0)}, tracks)
    found = find_events(config, run)
    # An object stands at x = frame + 2: in `left` up to frame 18, and so are the high frames and track 1 of v. Track 1
    # of w is in `gate` for 1.8 s, a severity of 1.8 / 0.25 between those of the other two.
    assert told(found) == [
        ("event-w-30", ["frames"], 30, 30, 30, []),
        ("event-w-3-track1-zone2", ["dwell"], 3, 18, 18, [1]),
        ("event-v-26-track2", ["objects"], 26, 26, 26, [2]),
    ]
    assert [e.zones for e in found.events] == [[], ["gate"], []]
    stay = found.events[1]
    assert (stay.stream, stay.score, stay.threshold, stay.contributions) == ("dwell", pytest.approx(1.8), 0.25, {})
    table = dwell_table(config, run)
    assert table is not None
    assert table.groupby(["video", "zone"])["frame"].count().to_dict() == {("v", "left"): 4, ("w", "gate"): 19}
    write_table(RunFiles.of(config).dwell, table)
    curve = EventCurves(config, run, found).of(stay, run.test[1], 2, 22)
    assert curve.scores[:2] == pytest.approx([0.2, 0.3]) and np.isnan(curve.scores[17:]).all()
    assert curve.shaded is not None and np.flatnonzero(curve.shaded).tolist() == list(range(1, 17))
    assert (curve.name, curve.threshold) == ("seconds of person 1 in gate", 0.25)


def test_the_curve_of_a_track_s_event_is_that_track_s_score(config: Config):
    run = index()
    tracks = {"v": {1: around(6, 1.0, 2.5, 1.9, 0.1)}}
    write(config, run, {"v": quiet(), "w": quiet()}, tracks)
    found = find_events(config, run)
    (event,) = found.events
    curve = EventCurves(config, run, found).of(event, run.test[0], 5, 10)
    assert np.isnan(curve.scores[0]) and curve.scores[1:].tolist() == [1.0, 2.5, 1.9, 0.1]
    assert (curve.name, curve.threshold) == ("score of person 1", 2.0)
