"""Detectors of objects, frame by frame: gaps, rows that are not known yet, and what is kept of tracks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fitted import BOX, HEIGHT, WIDTH, Fitted, Frames
from tests.recorded_moments import moments_of

from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.detectors.base import Detector, Scores
from pixelplay.detectors.stream import MomentScores, Stream, StreamFormat, Streams
from pixelplay.objects import boxes as box_tables
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.features import writing
from pixelplay.objects.flow import flow_in_boxes
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import Tracks
from pixelplay.videos.video import Maps, Video

FORMAT = StreamFormat((WIDTH, HEIGHT), 25.0)
NAMES = (
    *("object_motion", "object_appearance", "object_place", "object_class", "event_completion"),
    "temporal_mae",
)
LENGTH = 24
NOISY = range(3, 6)  # frames
# Frames in which each track was detected: a long one, one that is seen in noisy frames first, and is lost for longer
# than what is filled in, and one of noisy frames alone.
DETECTED = {1: [0, 1, 2, 3, 6, 7, 8, 9, 10, 12, 13], 2: [3, 4, 5, 6, 7, 8, 15, 16, 17, 18], 3: [4], 4: [20]}
FILLED = {1: [4, 5, 11], 2: []}  # frames of interpolated boxes
OBJECTS = load_config(["objects=default"]).objects
Prepared = Callable[[str], Fitted]


def table(detected: Mapping[int, Sequence[int]], filled: Mapping[int, Sequence[int]]) -> tuple[Tracks, np.ndarray]:
    """Tracks that cross the frame on rows of their own; and the class of each detected box, of which every third is
    another one.
    """
    rows = sorted((t, track) for every in (detected, filled) for track, frames in every.items() for t in frames)
    position, track = np.array(rows, np.int64).reshape(-1, 2).T
    lost = np.array([t in filled.get(number, ()) for t, number in rows], bool)
    left, top = (2 * position + 13 * track) % (WIDTH - BOX), (9 * track) % (HEIGHT - BOX)
    xyxy = np.stack([left, top, left + BOX, top + BOX], axis=1).astype(np.float32)
    confidence = (0.3 + 0.07 * (np.arange(len(rows)) % 9)).astype(np.float32)
    box = np.where(lost, -1, np.cumsum(~lost) - 1)
    label = np.array(["person"] * len(rows), np.str_)
    known = position[~lost]
    classes = np.where(known % 3 == 0, "bicycle", np.where(known % 7 == 0, "motion", "person"))
    return Tracks(position, xyxy, label, confidence, track, lost, box), classes


def video_of(
    place: Path,
    detected: Mapping[int, Sequence[int]],
    filled: Mapping[int, Sequence[int]],
    seed: int = 0,
    crops: bool = False,
) -> Video:
    """A video of LENGTH frames with these tracks. Its feature maps are those of boxes, or with `crops` of the run's
    crops, whatever is between them.
    """
    place.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    tracks, classes = table(detected, filled)
    frames = rng.integers(0, 255, (LENGTH, HEIGHT // 4, WIDTH // 4, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    known = tracks[~tracks.interpolated]
    boxes, path = place / "boxes.parquet", place / "tracks.parquet"
    box_tables.save(Boxes(known.position, known.xyxy, classes, known.confidence), boxes)
    box_tables.save(tracks, path)
    noise = np.zeros(LENGTH, np.float32)
    noise[NOISY.start : NOISY.stop] = 1 + (OBJECTS.features.noise_above or 0)
    originals: Any = Frames(frames)
    video = Video(place.name, "test", np.arange(10, 10 + LENGTH), (WIDTH, HEIGHT), place, noise=noise)
    video = replace(video, originals=originals, objects=(boxes,), tracks=path)
    flow = [np.empty((0, 9), np.float32), *flow_in_boxes(video, tracks, np.arange(LENGTH) / 25, OBJECTS.flow)]
    own = rng.random((5, 3, 3, 3))  # by track
    smooth = own[tracks.track] + 0.2 * np.sin(tracks.position / 3)[:, None, None, None]
    stored = {
        "crops": (path, rng.random((len(tracks), 3, 3, 3))),
        "flow": (path, np.concatenate(flow)),
        "maps": (path if crops else boxes, smooth if crops else smooth[~tracks.interpolated]),
    }
    for name, (of, values) in stored.items():
        dtype = np.float32 if name == "flow" else np.float16
        with writing(place / f"{name}.npy", of, values.shape[1:], dtype) as writer:
            writer.extend(values.astype(dtype))
    chosen = OBJECTS.features.every, OBJECTS.features.noise_above
    maps = Maps(place / "maps.npy", False, *chosen) if crops else Maps(place / "maps.npy", True)
    crops_of, flow_of = Maps(place / "crops.npy", False, *chosen), Maps(place / "flow.npy", False)
    return replace(video, features=maps, crops=crops_of, flow=flow_of)


def moments(fitted: Fitted, video: Video) -> Iterator[Moment]:
    return moments_of(video, (), registry.spec(fitted.name, fitted.config).needs)


def stream_of(detector: Detector) -> Stream:
    assert isinstance(detector, Streams)
    return detector.stream(FORMAT)


def require_equal(found: Sequence[MomentScores], expected: Scores) -> None:
    assert expected.objects is not None
    assert all(list(one.streams) == list(expected.streams) for one in found)
    for name, values in expected.streams.items():
        of_frames = [one.streams[name] for one in found]
        np.testing.assert_allclose(of_frames, values, rtol=1e-5, atol=1e-6, err_msg=name)
        of_objects = np.concatenate([one.objects[name] for one in found if one.objects is not None])
        table = expected.objects[expected.objects["stream"] == name]
        assert of_objects.dtype == np.float32
        np.testing.assert_allclose(of_objects, table["score"], rtol=1e-5, atol=1e-6, err_msg=f"objects, {name}")


FOOTAGE = {
    "gaps, noise": (DETECTED, FILLED),
    "no objects": ({}, {}),
    "one object from the first frame on": ({1: range(LENGTH)}, {}),
}


@pytest.mark.parametrize("footage", FOOTAGE)
@pytest.mark.parametrize("name", NAMES)
def test_frame_by_frame_scores_are_those_of_the_whole_video(
    prepared: Prepared, name: str, footage: str, tmp_path: Path
):
    detector, video = prepared(name).loaded(), video_of(tmp_path / "v", *FOOTAGE[footage])
    stream = stream_of(detector)
    assert stream.stride == 1
    found = [stream.step(moment) for moment in moments(prepared(name), video)]
    require_equal(found, detector.score(video, causal=True))


def test_maps_between_two_crops_are_not_known_frame_by_frame(prepared: Prepared, tmp_path: Path):
    detector, fitted = prepared("temporal_mae").loaded(), prepared("temporal_mae")
    video = video_of(tmp_path / "v", DETECTED, FILLED, crops=True)
    stream, every = stream_of(detector), list(moments(fitted, video))
    seen = {(one.position, int(track)) for one in every for track in one.tracks.track[known(one.maps)]}
    assert seen == {(0, 1), (9, 1), (6, 2), (18, 2), (20, 4)}  # of rows without noise, the first and every sixth
    require_equal([stream.step(moment) for moment in every], detector.score(video, causal=True))


def known(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return ~np.isnan(values[:, 0, 0, 0])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "event_completion"])  # it keeps frames alone
def test_nothing_is_kept_of_a_track_that_has_ended(prepared: Prepared, name: str, tmp_path: Path):
    """A track that would come back after its end is one of which nothing is known."""
    detector, fitted = prepared(name).loaded(), prepared(name)
    every = list(moments(fitted, video_of(tmp_path / "v", {1: range(LENGTH)}, {})))
    last = every[9]
    lost = {
        field: np.full_like(values, np.nan)
        for field in ("flow", "crops")
        if (values := getattr(last, field)) is not None
    }
    last = replace(last, **lost)
    found = {}
    for ended in ((), (1,)):
        stream = stream_of(detector)
        for moment in every[:9]:
            stream.step(moment)
        found[ended] = stream.step(replace(last, ended=ended)).streams
    fresh = stream_of(detector).step(last).streams
    assert found[1,] == fresh and found[()] != fresh
