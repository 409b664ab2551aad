"""Events while they happen, against the events of whole videos with the same scores; their clips and vectors."""

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from tests.held import held_bytes
from tests.online_run import SIZE, NewFootage, index_of, tracks_at, written_run
from tests.test_find_events import FPS, PLAIN, ZONES, around, index, quiet, write

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors.stream import StreamFormat
from pixelplay.errors import ConfigError
from pixelplay.evaluation.events import find_events
from pixelplay.events.event import Event
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.moments import Moment
from pixelplay.online.events import EventStream, OnlineEvents
from pixelplay.online.file_writer import WAITING, FileWriter
from pixelplay.online.fusion import Fused, OnlineFusion
from pixelplay.online.open_events import MOST_TRACKS
from pixelplay.online.sightings import Thinned
from pixelplay.run.artifacts import write_table, write_text
from pixelplay.run.files import RunFiles
from pixelplay.scores.settings import OBJECTS
from pixelplay.videos.index import Index

FORMAT = StreamFormat((64, 48), FPS)
Tracks = dict[int, list[float]]  # scores by frame of each track, NaN where it is not seen


def config_of(folder: Path) -> Config:
    """That of test_find_events: a threshold of 4 for frames and of 2 for tracks, events end at 3 and 1.75."""
    streams = "++fusion.objects.streams={object_motion/magnitude:3.0,object_motion/direction:1.0}"
    plain = ["fusion.objects.smooth.method=none", "fusion.objects.normalise.method=none", "fusion.bounds=null"]
    run = ["experiment=sample", "detector=[conv_ae,object_motion]", f"paths.outputs={folder}", streams, *plain]
    return load_config([*run, *PLAIN, "events.merge_gap=0.2", "online.buffer=2.0"])


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> OnlineEvents:
    return of_quiet_run(config_of(tmp_path_factory.mktemp("run")))


def of_quiet_run(config: Config) -> OnlineEvents:
    """Of a run in which nothing was unusual."""
    run = index()
    write(config, run, {"v": quiet(), "w": quiet()}, {})
    return online(config, run)


def changed(config: Config, **events: object) -> Config:
    return config.model_copy(update={"events": config.events.model_copy(update=events)})


@dataclass(frozen=True, eq=False)
class Recorded:
    """A video's fused scores and those of its tracks, frame by frame."""

    fused: list[float]
    tracks: Tracks

    def steps(self, vectors: bool = False):
        last = {t: max(i for i, s in enumerate(of) if not np.isnan(s)) for t, of in self.tracks.items()}
        for i, score in enumerate(self.fused):
            here = [t for t, of in self.tracks.items() if not np.isnan(of[i])]
            rows = pd.DataFrame({"track": here})
            rows[["x1", "y1", "x2", "y2"]] = np.add(np.full((len(here), 4), float(i)), [0.0, 0, 4, 8])
            tracks = tracks_at(i, rows)
            image = np.full((48, 64, 3), (10, 3 * i % 256, 200), np.uint8)
            crops = np.full((len(here), 3), float(i), np.float32) if vectors else None
            flow = np.full((len(here), 2), 0.5, np.float32) if vectors else None
            if crops is not None and i % 2:
                crops[:] = np.nan
            ended = tuple(t for t, frame in last.items() if frame == i - 1)
            moment = Moment(i, i, i / FPS, image, 0.0, {}, tracks, tracks.label, flow, crops, ended=ended)
            objects = np.array([self.tracks[t][i] for t in here])
            streams = np.zeros((len(here), 2))
            yield moment, Fused(score, {"conv_ae": score, OBJECTS: score}, objects, np.ones(2), ["a", "b"], streams)


