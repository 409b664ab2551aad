"""Clips and thumbnails of events: which frames, which time, what is drawn; they play in browsers and are made once."""

import re
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from tests.scored import prepared

from pixelplay.config import Config
from pixelplay.drawing.annotate import Drawing, write_clip
from pixelplay.events.event import Event, Events, EventTrack, Moment
from pixelplay.events.pictures import ClipsConfig, with_pictures
from pixelplay.explain.clips import CURVE_HEIGHT, SHADED, THRESHOLD, Curve, make_footer
from pixelplay.explain.event_clips import MADE, Shown, recording_start, stretch, thumbnail, write_event_pictures
from pixelplay.run.artifacts import write_table
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index
from pixelplay.videos.packets import recorded_at

SETTINGS = ClipsConfig(count=2, thumbnails=3, around=1.0, longest=4.0, size=120)


def event(name: str, video: str = "a", start: int = 20, end: int = 25, peak: int = 22, **values: object) -> Event:
    moments = {key: Moment(frame=at, seconds=None) for key, at in (("start", start), ("end", end), ("peak", peak))}
    about = {"found_by": ["frames"], "score": 4.0, "stream": "fused", "threshold": 2.0, "tail_probability": None}
    lists = {"contributions": {}, "tracks": [], "zones": [], "thumbnail": None, "clip": None}
    return Event(id=name, video=video, **moments, **{**about, **lists, **values})  # type: ignore[arg-type]


def found(*events: Event, settings: ClipsConfig = SETTINGS) -> Events:
    return Events(
        alarms=[], no_alarm={}, heldout_frames=0, heldout_seconds=None, events=with_pictures(events, settings)
    )


# --- which ----------------------------------------------------------------------------------------------------------


def test_the_most_severe_events_get_clips_and_more_of_them_thumbnails():
    events = with_pictures([event(name) for name in "wxyz"], SETTINGS)
    assert [one.clip for one in events] == ["w.mp4", "x.mp4", None, None]
    assert [one.thumbnail for one in events] == ["w.jpg", "x.jpg", "y.jpg", None]


