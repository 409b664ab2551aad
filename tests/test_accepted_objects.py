"""Detectors of objects that take the objects of an event for normal: that kind is quiet afterwards, others are not."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.labelled_tracks import Row, new_detector, training_run, video_of_rows
from tests.pipeline import files_below
from tests.test_object_streams import APPEARANCE, EVERY, MOTION, crops, detector, fitted, flow, of_stream, steady, video

from pixelplay.detectors.base import Accepts
from pixelplay.detectors.object_streams.detector import ObjectDetector
from pixelplay.detectors.stream import Stream, StreamFormat
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.features import crop_vectors, flow_of
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import tracks_of
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

MAGNITUDE, DIRECTION = f"{MOTION}/magnitude", f"{MOTION}/direction"
QUIET = 0.02  # between the accepted object's own sightings
READERS = {"flow": flow_of, "crops": crop_vectors}


def event_of(one: Video, need: str, tracks: Collection[int] = (1,), rows: slice = slice(None)) -> EventVectors:
    """What `events` keeps of these tracks."""
    of = tracks_of(one)
    own = np.flatnonzero(np.isin(of.track, list(tracks)))[rows]
    vectors = {need: READERS[need](one)[own].astype(np.float32)}
    return EventVectors(one.numbers[of.position[own]], of.track[own], of.xyxy[own], of.label[own], vectors)


@pytest.fixture
def motion(tmp_path: Path) -> ObjectDetector:
    """People who walk to the right, at about a height per second."""
    train = [video(tmp_path, f"n{i}", {1: EVERY, 2: EVERY}, 30, flow(steady)) for i in range(2)]
    return fitted(detector(MOTION, "training.size=own"), train, train[:1], tmp_path)


def moving(folder: Path, name: str, times: float, direction: int = 0, track: int = 1) -> Video:
    """One object, so many times as fast; another number of its track is another phase of its speed."""
    return video(
        folder, name, {track: EVERY}, 30, flow(lambda position, track: times * steady(position, track), direction)
    )


def found(one: ObjectDetector, asked: Video, stream: str) -> np.ndarray:
    return of_stream(one.score(asked).objects, stream)


def test_who_moves_like_an_accepted_object_is_quiet_and_others_are_not(motion: ObjectDetector, tmp_path: Path):
    fast, again = moving(tmp_path, "fast", 4), moving(tmp_path, "again", 4, track=2)
    down, faster = moving(tmp_path, "down", 1, direction=2), moving(tmp_path, "faster", 16)
    before = {one.id: motion.score(one) for one in (fast, again, down, faster)}
    assert isinstance(motion, Accepts) and motion.accept([event_of(fast, "flow")])
    assert of_stream(before["again"].objects, MAGNITUDE).min() > 0.9 and found(motion, again, MAGNITUDE).max() < QUIET
    assert found(motion, faster, MAGNITUDE).min() > 0.9 and found(motion, faster, MOTION).min() > 0.6
    np.testing.assert_array_equal(found(motion, down, MOTION), of_stream(before["down"].objects, MOTION))
    motion.accept([])
    for one in (fast, again, down, faster):
        np.testing.assert_array_equal(motion.score(one).streams[MOTION], before[one.id].streams[MOTION])


def test_events_are_accepted_in_place_of_those_before_and_nothing_of_them_is_saved(
    motion: ObjectDetector, tmp_path: Path
):
    fast, down = moving(tmp_path, "fast", 4), moving(tmp_path, "down", 1, direction=2)
    loud = found(motion, fast, MAGNITUDE)
    motion.save(tmp_path / "before")
    motion.accept([event_of(fast, "flow"), event_of(down, "flow")])
    assert found(motion, fast, MAGNITUDE).max() < QUIET and found(motion, down, DIRECTION).max() < QUIET
    motion.save(tmp_path / "after")
    before, after = ([path.read_bytes() for path in files_below(tmp_path / name)] for name in ("before", "after"))
    assert before == after
    motion.accept([event_of(down, "flow")])
    assert found(motion, down, DIRECTION).max() < QUIET
    np.testing.assert_allclose(found(motion, fast, MAGNITUDE), loud, atol=1e-4)  # `down` is as fast as normal ones


def test_an_object_that_was_seen_in_a_single_frame_is_quiet_afterwards(motion: ObjectDetector, tmp_path: Path):
    """Its only vector is nearer than four of the five neighbours, and stands for all of them."""
    constant = flow(lambda position, track: 32.0 + 0 * position)
    fast = video(tmp_path, "fast", {1: EVERY}, 30, constant)
    assert found(motion, fast, MAGNITUDE).min() > 1
    motion.accept([event_of(fast, "flow", rows=slice(5, 6))])
    assert found(motion, fast, MAGNITUDE).max() < 1e-5
    assert not motion.accept([event_of(fast, "flow", rows=slice(0, 1))])  # of the first frame nothing is known
    assert not motion.accept([replace(event_of(fast, "flow"), vectors={})])


def test_a_stream_that_is_open_knows_it_from_the_next_frame_on(motion: ObjectDetector, tmp_path: Path):
    fast = moving(tmp_path, "fast", 4)
    stream = motion.stream(StreamFormat((640, 64), 25.0))
    before = [step(stream, fast, t) for t in range(1, 10)]
    motion.accept([event_of(fast, "flow")])
    after = [step(stream, fast, t) for t in range(10, 20)]
    assert min(before) > 0.9 and max(after) < QUIET


def step(stream: Stream, one: Video, t: int) -> float:
    """The score of the only object of the next frame."""
    tracks = tracks_of(one)[t : t + 1]
    image = np.zeros((64, 640, 3), np.uint8)
    moment = Moment(t, 10 + t, t / 25, image, 0.0, {}, tracks, tracks.label, flow=flow_of(one)[t : t + 1])
    scores = stream.step(moment).objects
    assert scores is not None
    return float(scores[MAGNITUDE][0])


def test_what_looks_like_an_accepted_object_is_quiet(tmp_path: Path):
    """Levels around 8 are normal; one of 50 is accepted, and 60 is as far from it as before from the nearest."""
    train = [video(tmp_path, f"n{i}", {1: EVERY}, 30, crops(steady)) for i in range(2)]
    one = fitted(detector(APPEARANCE), train, train[:1], tmp_path)
    odd = video(tmp_path, "odd", {1: EVERY, 2: EVERY}, 30, crops(lambda position, track: 40.0 + 10 * track))
    assert one.accept([event_of(odd, "crops", tracks=[1])])
    scores = one.score(odd).objects
    assert scores is not None
    by_track = scores.groupby("track")["score"].agg(["min", "max"])
    assert by_track.loc[1].tolist() == [0, 0] and by_track.loc[2].tolist() == [10, 10]


def test_a_mixture_has_no_memory_and_says_so(tmp_path: Path):
    train = [video(tmp_path, f"n{i}", {1: EVERY, 2: EVERY}, 30, flow(steady)) for i in range(2)]
    one = fitted(detector(MOTION, "training.density.method=gmm"), train, train[:1], tmp_path)
    fast = moving(tmp_path, "fast", 4)
    before = found(one, fast, MOTION)
    assert not one.accept([event_of(fast, "flow")])
    np.testing.assert_array_equal(found(one, fast, MOTION), before)


def stander(track: int, x: float, label: str = "person") -> list[Row]:
    return [Row(t, track, x=x, label=label, speed=0.0) for t in range(30)]


def walker(track: int, x: float) -> list[Row]:
    return [Row(t, track, x=x + 2.0 * t) for t in range(30)]


def test_standing_where_an_accepted_person_stood_is_quiet_and_elsewhere_it_is_not(tmp_path: Path):
    train = [video_of_rows(tmp_path, f"v{i}", sorted([*walker(1, 100.0), *walker(2, 130.0)]), 30) for i in range(3)]
    one = new_detector("object_place")
    one.fit(train[:2], Heldout(train[2:], train[2:], []), training_run("object_place", tmp_path / "training"))
    asked = video_of_rows(tmp_path, "asked", sorted([*stander(1, 120.0), *stander(2, 180.0)]), 30)
    loud = of_stream(one.score(asked).objects, "object_place")
    assert one.accept([event_of(asked, "flow")])
    scores = one.score(asked).objects
    by_track = scores.groupby("track")["score"]
    usual = float(np.median(one._calibrated.normal("place")))
    np.testing.assert_allclose(by_track.get_group(1), usual, rtol=1e-6)
    away = usual + 4 * np.log(1 + 6**2 / 4)  # 60 pixels are six widths of a kernel: half of a height of 20 each
    np.testing.assert_allclose(by_track.get_group(2), np.minimum(loud.reshape(30, 2)[:, 1], away), rtol=1e-5)
    assert by_track.get_group(2).min() > one._calibrated.normal("place").max()
    one.accept([])
    np.testing.assert_array_equal(of_stream(one.score(asked).objects, "object_place"), loud)


def test_the_class_of_an_accepted_object_is_no_rarer_than_normal_ones_are(tmp_path: Path):
    train = [video_of_rows(tmp_path, f"v{i}", sorted([*walker(1, 100.0), *walker(2, 130.0)]), 30) for i in range(3)]
    one = new_detector("object_class", "training.folds=0")
    one.fit(train[:2], Heldout(train[2:], train[2:], []), training_run("object_class", tmp_path / "training"))
    rows = sorted([*stander(1, 100.0, "cat"), *stander(2, 200.0, "dog"), *walker(3, 100.0)])
    asked = video_of_rows(tmp_path, "asked", rows, 30)
    before = of_stream(one.score(asked).objects, "object_class").reshape(30, 3)
    assert one.accept([event_of(asked, "flow", tracks=[1])])
    after = of_stream(one.score(asked).objects, "object_class").reshape(30, 3)
    assert after[:, 0].tolist() == pytest.approx([one._trained.usual] * 30) and before[:, 0].min() > 4
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])