def online(config: Config, run: Index) -> OnlineEvents:
    """The run has raw scores, which nothing below depends on."""
    files, held = RunFiles.of(config), run.held.calibration
    rows = [("test", v.id, int(n), 1.0) for v in run.test for n in v.numbers]
    rows += [("calibration", v.id, int(n), n % 3.0) for v in held for n in v.numbers]
    table = pd.DataFrame(rows, columns=["split", "video", "frame", "score"]).astype({"score": np.float32})
    for name in ("conv_ae", "object_motion"):
        write_table(files.scores(name), table.assign(stream=name))
    return OnlineEvents(OnlineFusion(config, run))


def followed(stream: EventStream, recorded: Recorded, vectors: bool = False) -> tuple[list[Event], list[Event]]:
    """What started and what ended."""
    started, ended = [], []
    for moment, fused in recorded.steps(vectors):
        happened = stream.step(moment, fused)
        started += happened.started
        ended += happened.ended
    return started, [*ended, *stream.finish()]


def plain(event: Event) -> dict:
    """All of it but for contributions, which `Recorded` makes up."""
    return event.model_dump(exclude={"contributions"})


SCENES = [
    # A track overlaps an event of frames that began before it; another is alone.
    Recorded(quiet(f6=5.0, f7=4.5, f8=6.0, f9=4.5), {1: around(6, 1.0, 2.5, 1.9, 0.1), 2: around(25, 0.2, 3.0)}),
    # Two tracks join one event of frames, and go on longer.
    Recorded(
        quiet(f4=5.0, f5=5.0, f6=5.0, f7=4.5, f8=6.0),
        {1: around(5, 0.5, 1.0, 2.5, 3.0), 2: around(6, *[2.5] * 9), 3: around(20, 1.0)},
    ),
    # Frames that are high again soon are of one event, later ones are not.
    Recorded(quiet(f6=5.0, f8=9.0, f11=5.0, f20=5.0, f21=3.5, f22=2.0, f39=7.0), {1: around(4, *[1.8] * 30)}),
    # A track that goes on keeps its event open; later frames are an event of their own where it is not high.
    Recorded(
        quiet(f5=5.0, f6=5.0, f7=5.0, f21=6.0, f22=4.5, f23=5.0),
        {4: around(6, *[2.5] * 10, *[1.0] * 9), 5: around(6, 0.1)},
    ),
    # A track that is high again later is one event.
    Recorded(quiet(), {7: around(2, 2.5, 1.0, 1.0, 1.0, 1.9, 2.6, 1.8, 0.1, 0.2), 8: around(0, *[1.9] * 40)}),
]


@pytest.mark.parametrize("events", [{}, {"min_duration": 0.2}, {"merge_gap": 0.0, "min_duration": 0.3}], ids=str)
def test_events_are_those_of_the_whole_video(config: Config, events: dict):
    run = index()
    scenes = {f"s{i}": scene for i, scene in enumerate(SCENES)}
    run = replace(run, test=[replace(run.test[0], id=name) for name in scenes])
    config = changed(config, **events)
    write(config, run, {v: scene.fused for v, scene in scenes.items()}, {v: one.tracks for v, one in scenes.items()})
    wanted = {one.id: plain(one) for one in find_events(config, run).events}
    own, found = online(config, run), {}
    for video, scene in scenes.items():
        started, ended = followed(own.stream(video, FORMAT), scene)
        assert sorted(one.id for one in started) == sorted(one.id for one in ended)
        found |= {one.id: plain(one) for one in ended}
    assert found == wanted
    assert len(wanted) >= 5