@pytest.mark.parametrize(
    ("place", "rate", "expected"),
    [
        ((50, 59, 52), 10.0, (40, 70)),  # a second before and after
        ((5, 9, 6), 10.0, (0, 20)),  # the video's start
        ((90, 99, 95), 10.0, (80, 100)),  # and its end
        ((20, 89, 50), 10.0, (30, 70)),  # longer than 4 s: the peak in the middle
        ((20, 89, 22), 10.0, (10, 50)),  # or near the start
        ((20, 89, 88), 10.0, (60, 100)),  # or near the end
        ((50, 59, 52), 29.97, (20, 90)),
    ],
)
def test_a_clip_has_the_event_with_a_second_around_it_and_not_more_than_the_longest(place, rate, expected):
    assert stretch(*place, 100, rate, SETTINGS) == expected


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three training videos and two test videos of 90 x 162 pixels, at 15 and 29.97 frames per second."""
    root = tmp_path_factory.mktemp("portrait") / "data"
    for name, rate in (("train/a", 15), ("train/b", 15), ("train/c", 15), ("test/a", 15), ("test/b", 30000 / 1001)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        images = [np.full((162, 90, 3), 2 * t + 10, np.uint8) for t in range(60)]
        write_clip(root / f"{name}.mp4", images, rate)
    return root


@pytest.fixture(scope="module")
def run(portrait: Path) -> tuple[Config, Index]:
    """A run whose fused score is a tenth of the number of the frame."""
    paths = [f"paths.{name}={portrait.parent / name}" for name in ("outputs", "checkpoints", "submissions", "cache")]
    small = ["detector=[conv_ae_tiny]", "device=cpu", "dataset.heldout.gap=16", *paths]
    clips = ["events.clips.around=1.0", "events.clips.size=120"]
    config, index = prepared(["experiment=folder", f"dataset.root={portrait}", *small, *clips])
    tables = [
        pd.DataFrame({"split": "test", "video": v.id, "frame": v.numbers, "stream": "fused", "score": v.numbers / 10})
        for v in index.test
    ]
    write_table(RunFiles.of(config).fused, pd.concat(tables, ignore_index=True))
    return config, index


def decoded(path: Path) -> tuple[list[np.ndarray], Fraction | None, str]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        name = f"{stream.codec_context.name} {stream.codec_context.pix_fmt}"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], stream.average_rate, name


def test_clips_of_portrait_videos_have_the_source_s_frame_rate_and_frames_and_play_in_browsers(
    run: tuple[Config, Index],
):
    config, index = run
    written = write_event_pictures(config, index, found(event("a1"), event("b1", "b"), settings=config.events.clips))
    folder = RunFiles.of(config).events_folder
    assert sorted(path.name for path in written) == ["a1.jpg", "a1.mp4", "b1.jpg", "b1.mp4", MADE]
    for name, rate, first, stop in (("a1", Fraction(15), 5, 41), ("b1", Fraction(30000, 1001), 0, 56)):
        frames, average, codec = decoded(folder / f"{name}.mp4")
        assert (len(frames), average, codec) == (stop - first, rate, "h264 yuv420p")
        whole, across = 120 * 10, round(90 * 120 / 162)  # enlarged to about 640 pixels
        assert frames[0].shape == (whole + CURVE_HEIGHT + 4, across * 10 // 2 * 2, 3)
        for at in (0, len(frames) - 1):  # away from the title
            assert np.median(frames[at][600:700]) == pytest.approx(2 * (first + at) + 10, abs=4)
        data = (folder / f"{name}.mp4").read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")  # a browser can start before it has the whole file
    picture = cv2.imread(str(folder / "a1.jpg"))
    assert np.median(picture[600:700]) == pytest.approx(2 * 22 + 10, abs=4)  # the peak


def test_pictures_that_are_there_are_kept_and_others_made_as_before(run: tuple[Config, Index]):
    config, index = run
    folder = RunFiles.of(config).events_folder
    events = found(event("a1"), event("b1", "b"), settings=config.events.clips)
    write_event_pictures(config, index, events)
    first = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    (folder / "b1.mp4").write_bytes(b"damaged")
    moved = event("a2", start=30, end=31, peak=30)
    write_event_pictures(config, index, found(*events.events, moved, settings=config.events.clips))
    again = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    assert {"a2.jpg", "a2.mp4"} == set(again) - set(first)
    assert first["a1.mp4"] == again["a1.mp4"] and first["a1.jpg"] == again["a1.jpg"]
    assert first["b1.mp4"][1] == again["b1.mp4"][1] and first["b1.mp4"][0] != again["b1.mp4"][0]
    higher = event("a1", threshold=3.0)
    write_event_pictures(config, index, found(higher, settings=config.events.clips))
    assert (folder / "a1.mp4").read_bytes() != first["a1.mp4"][1]
    assert list(re.findall(r"\w+\.(?:jpg|mp4)", (folder / MADE).read_text())) == ["a1.jpg", "a1.mp4"]


# --- what is drawn --------------------------------------------------------------------------------------------------


def test_the_curve_has_a_dashed_threshold_the_event_s_ground_and_gaps_where_there_is_no_score():
    scores = np.array([0.0, 1.0, np.nan, 1.0, 4.0])
    shaded = np.array([False, False, False, True, True])
    footer = make_footer(Curve("score", np.arange(5), scores, (0.0, 4.0), shaded, threshold=2.0), 109)
    assert footer.columns.tolist() == [4, 29, 54, 79, 104]
    row = 36  # half way between 68 and 4
    dashed = (footer.image[row] == THRESHOLD).all(axis=1)
    assert dashed[:6].all() and not dashed[6:12].any() and dashed[12:18].all()
    assert footer.image[60, 90].tolist() == list(SHADED) and footer.image[60, 45].tolist() != list(SHADED)
    assert footer.known.tolist() == [True, True, False, True, True]
    late = footer.at(2)
    white = (late == 255).all(axis=2)
    assert white[:, 54].all()  # the cursor, without a dot
    assert not white[40:, 55:].any()


def test_a_thumbnail_has_the_path_of_the_main_track_over_the_peak_and_its_boxes():
    main = EventTrack(track=1, label="person", score=3, box=None, path=[(20, 50.0, 150.0), (22, 250.0, 150.0)])
    other = EventTrack(track=2, label="person", score=1, box=None, path=[(20, 0.0, 100.0), (22, 300.0, 100.0)])
    one = event("a1", tracks=[main, other])
    box = Drawing(np.array([[200.0, 50, 280, 150]]), [""], [(0, 255, 0)])
    curve = Curve("score", np.array([22]), np.array([3.0]), (0.0, 4.0))
    zone = np.array([[10.0, 160], [310, 160], [310, 190], [10, 190]])
    shown = Shown(one, 22, 23, 22, curve, ["x"], lambda _: box, "", (255, 0, 0), [zone])
    frame = shown.scene(np.full((100, 160, 3), 99, np.uint8), 0.5)  # of 320 x 200
    picture = thumbnail(shown, frame, 0.5)
    assert picture.shape == (400, 640, 3)  # four times the small one: twice the pixels of the frame
    assert picture[300, 300].tolist() == [255, 0, 0]  # the path
    assert picture[200, 400].tolist() == [0, 255, 0]  # the box's left edge
    assert picture[200, 300].tolist() == [99, 99, 99]  # no path of the other
    assert picture[320, 100].tolist() == [255, 255, 255]  # the zone's upper edge


def test_the_time_of_day_is_that_of_the_file_in_the_camera_s_zone_if_it_was_ever_set(tmp_path: Path):
    times = {"2026-05-01T12:00:03.000000Z": datetime(2026, 5, 1, 12, 0, 3, tzinfo=UTC), "1970-01-01T00:00:00Z": None}
    for at, (text, expected) in enumerate(times.items()):
        path = tmp_path / f"{at}.mp4"
        with av.open(str(path), "w") as container:
            container.metadata["creation_time"] = text
            stream = container.add_stream("libx264", 25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
            container.mux(stream.encode(None))
        assert recorded_at(path) == expected


def test_a_video_without_a_file_has_no_time_of_day(run: tuple[Config, Index]):
    originals = run[1].test[0].originals  # and one whose file does not know it
    assert recording_start(originals.source if originals else None) is None
