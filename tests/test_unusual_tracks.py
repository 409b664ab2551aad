"""The most unusual tracks of a report: which, what their pictures show, and their charts, worked out by hand."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests import patchcore
from tests.reports import tiny
from tests.test_report_charts import scored
from tests.test_report_stage import page, sections

from pixelplay.config import Config
from pixelplay.errors import DamagedArtifactError
from pixelplay.explain.clips import GROUND
from pixelplay.explain.scored_boxes import Span, color_of
from pixelplay.explain.tracks import GAP, draw_path, object_crop, track_picture, unusual_tracks
from pixelplay.report.manifest import PicturedTrack, read_manifest
from pixelplay.report.outcome import load_outcome
from pixelplay.report.tracks import ScoredTrack, scored_tracks, track_data
from pixelplay.run.files import RunFiles
from pixelplay.stages import evaluate, events, explain, fuse, prepare, report
from pixelplay.videos.video import Video

GRAY = np.full((40, 80, 3), 100, np.uint8)


def rows(*scores: tuple[int, float]) -> pd.DataFrame:
    """Boxes of 10 by 20 pixels from (track, score): one more to the right in each frame."""
    table = pd.DataFrame(scores, columns=["track", "score"])
    table["x1"], table["y1"] = 5.0 + 10 * table.index, 10.0
    return table.assign(frame=table.index, x2=table["x1"] + 10, y2=30.0, stream="objects", **{"class": "person"})


VIDEOS = [Video(name, "test", np.arange(4), (80, 40), Path("nowhere")) for name in "abc"]


# --- which -----------------------------------------------------------------------------------------------------------


def test_tracks_are_ranked_by_their_highest_score_and_limited_per_video():
    found = {"b": rows((1, 0.2), (1, 0.9), (2, 0.5), (3, 0.8)), "a": rows((1, 0.5), (1, 0.1), (2, 0.9))}

    def chosen(**changes: object) -> list[tuple[str, int]]:
        update = {"tracks": 9, "per_video": 2, "shortest_track": 0.0, **changes}
        return unusual_tracks(VIDEOS, found, tiny().report.model_copy(update=update), fps=5.0)

    assert chosen() == [("a", 2), ("b", 1), ("b", 3), ("a", 1)]
    assert chosen(per_video=1) == [("a", 2), ("b", 1)]
    assert chosen(tracks=1) == [("a", 2)]
    assert chosen(tracks=0) == []


def test_tracks_that_last_too_short_are_left_out_by_the_time_between_their_ends():
    settings = tiny().report.model_copy(update={"shortest_track": 0.2})
    found = {"a": rows((1, 0.9), (2, 0.5), (2, 0.1))}  # one frame, and two
    assert unusual_tracks(VIDEOS, found, settings, fps=5.0) == [("a", 2)]
    assert unusual_tracks(VIDEOS, found, settings, fps=6.0) == []
    timed = [replace(VIDEOS[0], seconds=np.array([0.1, 0.2, 0.4, 0.5]))]  # frames 1 and 2 are 0.2 s apart
    assert unusual_tracks(timed, found, settings, fps=6.0) == [("a", 2)]


# --- pictures --------------------------------------------------------------------------------------------------------


def test_a_crop_is_the_box_with_its_surroundings_and_is_moved_into_the_frame_at_its_edge():
    frame = np.arange(40 * 80, dtype=np.uint16).reshape(40, 80, 1).astype(np.uint8).repeat(3, axis=2)
    box = np.array([30.0, 10, 40, 30])  # 1.5 times 20 pixels: rows 5 to 35, columns 20 to 50
    crop = object_crop(frame, box, (255, 0, 0), 30)
    same = (crop == frame[5:35, 20:50]).all(axis=2)
    red = (crop == (255, 0, 0)).all(axis=2)
    assert crop.shape == (30, 30, 3) and (same | red).all()
    assert np.argwhere(red).min(axis=0).tolist() == [5, 10] and np.argwhere(red).max(axis=0).tolist() == [24, 19]
    corner = object_crop(frame, np.array([0.0, 0, 10, 20]), (255, 0, 0), 30)
    assert (corner[25:] == frame[25:30, :30]).all()


def test_a_crop_that_the_frame_has_no_room_for_is_padded():
    crop = object_crop(GRAY, np.array([10.0, 0, 70, 40]), (255, 0, 0), 80)  # 90 pixels wanted: the whole frame
    assert (crop[:20] == GROUND).all() and (crop[60:] == GROUND).all()
    assert (crop[20:60, :10] == 100).all() and (crop[30, 10] == (255, 0, 0)).all()


def test_a_path_leads_from_a_ring_to_a_dot_in_the_colours_of_the_scores():
    image = GRAY.copy()
    draw_path(image, np.array([[10.0, 20], [40, 20], [70, 20]]), [(1, 2, 3), (255, 0, 0), (0, 0, 255)])
    assert image[20, 10].tolist() == [0, 0, 0] and image[20, 70].tolist() == [255, 255, 255]
    assert image[20, 25].tolist() == [255, 0, 0] and image[20, 55].tolist() == [0, 0, 255]
    assert (image[5] == 100).all() and (image[:, 77:] == 100).all()


def test_a_track_of_one_frame_has_a_picture():
    picture = track_picture([GRAY] * 3, rows((1, 0.5)), [0, 0, 0], {}, 80)
    assert picture.shape == (40 + GAP + 25, 80, 3)


def test_below_the_path_over_the_frame_of_the_peak_are_the_first_the_highest_and_the_last_box():
    table = rows((1, 0.0), (1, 1.0), (1, 0.5))
    frames = [np.full_like(GRAY, value) for value in (50, 100, 150)]
    picture = track_picture(frames, table, [0, 1, 2], {"objects": Span(0, 1)}, 160)
    side = (160 - 2 * GAP) // 3
    assert picture.shape == (80 + GAP + side, 160, 3)
    assert (picture[:10] == 100).all()
    assert picture[40, 34].tolist() == list(color_of(1.0)), "from the first centre, 10, to the second, 20, all doubled"
    assert picture[40, 45].tolist() == list(color_of(0.5)), "from the second to the third"
    assert picture[30, 30].tolist() == list(color_of(1.0)), "left edge of the box of the peak, x1 = 15"
    below = picture[-side:]
    assert [int(below[2, i * (side + GAP) + 2, 0]) for i in range(3)] == [50, 100, 150]


# --- charts ----------------------------------------------------------------------------------------------------------

VIDEO = scored(list(range(100, 120)), [0.0] * 20, labels=[1] * 4 + [0] * 4 + [1] * 4 + [0] * 8)


def track(numbers: list[int], scores: list[float], peak: int, interpolated: tuple[int, ...] = ()) -> ScoredTrack:
    ends = {"first": numbers[0], "peak": peak, "last": numbers[-1], "interpolated": list(interpolated)}
    one = PicturedTrack(video="a", track=3, label="person", picture="a.jpg", **ends)
    return ScoredTrack(one, VIDEO, np.array(numbers), np.array(scores), {"s": np.array(scores) * 2})


def test_a_track_s_data_are_its_own_frames_with_their_labels_and_interpolated_boxes():
    one = track(list(range(105, 116)), [0.0] * 5 + [0.5] + [0.0] * 5, peak=110, interpolated=(107, 108))
    (data,) = track_data([one], {"s": "s0", "fused": "fused"}, [VIDEO])
    assert data["numbers"] == [(105, 11)] and data["video"] == 0
    assert [(line["name"], line["style"]) for line in data["lines"]] == [("s", "s0"), ("objects", "fused")]
    assert data["labels"] == [(3, 7)], "frames 108 to 111"
    assert data["strips"] == [{"style": "interpolated", "label": "interpolated boxes", "runs": [(2, 4)]}]
    assert one.facts == ["frame 105 to frame 115", "highest score 0.500, frame 110", "11 boxes, 2 interpolated"]


def test_labels_outside_the_track_s_time_are_not_shaded_and_unknown_ones_not_at_all():
    one = track([105, 106], [0, 1], peak=106)
    for of in (VIDEO, replace(VIDEO, labels=None)):
        (data,) = track_data([replace(one, of=of)], {}, [of])
        assert data["labels"] == data["strips"] == []


def test_all_tracks_have_one_scale_that_shows_the_lowest_and_the_highest_score():
    first, second = track([100, 101], [0, 1], peak=101), track([103], [4.0], peak=103)
    axes = {tuple(line["axis"]) for data in track_data([first, second], {}, [VIDEO]) for line in data["lines"]}
    ((low, high),) = axes
    assert low == 0 and 8.0 * 0.99 < high < 8.5
    assert second.facts == ["frame 103", "highest score 4.000, frame 103", "1 box"]


def test_a_stream_looks_as_in_the_videos_charts():
    one = track([100], [1.0], peak=100)
    for styles in ({"other": "s0", "s": "s1"}, {"other": "s0"}):
        (data,) = track_data([one], styles, [VIDEO])
        assert [line["style"] for line in data["lines"]] == ["s1", "fused"]


def test_times_are_told_where_they_are_known():
    timed = replace(VIDEO, seconds=np.arange(20) / 4)
    one = replace(track([101, 102, 103], [0, 1, 0], peak=102), of=timed)
    assert one.facts[0] == "frame 101 at 0.25 s to frame 103 at 0.75 s"
    (data,) = track_data([one], {}, [timed])
    assert data["timed"] and data["seconds"] == {"start": 0.25, "step": 0.25}


# --- in a run --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def explained_run(patchcore_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a run with object streams, up to `explain`."""
    folder = tmp_path_factory.mktemp("explained")
    shutil.copytree(patchcore_run, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in (events, evaluate, explain):
            stage.run(patchcore.config())
    return folder


@pytest.fixture
def config(explained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """That run, in a copy of its folder."""
    shutil.copytree(explained_run, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return patchcore.config()


def test_the_page_has_the_curves_of_the_table_of_objects_and_needs_no_footage(config: Config):
    for folder in ("data", "cache", "checkpoints"):
        shutil.rmtree(folder)
    report.run(config)
    found, files, index = page(config), RunFiles.of(config), prepare.load_index(config)
    assert "tracks" in sections(found) and "Unusual tracks" in found.text
    manifest = read_manifest(files, index)
    table = pd.read_parquet(files.object_scores("objects")).query("split == 'test'")
    best = table.loc[table["score"].idxmax()]
    first = manifest.tracks[0]
    assert first.video == "strange"
    assert (first.video, first.track, first.peak) == (best["video"], best["track"], best["frame"])
    (one, *_) = scored_tracks(config, load_outcome(config, index), manifest)
    own = table.query("video == @first.video and track == @first.track").sort_values("frame")
    assert one.numbers.tolist() == own["frame"].tolist() and one.scores.tolist() == own["score"].tolist()
    assert list(one.streams) == ["videopatchcore/spatial"]
    assert len([svg for svg in found.named("svg") if "data-track" in svg]) == len(manifest.tracks) >= 1
    image = cv2.imread(str(files.explain / first.picture))
    assert image.shape == (320 + GAP + (480 - 2 * GAP) // 3, 480, 3)


@pytest.mark.usefixtures("config")
def test_streams_are_on_the_scale_that_they_were_summed_on():
    """With no smoothing, the score is the average of the streams."""
    plain = patchcore.config("fusion.objects.smooth.method=none", "report.gallery=0")
    for stage in (fuse, events, evaluate, explain):
        stage.run(plain)
    index = prepare.load_index(plain)
    for one in scored_tracks(plain, load_outcome(plain, index), read_manifest(RunFiles.of(plain), index)):
        assert one.scores == pytest.approx(np.mean(list(one.streams.values()), axis=0), abs=1e-6)


def test_a_track_without_scores_is_told_with_what_to_do(config: Config):
    files, index = RunFiles.of(config), prepare.load_index(config)
    listed = json.loads(files.manifest.read_text())
    listed["tracks"][0]["track"] = 99
    files.manifest.write_text(json.dumps(listed))
    with pytest.raises(DamagedArtifactError, match=r"track 99 of video 'strange' has no score .*src/explain\.py"):
        scored_tracks(config, load_outcome(config, index), read_manifest(files, index))
    listed["tracks"][0]["last"] = 77
    files.manifest.write_text(json.dumps(listed))
    with pytest.raises(DamagedArtifactError, match="video 'strange' has no frame 77"):
        read_manifest(files, index)


@pytest.mark.usefixtures("config")
def test_a_run_without_object_streams_has_no_section():
    weights = "{videopatchcore/spatial:0.0,videopatchcore/temporal:0.0}"
    plain = patchcore.config(f"fusion.objects.streams={weights}", "report.gallery=0")
    for stage in (fuse, events, evaluate, explain, report):
        stage.run(plain)
    assert "tracks" not in sections(page(plain)) and "Unusual" not in page(plain).text