def test_thresholds_contributions_and_all_else_are_those_of_the_run_with_real_scores(tmp_path: Path):
    smoothing = [
        f"fusion.{of}.smooth.{key}" for of in ("default", "objects") for key in ("method=causal_gaussian", "sigma=1.5")
    ]
    limits = ["events.method=percentile", "events.thresholds.percentile=70", "events.min_duration=0.5"]
    config = written_run(tmp_path, *smoothing, *limits, detectors=("conv_ae", "object_motion"))
    run = index_of()
    found = find_events(config, run)
    fusion = OnlineFusion(config, run)
    events = OnlineEvents(fusion)
    assert [one.alarm for one in events.alarms.values()] == found.alarms
    assert events.remarks == [f"{one.stream}: {one.remark}" for one in found.alarms if one.remark]
    count = 0
    for video in run.test:
        fused, stream = fusion.stream(), events.stream(video.id, StreamFormat(SIZE, 10.0))
        ended = []
        for moment, scores in NewFootage.of_run(config, video.id).moments(config):
            ended += stream.step(moment, fused.step(moment, scores)).ended
        ended += stream.finish()
        wanted = {one.id: one.model_dump() for one in found.events if one.video == video.id}
        assert {one.id for one in ended} == set(wanted)
        for event in ended:
            assert _rounded(event.model_dump()) == _rounded(wanted[event.id])
        count += len(ended)
    assert count >= 2


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return round(value, 9) if isinstance(value, float) else value


def test_an_event_is_told_when_it_is_long_enough_and_again_as_a_whole_when_it_is_over(config: Config):
    recorded = Recorded(quiet(f6=5.0, f7=6.0, f8=5.0, f9=2.0), {1: around(5, 2.5, 2.5, *[1.0] * 10)})
    stream = of_quiet_run(changed(config, min_duration=0.2)).stream("v", FORMAT)
    told = []
    for moment, fused in recorded.steps():
        happened = stream.step(moment, fused)
        assert happened.threshold == 4.0
        assert happened.unusual.tolist() == [score > 2 for score in fused.objects.tolist()]
        told += [("started", moment.number, one.id, one.end.frame, one.score) for one in happened.started]
        told += [("ended", moment.number, one.id, one.end.frame, one.score) for one in happened.ended]
        assert happened.alarm == (6 <= moment.number <= 11), "while a gap of 0.2 s would still be closed"
    # Track 1 lasts for 0.2 s in frame 6; the frames that overlap it join its event, which ends when the track is gone.
    assert told == [("started", 6, "event-v-5-track1", 6, 2.5), ("ended", 17, "event-v-5-track1", 8, 6.0)]


def test_two_events_that_have_started_stay_two(events: OnlineEvents):
    tracks = {1: around(5, *[2.5] * 9), 2: around(6, *[2.6] * 9)}
    _, ended = followed(events.stream("v", FORMAT), Recorded(quiet(f8=5.0), tracks))
    assert [(one.id, one.found_by, [t.track for t in one.tracks]) for one in ended] == [
        ("event-v-5-track1", ["frames", "objects"], [2, 1]),  # track 2 is high at the peak
        ("event-v-6-track2", ["objects"], [2]),
    ]


def test_tracks_that_overlap_frames_that_have_just_become_high_are_one_event_at_once(config: Config):
    tracks = {1: around(5, *[2.5] * 9), 2: around(5, *[2.6] * 9)}
    events = of_quiet_run(changed(config, min_duration=0.3))
    long, short = Recorded(quiet(f6=5.0, f7=5.0, f8=5.0), tracks), Recorded(quiet(f6=5.0, f7=5.0), tracks)
    for recorded, found_by, stream in ((long, ["frames", "objects"], "fused"), (short, ["objects"], "objects")):
        (started,), (ended,) = followed(events.stream("v", FORMAT), recorded)
        assert started.id == ended.id == "event-v-5-track1"
        assert (ended.found_by, ended.stream, sorted(t.track for t in ended.tracks)) == (found_by, stream, [1, 2])
        assert ended.score == (5.0 if stream == "fused" else 2.6)


def test_zones_silence_what_happens_in_them_and_time_in_them_gives_events(config: Config, tmp_path: Path):
    write_text(tmp_path / "zones.yaml", ZONES)
    config = changed(config, zones=tmp_path / "zones.yaml", dwell_above=0.25)
    run = index()
    of_v = Recorded(quiet(f8=6.0, f9=4.5), {1: around(6, 1.0, 2.5, 1.9, 0.1), 2: around(25, 0.2, 3.0)})
    of_w = Recorded(quiet(f30=40.0), {1: around(0, *[1.5] * 40)})
    write(config, run, {"v": of_v.fused, "w": of_w.fused}, {"v": of_v.tracks, "w": of_w.tracks})
    wanted = sorted(map(plain, find_events(config, run).events), key=lambda one: one["id"])
    events = online(config, run)
    found = []
    for video, recorded in (("v", of_v), ("w", of_w)):
        started, ended = followed(events.stream(video, FORMAT), recorded)
        assert {one.id for one in started} == {one.id for one in ended}
        found += ended
    assert sorted(map(plain, found), key=lambda one: one["id"]) == wanted
    assert len(wanted) == 3


def test_zones_without_objects_are_refused(events: OnlineEvents, tmp_path: Path):
    write_text(tmp_path / "zones.yaml", ZONES)
    fusion = OnlineFusion(changed(events.config, zones=tmp_path / "zones.yaml"), index(), ["conv_ae"])
    with pytest.raises(ConfigError, match=r"zones.yaml: no detector scores objects frame by frame"):
        OnlineEvents(fusion)


def test_state_is_bounded_in_an_event_that_never_ends(events: OnlineEvents):
    """Every frame is unusual, and so are its five objects, each for ten frames."""
    stream = events.stream("v", FORMAT)

    ids, boxes = np.arange(5), np.tile([1.0, 2.0, 9.0, 8.0], (5, 1))
    five = tracks_at(0, pd.DataFrame(boxes, columns=["x1", "y1", "x2", "y2"]).assign(track=ids))
    image, flow, members = np.zeros((48, 64, 3), np.uint8), np.ones((5, 2), np.float32), {"conv_ae": 9.0, OBJECTS: 9.0}

    def step(t: int) -> None:
        first = 5 * (t // 10)
        tracks = replace(five, track=ids + first + 1)
        gone = tuple(range(first - 4, first + 1)) if t % 10 == 0 and t else ()
        moment = Moment(t, t, t / FPS, image, 0.0, {}, tracks, tracks.label, flow, ended=gone)
        stream.step(moment, Fused(9.0 + t % 5, members, np.full(5, 3.0), np.ones(2), ["a", "b"], np.zeros((5, 2))))

    held = []
    for t in range(600):
        step(t)
        if t in (449, 599):
            held.append(held_bytes(stream))
    assert held[1] - held[0] < 100_000 and len(stream.open) == 1
    (event,) = stream.finish()
    assert len(event.tracks) <= MOST_TRACKS + 10
    assert all(len(one.path) <= 500 for one in event.tracks)
    assert (event.start.frame, event.end.frame) == (0, 599)


def test_of_many_items_every_second_then_every_fourth_is_kept():
    thinned = Thinned(4)
    for item in range(100):
        thinned.add(item)
        assert len(thinned.items) <= 8
    assert thinned.items == [0, 16, 32, 48, 64, 80, 96]
    few = Thinned(4)
    for item in range(8):
        few.add(item)
    assert few.items == list(range(8))


def frames_of(path: Path) -> tuple[list[np.ndarray], float]:
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.average_rate
        return [one.to_ndarray(format="rgb24") for one in file.decode(stream)], float(stream.average_rate)


def test_an_event_has_a_clip_a_thumbnail_and_the_vectors_of_its_objects(config: Config, tmp_path: Path):
    recorded = Recorded(quiet(f8=6.0, f9=9.0), {1: around(6, 1.0, 2.5, 1.9, 0.1), 2: around(0, *[0.1] * 40)})
    clips = config.events.clips.model_copy(update={"around": 0.3})
    folder = tmp_path / "events"
    stream = of_quiet_run(changed(config, clips=clips)).stream("v", FORMAT, folder)
    started, ended = followed(stream, recorded, vectors=True)
    stream.close()
    (first,), (event,) = started, ended
    assert (first.id, first.thumbnail, first.clip) == ("event-v-7-track1", "event-v-7-track1.jpg", None)
    assert (event.thumbnail, event.clip) == ("event-v-7-track1.jpg", "event-v-7-track1.mp4")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"event-v-7-track1.{kind}" for kind in ("jpg", "mp4", "npz")
    ]
    frames, rate = frames_of(folder / event.clip)
    assert (len(frames), rate) == (9, FPS)  # 4 to 12: of 7 to 9 with 0.3 s around it
    greens = [float(np.median(frame[400:440, 300:600, 1])) for frame in frames]
    assert greens == pytest.approx([3 * i for i in range(4, 13)], abs=4), "the very frames"
    thumbnail = cv2.imread(str(folder / event.thumbnail))
    assert np.median(thumbnail[400:440, 300:600], axis=(0, 1)) == pytest.approx([200, 27, 10], abs=4)  # BGR of frame 9
    kept = EventVectors.load(folder / "event-v-7-track1.npz")
    assert (kept.frame.tolist(), kept.track.tolist()) == ([7, 8, 9], [1, 1, 1])
    assert kept.vectors["flow"].tolist() == [[0.5, 0.5]] * 3
    assert np.isnan(kept.vectors["crops"][[0, 2]]).all() and kept.vectors["crops"][1].tolist() == [8.0] * 3


def test_of_an_event_longer_than_what_is_kept_the_clip_shows_its_peak(events: OnlineEvents, tmp_path: Path):
    fused = [5.0] * 120
    fused[30] = 9.0
    stream = events.stream("v", FORMAT, tmp_path)
    started, ended = followed(stream, Recorded(fused, {}))
    assert stream._files is not None
    assert len(stream._files._kept) == 21, "frames of 2 s"
    stream.close()
    assert [one.peak.frame for one in ended] == [30] and len(started) == 1
    frames, _ = frames_of(tmp_path / ended[0].clip)
    greens = [float(np.median(frame[400:440, 300:600, 1])) for frame in frames]
    assert greens == pytest.approx([3 * i for i in range(20, 41)], abs=4), "2 s with frame 30 in the middle"


def test_what_cannot_be_written_is_reported_once_and_scoring_goes_on(
    events: OnlineEvents, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "full").write_text("a file where the folder should be")
    stream = events.stream("v", FORMAT, tmp_path / "full" / "events")
    _, ended = followed(stream, Recorded(quiet(f8=6.0, f20=7.0), {}))
    stream.close()
    assert [one.peak.frame for one in ended] == [8, 20]
    told = [record.message for record in caplog.records if "not written" in record.message]
    assert len(told) == 1 and "event-v-8" in told[0]


def test_a_slow_disk_delays_nothing_and_what_is_left_out_is_reported(caplog: pytest.LogCaptureFixture):
    writer, released, written = FileWriter(), threading.Event(), []
    for i in range(WAITING + 10):
        writer.add(f"{i}", lambda i=i: (released.wait(60), written.append(i)))
    began = time.monotonic()
    writer.close(patience=0.2)
    assert time.monotonic() - began < 30
    assert [record.message for record in caplog.records if "left out" in record.message]
    assert [record.message for record in caplog.records if "takes too long" in record.message]
    released.set()


def test_an_end_lets_the_same_stream_begin_anew(events: OnlineEvents):
    stream = events.stream("v", FORMAT)
    steps = list(Recorded(quiet(f8=6.0), {1: around(6, *[2.5] * 20)}).steps())
    first = [one for moment, fused in steps[:12] for one in stream.step(moment, fused).ended] + stream.finish()
    later = [
        (replace(moment, number=moment.number + 100, seconds=moment.seconds + 10), fused) for moment, fused in steps
    ]
    second = [one for moment, fused in later for one in stream.step(moment, fused).ended] + stream.finish()
    assert [(one.id, one.end.frame) for one in first] == [("event-v-6-track1", 11)]
    assert [(one.id, one.start.frame) for one in second] == [("event-v-106-track1", 106)]
    assert stream.open == []
